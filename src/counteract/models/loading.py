"""`load_model`: from a name to a network in eval mode that takes [0, 1]."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from importlib.resources import as_file, files
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsFloat

from torch import nn

from counteract._arguments import check_flag, check_text
from counteract._errors import UserError, shown, unknown_name
from counteract._network import to_eval
from counteract._strangers import strangers_code
from counteract.models import clip
from counteract.models.checkpoints import load_weights
from counteract.models.checks import check_network, probe
from counteract.models.factory import make_network
from counteract.models.files import Card, load_network, read_card
from counteract.models.libraries import Wishes, is_library, load_library
from counteract.models.normalize import Normalize, check_deviation, check_mean

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

_SUFFIX = ".safetensors"

_SHIPPED = files("counteract.models") / "weights"

_CLONED = Path(__file__).parents[3] / "eval" / "full" / "weights"
"""The paper's networks, which are too large for a wheel: they are there where the package runs from a clone."""


def shipped_models() -> list[str]:
    """The names of the networks that come with the package."""
    return _names(_SHIPPED)


def known_models() -> list[str]:
    """The names of the networks that are at hand: those that come with the package, and a clone's larger ones."""
    return sorted({*shipped_models(), *(_names(_CLONED) if _CLONED.is_dir() else ())})


def card_of(name: str) -> Card:
    """Reads the card of one of the `known_models`."""
    with as_file(_place(name)) as path:
        return read_card(path)


def _names(folder: Traversable) -> list[str]:
    return sorted(item.name.removesuffix(_SUFFIX) for item in folder.iterdir() if item.name.endswith(_SUFFIX))


def _place(name: str) -> Traversable:
    """Returns the file of one of the `known_models`."""
    shipped = _SHIPPED / f"{name}{_SUFFIX}"
    return shipped if shipped.is_file() else _CLONED / f"{name}{_SUFFIX}"


def is_factory(name: str) -> bool:
    """Returns whether a name means a factory of the user's: `package.module:factory`."""
    elsewhere = name.startswith(("robustbench:", clip.PREFIX)) or name.endswith(_SUFFIX) or is_library(name)
    return ":" in name and not elsewhere


def is_clip(name: str) -> bool:
    """Returns whether a name means a CLIP that classifies: `clip:FOLDER`."""
    return name.startswith(clip.PREFIX)


def is_named(name: str) -> bool:
    """Returns True for a name that means a network with a normalisation of its own: it has a card, or a publisher."""
    published = name.startswith(("robustbench:", clip.PREFIX)) or is_library(name)
    return published or name.endswith(_SUFFIX) or name in known_models()


def load_model(
    name: str | PathLike[str],
    *,
    weights: Path | str | None = None,
    untrained: bool = False,
    model_dir: Path | str = "models",
    trust: bool = False,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    input_shape: tuple[int, int, int] = (3, 32, 32),
    num_classes: int | None = None,
    classes: Path | str | None = None,
) -> nn.Module:
    """Loads a network in eval mode, on the CPU; it maps images in [0, 1] to logits.

    Args:
        name: One of

            - the name of one of the `known_models`,
            - the path of a .safetensors file that `counteract train` wrote,
            - `robustbench:DATASET/THREAT_MODEL/NAME`, a network of RobustBench's zoo,
            - `torchvision:NAME`, `timm:NAME`, arguments in brackets, or `hf:NAME_OR_FOLDER`, an image classifier of
              Hugging Face's transformers; each comes as a `PreparedNetwork`,
            - `clip:FOLDER`, a CLIP of Hugging Face's transformers, which classifies by the names of `classes`,
            - `package.module:factory`, anyone's own: a function that makes a network, its arguments in brackets.
        weights: A checkpoint, of torch or safetensors, for a factory's network or one of torchvision or timm; None for
            what the factory or the library loads. Of torchvision also its own names of weights.
        untrained: True for a library's network with random weights, the same each time, to try things out with.
        model_dir: The folder where RobustBench's checkpoints are, or are downloaded to.
        trust: Lets checkpoints hold anything at all, and so run code when they are read; and networks of Hugging Face
            bring code of their own.
        mean: For a factory's network that expects normalised images: the mean that is subtracted, per channel. Of a
            library's network in place of its own.
        std: Likewise, the standard deviation that the difference is divided by.
        input_shape: The shape of one image that a factory's network or a CLIP takes; it is tried with two.
        num_classes: The number of logits that such a network must return, if that is known.
        classes: For a CLIP: a text file with the name of one class a line, in the order of the labels.

    Raises:
        UserError: (a ValueError) the name is unknown, a file cannot be got or used, or the network does not map such
            images to as many logits.

    Examples:
        >>> import torch
        >>> from counteract import load_model
        >>> load_model("digits-resnet-iat")(torch.rand(2, 3, 32, 32)).shape
        torch.Size([2, 10])
    """
    name, trust = check_text("name", name, "that of a model, or a path"), check_flag("trust", trust)
    mean, std = _numbers("mean", mean, check_mean), _numbers("std", std, check_deviation)
    if is_clip(name):
        _refuse("a CLIP", weights=weights, mean=mean, std=std)
        made = clip.load_clip(Path(name.removeprefix(clip.PREFIX)), None if classes is None else Path(classes))
        check_network(made, name, probe(input_shape), num_classes)
        return made
    if classes is not None:
        raise UserError(f"classes go with clip:FOLDER, found the network {name}")
    if is_library(name):
        _check_both(mean, std)
        return load_library(name, Wishes(None if weights is None else str(weights), untrained, mean, std, trust))
    if untrained:
        raise UserError(f"untrained goes with torchvision:, timm: and hf:, found {name}")
    if name.startswith("robustbench:"):
        _refuse("a network of RobustBench", weights=weights, mean=mean, std=std)
        from counteract.robustbench.zoo import load_robustbench

        return load_robustbench(name, model_dir=Path(model_dir), trust=trust)
    if name.endswith(_SUFFIX):
        _refuse("a .safetensors file with a card", weights=weights, mean=mean, std=std)
        return load_network(Path(name))
    if is_factory(name):
        with strangers_code(f"model {name}"):
            network = make_network(name)
            if weights is not None:
                load_weights(network, Path(weights), trust=trust)
            network = to_eval(_normalised(network, mean, std))
            check_network(network, name, probe(input_shape), num_classes)
            return network
    known = known_models()
    if name not in known and Path(name).is_file():
        raise UserError(
            f"model {name} is a file, which alone is no network: --model package.module:factory --weights FILE, or of "
            "TorchScript --model \"torch.jit:load(f='FILE')\""
        )
    if name not in known:
        raise unknown_name(
            "model",
            name,
            known,
            "a .safetensors file, robustbench:, torchvision:, timm:, hf:, clip:, package.module:factory",
        )
    _refuse("a shipped network", weights=weights, mean=mean, std=std)
    with as_file(_place(name)) as path:
        return load_network(path)


def _refuse(what: str, **options: object) -> None:
    """Raises UserError for options that only a factory's network takes."""
    given = [option for option, value in options.items() if value is not None]
    if given:
        raise UserError(
            f"{' and '.join(given)} go with package.module:factory and libraries' networks; {what} has its own"
        )


def _numbers(name: str, values: object, check: Callable[[float], float]) -> list[float] | None:
    """Returns numbers of a normalisation as Python's own, once each is one of pixels in [0, 1]."""
    if values is None:
        return None
    given: list[Any] = list(values) if isinstance(values, Iterable) else [values]
    if not all(isinstance(value, SupportsFloat) for value in given):  # as of text no letter is
        raise UserError(f"{name} must be numbers, one for each channel, found {shown(values)}")
    found = [float(value) for value in given]
    for value in found:
        try:
            check(value)
        except UserError as error:
            raise UserError(f"{name}: {error}, found {value:g}") from None
    return found


def _normalised(network: nn.Module, mean: Sequence[float] | None, std: Sequence[float] | None) -> nn.Module:
    _check_both(mean, std)
    if mean is None or std is None:
        return network
    return nn.Sequential(OrderedDict(normalize=Normalize(mean, std), model=network))


def _check_both(mean: Sequence[float] | None, std: Sequence[float] | None) -> None:
    """Raises UserError for one of a normalisation's two halves without the other."""
    if (mean is None) != (std is None):
        raise UserError(f"mean and std go together, found {'std' if mean is None else 'mean'} alone")
