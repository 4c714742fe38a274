"""BatchNorm over two processes against PyTorch's own over the whole batch."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from networks import TinyNet
from torch import Tensor, nn
from training.pair import alone, in_two

from counteract.training.batchnorm import GlobalBatchNorm2d, globalise

BATCH = torch.randn(6, 3, 4, 4, generator=torch.Generator().manual_seed(0)) * 2 + 1
WEIGHTS = torch.randn(6, 3, 4, 4, generator=torch.Generator().manual_seed(1))


def network() -> nn.Sequential:
    made = nn.Sequential(nn.BatchNorm2d(3, momentum=0.3))
    made[0].weight.data = torch.tensor([0.5, 1.0, 2.0])
    made[0].bias.data = torch.tensor([0.1, 0.0, -0.2])
    return made


def normalised(net: nn.Module, rows: slice) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Returns the output in training mode, its gradient to the images, and what the network knows afterwards."""
    x = BATCH[rows].clone().requires_grad_()
    out = net(x)
    (gradient,) = torch.autograd.grad((out * WEIGHTS[rows]).sum(), x)
    return out.detach(), gradient, net.state_dict()


def share(rank: int) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    net = network()
    globalise(net)
    return normalised(net, slice(3 * rank, 3 * rank + 3))


def whole(rank: int) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    net = network()
    globalise(net)
    return normalised(net, slice(None))


@pytest.mark.parametrize("processes", [1, 2])
def test_processes_compute_what_one_would(processes: int, tmp_path: Path) -> None:
    found = [alone(whole, tmp_path)] if processes == 1 else in_two(share, tmp_path)
    out, gradient, state = normalised(network(), slice(None))
    torch.testing.assert_close(torch.cat([each[0] for each in found]), out)
    torch.testing.assert_close(torch.cat([each[1] for each in found]), gradient)  # of the sum of all losses
    for *_, its in found:
        assert its.keys() == state.keys()
        torch.testing.assert_close(its, state)


def test_in_eval_mode_it_is_pytorchs_own() -> None:
    net = network()
    globalise(net)
    assert torch.equal(net.eval()(BATCH), network().eval()(BATCH))


def test_every_layer_is_replaced_and_keeps_what_it_knows() -> None:
    net = nn.Sequential(TinyNet(), nn.BatchNorm2d(2, eps=0.5, momentum=0.3).eval())
    before = {name: value.clone() for name, value in net.state_dict().items()}
    globalise(net)
    layers = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    assert [type(layer) for layer in layers] == [GlobalBatchNorm2d] * 2
    assert (layers[1].eps, layers[1].momentum) == (0.5, 0.3)
    assert [layer.training for layer in layers] == [True, False]
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
