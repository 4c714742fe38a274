"""Attacks: they know only an `nn.Module` that maps images in [0, 1] to logits or log-probabilities."""

from counteract.attacks.pgd import PGD, draw_starts, draw_targets

__all__ = ["PGD", "draw_starts", "draw_targets"]
