"""The common part of all preprocessors: the boundary check, seeding, chunking, and one draw per example and call."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar, Generic, TypeVar

import torch
from art.defences.preprocessor.preprocessor import PreprocessorPyTorch
from torch import Tensor, nn
from typing_extensions import TypedDict

from counteract import _random
from counteract._errors import UserError
from counteract._images import check_clip_values, check_images
from counteract._network import dtype_of

Parameters = TypeVar("Parameters")

_OUT_OF_RANGE = "_counteract_out_of_range"
"""Marks a tensor whose pixels left the range on purpose, so that the next member of a stack lets it pass."""


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
        batch_size: Images per chunk; it bounds the memory, and does not change the result.
        seed: With an integer, the k-th call draws the same in every run and in every copy. With None, draws follow
            `torch.manual_seed`.
        device_type: As in ART: where NumPy arrays are processed, `"cpu"` or `"gpu"`. Tensors stay where they are.
        apply_fit: Makes ART apply this when it trains.
        apply_predict: Makes ART apply this when it predicts or attacks.

    Raises:
        UserError: (a ValueError) an argument is out of its range.
    """

    params: ClassVar[list[str]] = ["clip_values", "batch_size", "seed"]

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
        out = torch.empty_like(x)
        for rows in self._chunks(len(x)):
            out[rows] = self._sample_chunk(x[rows], keys[rows], None if prepared is None else prepared[rows])
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
        check_clip_values(self.clip_values)
        check_count("batch_size", self.batch_size)
        if self.seed is not None and (isinstance(self.seed, bool) or not isinstance(self.seed, int)):
            raise UserError(f"seed must be an integer or None, found {self.seed!r}")

    def _sample_chunk(self, x: Tensor, keys: Tensor, prepared: Tensor | None) -> Tensor:
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
        call = _random.fold(_random.key(self.seed, x.device), self._calls)
        self._calls += 1
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


def check_count(name: str, value: object, *, least: int = 1) -> None:
    """Raises UserError unless `value` is an integer of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise UserError(f"{name} must be an integer of at least {least}, found {value!r}")


def check_real(name: str, value: object, *, low: float = 0.0, high: float = float("inf")) -> None:
    """Raises UserError unless `value` is a finite number of [low, high]."""
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not (low <= value <= high)
        or value == float("inf")
    ):
        raise UserError(f"{name} must be a number from {low:g} to {high:g}, found {value!r}")
