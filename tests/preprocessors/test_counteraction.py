"""Counteraction against an independent, straightforward implementation, on real images."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
import torchattacks
from networks import TinyNet
from torch import Tensor, nn

from counteract import AntiAdversary, Counteraction, EnergyDescent, Hedge, MixupInference, load_model
from counteract import TestTimeCounterattack as Counterattack
from counteract.datasets import Dataset


def straightforward(
    net: nn.Module, x: Tensor, labels: Tensor, *, targeted: bool, eps: float, alpha: float, steps: int = 1
) -> Tensor:
    """The paper's Algorithm 1 with N separate attacks of torchattacks, of one step unless told otherwise."""
    total = torch.zeros_like(x)
    for column in labels.unbind(1):
        attack = torchattacks.PGD(net, eps=eps, alpha=alpha, steps=steps, random_start=False)
        if targeted:
            attack.set_mode_targeted_by_label(quiet=True)
        total += attack(x, column) - x
    return (x + total.clamp(-eps, eps)).clamp(0, 1)


@pytest.mark.parametrize("targeted", [True, False])
@pytest.mark.parametrize("count", [1, 4, 9])
def test_equals_separate_one_step_attacks(photos: Dataset, targeted: bool, count: int) -> None:
    net = load_model("digits-resnet-mixup").double()  # any real network will do; its gradients are not zero here
    x = photos.images[:16].double() * 0.9 + 0.05  # torchattacks clamps each step to [0, 1]; the paper only the sum
    labels = torch.rand(16, 10, generator=torch.Generator().manual_seed(0)).argsort(1)[:, :count]
    expected = straightforward(net, x, labels, targeted=targeted, eps=8 / 255, alpha=4 / 255)
    defence = Counteraction(net, num_labels=count, targeted=targeted)
    found = defence.apply(x, labels)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
    assert (found - x).abs().max() > 3 / 255


@pytest.mark.parametrize("targeted", [True, False])
def test_several_steps_equal_separate_attacks_of_several_steps(photos: Dataset, targeted: bool) -> None:
    net = load_model("digits-resnet-mixup").double()
    x = photos.images[:16].double() * 0.9 + 0.05
    labels = torch.rand(16, 10, generator=torch.Generator().manual_seed(0)).argsort(1)[:, :4]
    expected = straightforward(net, x, labels, targeted=targeted, eps=8 / 255, alpha=3 / 255, steps=4)
    defence = Counteraction(net, num_labels=4, targeted=targeted, eps_step=3 / 255, steps=4)
    found = defence.apply(x, labels)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
    one = Counteraction(net, num_labels=4, targeted=targeted, eps_step=3 / 255).apply(x, labels)
    assert (found - one).abs().max() > 3 / 255
    assert (found - x).abs().max() <= 8 / 255 + 1e-9


def test_one_step_after_the_other_of_all_labels_at_once(net: nn.Module, x: Tensor) -> None:
    labels = torch.arange(10).expand(len(x), 10)[:, 2:7]
    options: dict[str, Any] = {"num_labels": 5, "combine": "sign-of-sum", "eps": 1.0, "eps_step": 0.001}
    first = Counteraction(net, **options).apply(x, labels)
    second = Counteraction(net, **options).apply(first, labels)
    torch.testing.assert_close(Counteraction(net, **options, steps=2).apply(x, labels), second)


@pytest.mark.parametrize(
    ("options", "passes"),
    [({}, 10), ({"combine": "sign-of-sum"}, 2), ({"steps": 3}, 1 + 9 * 6), ({"steps": 3, "combine": "sign-of-sum"}, 7)],
)
def test_the_cost_is_what_the_network_is_asked(options: dict[str, Any], passes: int, x: Tensor) -> None:
    net, asked = TinyNet().eval(), [0, 0]
    net.register_forward_hook(lambda *_: asked.__setitem__(0, asked[0] + 1))
    net.register_full_backward_hook(lambda *_: asked.__setitem__(1, asked[1] + 1))
    defence = Counteraction(net, **options)
    labels = torch.arange(10).expand(len(x), 10)[:, :9]
    defence.perturbation(x, labels)
    assert defence.passes == sum(asked) == passes


def test_the_whole_defence_equals_separate_attacks_on_the_labels_it_must_have_drawn(photos: Dataset) -> None:
    """With nine of ten labels, all but the predicted one, chance is out of the game."""
    net = load_model("digits-resnet-mixup").double()
    x = photos.images[:16].double() * 0.9 + 0.05
    predicted = net(x).argmax(1)
    labels = torch.stack([torch.tensor([c for c in range(10) if c != p]) for p in predicted.tolist()])
    expected = straightforward(net, x, labels, targeted=True, eps=8 / 255, alpha=4 / 255)
    found, _ = Counteraction(net).forward(x)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_labels_are_drawn_from_the_others_without_replacement(net: nn.Module, x: Tensor) -> None:
    defence = Counteraction(net, num_labels=3)
    predicted = net(x).argmax(1)
    keys = torch.arange(4000)
    order = defence.draw(keys, x[:1], None)
    chosen = defence._choose(order, predicted[:1].expand(4000))
    assert chosen.shape == (4000, 3)
    assert all(len(set(row)) == 3 for row in chosen[:200].tolist())
    counts = torch.bincount(chosen.flatten(), minlength=10)
    assert counts[predicted[0]] == 0
    others = torch.cat([counts[: predicted[0]], counts[predicted[0] + 1 :]])
    assert (others / 12000 - 1 / 9).abs().max() < 0.015


def test_all_labels_include_the_predicted_one(net: nn.Module, x: Tensor) -> None:
    order = Counteraction(net, num_labels=10, labels="all").draw(torch.arange(5), x[:5], None)
    chosen = Counteraction(net, num_labels=10, labels="all")._choose(order, net(x[:5]).argmax(1))
    assert torch.equal(chosen.sort(1).values, torch.arange(10).expand(5, 10))


def test_targeted_is_minus_untargeted_before_the_pixel_clamp(net: nn.Module, x: Tensor) -> None:
    labels = torch.arange(10).expand(len(x), 10)[:, 2:7]
    towards = Counteraction(net, num_labels=5, targeted=True).perturbation(x, labels)
    away = Counteraction(net, num_labels=5, targeted=False).perturbation(x, labels)
    assert torch.equal(towards, -away)
    assert towards.abs().max() > 0


def test_the_sum_is_clamped_to_eps_and_the_pixels_to_clip_values(net: nn.Module, digits: Dataset) -> None:
    x = digits.images[:6]  # strokes at 1, ground at 0: both ends bite
    defence = Counteraction(net, eps=5 / 255, eps_step=2 / 255)
    perturbation = defence.perturbation(x, torch.arange(10).expand(6, 10))
    assert perturbation.abs().max() == pytest.approx(5 / 255)
    found, _ = defence.forward(x)
    assert [found.min(), found.max()] == [0, 1]
    free, _ = Counteraction(net, eps=5 / 255, eps_step=2 / 255, clip_values=None).forward(x)
    assert free.min() < 0
    assert torch.equal(free.clamp(0, 1), found)


def test_sign_of_sum(net: nn.Module, x: Tensor) -> None:
    labels = torch.arange(10).expand(len(x), 10)[:, :4]
    one = [Counteraction(net, num_labels=1, combine=c).perturbation(x, labels[:, :1]) for c in
           ("sum-of-signs", "sign-of-sum")]  # fmt: skip
    assert torch.equal(*one)
    defence = Counteraction(net, num_labels=4, combine="sign-of-sum", eps=1.0, eps_step=0.01)
    received = x.clone().requires_grad_()
    loss = sum(
        (F.cross_entropy(net(received), column, reduction="sum") for column in labels.unbind(1)), torch.zeros(())
    )
    (gradient,) = torch.autograd.grad(loss, received)
    torch.testing.assert_close(defence.perturbation(x, labels), -4 * 0.01 * gradient.sign())


def test_the_gradient_passes_through_as_the_identity(net: nn.Module, digits: Dataset) -> None:
    """The trap: with x attached inside the sum the factor is 1 - N; with the pixel clamp attached, zero at the ends."""
    x = digits.images[:4].clone().requires_grad_()
    found, _ = Counteraction(net).forward(x)
    weights = torch.linspace(-1, 1, x.numel()).view_as(x)
    (gradient,) = torch.autograd.grad((found * weights).sum(), x)
    assert torch.equal(gradient, weights)


def test_an_input_that_needs_no_gradient_gets_none(net: nn.Module, x: Tensor) -> None:
    found, _ = Counteraction(net).forward(x)
    assert not found.requires_grad


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_it_works_in_any_gradient_mode(net: nn.Module, x: Tensor, context: Any) -> None:
    expected, _ = Counteraction(net).forward(x)
    with context():
        before = torch.is_grad_enabled()
        found, _ = Counteraction(net).forward(x.clone())
        assert torch.is_grad_enabled() == before
    assert torch.equal(found, expected)


def test_the_network_is_left_as_it_was_found(x: Tensor) -> None:
    net = TinyNet()
    net.train()
    net.norm.eval()
    net.head.weight.requires_grad_(False)
    net.conv.weight.grad = torch.ones_like(net.conv.weight)
    state = {name: value.clone() for name, value in net.state_dict().items()}
    Counteraction(net).forward(x)
    assert [m.training for m in (net, net.conv, net.norm, net.head)] == [True, True, False, True]
    assert [p.requires_grad for p in net.parameters()] == [p is not net.head.weight for p in net.parameters()]
    assert torch.equal(net.conv.weight.grad, torch.ones_like(net.conv.weight))
    assert net.norm.weight.grad is None
    assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())


def test_the_network_is_left_as_it_was_found_also_after_an_error(x: Tensor) -> None:
    net = TinyNet().train()
    with pytest.raises(RuntimeError):
        Counteraction(net).forward(x[:, :2])
    assert net.training
    assert net.norm.training
    assert net.head.weight.requires_grad


def test_batch_statistics_are_not_used(x: Tensor) -> None:
    net = TinyNet().train()
    whole, _ = Counteraction(net).forward(x)
    alone, _ = Counteraction(net).forward(x[:1])
    torch.testing.assert_close(whole[:1], alone)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"eps": -1}, "eps must be a number from 0 to 1, the width of clip_values, found -1"),
        ({"eps_step": float("nan")}, "eps_step must be"),
        ({"num_labels": 0}, "num_labels must be an integer of at least 1, found 0"),
        ({"num_labels": 2.0}, "num_labels must be"),
        ({"steps": 0}, "steps must be an integer of at least 1, found 0"),
        ({"labels": "others"}, "labels must be 'non-predicted' or 'all', found 'others'"),
        ({"combine": "mean"}, "combine must be"),
    ],
)
def test_wrong_arguments(net: nn.Module, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Counteraction(net, **arguments)


def test_what_is_not_a_network() -> None:
    with pytest.raises(ValueError, match=r"model must be a torch\.nn\.Module.*found function"):
        Counteraction(lambda x: x)  # type: ignore[arg-type]


def test_more_labels_than_there_are(net: nn.Module, x: Tensor) -> None:
    with pytest.raises(ValueError, match="num_labels is 10, but labels='non-predicted' leaves only 9"):
        Counteraction(net, num_labels=10).forward(x)
    with pytest.raises(ValueError, match="num_labels is 11, but labels='all' leaves only 10"):
        Counteraction(net, num_labels=11, labels="all").forward(x)


def test_a_network_that_does_not_classify(x: Tensor) -> None:
    with pytest.raises(ValueError, match=r"model must return logits of shape \(1, classes\)"):
        Counteraction(nn.Conv2d(3, 10, 3)).forward(x)


def test_set_params_of_the_network_counts_its_labels_anew(net: nn.Module, x: Tensor) -> None:
    defence = Counteraction(net)
    defence.forward(x)
    defence.set_params(model=TinyNet(5).eval())
    with pytest.raises(ValueError, match="leaves only 4"):
        defence.forward(x)
    defence.set_params(num_labels=4)
    defence.forward(x)


def test_a_network_that_writes_into_its_input_leaves_the_callers_alone(x: Tensor) -> None:
    class InPlace(TinyNet):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x.sub_(0.5).div_(0.25))

    class Clean(TinyNet):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x.sub(0.5).div(0.25))

    before, pool = x.clone(), (torch.rand(6, 3, 32, 32), torch.arange(6))
    for kind in (Counteraction, Hedge, AntiAdversary, Counterattack, EnergyDescent, MixupInference):
        more = pool if kind is MixupInference else ()
        writing, clean = (kind(net().eval(), *more, seed=0) for net in (InPlace, Clean))
        assert torch.equal(writing.forward(x)[0], clean.forward(x)[0])
        assert torch.equal(x, before)


@pytest.mark.parametrize("value", ["untargeted", 1, None])
def test_targeted_is_true_or_false(net: nn.Module, value: object) -> None:
    with pytest.raises(ValueError, match="targeted must be True or False, found"):
        Counteraction(net, targeted=value)  # type: ignore[arg-type]
