"""Facts that one forward pass tells about a stranger's network."""

from __future__ import annotations

import pytest
import torch
from networks import TinyNet
from torch import Tensor, nn

from counteract._errors import UserError
from counteract.models import LogProbabilities, check_network
from counteract.models.checks import are_probabilities, probe

IMAGES = probe((3, 32, 32))


class Returns(nn.Module):
    """A network that returns what it is told to."""

    def __init__(self, outputs: object, *, writes: bool = False) -> None:
        super().__init__()
        self.outputs, self.writes = outputs, writes

    def forward(self, x: Tensor) -> object:
        if self.writes:
            x.zero_()
        return self.outputs


def test_a_network_with_logits_passes_and_is_left_as_it_was() -> None:
    network = TinyNet().train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    check_network(network, "mine", IMAGES, 10)
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_a_network_of_another_dtype_passes(dtype: torch.dtype) -> None:
    check_network(TinyNet().to(dtype), "mine", IMAGES, 10)


def test_log_probabilities_pass() -> None:
    check_network(nn.Sequential(TinyNet(), nn.LogSoftmax(1)), "mine", IMAGES, 10)


def test_probabilities_are_noticed() -> None:
    with pytest.raises(UserError, match=r"model mine returns probabilities, not logits.*softmax"):
        check_network(nn.Sequential(TinyNet(), nn.Softmax(1)), "mine", IMAGES, 10)


def test_a_wrong_number_of_classes_is_noticed() -> None:
    with pytest.raises(UserError, match="model mine has 7 outputs for 10 classes"):
        check_network(TinyNet(classes=7), "mine", IMAGES, 10)
    check_network(TinyNet(classes=7), "mine", IMAGES)


def test_a_wrong_input_size_is_noticed() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 28 * 28, 10))
    with pytest.raises(UserError, match=r"model mine does not take images of shape \(3, 32, 32\): .*shapes"):
        check_network(network, "mine", IMAGES)


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ((torch.zeros(2, 10), torch.ones(2, 10)), "must return a tensor of logits, found a tuple"),
        (torch.zeros(2, 10, 1, 1), r"must return logits of shape \(2, classes\), found \(2, 10, 1, 1\)"),
        (torch.zeros(1, 10), r"found \(1, 10\)"),
        (torch.full((2, 10), float("nan")), "NaN or infinite"),
    ],
)
def test_other_outputs_are_named(outputs: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_network(Returns(outputs), "mine", IMAGES)


class Raises(nn.Module):
    """A network that fails in its own way."""

    def forward(self, x: Tensor) -> Tensor:
        raise KeyError("layer " + 300 * "x" + "\n")


def test_whatever_a_network_raises_is_one_line() -> None:
    with pytest.raises(UserError, match=r"model mine failed with KeyError: 'layer x") as error:
        check_network(Raises(), "mine", IMAGES)
    assert len(str(error.value)) <= 300
    assert "\n" not in str(error.value)


def test_answers_that_are_no_numbers_are_refused_where_all_are() -> None:
    some = torch.zeros(2, 10)
    some[0, 3] = float("nan")
    check_network(Returns(some), "mine", IMAGES, 10)


def test_images_are_not_written_into() -> None:
    images = IMAGES.clone()
    check_network(Returns(torch.zeros(2, 10), writes=True), "mine", images)
    assert torch.equal(images, IMAGES)


def test_something_else_is_no_network() -> None:
    with pytest.raises(UserError, match=r"model mine must be a torch\.nn\.Module"):
        check_network(lambda x: x, "mine", IMAGES)


def test_probabilities_are_told_from_logits() -> None:
    logits = TinyNet().eval()(IMAGES)
    assert are_probabilities(logits.softmax(1))
    assert not are_probabilities(logits)
    assert not are_probabilities(logits.abs())
    assert not are_probabilities(torch.tensor([[1.5, -0.5]]))
    assert are_probabilities(logits.softmax(1).bfloat16().float())
    assert are_probabilities(torch.tensor([[0.25, 0.75], [float("nan"), 1.0]]))
    assert not are_probabilities(torch.tensor([[float("nan"), 1.0]]))


def test_log_probabilities_restore_the_softmax() -> None:
    network = TinyNet().eval()
    repaired = LogProbabilities(nn.Sequential(network, nn.Softmax(1)).eval())
    assert not repaired.training
    torch.testing.assert_close(repaired(IMAGES).softmax(1), network(IMAGES).softmax(1))
    assert LogProbabilities(Returns(torch.tensor([[0.0, 1.0]])))(IMAGES[:1]).isfinite().all()


@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_logarithms_of_probabilities_are_exact(scale: float) -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = TinyNet().eval()

        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = scale * self.network(x)
            return logits.softmax(1)

    points, precise = IMAGES.clone().requires_grad_(), IMAGES.double().requires_grad_()
    found = LogProbabilities(Scaled().eval())(points)
    expected = (scale * TinyNet().eval().double()(precise)).log_softmax(1)
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-4 * scale)
    (gradient,), (right,) = (
        torch.autograd.grad((logs[:, 3] - logs[:, 5]).sum(), x) for logs, x in ((found, points), (expected, precise))
    )
    torch.testing.assert_close(gradient.double(), right, rtol=1e-3, atol=1e-4 * scale)
