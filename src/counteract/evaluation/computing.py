"""The form in which networks are computed with: on a device, with their channels last and folded where that is fast."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from counteract._folding import folded
from counteract._network import Asked, ask, borrowed, device_of
from counteract._seeding import seeded


def ready(network: nn.Module, device: torch.device, images: Tensor) -> nn.Module:
    """Returns a network as it is computed with for such images: on its device, in the fastest form that there is."""
    placed = channels_last(network.to(device), images)
    fast = folded(placed, images)  # a copy that shares all other parameters, which must not be left halfway
    if fast is not placed and _shrinks_to_a_pixel(fast, images.to(device)):
        fast.to(memory_format=torch.contiguous_format)
    return fast


def channels_last(network: nn.Module, images: Tensor) -> nn.Module:
    """Returns a network with its channels last, where it takes that: `view` behind a convolution does not.

    One that torch.jit made comes back in another module, as it lets nobody count what it is asked.
    """
    network.to(memory_format=torch.channels_last)
    try:
        with seeded(0), borrowed(network), torch.no_grad():
            ask(network, images[:1].to(device_of(network)))
    except Exception:  # noqa: BLE001  (a stranger's code may raise anything; as it was, it answered)
        network.to(memory_format=torch.contiguous_format)
    return Asked(network) if isinstance(network, torch.jit.ScriptModule) else network


def _shrinks_to_a_pixel(network: nn.Module, images: Tensor) -> bool:
    """Returns True where a kernel of several pixels sees a single one: on such maps channels-last is the slower layout.

    A rule, and not a clock, so that all processes of a run round alike.
    """
    seen: list[int] = []
    wide = [each for each in network.modules() if isinstance(each, nn.Conv2d) and max(each.kernel_size) > 1]

    def look(_: nn.Module, given: tuple[Tensor, ...]) -> None:
        seen.extend(each.shape[-2:].numel() for each in given[:1])

    hooks = [each.register_forward_pre_hook(look) for each in wide]
    try:
        with seeded(0), borrowed(network):
            ask(network, images[:1])
    finally:
        for hook in hooks:
            hook.remove()
    return 1 in seen
