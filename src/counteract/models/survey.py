"""Survey of a stranger's network: it is asked a few questions before any work is done, on copies of a few images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.parameter import is_lazy

from counteract import _random
from counteract._answers import unwrap
from counteract._errors import UserError
from counteract._keeping import check_memory
from counteract._network import answer_of, ask, borrowed, device_of, dtype_of, of_use, parameter_dtype
from counteract._seeding import draws_unkeyed, repeats, seeded
from counteract.models.checks import are_probabilities, check_logits, one_line, outputs_of

_COUNT = 8
"""Images in a survey: a batch for which CPU kernels round as they do for larger ones."""

_COARSE = 4
"""The side of the coarse pattern that makes most of a fixed image."""

_EXACT, _ROUGH = 1e-3, 3e-2
"""The shares of the largest score by which round-off may change an answer: in float32 on a CPU, and elsewhere."""

_FEW = 4
"""Images that are asked for beside as many others; and all that a random network is asked for."""

_AGAIN = 16
"""The times that a network is asked the same where its answers in other company differ."""

_ROUNDS = ((8, 4.0), (32, 6.0))
"""Draws of a random network, and the standard errors that look like more than chance: first a look, then a test."""

_TINY = torch.finfo(torch.float64).tiny

Answer = Callable[[Tensor, Tensor], Tensor]
"""A network as it is asked: images, shape (N, C, H, W), and keys, int64, shape (N,), to scores, shape (N, classes)."""


@dataclass(frozen=True)
class Slopes:
    """The gradients of a few images.

    Attributes:
        asked: The number of images: those whose answers are finite.
        zero: The number of those whose gradient is zero everywhere.
        broken: The number of those whose gradient is finite nowhere but where it is zero.
        holes: The number of those whose gradient is of use, and not finite in some pixels.
        failure: The reason why there is no gradient at all; empty where there is one.
    """

    asked: int
    zero: int = 0
    broken: int = 0
    holes: int = 0
    failure: str = ""

    @property
    def useful(self) -> bool:
        """True where an image has a gradient that is finite and not zero."""
        return not self.failure and self.zero + self.broken < self.asked

    def note(self) -> str | None:
        """Returns what a report with gradients must say; None where every image has a gradient of use."""
        kinds = {"zero": self.zero, "not finite": self.broken, "not finite in some pixels": self.holes}
        found = [f"{what} on {count}" for what, count in kinds.items() if count]
        if self.useful and not found:
            return None
        words = self.failure or f"{', '.join(found)} of the {self.asked} images that it was asked for"
        if self.useful:
            return f"its gradient is {words}: attacks with gradients may find less than there is"
        return f"it has no useful gradient ({words}): attacks that need it were not run"


@dataclass(frozen=True)
class Survey:
    """Answers to the questions.

    Attributes:
        classes: The number of its outputs.
        unkeyed: True where its answers are random, with draws from global generators.
        repeatable: False where seeding these does not repeat its answers.
        slopes: The gradients of the images that it was asked for.
        dtype: The dtype that it computes in.
        form: The things that are done to what it returns before it is logits, in words; empty for nothing.
        squashed: True where all of its scores lie between 0 and 1, and are no probabilities.
    """

    classes: int
    unkeyed: bool
    repeatable: bool
    slopes: Slopes
    dtype: torch.dtype
    form: str
    squashed: bool = False

    @property
    def gradients(self) -> bool:
        """True where an image has a gradient that is finite and not zero."""
        return self.slopes.useful

    @property
    def precise(self) -> bool:
        """True where it computes in float32 or better."""
        return self.dtype in (torch.float32, torch.float64)

    def notes(self, *, gradients: bool = True) -> list[str]:
        """Returns what reports must say of the network.

        Args:
            gradients: False leaves out what is to be said of its gradients.
        """
        found = [self.form] if self.form else []
        if self.squashed:
            found.append(
                "all of its scores lie between 0 and 1, as a sigmoid's do, and are attacked as they are: that may hide "
                "what logits show"
            )
        if not self.precise:
            found.append(f"it computes in {str(self.dtype).removeprefix('torch.')}, to which its images are rounded")
        if self.unkeyed and self.repeatable:
            found.append(
                "its answers are random, with draws of its own from global generators: these were seeded block "
                "by block, so its draws follow the block"
            )
        if self.unkeyed and not self.repeatable:
            found.append(
                "its answers are random, and seeding the global generators does not repeat them: another run "
                "gives other figures"
            )
        return [*found, *filter(None, [self.slopes.note() if gradients else None])]


def survey(
    network: nn.Module,
    name: str,
    images: Tensor,
    num_classes: int | None = None,
    *,
    whole: bool = False,
    keyed: bool = False,
) -> Survey:
    """Asks a network on the CPU or where it is.

    Args:
        network: Images in [0, 1] to logits; it is left as it was found.
        name: Its name, for errors.
        images: A few images in [0, 1] of the data; where they are fewer than eight, fixed ones are added.
        num_classes: The number of the data's classes; None if that is not known.
        whole: True for a whole defended network, whose answers may be probabilities.
        keyed: True if it takes `keys`.

    Raises:
        UserError: (a ValueError) it does not map such images to as many logits, or its answers to an image depend on
            the others in the batch, or on those that it was asked about before.
    """
    place, named = device_of(network) or torch.device("cpu"), f"model {name}"
    asked = _enough(images).to(place, dtype_of(network))
    with seeded(0), _unchanged(network):
        outputs = outputs_of(network, name, asked, torch.arange(len(asked), device=place) if keyed else None)
    check_logits(outputs, name, num_classes, probabilities=whole)

    def answer(x: Tensor, keys: Tensor) -> Tensor:
        try:
            return ask(network, x, keys if keyed else None, name=named)
        except UserError:
            raise
        except Exception as error:  # a stranger's code may raise anything
            if len(x) == len(asked):
                raise
            raise UserError(
                f"{named} takes {len(asked)} images together, and not {len(x)}: answers must not depend on how many "
                f"there are ({one_line(error)})"
            ) from error

    keys = torch.arange(len(asked), device=place)

    def reply(x: Tensor) -> Tensor:
        return answer(x, keys[: len(x)])

    with borrowed(network), seeded(0), _unchanged(network):
        unkeyed = draws_unkeyed(reply, asked)
        precise = parameter_dtype(network).itemsize >= 4 and place.type == "cpu" and not whole
        tolerance = _EXACT if precise else _ROUGH
        unkeyed = _check_company(answer, named, asked, tolerance, random=unkeyed)
        repeatable = not unkeyed or repeats(reply, asked)
        slopes = _slopes(answer, asked, keys)
        form = _form(network, asked, keys if keyed else None)
        if repeatable:
            check_memory(network, named, reply, 1 - asked)
    squashed = _are_squashed(outputs)
    return Survey(outputs.shape[1], unkeyed, repeatable, slopes, parameter_dtype(network), form, squashed)


def _are_squashed(outputs: Tensor) -> bool:
    """Returns True for scores between 0 and 1 that are no probabilities."""
    finite = outputs[outputs.isfinite().all(1)]
    return bool(((finite >= 0) & (finite <= 1)).all()) and not are_probabilities(outputs)


def probe_images(shape: tuple[int, int, int]) -> Tensor:
    """Returns fixed images of a shape, coarse patterns with some noise: float32 in [0, 1], shape (8, C, H, W)."""
    channels, height, width = shape
    keys = _random.fold(_random.key(0), torch.arange(_COUNT))
    coarse = _random.uniform(_random.fold(keys, 0), channels * _COARSE**2).view(_COUNT, channels, _COARSE, _COARSE)
    fine = _random.uniform(_random.fold(keys, 1), channels * height * width).view(_COUNT, channels, height, width)
    smooth = F.interpolate(coarse.float(), size=(height, width), mode="bilinear", align_corners=False)
    return 0.9 * smooth + 0.1 * fine.float()


@contextmanager
def _unchanged(network: nn.Module) -> Iterator[None]:
    """Puts a network's buffers back: some change theirs when they are asked, whatever their mode."""
    buffers = [(buffer, buffer.clone()) for buffer in network.buffers() if not is_lazy(buffer)]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)


def _enough(images: Tensor) -> Tensor:
    """Returns eight images: the first ones given, and fixed ones where they are fewer."""
    channels, height, width = images.shape[1:]
    given = images[:_COUNT]
    return torch.cat([given, probe_images((channels, height, width)).to(given)[: _COUNT - len(given)]])


def _form(network: nn.Module, images: Tensor, keys: Tensor | None) -> str:
    """Returns what is done to the network's answers to several images and to one before they are logits."""
    words: list[str] = []
    with torch.no_grad():
        for count in (len(images), 1):
            answer = answer_of(network, images[:count], None if keys is None else keys[:count])
            words += unwrap(answer, count)[1]
    return "; ".join(dict.fromkeys(words))


def _check_company(answer: Answer, named: str, images: Tensor, tolerance: float, *, random: bool) -> bool:
    """Raises UserError where an image's answer depends on the others in its batch: on which they are, or on how many.

    Args:
        answer: The network.
        named: Its name, for the error.
        images: Eight images.
        tolerance: The share of the largest score by which round-off may change an answer.
        random: True for a network that draws: then the answers' means over draws are compared.

    Returns:
        True for a network that draws, or whose answers waver by themselves, which comes out here.
    """
    together, *others = _in_company(answer, images[:_FEW] if random else images)
    with torch.no_grad():
        if random:
            found = next(filter(None, (_shift(together, other) for other in others[1:])), 0.0)
        else:
            expected = together()
            found = max(_deviation(expected, other(), tolerance) for other in others)
    if found > tolerance and not random and not _is_steady(together, tolerance):
        return _check_company(answer, named, images, tolerance, random=True)
    if found > tolerance:
        raise UserError(
            f"{named} answers otherwise when an image is in other company (by up to {min(found, 1):.1%} of the largest "
            "score): the accuracy follows the batch size. Batch statistics in eval mode? Give it running ones"
        )
    return random


def _is_steady(ask_again: Callable[[], Tensor], tolerance: float) -> bool:
    """Returns False for a network with a state that no seed sets: it answers the same question in several ways."""
    with torch.no_grad():
        first = ask_again()
        return all(_deviation(first, ask_again(), tolerance) <= tolerance for _ in range(_AGAIN))


def _in_company(answer: Answer, images: Tensor) -> Sequence[Callable[[], Tensor]]:
    """Returns several ways to ask for images: together, in another order, beside other images, and one by one."""
    keys, count = torch.arange(len(images), device=images.device), len(images)
    channels, height, width = images.shape[1:]
    others = probe_images((channels, height, width)).to(images).flip(3)[:_FEW]

    def beside_others() -> Tensor:
        parts = []
        for some, given in zip(images.split(_FEW), keys.split(_FEW), strict=True):  # no more at once than together
            crowd = torch.cat([others, some]), torch.cat([keys.new_tensor(range(_FEW)) + count, given])
            parts.append(answer(*crowd)[_FEW:])
        return torch.cat(parts)

    return (
        lambda: answer(images, keys),
        lambda: answer(images.flip(0), keys.flip(0)).flip(0),
        beside_others,
        lambda: torch.cat([answer(images[row : row + 1], keys[row : row + 1]) for row in range(count)]),
    )


def _deviation(expected: Tensor, found: Tensor, tolerance: float) -> float:
    """Returns the largest difference of two answers as a share of the largest score; what all classes share is none.

    It is infinite where one answer is finite and the other is not. Of large numbers that all classes share, round-off
    is left out.
    """
    usable = expected.isfinite().all(1)
    if expected.shape != found.shape or not torch.equal(usable, found.isfinite().all(1)):
        return float("inf")
    if not usable.any():
        return 0.0
    one, other = expected[usable].double(), found[usable].double()
    round_off = tolerance / 10 * one.abs().max()
    one, other = (each - each.mean(1, keepdim=True) for each in (one, other))
    largest = one.abs().max().clamp(min=_TINY)
    return float(((one - other).abs().max() - round_off).clamp(min=0) / largest)


def _shift(ask_one: Callable[[], Tensor], ask_other: Callable[[], Tensor]) -> float:
    """Returns by how much more than by chance a random network's mean answers differ, as a share of the largest."""
    found = 0.0
    for count, errors in _ROUNDS:
        one, other = _draw(ask_one, count, 0), _draw(ask_other, count, 1)
        apart = (one.mean(0) - other.mean(0)).abs()
        surely = apart > errors * ((one.var(0) + other.var(0)) / count).sqrt()
        found = float(torch.where(surely, apart, 0).max() / one.mean(0).abs().max().clamp(min=_TINY))
        if not found:
            break
    return found


def _draw(call: Callable[[], Tensor], count: int, stream: int) -> Tensor:
    """Returns several draws of answers, what all classes share taken off: float64, shape (count, N, classes)."""
    draws = []
    for draw in range(count):
        with seeded(count, stream, draw):
            answers = call().double().nan_to_num()
        draws.append(answers - answers.mean(1, keepdim=True))
    return torch.stack(draws)


def _slopes(answer: Answer, images: Tensor, keys: Tensor) -> Slopes:
    """Returns what becomes of the gradients of images, of a mixture of their scores."""
    points = images.clone().requires_grad_()
    try:
        with torch.enable_grad():
            scores = answer(points, keys)
            weights = torch.linspace(-1, 1, scores.shape[1], device=scores.device).cos().to(scores.dtype)
            (gradient,) = torch.autograd.grad((scores * weights).sum(), points)
    except Exception as error:  # noqa: BLE001 - a stranger's code may raise anything; autograd's says there is none
        none = "does not require grad" in str(error) or "not have been used" in str(error)
        return Slopes(len(images), failure="none at all" if none else one_line(error))
    flat = gradient.flatten(1)[scores.isfinite().all(1)]  # of another answer, which is wrong already, nobody needs one
    holed = ~flat.isfinite().all(1)
    useful = of_use(flat)
    counts = (~useful & ~holed, ~useful & holed, useful & holed)
    zero, broken, holes = (int(each.sum()) for each in counts)
    return Slopes(len(flat), zero, broken, holes)
