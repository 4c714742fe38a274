"""Adaptive diversity promoting training: three networks that were trained to differ in their wrong answers.

Source: Pang et al., "Improving Adversarial Robustness via Promoting Ensemble Diversity", ICML 2019
Claimed: about 50% on CIFAR-10 at eps 0.01 to 0.02 (M)
Known: 0 to 10% at eps 0.01 (Tramèr et al. 2020; M)
Broken by: PGD with enough steps
"""

from __future__ import annotations

from torch import nn

from broken.trained import load


def make(network: nn.Module, dataset: str = "digits") -> nn.Module:
    """The trained ensemble, in place of the network that is given."""
    del network
    return load("adp", dataset)
