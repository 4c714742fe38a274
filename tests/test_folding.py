"""Networks with folded normalisation: the same answers, or the network itself; what was given is left as it was."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn

from counteract import Counteraction, _folding
from counteract._folding import folded
from counteract.models.resnet import ARCHITECTURES


def norms(network: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())


@pytest.fixture(scope="module")
def resnet() -> nn.Module:
    torch.manual_seed(0)
    network: nn.Module = torchvision.models.resnet18(num_classes=10)
    network(torch.rand(8, 3, 32, 32))  # in train mode, so that the running statistics are not those of a new network
    return network


@pytest.fixture
def images() -> Tensor:
    return torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def test_it_answers_the_same_and_is_left_as_it_was(resnet: nn.Module, images: Tensor) -> None:
    before = {name: value.clone() for name, value in resnet.state_dict().items()}
    fast = folded(resnet.train(), images)
    assert norms(fast) == 0
    assert resnet.training
    assert norms(resnet) == 20
    assert all(torch.equal(before[name], value) for name, value in resnet.state_dict().items())
    assert [name for name, _ in fast.named_modules()] == [name for name, _ in resnet.named_modules()]
    torch.testing.assert_close(fast(images), resnet.eval()(images), rtol=0, atol=1e-5)


def test_weights_that_change_are_read_anew(images: Tensor) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(Bare(), nn.Flatten()).eval()
    folded(network, images)
    for parameter in network.parameters():
        parameter.data.mul_(3)
    fast = folded(network, images)
    assert norms(fast) == 0
    torch.testing.assert_close(fast(images), network(images))


def test_counteraction_is_that_of_the_unfolded_network(resnet: nn.Module, images: Tensor) -> None:
    keys, network = torch.arange(len(images)), copy.deepcopy(resnet).double().eval()
    watched = copy.deepcopy(network)
    watched.get_submodule("bn1").register_forward_hook(lambda *_: None)
    found, expected = (Counteraction(each).sample(images.double(), keys) for each in (network, watched))
    torch.testing.assert_close(found, expected)


class Bare(nn.Module):
    """A convolution and its normalisation."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.bn.running_mean = torch.tensor([0.5, -1.0, 2.0, 0.1])
        self.bn.running_var = torch.tensor([4.0, 0.25, 1.0, 9.0])

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(x))  # type: ignore[no-any-return]


class Branching(Bare):
    """Bright images take another way, on which the convolution stands alone."""

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) if x.mean() > 0.9 else super().forward(x)


class Twice(Bare):
    """The output of the convolution is read by another, too."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return self.bn(y) + y  # type: ignore[no-any-return]


class Again(Bare):
    """The convolution is called a second time."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + self.conv(x)  # type: ignore[no-any-return]


class Switched(Bare):
    """An attribute takes the normalisation out."""

    bare = False

    def forward(self, x: Tensor) -> Tensor:
        return (self.conv(x) if self.bare else super().forward(x)).flatten(1)


class Reading(Bare):
    """The weights are read by their name."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + self.conv.weight.sum()


STAYING: dict[str, Callable[[], Any]] = {
    "branching": Branching,
    "twice": Twice,
    "again": Again,
    "reading": Reading,
    "half": lambda: Bare().half(),
    "batch statistics": lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False)),
    "compiled": lambda: torch.compile(Bare(), backend="eager"),
    "scripted": lambda: torch.jit.script(Bare()),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("kind", STAYING)
def test_what_cannot_be_shown_stays(kind: str, images: Tensor) -> None:
    network = nn.Sequential(STAYING[kind](), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    assert folded(network, images) is network


def test_a_graph_module_and_a_network_in_parallel_answer_the_same(resnet: nn.Module, images: Tensor) -> None:
    for network in (torch.fx.symbolic_trace(copy.deepcopy(resnet).eval()), nn.DataParallel(resnet).eval()):
        torch.testing.assert_close(folded(network, images)(images), network(images), rtol=0, atol=1e-5)


def test_hooks_keep_a_network_as_it_is(images: Tensor) -> None:
    network = nn.Sequential(Bare(), nn.Flatten())
    network.get_submodule("0.conv").register_forward_hook(lambda *_: None)
    assert folded(network, images) is network


def test_weights_are_folded_again_if_one_of_them_changes(images: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    network: Any = nn.Sequential(Bare(), nn.Flatten()).eval()
    expected = folded(network, images)(images)
    with monkeypatch.context() as unchanged:
        unchanged.setattr(_folding, "fuse_conv_bn_weights", None)
        assert torch.equal(folded(network, images)(images), expected)

    def change() -> None:
        network[0].bn.eps = 0.5

    for each in (
        lambda: network[0].conv.weight.data[2, 1, 0].add_(1),
        lambda: network[0].conv.weight.data.copy_(network[0].conv.weight.data.flip(0)),
        lambda: network[0].bn.running_var.data[3].mul_(2),
        change,
        lambda: network.to(memory_format=torch.channels_last),
        network.double,
        network.float,
    ):
        each()
        given = images.to(next(network.parameters()))
        torch.testing.assert_close(folded(network, given)(given), network(given))


def test_pairs_are_looked_for_again_if_the_network_goes_another_way(images: Tensor) -> None:
    network = Switched().eval()
    assert norms(folded(network, images)) == 0
    network.bare = True
    assert folded(network, images) is network


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_our_own_networks_are_folded(name: str, images: Tensor) -> None:
    torch.manual_seed(0)
    network = ARCHITECTURES[name](num_classes=10, width=8, mean=(0.5,) * 3, std=(0.25,) * 3).double()
    network(images.double())  # in train mode, so that the running statistics are not those of a new network
    fast = folded(network.eval(), images)
    assert norms(fast) == 0
    assert folded(fast, images) is fast
    torch.testing.assert_close(fast(images.double()), network(images.double()), rtol=0, atol=1e-10)
