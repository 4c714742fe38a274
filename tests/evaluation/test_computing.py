"""The form in which networks are computed with: the same answers, in the layout that suits the maps."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import nn

from counteract.evaluation.computing import ready


@pytest.mark.parametrize(("side", "channels_last"), [(32, False), (64, True)])
def test_a_strangers_layout_follows_its_smallest_maps(side: int, channels_last: bool) -> None:
    """At 32 x 32 the last maps of this network are single pixels."""
    images, network = torch.rand(2, 3, side, side), torchvision.models.resnet18(num_classes=10).eval()
    answers = network(images)
    fast = ready(network, images.device, images)
    kernels = [each.weight for each in fast.modules() if isinstance(each, nn.Conv2d) and each.kernel_size == (3, 3)]
    assert {each.is_contiguous(memory_format=torch.channels_last) for each in kernels} == {channels_last}
    assert {each.is_contiguous() for each in kernels} == {not channels_last}
    assert not any(each._forward_pre_hooks for each in fast.modules())
    torch.testing.assert_close(fast(images), answers, rtol=1e-3, atol=1e-3)
