"""The common part of all preprocessors: the boundary check, seeding, chunking, and one draw per example and call."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Integral
from threading import Lock
from typing import Any, ClassVar, Generic, TypeVar

import torch
from art.defences.preprocessor.preprocessor import PreprocessorPyTorch
from torch import Tensor, nn
from typing_extensions import Self, TypedDict

from counteract import _random
from counteract._arguments import check_count, check_integer, check_real
from counteract._errors import UserError
from counteract._images import check_clip_values, check_images
from counteract._network import dtype_of
from counteract._precision import without_autocast

Parameters = TypeVar("Parameters")

_OUT_OF_RANGE = "_counteract_out_of_range"
"""Marks a tensor whose pixels left the range on purpose, so that the next member of a stack lets it pass."""

_COUNTING = Lock()
"""Held while a call is counted, so that no two threads get the draws of the same one."""


class Options(TypedDict, total=False):
    """The keyword arguments that every preprocessor has; `RandomPreprocessor` says what they mean."""

    clip_values: tuple[float, float] | None
    batch_size: int
    seed: int | None
    device_type: str
    apply_fit: bool
    apply_predict: bool


class RandomPreprocessor(PreprocessorPyTorch, Generic[Parameters]):
    """A defence that transforms each input with one random draw.

    The draw is separate from the arithmetic: `draw` turns one key per example into parameters, `apply` is a pure
    function of images and parameters. What depends on the input but not on the draw (a prediction, say) is made by
    `prepare`, so that several draws for the same input can share it.

    Args:
        clip_values: The range of valid pixels, checked on the way in; None accepts every finite value.
        batch_size: Images per chunk, 1 or more; it bounds the memory, and does not change the result.
        seed: With an integer, the k-th call draws the same in every run and in every copy. With None, draws follow
            `torch.manual_seed`.
        device_type: As in ART: where NumPy arrays are processed, `"cpu"` or `"gpu"`. Tensors stay where they are.
        apply_fit: Makes ART apply this when it trains.
        apply_predict: Makes ART apply this when it predicts or attacks.

    Raises:
        UserError: (a ValueError) an argument is out of its range.
    """

    params: ClassVar[list[str]] = ["clip_values", "batch_size", "seed"]

    spatial: ClassVar[bool] = False
    """True for a defence that moves pixels, for which rows and columns must be the last two axes."""

    def __init__(
        self,
        *,
        clip_values: tuple[float, float] | None = (0.0, 1.0),
        batch_size: int = 128,
        seed: int | None = None,
        device_type: str = "gpu",
        apply_fit: bool = False,
        apply_predict: bool = True,
    ) -> None:
        super().__init__(device_type=device_type, is_fitted=True, apply_fit=apply_fit, apply_predict=apply_predict)
        self.clip_values = clip_values
        self.batch_size = batch_size
        self.seed = seed
        self._calls = 0

    def prepare(self, x: Tensor) -> Tensor | None:
        """Returns the facts that `draw` needs once per input, one row per image; None if it needs nothing."""
        del x
        return None

    @property
    def passes(self) -> int:
        """The cost of one draw in passes of the network, backward ones to the input counting as forward ones."""
        return 0

    @property
    def passes_once(self) -> int:
        """The cost of `prepare`, which several draws for one input share."""
        return 0

    def look(self, x: Tensor) -> None:
        """Looks at a few images like those to come, before any work is done.

        Raises:
            UserError: (a ValueError) the parameters make no sense for such images.
        """
        del x

    def describe(self) -> str:
        """Returns the parameters in words, for reports: by their names, unless a defence has better ones."""
        names = [name for name in self.params if name not in (*RandomPreprocessor.params, "model")]
        return ", ".join(f"{name} {number_in_words(name, getattr(self, name))}" for name in names)

    def smooth(self) -> RandomPreprocessor[Any] | None:
        """The same defence with derivatives of its own where it has none, for an attacker; None if it needs none."""
        return None

    def reversed(self) -> RandomPreprocessor[Any] | None:
        """The same defence acting the other way round, for an attacker; None if there is no such way."""
        return None

    def with_fewer_steps(self, steps: int) -> RandomPreprocessor[Any] | None:
        """The same defence with at most so many steps, for an attacker in a hurry; None if it has no steps."""
        del steps
        return None

    def execution_keys(self, keys: Tensor, numbers: Tensor, position: int) -> Tensor:
        """The keys of several executions, where it is redrawn for each: an input's one after the other.

        Args:
            keys: One key per input, int64, shape (N,).
            numbers: The numbers of the executions, int64, shape (M,).
            position: Its place among what is redrawn.

        Returns:
            One key per input and execution, int64, shape (N * M,).
        """
        return _random.fold(_random.fold(keys.unsqueeze(1), numbers).flatten(), position)

    @abstractmethod
    def draw(self, keys: Tensor, x: Tensor, prepared: Tensor | None) -> Parameters:
        """Draws parameters for each image of `x` (N, C, H, W) from its key (int64, shape (N,)) alone."""

    @abstractmethod
    def apply(self, x: Tensor, parameters: Parameters) -> Tensor:
        """Transforms each image by its own parameters; deterministic, and differentiable in `x`."""

    def sample(self, x: Tensor, keys: Tensor, prepared: Tensor | None = None) -> Tensor:
        """One draw for each image, keyed, in chunks; `x` must have passed the boundary check.

        Args:
            x: Images of shape (N, C, H, W).
            keys: One key per image, int64, shape (N,): the same key gives the same draw.
            prepared: The result of `prepare` for these images, or None to have it made.
        """
        if len(x) <= self.batch_size:
            return self._sample_chunk(x, keys, prepared)
        out = torch.empty(0)
        for rows in self._chunks(len(x)):
            part = self._sample_chunk(x[rows], keys[rows], None if prepared is None else prepared[rows])
            if rows.start == 0:  # which shows the shape
                out = part.new_empty(len(x), *part.shape[1:])
            out[rows] = part
        return out

    def forward(self, x: Tensor, y: Any = None) -> tuple[Tensor, Any]:
        """Transforms a batch, as ART calls it; `y` is passed on unchanged.

        Args:
            x: Images of shape (N, C, H, W), of any real dtype, with pixels in `clip_values`.
            y: Labels in any form, or None.

        Raises:
            UserError: (a ValueError) `x` does not hold such images.
        """
        in_range = not getattr(x, _OUT_OF_RANGE, False)
        x = check_images(x, clip_values=self.clip_values if in_range else None, dtype=self._dtype())
        if len(x) == 0:
            return x, y
        out = self.sample(x, self._next_keys(x))
        if not self._stays_in_range(in_range):
            setattr(out, _OUT_OF_RANGE, True)
        return out, y

    def _with(self, **given: Any) -> Self:
        """Returns the same defence, of the same class, with other parameters: for surrogates."""
        made = copy.copy(self)
        made.set_params(**given)
        return made

    def set_params(self, **kwargs: Any) -> None:
        """Changes parameters after construction; on an error nothing is changed.

        Raises:
            UserError: (a ValueError) a name is unknown, or a value is out of its range.
        """
        unknown = sorted(set(kwargs) - set(self.params))
        if unknown:
            raise UserError(
                f"{type(self).__name__} has no parameter {', '.join(unknown)}; it has {', '.join(self.params)}"
            )
        before = self.__dict__.copy()
        self.__dict__.update(kwargs)
        try:
            self._check_params()
        except Exception:
            self.__dict__ = before
            raise
        if "seed" in kwargs:
            self._calls = 0

    def _check_params(self) -> None:
        self.clip_values = check_clip_values(self.clip_values)
        self.batch_size = check_count("batch_size", self.batch_size)
        self.seed = _check_seed(self.seed)

    def _sample_chunk(self, x: Tensor, keys: Tensor, prepared: Tensor | None) -> Tensor:
        if self.spatial:
            _check_layout(x)
        with without_autocast(x.device), _outside_inference_mode():
            if prepared is None:
                prepared = self.prepare(x)
            return self.apply(x, self.draw(keys, x, prepared))

    def _chunks(self, count: int) -> Iterator[slice]:
        for start in range(0, count, self.batch_size):
            yield slice(start, start + self.batch_size)

    def _next_keys(self, x: Tensor) -> Tensor:
        """One key per image for this call."""
        if self.seed is None:
            return _random.fresh_keys(len(x), x.device)
        with _COUNTING:
            number, self._calls = self._calls, self._calls + 1
        call = _random.fold(_random.key(self.seed, x.device), number)
        return _random.fold(call, torch.arange(len(x), device=x.device))

    def _dtype(self) -> torch.dtype:
        """Returns the dtype that images are converted to: that of the network that a defence holds, or float32."""
        model = getattr(self, "model", None)
        return dtype_of(model) if isinstance(model, nn.Module) else torch.float32

    def _stays_in_range(self, in_range: bool) -> bool:
        """Returns whether the output lies in the pixel range, given whether the input does."""
        return in_range


def number_in_words(name: str, value: object) -> str:
    """A value as reports show it; bounds on pixels as n/255 where they are grey levels or halves of them."""
    if not isinstance(value, float):
        return str(value)
    levels = round(value * 510) / 2
    is_levels = name.startswith("eps") and levels > 0 and abs(value * 255 - levels) < 1e-9
    return f"{levels:g}/255" if is_levels else f"{value:g}"


@contextmanager
def _outside_inference_mode() -> Iterator[None]:
    """Leaves inference mode, where nothing can be made that a defence differentiates; gradients stay on or off."""
    enabled = torch.is_grad_enabled()
    with torch.inference_mode(False), torch.set_grad_enabled(enabled):
        yield


def _check_layout(x: Tensor) -> None:
    """Raises UserError where images seem to have their channels last: they would be moved along the wrong axes."""
    channels, height, width = x.shape[1:]
    if min(channels, height) > 4 and width in (1, 3, 4):
        raise UserError(
            f"x must be images of shape (N, C, H, W), found {tuple(x.shape)}, which looks like channels last:"
            " transpose the images, or let the network do it"
        )


def check_change(name: str, value: object, clip_values: tuple[float, float] | None) -> float:
    """Returns the size of a change of pixels, as Python's own number: no larger than their range is wide.

    Raises:
        UserError: (a ValueError) `value` is none.
    """
    if clip_values is None:
        return check_real(name, value)
    width = clip_values[1] - clip_values[0]
    levels = f" ({value} of 255 grey levels are {value}/255)" if width == 1 and _counts_levels(value) else ""
    return check_real(name, value, high=width, what=f", the width of clip_values{levels}")


def _counts_levels(value: object) -> bool:
    return isinstance(value, Integral) and 1 < int(value) < 256


def _check_seed(seed: object) -> int | None:
    """Returns a seed as Python's own integer, or None.

    Raises:
        UserError: (a ValueError) it is something else.
    """
    if seed is None:
        return None
    return check_integer("seed", seed, "an integer or None")
