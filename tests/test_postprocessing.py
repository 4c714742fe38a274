"""Postprocessors: the scores that are handed out, and the gradient of the network behind them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from art.defences.postprocessor import ClassLabels, GaussianNoise, HighConfidence, ReverseSigmoid, Rounded
from art.defences.postprocessor.postprocessor import Postprocessor
from torch import Tensor, nn

from counteract import DefendedModule, RandomRotation
from counteract.postprocessing import Postprocessing, postprocess_all

KEYS = torch.arange(6)
Array = npt.NDArray[Any]


class Own(Postprocessor):  # type: ignore[misc]
    """A stranger's, of whatever function."""

    def __init__(self, function: Any, apply_predict: bool = True) -> None:
        super().__init__(is_fitted=True, apply_fit=False, apply_predict=apply_predict)
        self.function = function

    def __call__(self, preds: Array) -> Any:
        return self.function(preds)


@pytest.mark.parametrize("made", [ReverseSigmoid(), Rounded(2), HighConfidence(0.3), ClassLabels()])
def test_scores_are_arts_own_row_by_row_and_the_gradient_is_the_networks(
    made: Postprocessor, net: nn.Module, x: Tensor
) -> None:
    module = DefendedModule(net, postprocessing_defences=[made])
    probabilities = net(x).softmax(1).detach().numpy()
    wanted = np.concatenate([made(row[None]) for row in probabilities])
    torch.testing.assert_close(module(x, KEYS).exp(), torch.from_numpy(wanted), rtol=1e-4, atol=1e-6)
    points = x.clone().requires_grad_()
    (found,) = torch.autograd.grad(module(points, KEYS)[:, 0].sum(), points)
    (behind,) = torch.autograd.grad(net(points).log_softmax(1)[:, 0].sum(), points)
    torch.testing.assert_close(found, behind)


def test_noise_is_drawn_by_keys(net: nn.Module, x: Tensor) -> None:
    module = DefendedModule(net, postprocessing_defences=[GaussianNoise(scale=0.5)])
    whole = module(x, KEYS)
    torch.testing.assert_close(module(x[2:4], KEYS[2:4]), whole[2:4])
    assert not torch.equal(module(x, KEYS + 6), whole)
    assert torch.equal(module.classify(x, KEYS)[0], whole.argmax(1))


def test_it_comes_after_averaging_and_in_order(net: nn.Module, x: Tensor) -> None:
    averaged = DefendedModule(net, transforms=[RandomRotation()], executions=3)
    hidden = DefendedModule(
        net, transforms=[RandomRotation()], executions=3, postprocessing_defences=[Rounded(1), Own(lambda p: 1 - p)]
    )
    rounded = (averaged(x, KEYS).exp() * 10).round() / 10
    torch.testing.assert_close(hidden(x, KEYS).exp(), 1 - rounded, rtol=1e-4, atol=1e-5)
    assert torch.equal(hidden.classify(x, KEYS)[0], (1 - rounded).argmax(1))


def test_scores_that_are_all_the_same_name_no_class(net: nn.Module, x: Tensor) -> None:
    module = DefendedModule(net, postprocessing_defences=[HighConfidence(0.999)])
    assert module.classify(x)[0].tolist() == [-1] * 6


def test_parameters_in_words() -> None:
    assert Postprocessing(Rounded(2)).describe() == "decimals 2, on probabilities, the identity for a gradient (BPDA)"


@pytest.mark.parametrize("made", [lambda p: p[:1], lambda p: "scores", lambda p: p[:, :3]])
def test_what_it_returns_is_checked(made: Any, net: nn.Module, x: Tensor) -> None:
    with pytest.raises(ValueError, match=r"defence Own must return scores of shape \(\d, 10\)"):
        DefendedModule(net, postprocessing_defences=[Own(made)])(x)


def test_what_is_no_postprocessor_or_acts_in_training_only_is_refused() -> None:
    with pytest.raises(ValueError, match="postprocessor must be one of ART's or a subclass"):
        postprocess_all([nn.Identity()])
    with pytest.raises(ValueError, match="defence Own acts in training only"):
        postprocess_all(Own(lambda p: p, apply_predict=False))
    with pytest.raises(ValueError, match=r"defence Own is not made: let its __init__ call super\(\).__init__\("):
        postprocess_all(Own.__new__(Own))


@pytest.mark.parametrize(
    "function",
    [
        lambda p: np.round(np.log(p + 1e-9), 2),
        lambda p: p - 1,
        lambda p: np.log(np.where(p < p.max(1)[:, None], 0, p)),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_scores_without_logarithms_keep_their_order(function: Any, net: nn.Module, x: Tensor) -> None:
    module = DefendedModule(net, postprocessing_defences=[Own(function)])
    own = torch.from_numpy(function(net(x).softmax(1).numpy(force=True)))
    scores = module(x, KEYS)
    assert scores.isfinite().all()
    assert torch.equal(module.classify(x, KEYS)[0], own.argmax(1))
    assert (scores.gather(1, own.argsort(1)).diff() >= 0).all()
