"""The survey of a network: what it is, what it must not be, and that it is left as it was found."""

from __future__ import annotations

import copy
from collections.abc import Callable
from random import Random

import pytest
import torch
from networks import FailingBackward, TinyNet
from torch import Tensor, nn
from torch.nn import functional as F

from counteract._errors import UserError
from counteract.datasets import Dataset
from counteract.models.survey import Slopes, probe_images, survey

IMAGES = torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))

Through = Callable[[nn.Module, Tensor], object]


class Net(nn.Module):
    """A network with something around it."""

    def __init__(self, through: Through, net: nn.Module | None = None) -> None:
        super().__init__()
        self.net, self.through = net or TinyNet(), through
        self.eval()

    def forward(self, x: Tensor) -> object:
        return self.through(self.net, x)


def half_blind(net: nn.Module, x: Tensor) -> Tensor:
    """A gradient at bright images alone."""
    bright = x.mean((1, 2, 3), keepdim=True) > 0.5
    out: Tensor = net(torch.where(bright, x, x.detach()))
    return out


@pytest.mark.parametrize(
    ("through", "slopes"),
    [
        (lambda net, x: net(x), Slopes(8)),
        (lambda net, x: net(x.sub_(0.5)), Slopes(8)),
        (lambda net, x: net((8 * x).round() / 8), Slopes(8, zero=8)),
        (lambda net, x: net(x.detach()).detach(), Slopes(8, failure="none at all")),
        (lambda net, x: net(x.numpy()), None),
        (lambda net, x: net(x) * (x - x.detach()).sum((1, 2, 3)).sqrt().unsqueeze(1).add(1), Slopes(8, broken=8)),
    ],
)
def test_gradients(through: Through, slopes: Slopes | None) -> None:
    if slopes is None:
        with pytest.raises(UserError, match="model net does not take images"):
            survey(Net(through), "net", IMAGES, 10)
        return
    found = survey(Net(through), "net", IMAGES, 10)
    assert found.slopes == slopes
    assert found.gradients == (slopes == Slopes(8))
    assert (found.classes, found.unkeyed, found.repeatable) == (10, False, True)
    assert any("no useful gradient" in note for note in found.notes()) != found.gradients


def test_a_gradient_that_most_images_lack_is_said_and_of_use() -> None:
    images = IMAGES * 0.9
    images[3] = 0.9
    found = survey(Net(half_blind), "net", images)
    assert found.slopes == Slopes(8, zero=7)
    assert found.gradients
    assert found.notes() == [
        "its gradient is zero on 7 of the 8 images that it was asked for: attacks with gradients may find less than "
        "there is"
    ]


def test_a_gradient_that_some_pixels_lack_is_said_and_of_use() -> None:
    black = IMAGES.where(IMAGES > 0.1, 0.0)
    found = survey(Net(lambda net, x: net(x.sqrt())), "net", black)
    assert found.slopes == Slopes(8, holes=8)
    assert found.gradients
    assert "its gradient is not finite in some pixels on 8 of the 8 images" in found.notes()[0]


def test_a_backward_pass_that_fails_is_no_gradient() -> None:
    found = survey(Net(lambda net, x: net(FailingBackward.apply(x, "layer"))), "net", IMAGES)
    assert not found.gradients
    assert found.notes() == ["it has no useful gradient ('layer'): attacks that need it were not run"]


def test_the_network_and_the_images_are_left_as_they_were() -> None:
    network, images = Net(lambda net, x: net(x.sub_(0.5))).train(), IMAGES.clone()
    inner = network.net
    assert isinstance(inner, TinyNet)
    inner.norm.eval()
    before, state = copy.deepcopy(network.state_dict()), torch.get_rng_state()
    survey(network, "net", images, 10)
    assert torch.equal(images, IMAGES)
    assert (network.training, inner.norm.training) == (True, False)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in network.parameters())
    assert torch.equal(torch.get_rng_state(), state)


class Stubborn(TinyNet):
    """A network that stays in training mode, and so moves the statistics of its BatchNorm whenever it is asked."""

    def forward(self, x: Tensor) -> Tensor:
        self.norm.training = True
        return super().forward(x)


def test_a_network_that_changes_when_it_is_asked_is_refused_unchanged() -> None:
    network = Stubborn()
    before = copy.deepcopy(network.state_dict())
    with pytest.raises(UserError, match="follows the batch size"):
        survey(network, "net", IMAGES)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def statistics_of_batches(net: nn.Module) -> nn.Module:
    """BatchNorm without running statistics, which normalises by the batch in eval mode too."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.track_running_stats, module.running_mean, module.running_var = False, None, None
    return net


def rolled_first(net: nn.Module, x: Tensor) -> Tensor:
    out: Tensor = net(x)
    return torch.cat([out[:1].roll(1, 1), out[1:]])


def rolled_beside_dark(net: nn.Module, x: Tensor) -> Tensor:
    """One image of many is answered otherwise, and only beside others."""
    out: Tensor = net(x)
    darkest = F.one_hot(x.mean((1, 2, 3)).argmin(), len(x)).bool() & (len(x) > 1)
    return torch.where(darkest.unsqueeze(1), out.roll(1, 1), out)


DEPENDENT: dict[str, Through] = {
    "batch statistics": lambda net, x: statistics_of_batches(net)(x),
    "the mean image": lambda net, x: net(x - 0.2 * x.mean(0, keepdim=True)),
    "the first of a batch": rolled_first,
    "the darkest of a batch": rolled_beside_dark,
    "the number of images": lambda net, x: net(x) * (1 + 1 / len(x)),
    "the neighbour": lambda net, x: net(x) + 0.1 * net(x).roll(1, 0),
    "the mean image, behind dropout": lambda net, x: net(F.dropout(x - 0.5 * x.mean(0, keepdim=True), 0.1)),
    "NaN alone": lambda net, x: net(x) * (1 if len(x) > 1 else torch.nan),
}


@pytest.mark.parametrize("kind", DEPENDENT)
def test_answers_that_follow_the_batch_are_refused(kind: str) -> None:
    with pytest.raises(
        UserError, match=r"model net answers otherwise .*: the accuracy follows the batch size"
    ) as error:
        survey(Net(DEPENDENT[kind]), "net", IMAGES, 10)
    assert len(str(error.value)) <= 300


def test_answers_to_few_images_are_compared_beside_others() -> None:
    """Of a single image, and of images that are all the same."""
    for images in (IMAGES[:1], torch.full((8, 3, 32, 32), 0.5)):
        for kind in ("batch statistics", "the mean image"):
            with pytest.raises(UserError, match="follows the batch size"):
                survey(Net(DEPENDENT[kind]), "net", images)


class InBfloat16(nn.Module):
    """A network that computes in bfloat16 behind parameters of float32."""

    def __init__(self) -> None:
        super().__init__()
        self.net = TinyNet().eval()

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            out: Tensor = self.net(x)
        return out.float().log_softmax(1)


@pytest.mark.parametrize(
    "network",
    [
        TinyNet().eval().half(),
        TinyNet().eval().bfloat16(),
        TinyNet().eval().double(),
        InBfloat16(),
        Net(lambda net, x: net(x) + 1e4),  # round-off of the offset
        Net(lambda net, x: net(x) + x.mean()),  # all classes alike: no probability follows the batch
        Net(lambda net, x: net(x) * 1e-6),
        Net(lambda net, x: 0 * net(x)),
    ],
    ids=["float16", "bfloat16", "float64", "autocast", "offset", "shared", "small", "constant"],
)
def test_round_off_is_no_batch_dependence(network: nn.Module) -> None:
    assert not survey(network.eval(), "net", IMAGES).unkeyed


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "through",
    [
        lambda net, x: net(F.dropout(x, 0.3)),
        lambda net, x: F.dropout(net(x), 0.5),
        lambda net, x: net(x * torch.rand(())),  # one draw for a batch
        lambda net, x: net(x).roll(int(torch.rand(()) < 0.1), 1),  # rarely
        lambda net, x: net(x) + torch.randn(len(x), 1).expm1() * torch.randn(10),
    ],
)
def test_a_random_network_is_not_taken_for_one_that_follows_the_batch(through: Through, seed: int) -> None:
    torch.manual_seed(seed)
    found = survey(Net(through), "net", torch.rand(8, 3, 32, 32))
    assert found.unkeyed
    assert found.repeatable
    assert "its draws follow the block" in found.notes()[0]


class Alternating(nn.Module):
    """A network whose answers depend on how often it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.net, self.times = TinyNet().eval(), 0

    def forward(self, x: Tensor) -> Tensor:
        self.times += 1
        out: Tensor = self.net(x * (1 + self.times % 2))
        return out


class Moody(nn.Module):
    """A network with a generator of its own, which answers the same question alike most of the time."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.net, self.draw = TinyNet().eval(), Random(seed).random

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.net(x * (2 if self.draw() < 0.3 else 1))
        return out


@pytest.mark.parametrize("network", [Alternating(), *map(Moody, range(4))])
def test_answers_that_do_not_repeat_are_said(network: nn.Module) -> None:
    assert "another run gives other figures" in survey(network, "net", IMAGES).notes()[0]


class Remembering(nn.Module):
    """A network that answers for what is like an image that it knows what it answered then."""

    def __init__(self) -> None:
        super().__init__()
        self.net, self.known = TinyNet().eval(), dict[bytes, Tensor]()

    def forward(self, x: Tensor) -> Tensor:
        likeness = [(image[:, ::8, ::8] > 0.5).numpy().tobytes() for image in x]
        return torch.cat([self.known.setdefault(*pair) for pair in zip(likeness, self.net(x).split(1), strict=True)])


def test_a_network_that_remembers_is_refused() -> None:
    with pytest.raises(UserError, match=r"model net answers otherwise once it was asked .* \(known\): the accuracy"):
        survey(Remembering(), "net", IMAGES)


def test_a_network_that_cannot_take_a_single_image_says_so() -> None:
    one = nn.Sequential(nn.Conv2d(3, 8, 32), nn.BatchNorm2d(8, track_running_stats=False), nn.Flatten())
    fixed = Net(lambda net, x: net(x).view(8, 10))
    for network in (one.eval(), fixed):
        with pytest.raises(UserError, match="model net takes 8 images together, and not 1: answers must not depend on"):
            survey(network, "net", IMAGES)


@pytest.mark.parametrize(
    ("through", "form"),
    [
        (lambda net, x: net(x), ""),
        (lambda net, x: net(x).squeeze(), "it leaves out the batch of a single image, which is put back"),
        (lambda net, x: (net(x), None), "it returns a tuple, of which the only part that can be logits is taken"),
        (lambda net, x: {"logits": net(x), "features": x}, "it returns a dict, of which 'logits' is taken"),
        (
            lambda net, x: [net(x).squeeze()],
            "it returns a list, of which the only part that can be logits is taken; "
            "it leaves out the batch of a single image, which is put back",
        ),
    ],
)
def test_what_is_done_to_answers_is_said(through: Through, form: str) -> None:
    found = survey(Net(through), "net", IMAGES, 10)
    assert found.notes() == ([form] if form else [])
    assert found.classes == 10


def test_the_precision_is_said() -> None:
    assert survey(TinyNet().eval().half(), "net", IMAGES).notes() == [
        "it computes in float16, to which its images are rounded"
    ]
    assert not survey(TinyNet().eval().double(), "net", IMAGES).notes()


class Keyed(nn.Module):
    """A whole defended network that draws from keys, and answers with probabilities."""

    def __init__(self) -> None:
        super().__init__()
        self.net = TinyNet().eval()

    def forward(self, x: Tensor, keys: Tensor) -> Tensor:
        out: Tensor = self.net(x * (1 - (keys % 3).view(-1, 1, 1, 1) / 10)).softmax(1)
        return out


def test_a_whole_module_is_asked_with_keys_and_may_return_probabilities() -> None:
    found = survey(Keyed(), "net", IMAGES, 10, whole=True, keyed=True)
    assert not found.unkeyed
    with pytest.raises(UserError, match="returns probabilities, not logits"):
        survey(Net(lambda net, x: net(x).softmax(1)), "net", IMAGES, 10)


def test_some_answers_may_be_no_numbers_and_not_all() -> None:
    dark = Net(lambda net, x: net(x) * (x.mean((1, 2, 3)) - 0.2).sqrt().unsqueeze(1))
    images = torch.cat([torch.full((2, 3, 32, 32), 0.1), IMAGES])
    assert survey(dark, "net", images[:4], 10).slopes == Slopes(6)
    with pytest.raises(UserError, match="model net returns NaN or infinite values for images of shape"):
        survey(Net(lambda net, x: net(x) * torch.nan), "net", IMAGES)


def test_probe_images_are_fixed_images() -> None:
    images = probe_images((1, 7, 9))
    assert images.shape == (8, 1, 7, 9)
    assert 0 <= float(images.min()) < float(images.max()) <= 1
    assert torch.equal(images, probe_images((1, 7, 9)))


def test_a_network_of_other_classes_is_refused() -> None:
    with pytest.raises(ValueError, match="model net has 10 outputs for 3 classes"):
        survey(TinyNet().eval(), "net", IMAGES, 3)


def test_the_shipped_networks_are_as_they_must_be(digits_net: nn.Module, digits: Dataset) -> None:
    assert survey(digits_net, "digits", digits.images[:8], 10).notes() == []


def test_scores_that_a_sigmoid_made_are_said(net: nn.Module) -> None:
    x = torch.rand(8, 3, 32, 32)
    said = "all of its scores lie between 0 and 1"
    assert said in " ".join(survey(nn.Sequential(net, nn.Sigmoid()), "mine", x).notes())
    for quiet in (net, nn.Sequential(net, nn.LogSoftmax(1))):
        assert said not in " ".join(survey(quiet, "mine", x).notes())
    assert said not in " ".join(survey(nn.Sequential(net, nn.Softmax(1)), "mine", x, whole=True).notes())


def test_gradients_of_its_own_that_a_network_cannot_have_are_named(net: nn.Module) -> None:
    class Adapting(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            net(x).sum().backward()
            return net(x)  # type: ignore[no-any-return]

    with pytest.raises(UserError, match=r"let it work in torch.enable_grad\(\), and call requires_grad_\(\)"):
        survey(Adapting(), "mine", torch.rand(8, 3, 32, 32))
