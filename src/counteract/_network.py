"""Using somebody else's network without leaving a trace in it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from threading import RLock
from typing import TypeVar

import torch
import torch._functorch.config as functorch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from counteract._answers import logits_in, unwrap
from counteract._errors import UserError
from counteract._layout import laid_out
from counteract._precision import scale_gradients, with_autocast
from counteract._reach import held_modules

_BORROWERS: dict[int, int] = {}
"""The borrowers of each module and each parameter, by its identity: the last of them puts it back as it was."""

Lent = TypeVar("Lent", nn.Module, Tensor)

_LENDING = RLock()
"""Held by the thread that borrows or gives back: several may use one network."""


@contextmanager
def evaluating(thing: object) -> Iterator[None]:
    """Puts the networks that something holds into eval mode, and back as they were found, also after an error.

    In eval mode BatchNorm's statistics neither move nor depend on the batch. What is compiled meanwhile lets several
    backward passes share one forward pass.

    Args:
        thing: A network, with those that PyTorch does not know to be inside of it, or any other object that holds some.
    """
    with _in_eval(held_modules(thing)):
        yield


@contextmanager
def _in_eval(modules: Sequence[nn.Module]) -> Iterator[None]:
    shared = functorch.patch(donated_buffer=False) if _is_compiled(modules) else nullcontext()

    def lower() -> None:
        for each in modules:
            if is_training(each):
                to_eval(each)

    with _lowered("training", modules, lower, _to_train), shared:
        yield


def to_eval(model: nn.Module) -> nn.Module:
    """Puts a network into eval mode and returns it.

    A method `train` of its own is called where it takes a mode, as PyTorch's does; one that trains is not.
    """
    if _changes_mode(model):
        with suppress(NotImplementedError):  # raised by what torch.export made, which stays as it was made
            model.train(False)
    if is_training(model):
        model.training = False
    for child in model.children():
        to_eval(child)
    return model


def _to_train(modules: Sequence[nn.Module]) -> None:
    """Puts modules back into training mode, by a method `train` of their own where they have one; no others with them.

    Such a method may do more than set a flag: LoRA's layers merge their weights in eval mode, and part them again.
    """
    own = [module for module in modules if _changes_mode(module)]
    flags = {part: part.training for module in own for part in module.modules()} | dict.fromkeys(modules, True)
    try:
        for module in own:
            with suppress(NotImplementedError):
                module.train(True)
    finally:
        for module, training in flags.items():
            if is_training(module) != training:
                module.training = training


def _changes_mode(module: nn.Module) -> bool:
    """Returns True for a module with a method `train` of its own that takes a mode."""
    train = type(module).train
    return train is not nn.Module.train and _has_mode(train)


def is_training(module: nn.Module) -> bool:
    """Returns True for a module in training mode; what torch.jit.freeze made has none."""
    return bool(getattr(module, "training", False))


@functools.cache
def _has_mode(train: Callable[..., object]) -> bool:
    """Returns True for a method `train` whose first argument is a mode."""
    try:
        _, *parameters = inspect.signature(train).parameters.values()
    except (TypeError, ValueError):  # of a function that is not written in Python nothing is known
        return True
    first = parameters[0] if parameters else None
    return first is not None and (first.name == "mode" or isinstance(first.default, bool))


def _is_compiled(modules: Sequence[nn.Module]) -> bool:
    """Returns True where torch.compile has one of some modules in hand."""
    return any(
        "_orig_mod" in each._modules or getattr(each, "_compiled_call_impl", None) is not None for each in modules
    )


@contextmanager
def borrowed(model: nn.Module) -> Iterator[None]:
    """Puts a network and those that it holds into eval mode with frozen parameters, and back, also after an error.

    Frozen parameters spare whoever calls `backward` everything but the gradient of the input, and keep their `.grad`.
    """
    held = held_modules(model)
    parameters = list(dict.fromkeys(each for module in held for each in module.parameters(recurse=False)))

    def freeze() -> None:
        for parameter in parameters:  # a scripted module cannot do it as a whole
            parameter.requires_grad_(False)

    def thaw(lent: Sequence[Tensor]) -> None:
        for parameter in lent:
            parameter.requires_grad_(True)

    with _in_eval(held), _lowered("requires_grad", parameters, freeze, thaw):
        yield


@contextmanager
def _lowered(
    flag: str, things: Sequence[Lent], lower: Callable[[], object], lift: Callable[[Sequence[Lent]], object]
) -> Iterator[None]:
    """Lowers a flag that is True of some things, and lifts it where it was once all borrowers have given them back."""
    with _LENDING:
        lent = [thing for thing in things if getattr(thing, flag, False) or id(thing) in _BORROWERS]
        for thing in lent:
            _BORROWERS[id(thing)] = _BORROWERS.get(id(thing), 0) + 1
    try:
        if lent:
            lower()
        yield
    finally:
        with _LENDING:
            left = {thing: _BORROWERS.pop(id(thing)) - 1 for thing in lent}
            _BORROWERS.update({id(thing): borrowers for thing, borrowers in left.items() if borrowers})
            lift([thing for thing, borrowers in left.items() if not borrowers])


def ask(network: nn.Module, images: Tensor, keys: Tensor | None = None, *, name: str = "model") -> Tensor:
    """The network's logits for images, of which it is given a copy in its own dtype: it may write into what it gets.

    Gradients that float16 cannot hold are those of float32 nevertheless: see `scale_gradients`.

    Args:
        network: The network.
        images: Images, shape (N, C, H, W).
        keys: One key an image, for a network that takes them.
        name: The network's name, as an error calls it.

    Returns:
        Logits, float32, or float64 of a network of float64: shape (N, classes).

    Raises:
        UserError: (a ValueError) it returns something in which there are no logits.
    """
    given = images.view_as(images)
    found, _ = unwrap(answer_of(network, given, keys), len(images), name)
    logits = logits_in(found, len(images), name)
    if given.requires_grad and logits.requires_grad and torch.float16 in (found.dtype, parameter_dtype(network)):
        scale_gradients(given, logits)
    return logits


def answer_of(network: nn.Module, images: Tensor, keys: Tensor | None = None) -> object:
    """Whatever the network returns for a copy of images: see `ask`."""
    given = laid_out(images, network).to(parameter_dtype(network), copy=True)
    with with_autocast():
        return network(given) if keys is None else network(given, keys=keys)


def with_graph(scores: Tensor, images: Tensor) -> Tensor:
    """The scores, with a derivative of zero where autograd knows of none: a network may answer some batches outright.

    Such is one that gives the same answer to all images that look attacked to it.

    Args:
        scores: What a network returned, shape (N, classes).
        images: The images that it was asked about, shape (N, C, H, W).
    """
    if scores.requires_grad or not (images.requires_grad and torch.is_grad_enabled()):
        return scores
    return scores + (0 * images.flatten(1).sum(1, keepdim=True)).to(scores.dtype)


def of_use(gradient: Tensor) -> Tensor:
    """Returns True for each image whose gradient is finite and not zero in some pixel: shape (N,)."""
    return (gradient.isfinite() & (gradient != 0)).flatten(1).any(1)


class Asked(nn.Module):
    """A network that strangers' code calls as it likes: it gets copies of images, and what comes back are logits.

    Args:
        network: The network.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.training = is_training(network)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the logits; see `ask`."""
        return ask(self.network, x)


def parameter_dtype(model: nn.Module) -> torch.dtype:
    """The dtype that a network computes in: that of its parameters; float32 for a network without.

    A single number goes with layers of any dtype: that of a temperature counts where there is no other parameter.
    """
    found = torch.float32
    for each in model.parameters():
        if each.is_floating_point():
            found = each.dtype
            if is_lazy(each) or each.numel() > 1:
                break
    return found


def dtype_of(model: nn.Module) -> torch.dtype:
    """The dtype of images outside of a network: float64 where it computes in that, else float32; `ask` converts."""
    return torch.float64 if parameter_dtype(model) == torch.float64 else torch.float32


def device_of(model: nn.Module) -> torch.device | None:
    """The device of a network's first parameter or buffer; None for a network without."""
    first: Tensor | None = next(model.parameters(), next(model.buffers(), None))
    return None if first is None else first.device


def check_model(model: object, name: str = "model") -> None:
    """Raises UserError unless `model` is a torch module."""
    if not isinstance(model, nn.Module):
        raise UserError(
            f"{name} must be a torch.nn.Module that maps images to logits, found {type(model).__name__}"
            " (of an ART classifier, pass counteract.from_art(classifier); call a function in a module's forward)"
        )
