"""Networks that bring their normalisation, the preparation of their pictures and the names of their classes."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from counteract._preparation import Preparation
from counteract.models.normalize import Normalize


class PreparedNetwork(nn.Module):
    """A library's network for images in [0, 1].

    Args:
        model: The network; it expects normalised images, and may return its logits in something.
        mean: The mean that is subtracted, per channel, in units of pixels in [0, 1].
        std: The deviation that the difference is divided by.
        preparation: The way from pictures to its images; None where nobody knows it.
        class_names: The names of its classes, several of one with commas between; nothing where nobody knows them.
        notes: Sentences that reports must say of it.
    """

    def __init__(
        self,
        model: nn.Module,
        mean: Sequence[float],
        std: Sequence[float],
        *,
        preparation: Preparation | None = None,
        class_names: Sequence[str] = (),
        notes: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.normalize, self.model = Normalize(mean, std), model
        self.preparation, self.class_names, self.notes = preparation, tuple(class_names), tuple(notes)

    def forward(self, x: Tensor) -> object:
        """Returns whatever the network returns."""
        return self.model(self.normalize(x))
