"""Fewer bits a pixel ("feature squeezing") in front of the network.

Source: Xu, Evans and Qi, "Feature Squeezing", NDSS 2018; Guo et al., ICLR 2018
Claimed: 60 to 75% on ImageNet, L2 (M)
Known: 0% on ImageNet at an L2 distance of 0.05 (Athalye et al. 2018, Table 1)
Broken by: BPDA, with the identity as the gradient of the rounding
"""

from __future__ import annotations

from art.defences.preprocessor import FeatureSqueezing


def make(bits: int = 2) -> FeatureSqueezing:
    """ART's own rounding."""
    return FeatureSqueezing(clip_values=(0, 1), bit_depth=bits, apply_fit=False, apply_predict=True)
