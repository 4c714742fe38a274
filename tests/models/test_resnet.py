"""The networks: sizes as published, normalisation inside, shapes kept."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torchvision.models import resnet18, resnet50

from counteract.models import ARCHITECTURES

SETTINGS: dict[str, Any] = {"num_classes": 10, "mean": (0.5, 0.4, 0.3), "std": (0.2, 0.3, 0.4)}


def parameters(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def test_resnets_are_torchvisions_but_for_the_stem() -> None:
    for name, theirs in (("resnet18", resnet18), ("resnet50", resnet50)):
        stems = 64 * 3 * (7 * 7 - 3 * 3)
        assert parameters(ARCHITECTURES[name](**SETTINGS)) == parameters(theirs(num_classes=10)) - stems


def test_pangs_resnet50_has_as_many_parameters_as_published() -> None:
    net = ARCHITECTURES["resnet50-pang"](**SETTINGS)
    assert parameters(net) == pytest.approx(4.75e6, rel=0.001)
    assert [len(list(stage.children())) for stage in net.stages] == [5, 5, 5]
    assert net.stem[0].kernel_size == (5, 5)
    assert net.head.in_features == 256


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_takes_small_images_at_any_width(name: str) -> None:
    net = ARCHITECTURES[name](**SETTINGS, width=4).eval()
    features = []
    net.stages.register_forward_hook(lambda module, inputs, output: features.append(output.shape[-1]))
    assert net(torch.rand(2, 3, 32, 32)).shape == (2, 10)
    assert features == [32 // 2 ** (len(net.stages) - 1)]  # no max-pooling, and a stride-1 stem


def test_normalisation_is_inside() -> None:
    net = ARCHITECTURES["resnet8"](**SETTINGS, width=4).eval()
    seen = []
    net.stem.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    x = torch.rand(2, 3, 32, 32)
    net(x)
    for channel, (mean, std) in enumerate(zip(SETTINGS["mean"], SETTINGS["std"], strict=True)):
        torch.testing.assert_close(seen[0][:, channel], (x[:, channel] - mean) / std)
