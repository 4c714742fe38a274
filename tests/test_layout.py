"""The layout of weights: as images are handed on, and put back."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from counteract import Counteraction, evaluate
from counteract._layout import laid_out, layout_kept, layout_of
from counteract._network import ask
from counteract.datasets import Dataset

LAST = torch.channels_last


class Viewing(nn.Module):
    """A network that views what its convolution returns, as PyTorch's first tutorial does."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 3, stride=4)
        self.linear = nn.Linear(4 * 8 * 8, 10)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.linear(self.convolution(x).relu().view(-1, 4 * 8 * 8))
        return logits


def test_the_layout_is_that_of_kernels_that_have_one() -> None:
    assert layout_of(nn.Linear(2, 2)) is torch.contiguous_format
    assert layout_of(nn.Sequential(nn.LazyConv2d(2, 3))) is torch.contiguous_format
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 3))
    assert layout_of(network) is torch.contiguous_format
    network.to(memory_format=LAST)
    assert layout_of(network) is LAST
    images = torch.rand(2, 3, 8, 8).to(memory_format=LAST)
    assert laid_out(images, network) is images
    assert laid_out(images, Viewing()).is_contiguous()


def test_the_layout_is_put_back() -> None:
    network, last = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3).to(memory_format=LAST)
    with layout_kept(network), layout_kept(last):
        network.to(memory_format=LAST)
        assert layout_of(network) is LAST
    assert (layout_of(network), layout_of(last)) == (torch.contiguous_format, LAST)


def test_a_network_that_views_is_asked_in_its_own_layout(digits: Dataset) -> None:
    torch.manual_seed(0)
    network, data = Viewing().eval(), digits.take(8)
    expected = network(data.images)
    torch.testing.assert_close(ask(network, data.images.to(memory_format=LAST)), expected)
    moved = Counteraction(network)(data.images.numpy())[0]
    assert moved.shape == data.images.shape
    found = evaluate(network, data, attacks=["clean"], defences=["undefended", "counteraction"])
    right = float((expected.argmax(1) == data.labels).float().mean())
    assert found.rows[0].accuracy == pytest.approx(100 * right)
    torch.testing.assert_close(network(data.images), expected)


def test_what_evaluate_lays_out_is_put_back(digits: Dataset) -> None:
    network = nn.Sequential(nn.Conv2d(3, 10, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    evaluate(network, digits.take(4), attacks=["clean"])
    assert layout_of(network) is torch.contiguous_format
