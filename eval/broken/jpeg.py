"""JPEG compression in front of the network.

Source: Guo et al., "Countering Adversarial Images using Input Transformations", ICLR 2018; Dziugaite et al. 2016
Claimed: 60 to 75% on ImageNet, L2 (M)
Known: 0% on ImageNet at an L2 distance of 0.05 (Athalye et al. 2018, Table 1)
Broken by: BPDA, with the identity as the gradient of the compression
"""

from __future__ import annotations

from art.defences.preprocessor import JpegCompression


def make(quality: int = 50) -> JpegCompression:
    """ART's own compression."""
    return JpegCompression(
        clip_values=(0, 1), quality=quality, channels_first=True, apply_fit=False, apply_predict=True
    )
