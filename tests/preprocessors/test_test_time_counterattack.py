"""The test-time counterattack against its definition, image by image, and the features that it asks for."""

from __future__ import annotations

import threading
from collections import OrderedDict

import pytest
import torch
from networks import TinyNet
from torch import Tensor, nn

from counteract import TestTimeCounterattack as Counterattack
from counteract import load_model
from counteract._precision import in_precision
from counteract.models import PreparedNetwork

KEYS = torch.arange(6)


def features_of(net: TinyNet, image: Tensor) -> Tensor:
    """The features of one image, written out."""
    pooled = nn.functional.adaptive_avg_pool2d(torch.tanh(net.norm(net.conv(image[None]))), 4)
    return pooled.flatten()


def by_hand(net: TinyNet, image: Tensor, noise: Tensor, tau: float, beta: float, steps: int) -> Tensor:
    """One image with its counterattack."""
    original = features_of(net, image).detach()
    deltas = [torch.max(torch.min(noise, 1 - image), -image)]
    for _ in range(steps):
        delta = deltas[-1].clone().requires_grad_()
        distance = ((features_of(net, image + delta) - original) ** 2).sum()
        (gradient,) = torch.autograd.grad(distance, delta)
        delta = (delta.detach() + 0.02 * gradient.sign()).clamp(-0.05, 0.05)
        deltas.append(torch.max(torch.min(delta, 1 - image), -image))
    noisy = features_of(net, image + deltas[0]).detach()
    if not float((noisy - original).norm() / original.norm()) < tau:
        return image + deltas[0]
    weights = [float(torch.tensor(beta * k, dtype=torch.float64).exp()) for k in range(steps + 1)]
    total = sum((weight * delta for weight, delta in zip(weights, deltas, strict=True)), torch.zeros_like(image))
    return image + total / sum(weights)


def moves(net: TinyNet, x: Tensor, noise: Tensor) -> list[float]:
    """The relative changes of the features of images under noise."""
    found = []
    for image, each in zip(x, noise, strict=True):
        original, noisy = (features_of(net, given).detach() for given in (image, (image + each).clamp(0, 1)))
        found.append(float((noisy - original).norm() / original.norm()))
    return found


@pytest.mark.parametrize("steps", [1, 3])
def test_it_moves_the_features_of_stable_images_and_adds_noise_to_others(steps: int, net: TinyNet, x: Tensor) -> None:
    net, x = net.double(), ((x.double() - 0.2) / 0.6)  # with pixels at both ends of the range
    drawn = torch.rand(x.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1
    noise = 0.05 * drawn
    tau = sum(sorted(moves(net, x, noise))[2:4]) / 2  # three of six are below
    defence = Counterattack(net, eps=0.05, eps_step=0.02, steps=steps, tau=tau, beta=1.5)
    found = defence.apply(x, drawn)
    expected = torch.stack([by_hand(net, *each, tau, 1.5, steps) for each in zip(x, noise, strict=True)])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    attacked = (found - (x + noise).clamp(0, 1)).abs().amax((1, 2, 3)) > 1e-9
    assert int(attacked.sum()) == 3


def test_the_noise_is_uniform_and_an_images_own(net: nn.Module, x: Tensor) -> None:
    defence = Counterattack(net)
    drawn = defence.draw(KEYS, x, None)
    assert -1 <= drawn.min() < -0.999 < 0.999 < drawn.max() <= 1
    assert float(drawn.var()) == pytest.approx(1 / 3, abs=0.02)
    assert torch.equal(defence.draw(KEYS[3:4], x[3:4], None), drawn[3:4])
    together = defence.sample(x, KEYS)
    alone = torch.cat([defence.sample(x[row : row + 1], KEYS[row : row + 1]) for row in range(6)])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-6)


class Branching(TinyNet):
    """A network whose last linear layer in order is not the last that it calls, and one that returns a tuple."""

    def __init__(self) -> None:
        super().__init__()
        self.before = nn.Linear(96, 96, bias=False)
        self.before.weight.data = torch.eye(96)
        self.paired = nn.Identity()
        self.paired.register_forward_hook(lambda module, given, made: (made, None))

    def forward(self, x: Tensor) -> Tensor:
        features = nn.functional.adaptive_avg_pool2d(torch.tanh(self.norm(self.conv(x))), 4).flatten(1)
        logits: Tensor = self.head(self.before(self.paired(features)[0]))
        return logits


def test_features_are_what_the_last_linear_layer_reads_or_a_named_module_returns(net: TinyNet, x: Tensor) -> None:
    branching = Branching().eval()
    expected = Counterattack(net).sample(x, KEYS)
    torch.testing.assert_close(Counterattack(branching).sample(x, KEYS), expected)
    torch.testing.assert_close(Counterattack(branching, features="before").sample(x, KEYS), expected)
    torch.testing.assert_close(Counterattack(branching, features="paired").sample(x, KEYS), expected)
    assert not torch.allclose(Counterattack(branching, features="conv", tau=9.0).sample(x, KEYS), expected)
    assert not branching.before._forward_pre_hooks
    assert len(branching.paired._forward_hooks) == 1


def test_a_named_module_is_the_networks_own_and_not_one_of_the_faster_copy(x: Tensor) -> None:
    """Folding batch normalisation into a convolution changes what that returns."""
    network = load_model("digits-resnet-mixup")
    name = next(name for name, module in network.named_modules() if isinstance(module, nn.Conv2d))
    module = network.get_submodule(name)
    kept: list[Tensor] = []
    handle = module.register_forward_hook(lambda module, given, made: kept.append(made.detach()))
    Counterattack(network, features=name).sample(x, KEYS)
    handle.remove()
    assert kept


def test_another_thread_on_the_same_network_does_not_disturb_it(net: TinyNet, x: Tensor) -> None:
    defence = Counterattack(net, steps=8)
    expected = defence.sample(x, KEYS)
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            net(torch.rand(6, 3, 32, 32))

    other = threading.Thread(target=ask)
    other.start()
    found = [defence.sample(x, KEYS) for _ in range(5)]
    stop.set()
    other.join()
    for each in found:
        torch.testing.assert_close(each, expected)


class Gated(nn.Module):
    """A network whose linear layer weighs channels, and whose answer is a convolution's."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.head = nn.Linear(3, 3), nn.Conv2d(3, 10, 1)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(x * self.gate(x.mean((2, 3))).sigmoid()[..., None, None]).mean((2, 3))
        return logits


class Mirrored(nn.Module):
    """A network that asks its linear layer about images and their mirror images, all at once."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3072, 10)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(torch.cat([x, x.flip(3)]).flatten(1)).unflatten(0, (2, -1)).mean(0)
        return logits


@pytest.mark.parametrize(
    ("network", "features", "match"),
    [
        (TinyNet(), "hed", r"the name of one module of the network \(conv, norm, head\), found 'hed'$"),
        (nn.ModuleDict({"a": TinyNet(), "b": TinyNet()}), "norm", r"the network \(a.norm, b.norm\), found 'norm'$"),
        (nn.Sequential(nn.Conv2d(3, 10, 32), nn.Flatten()), None, "must name .* the last layer it calls is a Conv2d$"),
        (Gated(), None, "must name .* the last layer it calls is a Conv2d$"),
        (nn.Sequential(nn.Flatten(), nn.BatchNorm1d(3072)), None, "must name .* it calls no layer$"),
        (nn.Sequential(nn.Flatten(0), nn.Unflatten(0, (-1, 3072)), nn.Linear(3072, 10)), "0", r"0 is .* \(3072,\) for"),
        (Mirrored(), None, r"what its last torch.nn.Linear reads is a tensor of shape \(2, 3072\) for a batch of 1$"),
    ],
)
def test_a_network_without_such_features(network: nn.Module, features: str | None, match: str, x: Tensor) -> None:
    with pytest.raises(ValueError, match=match):
        Counterattack(network, features=features).look(x)


def test_a_module_may_be_named_by_the_end_of_its_path(net: TinyNet, x: Tensor) -> None:
    """Networks come in wrappers: that of a library's, and that of another precision."""
    expected = Counterattack(net, features="norm").sample(x, KEYS)
    twice = nn.Sequential(OrderedDict(outer=nn.Sequential(OrderedDict(net=net, norm=nn.Identity()))))
    assert torch.equal(Counterattack(nn.Sequential(net), features="norm").sample(x, KEYS), expected)
    assert torch.equal(Counterattack(twice, features="net.norm").sample(x, KEYS), expected)
    assert not torch.equal(Counterattack(twice, features="outer.norm").sample(x, KEYS), expected)
    narrow = in_precision(PreparedNetwork(net, [0.0] * 3, [1.0] * 3), "bf16")
    torch.testing.assert_close(Counterattack(narrow, features="norm").sample(x, KEYS), expected, rtol=0, atol=0.04)


@pytest.mark.parametrize(
    "options", [{"eps": -1}, {"eps_step": 2}, {"steps": 0}, {"tau": -0.1}, {"beta": "2"}, {"features": 3}]
)
def test_wrong_arguments(net: nn.Module, options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=f"^{next(iter(options))} must be"):
        Counterattack(net, **options)  # type: ignore[arg-type]


def test_fewer_steps(net: nn.Module) -> None:
    defence = Counterattack(net, steps=5, tau=0.3, beta=1.0, features="conv")
    fewer = defence.with_fewer_steps(2)
    assert (fewer.steps, fewer.tau, fewer.beta, fewer.features) == (2, 0.3, 1.0, "conv")
    assert (fewer.passes, defence.with_fewer_steps(9).steps) == (5, 5)
    assert defence.describe() == "eps 4/255, eps_step 1/255, steps 5, tau 0.3, beta 1, features conv"
    assert Counterattack(net).describe().endswith("beta 2, features: the last linear layer's input")
