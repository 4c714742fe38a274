"""Networks of torchvision, timm and Hugging Face by their names, `torchvision:resnet50` for one."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

from torch import nn

from counteract._calls import parse_call
from counteract._errors import UserError, describe, unknown_name
from counteract._extras import how_to_install
from counteract._files import is_file
from counteract._preparation import Interpolation, Preparation
from counteract._seeding import seeded
from counteract._strangers import strangers_code
from counteract.models.checkpoints import load_weights
from counteract.models.checks import check_network, probe
from counteract.models.hugging_face import load_whole, normalisation_in, preparation_in, read_settings, silent
from counteract.models.prepared import PreparedNetwork

_UNTRAINED = "it is untrained: its figures mean nothing"


@dataclass(frozen=True)
class Wishes:
    """Everything that a user says of a library's network beside its name.

    Attributes:
        weights: A name that the library has for weights, or a file; None for the library's own choice.
        untrained: True for random weights.
        mean: In place of the library's own.
        std: Likewise.
        trust: Lets checkpoints, and the code that comes with them, run anything.
    """

    weights: str | None = None
    untrained: bool = False
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None
    trust: bool = False


@dataclass(frozen=True)
class _Found:
    """A network as its library has it.

    Attributes:
        network: The network.
        mean: The mean of its normalisation; None where nobody knows it.
        std: The deviation, likewise.
        preparation: The way from pictures to its images.
        class_names: The names of its classes.
        shape: The shape of its images.
    """

    network: nn.Module
    mean: Sequence[float] | None
    std: Sequence[float] | None
    preparation: Preparation | None
    class_names: Sequence[str] = ()
    shape: tuple[int, int, int] = (3, 224, 224)


def is_library(name: str) -> bool:
    """Returns True for a name that means a library's network."""
    return name.partition(":")[0] in LIBRARIES and ":" in name


def load_library(name: str, wishes: Wishes) -> PreparedNetwork:
    """Loads a library's network in eval mode, on the CPU; it normalises inside.

    Args:
        name: `torchvision:NAME`, `timm:NAME` with arguments in brackets, `hf:NAME_OR_FOLDER`.
        wishes: Everything else.

    Raises:
        UserError: (a ValueError) the library is not installed or has no such network, its weights cannot be got, or
            its normalisation is not known.
    """
    library, _, rest = name.partition(":")
    if wishes.untrained and wishes.weights is not None:
        raise UserError(f"model {name}: weights and untrained exclude each other")
    with strangers_code(f"model {name}"), _quiet(), seeded(0):
        try:
            found = LIBRARIES[library](name, rest, wishes)
        except ModuleNotFoundError as error:
            package = {"hf": "transformers"}.get(library, library)
            if error.name != package:
                raise
            raise UserError(f"model {name}: {package} is not installed: {how_to_install(library)}") from None
        mean, std = wishes.mean or found.mean, wishes.std or found.std
        if mean is None or std is None:
            raise UserError(f"model {name}: nobody says how its images are normalised: give --mean and --std")
        network = PreparedNetwork(
            found.network,
            mean,
            std,
            preparation=found.preparation,
            class_names=found.class_names,
            notes=[_UNTRAINED] if wishes.untrained else [],
        ).eval()
        check_network(network, name, probe(found.shape))
    return network


def _torchvision(name: str, rest: str, wishes: Wishes) -> _Found:
    from torchvision import models

    call = parse_call(rest, "model")
    known = models.list_models(module=models)
    if call.name not in known:
        raise unknown_name("model torchvision's", call.name, known)
    published = models.get_model_weights(call.name)
    file = _file(name, wishes.weights, [each.name for each in published])
    entry = published[wishes.weights] if wishes.weights is not None and file is None else published.DEFAULT
    bare = file is not None or wishes.untrained
    with _got(name, wishes):
        network = models.get_model(call.name, weights=None if bare else entry, **call.arguments)
    if file is not None and hasattr(network, "transform_input") and "transform_input" not in call.arguments:
        raise UserError(
            f"model {name}: weights from a file do not say which normalisation they were trained with: give "
            f"{call.name}(transform_input=True) for torchvision's own, (transform_input=False) where there was none"
        )
    _fill(network, file, wishes)
    transform = entry.transforms()
    (crop,), (resize,) = transform.crop_size, transform.resize_size
    kind: Interpolation = transform.interpolation.value
    if (side := call.arguments.get("image_size")) is not None:
        resize, crop = round(resize * side / crop), side
    way = Preparation(resize, (crop, crop), kind)
    names = entry.meta["categories"] if file is None and "num_classes" not in call.arguments else ()
    return _Found(network, transform.mean, transform.std, way, names, (3, crop, crop))


def _timm(name: str, rest: str, wishes: Wishes) -> _Found:
    import timm

    call = parse_call(rest, "model")
    if ":" not in call.name and not timm.is_model(call.name.partition(".")[0]):
        raise unknown_name("model timm's", call.name, timm.list_models())
    file = _file(name, wishes.weights, ())
    with _got(name, wishes):
        pretrained = file is None and not wishes.untrained
        network = timm.create_model(call.name, pretrained=pretrained, **call.arguments)
    _check_head(name, network, network.pretrained_cfg.get("num_classes") if pretrained else None)
    _fill(network, file, wishes)
    config = timm.data.resolve_data_config({"img_size": call.arguments.get("img_size")}, model=network)
    _, height, width = shape = tuple(config["input_size"])
    names = _timm_names(network) if file is None and "num_classes" not in call.arguments else ()
    return _Found(network, config["mean"], config["std"], _timm_way(config, height, width), names, shape)


def _check_head(name: str, network: nn.Module, trained: int | None) -> None:
    """Raises UserError where timm's network has no last layer, or has another than its weights: a random one."""
    classes = getattr(network, "num_classes", None)
    if classes == 0:
        raise UserError(f"model {name} has no classes: its answers are features; name one that was trained to classify")
    if None not in (trained, classes) and trained != classes:
        raise UserError(
            f"model {name} was trained for {trained} classes, not {classes}: its last layer would be random; leave "
            "num_classes out, or name a file with --weights"
        )


def _timm_way(config: Mapping[str, Any], height: int, width: int) -> Preparation | None:
    """Returns the way from pictures to images of timm's evaluation; None for one that pads."""
    grown = tuple(math.floor(side / config["crop_pct"]) for side in (height, width))
    kind: Interpolation = config["interpolation"] if config["interpolation"] in get_args(Interpolation) else "bilinear"
    if config["crop_mode"] not in ("center", "squash"):
        return None
    shorter = config["crop_mode"] == "center" and height == width
    return Preparation(grown[0] if shorter else cast("tuple[int, int]", grown), (height, width), kind)


def _timm_names(network: nn.Module) -> Sequence[str]:
    from timm.data import ImageNetInfo, infer_imagenet_subset

    subset = infer_imagenet_subset(network)
    if subset is None:
        return ()
    info = ImageNetInfo(subset)
    return [f"{info.index_to_label_name(at)}, {info.index_to_description(at)}" for at in range(info.num_classes())]


def _hf(name: str, rest: str, wishes: Wishes) -> _Found:
    from transformers import AutoConfig, AutoModelForImageClassification

    if wishes.weights is not None:
        raise UserError(f"model {name} brings its weights; name the folder that holds others, hf:FOLDER")
    options = {"local_files_only": Path(rest).is_dir(), "trust_remote_code": wishes.trust}
    with _got(name, wishes), silent():
        if wishes.untrained:
            config = AutoConfig.from_pretrained(rest, **options)
            network = AutoModelForImageClassification.from_config(config, trust_remote_code=wishes.trust)
        else:
            advice = "name a network that was trained to classify images"
            network = load_whole(AutoModelForImageClassification, rest, name, advice, **options)
    labels = [str(label) for _, label in sorted(network.config.id2label.items())]
    names = () if all(label.startswith("LABEL_") for label in labels) else labels
    settings = read_settings(rest, **options)
    mean, std = normalisation_in(settings, name) if settings else (None, None)
    way = preparation_in(settings)
    side = getattr(network.config, "image_size", 224)
    height, width = (way and way.crop) or (side if isinstance(side, (tuple, list)) else (side, side))
    return _Found(network, mean, std, way, names, (getattr(network.config, "num_channels", 3), height, width))


def _file(name: str, weights: str | None, names: Sequence[str]) -> Path | None:
    """Returns the file that a user's weights are in; None for a name that the library has for them.

    Raises:
        UserError: (a ValueError) they are neither.
    """
    if weights is None or weights in (*names, *(["DEFAULT"] if names else [])):
        return None
    if not is_file(Path(weights)):
        raise unknown_name(f"model {name}: weights", weights, names, "a file")
    return Path(weights)


def _fill(network: nn.Module, file: Path | None, wishes: Wishes) -> None:
    if file is not None:
        load_weights(network, file, trust=wishes.trust)


@contextmanager
def _got(name: str, wishes: Wishes) -> Iterator[None]:
    """Says in one line that weights could not be got."""
    try:
        yield
    except (UserError, ModuleNotFoundError):
        raise
    except Exception as error:
        if wishes.untrained:
            raise
        raise UserError(
            f"model {name} cannot be had ({describe(error)[:120]}); go online once, name a file with --weights (of hf "
            "a folder), or try it out with --untrained"
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps to itself that libraries find their own ways old."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


LIBRARIES: Mapping[str, Callable[[str, str, Wishes], _Found]] = {"torchvision": _torchvision, "timm": _timm, "hf": _hf}
"""The libraries, by what stands before the colon."""
