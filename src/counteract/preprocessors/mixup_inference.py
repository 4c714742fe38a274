"""Mixup inference with images of other labels (MI-OL): Pang et al. 2020."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy.typing as npt
import torch
from torch import Tensor, nn
from typing_extensions import Unpack

from counteract import _random
from counteract._answers import labels_of
from counteract._arguments import check_real
from counteract._errors import UserError
from counteract._images import check_images, tensor_of
from counteract._labels import class_labels
from counteract._network import ask, check_model, device_of, dtype_of, evaluating
from counteract.preprocessors.base import Options, RandomPreprocessor


@runtime_checkable
class Pool(Protocol):
    """Images that are read by index, a `Dataset` for one: the whole of them is never in memory as floats."""

    labels: Tensor

    def read(self, rows: Tensor) -> Tensor:
        """Returns the images of these indices: floats, shape (n, C, H, W)."""


def with_pool(model: nn.Module, *, pool: Pool, weight: float = 0.5) -> MixupInference:
    """Mixup inference with a dataset as its pool, as evaluations make it."""
    return MixupInference(model, pool, weight=weight)


class MixupInference(RandomPreprocessor[Tensor]):
    """Mixes the input with a random pool image of a label other than the predicted one.

    With y the undefended network's prediction for the received input, a class is drawn uniformly from the pool's
    classes other than y, then one of its images s uniformly, and x' = weight * x + (1 - weight) * s. Differentiable in
    x, exactly.

    Source: Pang, Xu and Zhu, "Mixup inference: better exploiting mixup to defend adversarial attacks", ICLR 2020. Their
    released code takes the pool from the test split, which leaks test images into predictions; take the training split.

    A pool in memory is held by reference: `copy.deepcopy` and `pickle` copy it, ART's `clone_for_refitting` shares it
    and the network.

    Args:
        model: The undefended network whose prediction is mixed away from. It is left as it was found.
        images: The pool: (M, C, H, W), pixels in `clip_values`; tensor, array, or a `Dataset`, read by index.
        labels: The pool's labels: M integers, or M one-hot rows; None for those of a `Dataset`.
        weight: The weight on the input, from 0 to 1, lambda in the paper; 1 - weight falls on the pool image.
        **options: Those of `RandomPreprocessor`.

    Raises:
        UserError: (a ValueError) the pool is empty, has one class, does not hold images or labels, or has images of
            another shape than x; or another argument is out of its range.

    Examples:
        >>> from counteract import MixupInference, load_model
        >>> from counteract.datasets import load_dataset
        >>> network, data = load_model("digits-resnet-mixup"), load_dataset("digits").take(8)
        >>> defence = MixupInference(network, load_dataset("digits", "train"), None, weight=0.5, seed=0)
        >>> mixed, _ = defence(data.images.numpy())
        >>> mixed.shape
        (8, 3, 32, 32)
    """

    params: ClassVar[list[str]] = [*RandomPreprocessor.params, "model", "images", "labels", "weight"]

    def __init__(
        self,
        model: nn.Module,
        images: Tensor | npt.NDArray[Any] | Pool,
        labels: Tensor | npt.NDArray[Any] | None = None,
        *,
        weight: float = 0.5,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(**options)
        self.model = model
        self.images = images
        self.labels = labels
        self.weight = weight
        self._check_params()

    @property
    def passes_once(self) -> int:
        """The prediction."""
        return 1

    def describe(self) -> str:
        """Returns the weight."""
        return f"weight {self.weight:g}"

    def prepare(self, x: Tensor) -> Tensor:
        """The undefended network's predictions for the received images, -1 for none: int64, shape (N,)."""
        device = device_of(self.model)
        with evaluating(self.model), torch.no_grad():
            predicted = [labels_of(ask(self.model, x[rows].to(device))) for rows in self._chunks(len(x))]
        return torch.cat(predicted).to(x.device)

    def draw(self, keys: Tensor, x: Tensor, prepared: Tensor | None) -> Tensor:
        """Draws a pool image for each image of `x`: indices into the pool, int64, shape (N,)."""
        predicted = self.prepare(x) if prepared is None else prepared
        u = _random.uniform(keys, 2).cpu()
        predicted = predicted.cpu()
        rank = torch.searchsorted(self._classes, predicted).clamp(max=len(self._classes) - 1)
        in_pool = self._classes[rank] == predicted
        position = _random.below(u[:, 0], len(self._classes) - in_pool.long())
        position = position + (in_pool & (position >= rank))  # skips the predicted class
        return self._order[self._starts[position] + _random.below(u[:, 1], self._counts[position])].to(x.device)

    def apply(self, x: Tensor, parameters: Tensor) -> Tensor:
        """Mixes each image with the pool image of its index."""
        others = self._look_up(parameters).to(x.device, x.dtype)
        if others.shape != x.shape:
            raise UserError(f"images must have the shape of x, {tuple(x.shape[1:])}; found {tuple(others.shape[1:])}")
        return self.weight * x + (1 - self.weight) * others

    def _look_up(self, rows: Tensor) -> Tensor:
        """Returns the pool images of these indices."""
        if isinstance(self._pool, Tensor):
            return self._pool[rows.to(self._pool.device)]
        return self._checked(self._pool.read(rows.cpu()))

    def _checked(self, images: Tensor) -> Tensor:
        return check_images(images, clip_values=self.clip_values, dtype=dtype_of(self.model), name="images")

    def _check_params(self) -> None:
        super()._check_params()
        check_model(self.model)
        self.weight = check_real("weight", self.weight, high=1.0)
        labels = self._check_labels()
        self._pool = self.images if isinstance(self.images, Pool) else self._checked(tensor_of(self.images))
        self._classes, self._counts = torch.unique(labels, return_counts=True)
        if len(self._classes) == 1:
            raise UserError(f"labels must hold at least two classes to mix with, found only {int(self._classes[0])}")
        self._order = labels.argsort(stable=True)
        self._starts = self._counts.cumsum(0) - self._counts

    def _check_labels(self) -> Tensor:
        """Returns the pool's labels on the CPU, once there is one for each image."""
        given = self.images.labels if self.labels is None and isinstance(self.images, Pool) else self.labels
        if given is None:
            raise UserError("labels must be given with images that are a tensor or an array")
        labels = class_labels(given, len(self.images.labels if isinstance(self.images, Pool) else self.images)).cpu()
        if len(labels) == 0:
            raise UserError("images must hold at least two classes to mix with, found an empty pool")
        return labels
