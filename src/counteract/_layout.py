"""The layout of a network's weights: channels last, in which CPUs convolve faster, where the network takes that."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy


def layout_of(network: nn.Module) -> torch.memory_format:
    """Returns the layout that a network's convolutions have, and so what they return: contiguous where there are none.

    Args:
        network: The network.
    """
    for each in network.parameters():
        if each.ndim == 4 and not is_lazy(each):
            last, first = each.is_contiguous(memory_format=torch.channels_last), each.is_contiguous()
            if last != first:  # kernels of one pixel lie both ways
                return torch.channels_last if last else torch.contiguous_format
    return torch.contiguous_format


def laid_out(images: Tensor, network: nn.Module) -> Tensor:
    """Returns images as a network of this layout wants them: those with channels last may fail in a contiguous one.

    `view` does there, behind a convolution, which hands on the layout that it finds.

    Args:
        images: Images, shape (N, C, H, W).
        network: The network.
    """
    return images.contiguous() if layout_of(network) is torch.contiguous_format else images


@contextmanager
def layout_kept(network: nn.Module) -> Iterator[None]:
    """Puts the layout of a network's weights back as it was found, also after an error."""
    tensors = [each for each in [*network.parameters(), *network.buffers()] if not is_lazy(each)]
    contiguous = [each for each in tensors if each.is_contiguous()]
    try:
        yield
    finally:
        for each in contiguous:
            if not each.is_contiguous():
                each.data = each.data.contiguous()
