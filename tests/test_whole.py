"""Whole defended networks of strangers: they are asked, with keys if they take them, and not taken apart."""

from __future__ import annotations

import pytest
import torch
from networks import TinyNet
from torch import Tensor, nn

from counteract import _random
from counteract.whole import Patched, WholeModule, whole_module

KEYS = torch.arange(6)


class Keyed(nn.Module):
    """Noise of keys."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor, keys: Tensor) -> Tensor:
        out: Tensor = self.net(x + 0.1 * _random.normal(keys, x.shape[1:]))
        return out


class Sure(nn.Module):
    """Certain answers of which some are not finite."""

    def forward(self, x: Tensor) -> Tensor:
        answers = torch.eye(10)[: len(x)].clone()
        answers[1, 2] = torch.nan
        answers[2, 3] = torch.inf
        return answers


def test_logits_log_probabilities_and_probabilities(net: TinyNet, x: Tensor) -> None:
    expected = net(x).log_softmax(1)
    for last in (nn.Identity(), nn.LogSoftmax(1), nn.Softmax(1)):
        module = whole_module(nn.Sequential(net, last).eval(), x[:2])
        assert module.probabilities == isinstance(last, nn.Softmax)
        torch.testing.assert_close(module(x, KEYS), expected)
        labels, executions = module.classify(x, KEYS)
        assert torch.equal(labels, net(x).argmax(1))
        assert executions.tolist() == [1] * 6
    assert (module.executions, module.training) == (1, False)


def test_probabilities_that_underflow_are_exact(net: TinyNet, x: Tensor) -> None:
    class Sharp(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = 100 * net(x)
            return logits.softmax(1)

    points = x.clone().requires_grad_()
    found, expected = WholeModule(Sharp(), probabilities=True)(points), (100 * net(points)).log_softmax(1)
    assert expected.min() < -200
    torch.testing.assert_close(found, expected)
    gradients = [torch.autograd.grad((logs[:, 2] - logs[:, 4]).sum(), points)[0] for logs in (found, expected)]
    torch.testing.assert_close(*gradients)


def test_keys_are_passed_to_whoever_takes_them(net: TinyNet, x: Tensor) -> None:
    module = whole_module(Keyed(net), x[:2])
    assert module.keyed
    assert torch.equal(module(x, KEYS), module(x, KEYS))
    torch.testing.assert_close(module(x, KEYS)[2:], module(x[2:], KEYS[2:]))
    assert not torch.equal(module(x, KEYS), module(x, KEYS + 6))
    assert not torch.equal(module(x), module(x))
    assert not whole_module(net, x[:2]).keyed


def test_answers_that_are_not_finite_have_no_label(x: Tensor) -> None:
    assert WholeModule(Sure()).classify(x)[0].tolist() == [0, -1, -1, 3, 4, 5]


def test_no_network_writes_into_the_callers_images(net: TinyNet, x: Tensor) -> None:
    class Greedy(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = net(x.sub_(0.5))
            return out

    before, points = x.clone(), x.clone().requires_grad_()
    WholeModule(Greedy()).classify(x)
    assert torch.equal(x, before)
    (gradient,) = torch.autograd.grad(WholeModule(Greedy())(points).sum(), points)
    assert gradient.abs().sum() > 0


def test_probabilities_that_log_does_not_tell_apart_keep_their_winner(x: Tensor) -> None:
    answers = torch.full((1, 4), 0.2499)
    answers[0, 3] = torch.nextafter(answers[0, 3], torch.tensor(1.0))
    assert int(answers.log().argmax(1)) == 0  # else this is no test

    class Close(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return answers.expand(len(x), 4)

    module = WholeModule(Close(), probabilities=True)
    assert module(x).argmax(1).tolist() == [3] * 6


def test_another_gradient_stands_in_at_the_images_that_have_none(net: TinyNet, x: Tensor) -> None:
    class Partly(nn.Module):
        """The logarithm of zero at one image, constant answers at another."""

        def forward(self, x: Tensor) -> Tensor:
            scale = torch.tensor([1.0, 1e6, 1.0, 0.0, 1.0, 1.0])[: len(x)].unsqueeze(1)
            answers: Tensor = (scale * net(x)).softmax(1).log()
            return answers

    other = nn.Sequential(nn.Conv2d(3, 2, 5), nn.Tanh(), nn.Flatten(), nn.Linear(2 * 28 * 28, 10))
    whole, weights = WholeModule(Partly()), torch.arange(10.0)
    patched = Patched(whole, other)

    def slope(network: nn.Module, *more: Tensor) -> Tensor:
        points = x.clone().requires_grad_()
        (found,) = torch.autograd.grad((network(points, *more) * weights).sum(), points)
        return found

    assert torch.equal(patched(x, KEYS), whole(x, KEYS))
    own, found = slope(whole, KEYS), slope(patched, KEYS)
    others = slope(nn.Sequential(other, nn.LogSoftmax(1)))
    assert own[1].isnan().all()
    assert not own[3].any()
    torch.testing.assert_close(found[[0, 2, 4, 5]], own[[0, 2, 4, 5]])
    torch.testing.assert_close(found[3], others[3])
    assert found[1].isfinite().all()
    assert found[1].any()


def test_mistakes(x: Tensor) -> None:
    with pytest.raises(ValueError, match=r"must be a torch.nn.Module .*found str"):
        whole_module("net", x)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"model Flatten must return logits of shape|model Flatten"):
        whole_module(nn.Flatten(0), x)
    with pytest.raises(ValueError, match="outside clip_values"):
        WholeModule(TinyNet())(255 * x)
