"""Test-time transformation ensembling (TTE): the average over the image, its mirror image, and crops of both."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor
from typing_extensions import Unpack

from counteract import _random
from counteract._arguments import check_count, check_flag
from counteract.preprocessors.base import Options, RandomPreprocessor

_NUMBERS = 2**16 - 1
"""The bits of a key that hold the number of an execution."""


class AugmentationEnsemble(RandomPreprocessor[Tensor]):
    """Shows the network one view of the input after the other: the input, its mirror image, and random crops of both.

    The views are the input and, with `flip`, its mirror image; and `crops` random crops of each, the same ones: windows
    of the input's size, drawn uniformly from the input padded with zeros. `executions` as many as there are views show
    each of them once, in random order: the source's ensemble. Of fewer executions each shows another view; with more,
    new crops are drawn after each round. Once per input, without executions, it is one view at random.

    Differentiable in x, exactly.

    Source: Pérez et al., "Enhancing adversarial robustness via test-time transformation ensembling", ICCV 2021
    Workshops, arXiv 2107.14110, and its code (`AugWrapper`), whose best is the default: flip, four crops and four
    flipped crops, ten views. There the windows are drawn once for all images, and never the last row and column of
    them, which is so here too; by a slip (closures in a loop) all crops of one network are the same window, which is
    not so here. It averages logits: `DefendedModule(..., average="logits")`.

    **How its own code attacks it**: AutoAttack on the whole ensemble, whose views are fixed and differentiable. That is
    adaptive; what it cannot do is draw them afresh.

    Args:
        flip: True to show mirror images, too.
        crops: The number of crops, of the input and of its mirror image; 0 or more.
        padding: The rows and columns of zeros on each side of the image that crops are drawn from, 1 or more.
        **options: Those of `RandomPreprocessor`.

    Raises:
        UserError: (a ValueError) an argument is out of its range.

    Examples:
        >>> from counteract import AugmentationEnsemble, DefendedModule, load_model
        >>> from counteract.datasets import load_dataset
        >>> network, data = load_model("digits-resnet-mixup"), load_dataset("digits").take(8)
        >>> defended = DefendedModule(network, transforms=[AugmentationEnsemble()], executions=5)
        >>> defended(data.images).shape
        torch.Size([8, 10])
    """

    params: ClassVar[list[str]] = [*RandomPreprocessor.params, "flip", "crops", "padding"]
    spatial = True

    def __init__(self, *, flip: bool = True, crops: int = 4, padding: int = 4, **options: Unpack[Options]) -> None:
        super().__init__(**options)
        self.flip = flip
        self.crops = crops
        self.padding = padding
        self._check_params()

    @property
    def views(self) -> int:
        """The number of views."""
        return (1 + self.flip) * (1 + self.crops)

    def execution_keys(self, keys: Tensor, numbers: Tensor, position: int) -> Tensor:
        """The keys of an input's executions: its own, which draws the crops of all of them, with their numbers."""
        own = _random.fold(keys, position) & ~_NUMBERS
        return (own.unsqueeze(1) | (numbers & _NUMBERS)).flatten()

    def draw(self, keys: Tensor, x: Tensor, prepared: Tensor | None) -> Tensor:
        """Draws a view for each image: if it is flipped, and the row and column where its window begins; (N, 3)."""
        del x, prepared
        number = keys & _NUMBERS
        rounds = _random.fold(keys & ~_NUMBERS, torch.div(number, self.views, rounding_mode="floor"))
        order = _random.uniform(rounds, self.views).argsort(dim=1)
        view = order.gather(1, (number % self.views).unsqueeze(1))[:, 0]
        crop, flipped = view % (1 + self.crops), torch.div(view, 1 + self.crops, rounding_mode="floor")
        begin = _random.below(_random.uniform(_random.fold(rounds, crop), 2), 2 * self.padding)
        begin = begin.where((crop > 0).unsqueeze(1), self.padding)  # where the input itself lies
        return torch.cat([flipped.unsqueeze(1), begin], dim=1)

    def apply(self, x: Tensor, parameters: Tensor) -> Tensor:
        """Cuts each image's view out of it."""
        flipped, row, column = (drawn.view(-1, 1, 1, 1) for drawn in parameters.unbind(1))
        height, width = x.shape[2:]
        padded = F.pad(x.flip(3).where(flipped > 0, x), [self.padding] * 4)
        rows = torch.arange(height, device=x.device).view(1, 1, -1, 1) + row
        columns = torch.arange(width, device=x.device).view(1, 1, 1, -1) + column
        tall = padded.gather(2, rows.expand(-1, x.shape[1], -1, padded.shape[3]))
        return tall.gather(3, columns.expand(-1, x.shape[1], height, -1))

    def describe(self) -> str:
        """Returns the parameters in words, and the number of views."""
        return f"{super().describe()}, {self.views} views"

    def _check_params(self) -> None:
        super()._check_params()
        self.flip = check_flag("flip", self.flip)
        self.crops = check_count("crops", self.crops, least=0)
        self.padding = check_count("padding", self.padding)
