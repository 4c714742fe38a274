"""BPDA inside a network: its answers stay, its gradient is that of the identity where a module is passed over."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from networks import TinyNet
from torch import Tensor, nn

from counteract import DefendedModule, GaussianNoise
from counteract._errors import UserError
from counteract.attacks.straight import (
    StraightThrough,
    check_named,
    inner_network,
    look_inside,
    straight,
    taken_for_the_identity,
)
from counteract.models import load_model
from counteract.whole import WholeModule


class Levels(nn.Module):
    """Few grey levels, in place or not."""

    def __init__(self, in_place: bool = False) -> None:
        super().__init__()
        self.in_place = in_place

    def forward(self, x: Tensor) -> Tensor:
        return x.mul_(5).round_().div_(5) if self.in_place else (5 * x).round() / 5


class Cut(nn.Module):
    """The same images, without a gradient."""

    def forward(self, x: Tensor) -> Tensor:
        return 0.9 * x.detach()


class Reversed(nn.Module):
    """The same images, with a gradient that leads away."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * x.detach() - x


class Step(nn.Module):
    """One where what it takes is above zero, without a gradient."""

    def forward(self, x: Tensor) -> Tensor:
        return (x > 0).to(x.dtype)


class Gate(nn.Module):
    """A ReLU, written with a step."""

    def __init__(self) -> None:
        super().__init__()
        self.step = Step()

    def forward(self, x: Tensor) -> Tensor:
        gated: Tensor = x * self.step(x)
        return gated


class Doubled(nn.Module):
    """Each channel twice, without a gradient."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, x], 1).round()


class Behind(nn.Module):
    """A small network behind some modules."""

    def __init__(self, *modules: nn.Module) -> None:
        super().__init__()
        self.before = nn.Sequential(*modules)
        self.net = TinyNet()

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.net(self.before(x))
        return scores


def slope(network: Any, x: Tensor, *keys: Tensor) -> Tensor:
    points = x.clone().requires_grad_()
    (found,) = torch.autograd.grad(network(points, *keys)[:, 0].sum(), points)
    return found


def looked_for(network: nn.Module, x: Tensor, *names: str) -> tuple[str, ...]:
    return taken_for_the_identity(network.eval(), names, lambda images: network(images.clone()).flatten(1), x)


@pytest.mark.parametrize("module", [Levels(), Levels(in_place=True), Cut(), Reversed()])
def test_the_answers_stay_and_the_gradient_is_that_of_the_identity(module: nn.Module, x: Tensor) -> None:
    network = Behind(module).eval()
    passed_over = StraightThrough(network, ["before.0"])
    points = x.clone().requires_grad_()
    assert torch.equal(passed_over(points), network(x.clone()))
    assert torch.equal(points, x)
    received = module(x.clone()).detach()
    assert torch.equal(slope(passed_over, x), slope(network.net, received))
    assert not any(each._forward_hooks or each._forward_pre_hooks for each in network.modules())


def test_a_module_that_is_used_twice_is_passed_over_twice(x: Tensor) -> None:
    levels = Levels()
    network = Behind(levels, nn.Conv2d(3, 3, 1), levels).eval()
    with torch.no_grad():
        inner = network.before(x)
    expected = slope(nn.Sequential(network.before[1]), x)
    assert torch.equal(slope(StraightThrough(network.before, ["0"]), x), expected)
    assert slope(StraightThrough(network, ["before.0"]), x).abs().sum() > 0
    assert inner.shape == x.shape


def test_modules_without_a_derivative_are_found(x: Tensor) -> None:
    assert looked_for(Behind(), x) == ()
    assert looked_for(Behind(nn.ReLU(inplace=True), nn.Conv2d(3, 3, 1), nn.Dropout()), x) == ()
    assert looked_for(Behind(nn.Conv2d(3, 3, 1), nn.Sequential(Levels(in_place=True))), x) == ("before.1.0",)
    assert looked_for(Behind(Cut(), nn.Sequential(nn.Tanh(), Levels())), x) == ("before.0", "before.1.1")


def test_a_step_that_gates_what_has_a_derivative_is_left_as_it_is(x: Tensor) -> None:
    """Its part of the derivative is zero; what takes the whole for another is the step in place of the identity."""
    network = load_model("digits-resnet-iat")
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.ReLU):
                setattr(module, name, Gate())
    assert len([each for each in look_inside(network, lambda: network(x)).values() if each.flat]) > 2
    assert looked_for(network, x[:2]) == ()
    assert looked_for(nn.Sequential(Levels(), network), x[:2]) == ("0",)
    assert set(looked_for(network, x[:2], "stem.2.step")) == {"stem.2.step"}
    stepping = nn.Sequential(nn.Conv2d(3, 8, 3), Step(), nn.Flatten(), nn.Linear(8 * 30 * 30, 10))
    assert looked_for(stepping, x[:2]) == ("1",)


def test_what_never_changes_has_no_derivative_that_is_missing(x: Tensor) -> None:
    class Constant(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return torch.ones_like(images)

    class Beside(Behind):
        def forward(self, images: Tensor) -> Tensor:
            scores: Tensor = self.net(images * self.before(images))
            return scores

    assert looked_for(Beside(Constant()), x) == ()


class Coded(Behind):
    """A small network that sees the first three channels of a code."""

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.net(self.before(x)[:, :3])
        return scores


def test_a_module_of_other_channels_is_taken_for_its_slopes(x: Tensor) -> None:
    """Those of a code of thresholds are those of what it counts; each channel goes to its own."""

    class Thresholds(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            code = (images.unsqueeze(2) > torch.arange(1, 40).view(1, 1, -1, 1, 1) / 40).to(images.dtype)
            return code.flatten(1, 2)

    code, points = Thresholds(), x.clone().requires_grad_()
    network = nn.Sequential(code).eval()
    assert looked_for(network, x) == ("0",)
    weights = torch.randn(6, 3, 1, 32, 32, generator=torch.Generator().manual_seed(0)).expand(6, 3, 39, 32, 32)
    answers = StraightThrough(network, ["0"])(points)
    assert torch.equal(answers, code(x))
    (found,) = torch.autograd.grad((answers * weights.flatten(1, 2)).sum(), points)
    expected = 40 * weights[:, :, 0]
    inner = (x > 0.15) & (x < 0.85)
    assert (found / expected)[inner].mean() == pytest.approx(1, abs=0.05)
    assert (found / expected)[inner].std() < 0.35
    one = StraightThrough(network, ["0"])(x[2:3].clone().requires_grad_())
    assert torch.equal(one[0], answers[2])


def test_other_shapes_have_nothing_simple_in_their_place(x: Tensor) -> None:
    class Halved(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return nn.functional.avg_pool2d(images, 2).round()

    assert looked_for(Coded(Doubled()), x) == ("before.0",)
    assert looked_for(Coded(Halved()), x) == ()
    assert looked_for(Coded(nn.Conv2d(3, 5, 1), Doubled()), x) == ()
    with pytest.raises(
        UserError, match=r"^bpda_at: before\.0 \(Halved\) takes \(3, 32, 32\) and returns \(3, 16, 16\)"
    ):
        looked_for(Coded(Halved()), x, "Halved")


def test_names_are_paths_their_ends_or_classes(x: Tensor) -> None:
    network = Behind(Reversed(), nn.Conv2d(3, 3, 1))
    for name in ("before.0", "0", "Reversed"):
        assert looked_for(network, x, name) == ("before.0",)
    assert looked_for(network, x) == ()
    assert looked_for(network, x, "before", "0") == ("before", "before.0")
    assert looked_for(network, x, "fore.0", "Behind", "") == ()
    deeper = nn.Sequential(nn.Sequential(Reversed()), Reversed())
    assert looked_for(deeper, x, "0") == ("0",)  # a path is that path alone
    check_named(["0", "TinyNet"], [TinyNet(), network])
    with pytest.raises(
        UserError, match=r"^bpda_at 'act': no module has this path, .*; there are 7: before \(Seq[^\n]*$"
    ):
        check_named(["0", "act"], [network])


def test_a_module_that_takes_more_than_one_tensor_is_refused(x: Tensor) -> None:
    class Sum(nn.Module):
        def forward(self, one: Tensor, other: Tensor) -> Tensor:
            return one + other

    class Twice(Behind):
        def forward(self, images: Tensor) -> Tensor:
            scores: Tensor = self.net(self.before[0](images, images))
            return scores

    with pytest.raises(UserError, match=r"before\.0 \(Sum\) does not take one tensor and return one"):
        looked_for(Twice(Sum()), x, "Sum")


def test_a_module_that_fails_when_it_is_tried_is_let_alone(x: Tensor) -> None:
    class Fussy(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            if torch.is_grad_enabled():
                raise KeyError("not now")
            return images

    network = Behind(Fussy()).eval()
    assert "before.0" not in look_inside(network, lambda: network(x))


def test_nobody_looks_into_what_is_mapped_over_images(x: Tensor) -> None:
    inner = nn.Sequential(nn.Flatten(), nn.Linear(x[0].numel(), 10))

    class Mapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, x: Tensor) -> Tensor:
            answers: Tensor = torch.func.vmap(lambda image: self.inner(image.unsqueeze(0)).squeeze(0))(x)
            return answers

    network = Mapped()
    assert look_inside(network, lambda: network(x)) == {}


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_nobody_looks_into_scripted_modules(x: Tensor) -> None:
    network = Behind(torch.jit.trace(Levels(), x), Levels()).eval()
    assert looked_for(network, x) == ("before.1",)
    with pytest.raises(UserError, match="or is scripted"):
        looked_for(network, x, "before.0")
    scripted = torch.jit.trace(network, x)
    assert look_inside(scripted, lambda: scripted(x)) == {}


def test_looking_leaves_no_trace(x: Tensor) -> None:
    network = Behind(Levels()).train()
    before, state = torch.get_rng_state(), {name: each.clone() for name, each in network.state_dict().items()}
    look_inside(network, lambda: network(x))
    assert network.training
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(each, state[name]) for name, each in network.state_dict().items())
    assert not any(each._forward_pre_hooks for each in network.modules())


def test_a_defended_network_is_passed_over_inside(x: Tensor) -> None:
    network, keys = Behind(Reversed()).eval(), torch.arange(6)
    defended = DefendedModule(network, transforms=[GaussianNoise(0.05)], executions=3)
    whole = WholeModule(network)
    for each, plain in (
        (defended, DefendedModule(network.net, transforms=defended.transforms, executions=3)),
        (whole, WholeModule(network.net)),
    ):
        assert straight(each, ()) is each
        over = straight(each, ["before.0"])
        torch.testing.assert_close(over(x, keys), each(x, keys))
        torch.testing.assert_close(slope(over, x, keys), slope(plain, x, keys), atol=1e-6, rtol=1e-4)
        assert (slope(each, x, keys) * slope(over, x, keys)).sum() < 0


def test_a_module_with_keys_is_passed_them(x: Tensor) -> None:
    class Keyed(Behind):
        def forward(self, images: Tensor, keys: Tensor) -> Tensor:  # type: ignore[override]
            return super().forward(images + 0.01 * keys.view(-1, 1, 1, 1))

    whole, keys = WholeModule(Keyed(Reversed()).eval()), torch.arange(6)
    over = straight(whole, ["before.0"])
    torch.testing.assert_close(over(x.clone().requires_grad_(), keys), whole(x, keys))
    assert not torch.allclose(over(x, keys), over(x, 0 * keys))


def test_the_network_inside_is_the_one_that_answers_alike(x: Tensor) -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.other, self.right = TinyNet(), TinyNet()
            self.other.head.weight.data.neg_()

        def forward(self, images: Tensor) -> Tensor:
            self.other(images)
            return nn.functional.one_hot(self.right(images).argmax(1), 10).float()

    two = Two().eval()
    assert inner_network(two, lambda: two(x), x) == ("right", two.right)
    two.right.head.bias.data[3] += 1000  # with which it says the same of all images
    assert inner_network(two, lambda: -two.right(x), x) is None
    bare = TinyNet().eval()
    assert inner_network(bare, lambda: bare(x), x) is None
