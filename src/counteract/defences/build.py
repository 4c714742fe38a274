"""From names to defended networks: factories are called, and what they return is put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from art.defences.postprocessor.postprocessor import Postprocessor
from art.defences.preprocessor.preprocessor import Preprocessor
from torch import Tensor, nn

from counteract._errors import StrangersError, UserError
from counteract._network import borrowed
from counteract._seeding import seeded
from counteract._signatures import signature_of
from counteract._strangers import strangers_code
from counteract._untouched import give
from counteract.datasets import ArrayDataset, Dataset
from counteract.defences.art import defended_of, is_art
from counteract.defences.names import Values, parameters_of, parse_defence
from counteract.defences.registry import OFFERED, Defence, find_defence
from counteract.defended import Average, DefendedModule
from counteract.postprocessing import Postprocessing
from counteract.preprocessors import RandomPreprocessor
from counteract.preprocessors.adapter import Adapted, adapt
from counteract.whole import Defended, WholeModule, whole_module

Shape = tuple[int, int, int]
"""Channels, height and width of an image."""

Part: TypeAlias = RandomPreprocessor[Any] | Postprocessing | nn.Module
"""A part of a defence."""

_MANY = 1000
"""A number of classes that leaves any number of labels to draw."""

_SEVERAL = "join only preprocessors, then at most one whole network, then postprocessors"


@dataclass(frozen=True)
class Ingredients:
    """Everything that a defence may be made of.

    Attributes:
        network: The undefended network.
        images: A few images in [0, 1], of the shape and on the device of those to come: shape (N, C, H, W).
        num_classes: The number of classes.
        pool: Loads the images that mixup inference mixes with.
        original: The network as strangers' factories get it, with all of its layers, where `network` is a faster form
            of it.
    """

    network: nn.Module
    images: Tensor
    num_classes: int
    pool: Callable[[], Dataset]
    original: nn.Module | None = None

    @property
    def shape(self) -> Shape:
        """The shape of an image."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width


@dataclass(frozen=True)
class Built:
    """A defended network, and its parameters in words.

    Attributes:
        defended: The network with the defence.
        words: Its parameters.
        ours: True if all of its parts are of this package.
        parts: What the factories returned.
    """

    defended: Defended
    words: str
    ours: bool
    parts: tuple[object, ...]


@dataclass
class _Stack:
    """The parts of a defence, as they come."""

    before: list[RandomPreprocessor[Any]]
    whole: nn.Module | None
    after: list[Postprocessing]
    first_repeated: int | None = None
    executions: int = 1
    average: Average | None = None

    def add(self, made: object, name: str) -> list[Part]:
        """Takes in what a factory returned, and returns its parts.

        Raises:
            UserError: (a ValueError) it is no defence, or cannot stand where it does.
        """
        added: list[Part] = []
        for each in made if isinstance(made, (list, tuple)) and made else [made]:
            if isinstance(each, Preprocessor) and not (self.whole or self.after):
                self.before.append(adapt(each, name))
                added.append(self.before[-1])
            elif isinstance(each, nn.Module) and not (self.whole or self.after):
                self.whole = each
                added.append(each)
            elif isinstance(each, Postprocessor):
                self.after.append(Postprocessing(each, name=name))
                added.append(self.after[-1])
            elif isinstance(each, (Preprocessor, nn.Module)):
                raise UserError(f"defence {name} cannot stand behind what is in front of it: {_SEVERAL}")
            else:
                raise UserError(
                    f"defence {name} must return an ART preprocessor or postprocessor, a list of these, or a "
                    f"torch.nn.Module, found {type(each).__name__}"
                )
        return added


def build_defence(name: str, of: Ingredients, values: Values) -> Built:
    """Makes the defended network that a name stands for.

    What comes before the first part with executions runs once per input; that part and all after it are redrawn for
    each execution, of which there are as many as the part that wants most.

    Args:
        name: The defence's name.
        of: The things it is made of.
        values: Parameters by the names of defences; the defaults hold where there are none.

    Raises:
        UserError: (a ValueError) a part is unknown, fails, or makes no sense for such images.
    """
    stack, words, ours = _Stack([], None, []), [], True
    parts: list[object] = []
    for call in parse_defence(name):
        defence = find_defence(call.name)
        given = parameters_of(call, defence, values)
        executions = _executions(defence, given)
        average = None if "average" in signature_of(defence.factory) else given.pop("average", None)
        if average is not None and average != (stack.average or average):
            raise UserError(f"defence {name} averages both probabilities and logits: give its parts one average")
        stack.average = average or stack.average
        if executions is not None and stack.first_repeated is None:
            stack.first_repeated = len(stack.before)
        stack.executions = max(stack.executions, executions or 1)
        made = _call(defence, of, given)
        added = stack.add(made, defence.name)
        look_at(added, of.images, defence.name)
        words.append(_words(defence.name, added, executions, average))
        ours, parts = ours and defence.ours, [*parts, made]
    defended = _put_together(stack, of)
    if not ours:
        _try(defended, of.images[:2], name)
    return Built(defended, "; ".join(words), ours, tuple(parts))


def build_in_hand(defence: object, of: Ingredients) -> Built:
    """Makes a defended network of a defence in hand.

    It is a preprocessor, a postprocessor, several of these, a whole defended network, a factory, or one of ART's
    PyTorch classifiers with its defences, whose undefended network is then the one that it is made of.

    Raises:
        UserError: (a ValueError) it is none, or makes no sense for such images.
    """
    if is_art(defence):
        defended = defended_of(defence, of.network)
        return Built(defended.to(of.images.device), _words_of(defended), ours=False, parts=(defence,))
    if isinstance(defence, (DefendedModule, WholeModule)):
        return Built(defence.to(of.images.device), _words_of(defence), ours=False, parts=(defence,))
    stack, name = _Stack([], None, []), name_of(defence)
    made = defence
    if callable(defence) and not isinstance(defence, (Preprocessor, Postprocessor, nn.Module)):
        made = _call(Defence(name, "", defence), of, {})
    added = stack.add(made, name)
    look_at(added, of.images, name)
    defended = _put_together(stack, of)
    _try(defended, of.images[:2], name)
    return Built(defended, _words(name, added, None), ours=False, parts=(defence,))


def describe_defence(name: str, values: Values, shape: Shape) -> str:
    """The parameters of one of this package's defences in words, without a network.

    Args:
        name: The defence's name.
        values: Parameters by the names of defences; the defaults hold where there are none.
        shape: Channels, height and width of an image.
    """
    images = torch.rand(2, *shape)
    pool = ArrayDataset("pool", images, torch.tensor([0, 1]), ("0", "1"))
    return build_defence(name, Ingredients(_Blank(), images, _MANY, lambda: pool), values).words


class _Blank(nn.Module):
    """A network that knows nothing, for defences that are only described."""

    def forward(self, x: Tensor) -> Tensor:
        """Zeros for many classes."""
        return x.new_zeros(len(x), _MANY)


def forward_passes(defended: Defended) -> int:
    """The cost of a defended prediction in forward passes of its network; a backward pass to the input counts as one.

    Of a whole module nothing is known, and one pass is counted.
    """
    if isinstance(defended, WholeModule):
        return 1
    once = sum(defence.passes + defence.passes_once for defence in defended.preprocessing_defences)
    shared = sum(transform.passes_once for transform in defended.transforms)
    return once + shared + defended.executions * (1 + sum(transform.passes for transform in defended.transforms))


def look_at(parts: Sequence[Part], images: Tensor, name: str) -> None:
    """Lets the parts of a defence look at a few images before any work: they say then what would be wrong later.

    Raises:
        UserError: (a ValueError) one does.
    """
    for part in parts:
        try:
            if isinstance(part, RandomPreprocessor):
                part.look(images)
        except UserError as error:
            raise type(error)(f"{name}: {error}") from (error.__cause__ or error)


def name_of(defence: object) -> str:
    """The name of a defence in hand for tables: that of its class, or of its factory."""
    if isinstance(defence, (list, tuple)) and defence:
        return "+".join(name_of(each) for each in defence)
    if isinstance(defence, Adapted):
        return defence.name
    return str(getattr(defence, "__name__", type(defence).__name__))


def _executions(defence: Defence, given: dict[str, Any]) -> int | None:
    """Takes the number of executions out of parameters, where the factory has none of its own."""
    if "executions" in signature_of(defence.factory):
        return None
    return given.pop("executions", defence.executions)  # type: ignore[no-any-return]


def _call(defence: Defence, of: Ingredients, given: Mapping[str, Any]) -> object:
    """Calls a factory with the network and whatever else it has parameters for.

    Raises:
        UserError: (a ValueError) it fails.
    """
    factory = defence.factory
    if isinstance(factory, (Preprocessor, Postprocessor, nn.Module, list, tuple)):
        return factory
    taken = signature_of(factory)
    offered = {"num_classes": lambda: of.num_classes, "input_shape": lambda: of.shape, "pool": of.pool}
    arguments = {name: offered[name]() for name in OFFERED if name in taken and name not in given} | dict(given)
    # Of fewer classes there are fewer labels to draw.
    labels = defence.parameters.model_fields.get("num_labels")
    if labels is not None and "num_labels" not in given and isinstance(labels.default, int):
        arguments["num_labels"] = min(labels.default, of.num_classes - (given.get("labels") != "all"))
    called = "" if defence.network_parameter is None else ", called with the network,"
    try:
        with strangers_code(f"defence {defence.name}{called}"):
            if defence.ours or defence.network_parameter is None:
                return defence.make(of.network, **arguments)
            original = of.network if of.original is None else of.original
            return give(original, lambda network: defence.make(network, **arguments), f"defence {defence.name}")
    except StrangersError:
        raise
    except UserError as error:
        raise UserError(f"{defence.name}: {error}") from error


def _put_together(stack: _Stack, of: Ingredients) -> Defended:
    """The defended network that parts make."""
    whole = None if stack.whole is None else whole_module(stack.whole.to(of.images.device), of.images)
    if whole is not None and not (stack.before or stack.after or stack.executions > 1):
        return whole
    first = len(stack.before) if stack.first_repeated is None else stack.first_repeated
    return DefendedModule(
        of.network if whole is None else whole,
        preprocessing_defences=stack.before[:first],
        transforms=stack.before[first:],
        executions=stack.executions,
        average=stack.average or "probabilities",
        postprocessing_defences=stack.after,
    )


def _try(defended: Defended, images: Tensor, name: str) -> None:
    """Asks a defended network for two images.

    Raises:
        UserError: (a ValueError) the network does not take what the defence makes of them.
    """
    try:
        with borrowed(defended), torch.no_grad(), seeded(0):
            defended(images, torch.arange(len(images), device=images.device))
    except UserError:
        raise
    except RuntimeError as error:
        shape = tuple(images.shape[1:])
        raise UserError(
            f"defence {name}: the network does not take what it makes of images of shape {shape}: {error}"
        ) from error


def _words(name: str, parts: Sequence[Part], executions: int | None, average: Average | None = None) -> str:
    """The parameters of the parts of one defence in words, the executions last."""
    several = [part.describe() for part in parts if isinstance(part, (RandomPreprocessor, Postprocessing))]
    said = ", ".join(filter(None, several)) or (
        "a whole network" if any(isinstance(part, nn.Module) for part in parts) else ""
    )
    repeated = f"{executions} executions" if executions else ""
    logits = "logits averaged" if average == "logits" else ""
    return f"{name}: {', '.join(filter(None, [said, repeated, logits]))}".rstrip(": ")


def _words_of(defended: Defended) -> str:
    """The parameters of a defended network in hand."""
    if isinstance(defended, WholeModule):
        return f"{name_of(defended.model)}: a whole network"
    parts: list[Part] = [*defended.parts, *defended.postprocessing_defences]
    each = [_words(name_of(part), [part], None) for part in parts]
    return "; ".join([*each, f"{defended.executions} executions"])
