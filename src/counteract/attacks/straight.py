"""BPDA inside a network: modules that a backward pass takes for something simpler, and networks inside of others."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from counteract import _random
from counteract._errors import UserError, shown
from counteract._network import borrowed, is_training
from counteract._seeding import seeded
from counteract.whole import Defended, WholeModule

_NAMED = 4
"""The modules that an error lists."""

_WITHIN = "answers.model"
"""The path of a stranger's network in a `WholeModule`."""


_ALIKE = 0.9
"""The share of images that a network inside of another puts into the same class, if that is the network under it."""

_CHANNELS = 4
"""The largest number of channels whose slopes are taken one by one."""

_STEPS = (1 / 32, 1 / 16, 1 / 8)
"""Steps over which slopes are taken, as shares of the range of an image's values."""

_DIRECTIONS, _POINTS, _SIZE = 16, 4, 8 / 255
"""Random directions, and points around an image, in which gradients are compared with answers; a step's size there."""

_BETTER = 0.02
"""The cosine by which a gradient must follow the answers better for a module to be left as it is."""


class StraightThrough(nn.Module):
    """A network whose backward pass takes some of its modules for the identity; its answers are the same bit for bit.

    A module with other channels than it takes cannot be that: it is taken for its own slopes over steps that are not
    small, channel by channel, as if each place of its answer followed that place alone.

    Source: Athalye, Carlini and Wagner, "Obfuscated Gradients Give a False Sense of Security", ICML 2018 (BPDA).

    Args:
        network: The network.
        paths: The paths of the modules: see `taken_for_the_identity`.
    """

    def __init__(self, network: nn.Module, paths: Iterable[str]) -> None:
        super().__init__()
        self.network = network
        self.paths = tuple(paths)
        self.training = is_training(network)

    def forward(self, x: Tensor, keys: Tensor | None = None) -> Any:
        """Whatever the network returns."""
        asked = partial(self.network, x) if keys is None else partial(self.network, x, keys)
        if not (torch.is_grad_enabled() and x.requires_grad):
            return asked()
        with _passed_over(self.network, self.paths):
            return asked()


@contextmanager
def _passed_over(network: nn.Module, paths: Iterable[str]) -> Iterator[None]:
    """Takes modules inside of a network for the identity in the backward passes of what is asked meanwhile."""
    with ExitStack() as stack:
        for path in paths:
            module, received = network.get_submodule(path), list[Tensor]()
            stack.callback(module.register_forward_pre_hook(partial(_set_aside, received)).remove)
            stack.callback(module.register_forward_hook(partial(_hand_back, received)).remove)
        yield


def _set_aside(received: list[Tensor], module: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
    """Keeps what a module is given, and gives it a copy that it may write into."""
    del module
    x, *others = given
    received.append(x)
    return (x.detach().clone(), *others)


def _hand_back(received: list[Tensor], module: nn.Module, given: object, answer: Tensor) -> Tensor:
    """Returns a module's answer with the derivative of the identity, or that of its slopes."""
    del given
    x = received.pop()
    made: Tensor = _Identity.apply(x, answer) if x.shape == answer.shape else _Slopes.apply(x, answer, module)
    return made


class _Identity(torch.autograd.Function):
    """The second of two tensors, with the gradient passed to the first."""

    @staticmethod
    def forward(context: Any, x: Tensor, answer: Tensor) -> Tensor:
        context.dtype = x.dtype
        return answer.clone()

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Any:
        return gradients[0].to(context.dtype), None


class _Slopes(torch.autograd.Function):
    """The answer of a module, with the gradient passed on by its mean slopes over some steps of each channel."""

    @staticmethod
    def forward(context: Any, x: Tensor, answer: Tensor, module: nn.Module) -> Tensor:
        context.save_for_backward(x.detach())
        context.module = module
        return answer.clone()

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Any:
        (x,), module, (gradient,) = context.saved_tensors, context.module, gradients
        passed, largest = torch.zeros_like(x), (x.flatten(1).amax(1) - x.flatten(1).amin(1)).view(-1, 1, 1, 1)
        with torch.no_grad():
            for channel in range(x.shape[1]):
                for share in _STEPS:
                    step = torch.zeros_like(x)
                    step[:, channel : channel + 1] = share * largest
                    change = module.forward(x + step) - module.forward(x - step)
                    slope = (gradient * change).sum(1) / (2 * share * largest[:, 0]).clamp(min=1e-12)
                    passed[:, channel] += slope / len(_STEPS)
        return passed, None, None


@dataclass(frozen=True)
class Inside:
    """A module inside of a network, as it was when a few images passed through it.

    Attributes:
        received: The shape of what it took.
        returned: That of what it returned.
        flat: True where its answers follow what it takes, and have no derivative but zero.
        scores: Its answers where they are a row of numbers an image; else None.
    """

    received: torch.Size
    returned: torch.Size
    flat: bool
    scores: Tensor | None


def look_inside(network: nn.Module, call: Callable[[], object]) -> dict[str, Inside]:
    """Looks at the modules inside of a network that take one tensor and return one, by their paths.

    Args:
        network: The network; it is left as it was found.
        call: Asks it for at least two images.
    """
    found: dict[str, Inside | None] = {}
    with ExitStack() as stack:
        stack.enter_context(borrowed(network))
        stack.enter_context(seeded(0))
        for path, module in network.named_modules():
            if path and not isinstance(module, torch.jit.ScriptModule):  # into which nobody can look
                stack.callback(module.register_forward_pre_hook(partial(_look, found, path)).remove)
        with torch.no_grad():
            call()
    return {path: inside for path, inside in found.items() if inside is not None}


def _look(found: dict[str, Inside | None], path: str, module: nn.Module, given: tuple[Any, ...]) -> None:
    """Tries a module with what it is about to take, the first time."""
    if path in found:
        return
    found[path] = None
    if len(given) != 1 or not isinstance(given[0], Tensor) or not given[0].is_floating_point() or given[0].dim() < 2:
        return
    try:
        point = given[0].detach().clone().requires_grad_()
        with torch.enable_grad(), seeded(0):
            answer = module.forward(point * 1)  # a copy: some write into what they get
            if isinstance(answer, Tensor) and answer.is_floating_point() and len(answer) == len(point) > 1:
                found[path] = _seen(point, answer)
    except Exception:  # noqa: BLE001 - a stranger's code may raise anything; then nothing is known of it
        return


def _seen(point: Tensor, answer: Tensor) -> Inside:
    gradient = None
    if answer.requires_grad:
        weights = torch.arange(1.0, 1 + answer.numel(), device=answer.device).cos().view_as(answer).to(answer.dtype)
        (gradient,) = torch.autograd.grad((answer * weights).sum(), point, allow_unused=True)
    follows = bool((answer[:1] != answer).any())
    flat = follows and (gradient is None or not bool((gradient != 0).any()))
    return Inside(point.shape, answer.shape, flat, answer.detach() if answer.dim() == 2 else None)


def taken_for_the_identity(
    network: nn.Module, names: Collection[str], answer: Callable[[Tensor], Tensor], images: Tensor
) -> tuple[str, ...]:
    """Returns the paths of the modules that attacks take for the identity: those named, and those without a derivative.

    Of the latter those are left as they are without which the gradient follows the answers better: a gate x * step(x)
    has a derivative, which is that of its step in no part.

    Args:
        network: The network.
        names: Names of modules: a path, else the end of paths or a class. Those that fit none here are left alone.
        answer: Asks the network, for scores, shape (N, classes).
        images: Two images in [0, 1].

    Raises:
        UserError: (a ValueError) a module that is named does not return what has the shape of that which it takes, but
            for the number of channels.
    """
    inside = look_inside(network, lambda: answer(images))
    named = [path for name in names for path in _fitting(name, network)]
    for path in named:
        _check_shape(path, network.get_submodule(path), inside.get(path))
    flat = [path for path, each in inside.items() if each.flat]
    innermost = [path for path in flat if not any(other.startswith(f"{path}.") for other in flat)]
    flat = [path for path in innermost if _keeps_shape(inside[path]) and path not in named]
    return (*dict.fromkeys(named), *(_in_the_way(network, named, flat, answer, images) if flat else ()))


def _in_the_way(
    network: nn.Module, named: Sequence[str], flat: Sequence[str], answer: Callable[[Tensor], Tensor], images: Tensor
) -> list[str]:
    """Returns those of the modules without a derivative, class by class, that stand in the way of the gradient."""
    kinds = {path: type(network.get_submodule(path)) for path in flat}
    with borrowed(network):
        follows = _Follows(network, answer, images)
        left, best = list(flat), follows([*named, *flat])
        for kind in dict.fromkeys(kinds.values()):
            fewer = [path for path in left if kinds[path] is not kind]
            if (found := follows([*named, *fewer])) > best + _BETTER:
                left, best = fewer, found
    return left


class _Follows:
    """The cosine between the slopes that gradients promise and those of the answers, over steps of an attack's size.

    Both are means over random points around the images, and of the lead of the likeliest class there over the second.
    """

    def __init__(self, network: nn.Module, answer: Callable[[Tensor], Tensor], images: Tensor) -> None:
        self._network, self._answer = network, answer
        inside, keys = 0.25 + 0.5 * images, torch.arange(len(images), device=images.device)
        self._points = [inside + _SIZE * _signs(keys, inside, number) for number in range(_POINTS)]
        self._directions = [_SIZE * _signs(keys, inside, _POINTS + number) for number in range(_DIRECTIONS)]
        with torch.no_grad():
            self._top = self._ask(inside).nan_to_num().topk(2).indices
            self._seen = torch.stack([self._change(direction) for direction in self._directions])

    def __call__(self, paths: Sequence[str]) -> float:
        """Returns it, with some modules taken for the identity; zero where there is no gradient."""
        try:
            with torch.enable_grad(), _passed_over(self._network, paths):
                gradient = torch.stack([self._gradient(each) for each in self._points]).mean(0)
        except Exception:  # noqa: BLE001 - a stranger's backward pass may raise anything; then it leads nowhere
            return 0.0
        promised = torch.stack([(gradient * each).flatten(1).sum(1) for each in self._directions])
        return float(F.cosine_similarity(promised, self._seen, dim=0).nan_to_num().mean())

    def _gradient(self, points: Tensor) -> Tensor:
        points = points.clone().requires_grad_()
        (found,) = torch.autograd.grad(self._lead(points).sum(), points)
        return found.nan_to_num(0, 0, 0)

    def _change(self, direction: Tensor) -> Tensor:
        """The mean change of the lead between a step back and one ahead: shape (N,)."""
        changes = [self._lead(each + direction) - self._lead(each - direction) for each in self._points]
        return torch.stack(changes).mean(0).nan_to_num()

    def _lead(self, points: Tensor) -> Tensor:
        first, second = self._ask(points).gather(1, self._top).unbind(1)
        return first - second

    def _ask(self, points: Tensor) -> Tensor:
        with seeded(0):
            return self._answer(points)


def _signs(keys: Tensor, images: Tensor, number: int) -> Tensor:
    """A random sign for each pixel of some images."""
    shape = images.shape[1:]
    draws = _random.uniform(_random.fold(keys, number), shape.numel()).view(len(images), *shape)
    return (2 * (draws >= 0.5).to(images.dtype) - 1).to(images)


def straight(defended: Defended, paths: Sequence[str]) -> Defended:
    """The same defended network, where a backward pass takes modules of the network in it for the identity.

    Args:
        defended: The defended network; a whole module is the network in it.
        paths: The paths of the modules in that network.
    """
    if not paths:
        return defended
    if isinstance(defended, WholeModule):
        return WholeModule(StraightThrough(defended, [f"{_WITHIN}.{path}" for path in paths]))
    return defended.with_parts(lambda part: part, model=StraightThrough(defended.model, paths))


def _fitting(name: str, network: nn.Module) -> list[str]:
    """Returns the path that is the name (`layer1.0.act`); else those that end with it (`act`) or are of that class."""
    modules = {path: module for path, module in network.named_modules() if path}
    if name in modules:
        return [name]
    return [path for path, module in modules.items() if path.endswith(f".{name}") or type(module).__name__ == name]


def check_named(names: Iterable[str], networks: Iterable[nn.Module]) -> None:
    """Raises UserError for the name of a module that there is in none of some networks."""
    networks = list(networks)
    for name in names:
        if not any(_fitting(name, network) for network in networks):
            places = {path: module for network in networks for path, module in network.named_modules() if path}
            some = ", ".join(f"{path} ({type(module).__name__})" for path, module in [*places.items()][:_NAMED])
            raise UserError(
                f"bpda_at {shown(name)}: no module has this path, a path with this end or this class; there are "
                f"{len(places)}: {some}"
            )


def inner_network(network: nn.Module, call: Callable[[], Tensor], images: Tensor) -> tuple[str, nn.Module] | None:
    """Finds a network inside of another that takes the same images, answers most alike, and has a gradient.

    Args:
        network: The network.
        call: Asks it for the images, and returns its scores, shape (N, classes).
        images: Some images, as many as show how alike answers are.

    Returns:
        Its path, and the network; None where there is none.
    """
    answers = list[Tensor]()
    inside = look_inside(network, lambda: answers.append(call()))
    alike: Mapping[str, tuple[float, float]] = {
        path: _likeness(each.scores, answers[0])
        for path, each in inside.items()
        if each.received == images.shape and each.scores is not None and not each.flat
        if each.scores.shape == answers[0].shape and bool(each.scores.isfinite().all())
    }
    path = max(alike, key=lambda each: alike[each], default=None)
    return None if path is None or alike[path][0] < _ALIKE else (path, network.get_submodule(path))


def _likeness(scores: Tensor, others: Tensor) -> tuple[float, float]:
    """Returns the share of images that two networks put into the same class, and the correlation of their answers."""
    one, other = (_standardised(each) for each in (scores, others))
    return float((scores.argmax(1) == others.argmax(1)).double().mean()), float((one * other).mean())


def _standardised(scores: Tensor) -> Tensor:
    """Log-probabilities of mean zero and a variance of one, all images together."""
    logs = scores.double().log_softmax(1).nan_to_num().clamp(min=-50)
    logs = logs - logs.mean(1, keepdim=True)
    return logs / logs.square().mean().sqrt().clamp(min=1e-12)


def _keeps_shape(inside: Inside) -> bool:
    """Returns True where a module's answers have the shape of what it takes, or that of few channels with others."""
    one, other = inside.received, inside.returned
    few = len(one) == len(other) == 4 and one[2:] == other[2:] and one[1] <= _CHANNELS
    return one == other or few


def _check_shape(path: str, module: nn.Module, inside: Inside | None) -> None:
    """Raises UserError for a module whose answers do not have the shape of what it takes."""
    where = f"bpda_at: {path} ({type(module).__name__})"
    if inside is None:
        raise UserError(f"{where} does not take one tensor and return one, or is scripted: name another module")
    if not _keeps_shape(inside):
        one, other = (tuple(shape[1:]) for shape in (inside.received, inside.returned))
        raise UserError(f"{where} takes {one} and returns {other}: nothing simple has such shapes; name another module")
