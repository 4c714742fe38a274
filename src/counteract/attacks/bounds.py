"""The bounds of a threat model, kept: images outside of them are projected onto them, and said to be."""

from __future__ import annotations

import torch
from torch import Tensor

from counteract.attacks.threat_model import ThreatModel

ROUND_OFF = 1e-6
"""The distance from the bound that is still within it, for float32."""

_PIXEL = 2.0**-24
"""The round-off of a pixel, which adds up in norms that are not the largest change."""

_HAIR = 1e-4
"""The share of a grey level that counts as none, for float32."""


def keep_within(threat_model: ThreatModel, clean: Tensor, images: Tensor) -> tuple[Tensor, Tensor]:
    """Projects images onto the threat model's ball around the clean ones and onto [0, 1].

    Args:
        threat_model: The bound on a change.
        clean: The clean images in [0, 1], shape (N, C, H, W).
        images: The changed images, of the same shape.

    Returns:
        The images, those within the bounds bit for bit as they were; and True for each of the others: bool, shape (N,).
    """
    slack = max(ROUND_OFF, 2 * torch.finfo(images.dtype).eps)
    norm, eps = threat_model.metric, threat_model.eps
    slack = max(slack * max(1.0, eps), _PIXEL * norm.largest(images.shape[1:]))
    outside = ~((images.flatten(1).amin(1) >= 0) & (images.flatten(1).amax(1) <= 1))
    if images is not clean:
        outside |= ~(norm.size(images - clean) <= eps + slack)  # so NaN is outside, too
    if not outside.any():
        return images, outside
    projected = (clean + norm.shrink(images - clean, eps)).clamp(0, 1)
    return torch.where(outside.view(-1, 1, 1, 1), projected, images), outside


def in_grey_levels(threat_model: ThreatModel, clean: Tensor, images: Tensor) -> Tensor:
    """Rounds images within a bound to grey levels within it, as files have them.

    In the max norm to the nearest that the bound allows. In other norms many small changes add up: there each pixel
    goes to the next level on its way back to the clean one. A pixel without such a level is left as the clean one is.
    """
    levels, start = images * 255, clean * 255
    low, high = levels.minimum(start), levels.maximum(start)
    if threat_model.norm == "Linf":
        low, high = start - 255 * threat_model.eps, start + 255 * threat_model.eps
    low, high = (low - _HAIR).ceil(), (high + _HAIR).floor()
    return torch.where(low <= high, levels.round().clamp(low, high) / 255, clean)
