"""The training objectives: pure functions from a batch, and the draws made for it, to a loss.

Draws are apart from arithmetic: `draw_mix` turns keys into a `Mix`, everything else is a function of its arguments. A
`Mix` names the rows it blends, so that one of several processes can blend its share of a batch that it sees whole.

Sources: Zhang et al., "mixup", ICLR 2018; Madry et al., "Towards deep learning models resistant to adversarial
attacks", ICLR 2018; Lamb et al., "Interpolated adversarial training", AISec 2019; and, for the details, the training of
Pang et al., "Mixup inference", ICLR 2020.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from scipy.special import betaincinv
from torch import Tensor

from counteract._random import bits, uniform

Network = Callable[[Tensor], Tensor]
"""Images to logits."""


class Mix(NamedTuple):
    """A blend of rows in pairs: row `rows[i]` of the batch weighs `weights[i]`, row `partners[i]` the rest."""

    rows: Tensor
    partners: Tensor
    weights: Tensor

    def share(self, part: slice) -> Mix:
        """The blends of one process."""
        return Mix(self.rows[part], self.partners[part], self.weights[part])


def draw_mix(keys: Tensor, alpha: float = 1.0) -> Mix:
    """Draws partners (a permutation) and weights (of Beta(alpha, alpha)), one per example and key."""
    rows = torch.arange(len(keys), device=keys.device)
    partners = bits(keys, 1).squeeze(1).argsort()
    weights = uniform(keys, 2)[:, 1]
    if alpha != 1:  # of Beta(1, 1) an even draw is its own quantile
        quantiles = betaincinv(alpha, alpha, weights.cpu().numpy())
        weights = torch.as_tensor(quantiles).to(weights.device)
    return Mix(rows, partners, weights.float())


def blend(values: Tensor, mix: Mix) -> Tensor:
    """The weighted means of the rows of `values` that `mix` names."""
    weights = mix.weights.view(-1, *[1] * (values.ndim - 1))
    return weights * values[mix.rows] + (1 - weights) * values[mix.partners]


def blended_cross_entropy(logits: Tensor, labels: Tensor, mix: Mix) -> Tensor:
    """Cross-entropy against the blended one-hot labels, averaged over the examples."""
    of_rows = F.cross_entropy(logits, labels[mix.rows], reduction="none")
    of_partners = F.cross_entropy(logits, labels[mix.partners], reduction="none")
    return (mix.weights * of_rows + (1 - mix.weights) * of_partners).mean()


def standard(network: Network, x: Tensor, y: Tensor) -> Tensor:
    """Cross-entropy on the images as they are."""
    return F.cross_entropy(network(x), y)


def mixup(network: Network, x: Tensor, y: Tensor, mix: Mix) -> Tensor:
    """Cross-entropy on blended images against equally blended labels."""
    return blended_cross_entropy(network(blend(x, mix)), y, mix)


def iat(network: Network, x: Tensor, x_adversarial: Tensor, y: Tensor, mix: Mix, mix_adversarial: Mix) -> Tensor:
    """Half the Mixup loss of the clean images, half that of the adversarial ones.

    Each half has draws of its own; one forward of both together lets them share their BatchNorm statistics.

    Args:
        network: Called once, in whatever mode it is in: training mode, for training.
        x: Clean images.
        x_adversarial: Adversarial examples of the same images, in the same order.
        y: The labels of both.
        mix: The draws for the clean half.
        mix_adversarial: The draws for the adversarial half.
    """
    logits = network(torch.cat([blend(x, mix), blend(x_adversarial, mix_adversarial)]))
    clean = blended_cross_entropy(logits[: len(mix.rows)], y, mix)
    adversarial = blended_cross_entropy(logits[len(mix.rows) :], y, mix_adversarial)
    return 0.5 * clean + 0.5 * adversarial
