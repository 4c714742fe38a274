"""Architectures of torchvision and timm with random weights: defended, attacked, and named where they have no gradient.

Four are tried; COUNTERACT_SWEEP=1 tries all.
"""

from __future__ import annotations

import os

import pytest
import torch

from counteract import Counteraction, attack, load_model
from counteract._network import ask
from counteract.models.libraries import LIBRARIES
from counteract.models.survey import survey

FEW = (
    "torchvision:shufflenet_v2_x0_5",
    "torchvision:squeezenet1_1",
    "timm:lcnet_035",
    "timm:vit_tiny_patch16_224(img_size=64, depth=2)",
)

MORE = (
    *("torchvision:resnet18", "torchvision:densenet121", "torchvision:mobilenet_v2", "torchvision:mobilenet_v3_small"),
    *("torchvision:efficientnet_b0", "torchvision:mnasnet0_5", "torchvision:googlenet", "torchvision:inception_v3"),
    *(
        "torchvision:vit_b_32(image_size=64)",
        "torchvision:swin_t",
        "torchvision:convnext_tiny",
        "torchvision:regnet_x_400mf",
    ),
    *("timm:mixer_s32_224(img_size=64)", "timm:convnext_atto", "timm:mobilevit_xxs", "timm:efficientformerv2_s0"),
)

EVERY = (*FEW, *(MORE if os.environ.get("COUNTERACT_SWEEP") == "1" else ()))

SIDES = {"torchvision:inception_v3": 96, "timm:efficientformerv2_s0": 224}
"""The sides of images of architectures that take none of 64 pixels."""

WITHOUT_GRADIENT = {
    "torchvision:vit_b_32(image_size=64)": "the weights of its last layer are zero before training",
    "timm:mixer_s32_224(img_size=64)": "the weights of its last layer are zero before training",
}
"""The architectures that have no gradient, and why."""


@pytest.mark.parametrize("name", EVERY)
def test_an_architecture_is_defended_and_attacked(name: str) -> None:
    library = name.partition(":")[0]
    pytest.importorskip(library)
    assert library in LIBRARIES
    network = load_model(name, untrained=True)
    side = SIDES.get(name, 64)
    images = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    found = survey(network, name, images)
    assert found.gradients == (name not in WITHOUT_GRADIENT), found.slopes
    if not found.gradients:
        return
    with torch.no_grad():
        labels = ask(network, images).argmax(1)
    defended = torch.from_numpy(Counteraction(network, num_labels=2, seed=0)(images.numpy())[0])
    assert 0 < (defended - images).abs().max() <= 8 / 255 + 1e-6
    for each in ("pgd2", "apgd-ce"):
        made = attack(each, network, images, labels, eps=8 / 255, preset={"preset": "quick", "steps": 2})
        assert 0 < (made - images).abs().max() <= 8 / 255 + 1e-6
