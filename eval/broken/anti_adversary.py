"""Anti-adversary: the image is moved towards the class that is predicted.

Source: Alfarra et al., "Combating Adversaries with Anti-Adversaries", AAAI 2022
Claimed: 79% on CIFAR-10 at 8/255 (Croce et al. 2022, notebook)
Known: 62%, that of the network alone, by transfer (Croce et al. 2022, 100 images)
Broken by: transfer from the network under it
"""

from __future__ import annotations

from torch import nn

from counteract import AntiAdversary


def make(network: nn.Module, eps_step: float = 0.15, steps: int = 2) -> AntiAdversary:
    """The defence of this package."""
    return AntiAdversary(network, eps_step=eps_step, steps=steps)
