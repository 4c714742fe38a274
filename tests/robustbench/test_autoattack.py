"""The `autoattack` that RobustBench sees: its answers are pyautoattack's, and a run that was interrupted goes on."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from counteract import Counteraction, DefendedModule, GaussianNoise
from counteract._errors import UserError

pytestmark = pytest.mark.usefixtures("zoo")

EPS = 0.02
ATTACKS = ["apgd-ce", "square"]


@pytest.fixture(scope="module")
def module(zoo: Any) -> Any:
    from counteract.robustbench import autoattack

    return autoattack


@pytest.fixture
def linear() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 10)).eval()


@pytest.fixture
def batch(linear: nn.Module) -> tuple[Tensor, Tensor]:
    """Twelve images that the network classifies right, a few of them robustly."""
    torch.manual_seed(1)
    images = torch.rand(12, 3, 8, 8)
    return images, linear(images).argmax(1)


def make(module: Any, network: nn.Module, **options: Any) -> Any:
    options = {"attacks_to_run": ATTACKS, "version": "custom"} | options
    made = module.AutoAttack(network, norm="Linf", eps=EPS, seed=0, **options)
    made.square.n_queries = 20
    made.apgd.n_iter = 10
    return made


def test_the_answers_are_those_of_pyautoattack(module: Any, linear: nn.Module, batch: tuple[Tensor, Tensor]) -> None:
    import pyautoattack

    own = make(module, linear).run_standard_evaluation(*batch, bs=5)
    other = pyautoattack.AutoAttack(linear, attacks=ATTACKS, norm="Linf", eps=EPS, seed=0, version="custom")
    other.square.n_queries = 20
    other.apgd.n_iter = 10
    expected, labels = other.run_standard_evaluation(*batch, batch_size=5)
    assert torch.equal(own, expected)
    assert 0 < (labels == batch[1]).sum() < 12  # some stand and some fall
    assert (own - batch[0]).abs().max() <= EPS + 1e-6
    both = make(module, linear).run_standard_evaluation(*batch, bs=5, return_labels=True)
    assert torch.equal(both[0], expected)
    assert torch.equal(both[1], labels)


def test_each_attack_alone(module: Any, linear: nn.Module, batch: tuple[Tensor, Tensor]) -> None:
    made = make(module, linear)
    found = made.run_standard_evaluation_individual(*batch)
    assert list(found) == made.attacks_to_run == ATTACKS
    assert not torch.equal(found["apgd-ce"], found["square"])


def test_reports_are_printed_and_logged(
    module: Any,
    linear: nn.Module,
    batch: tuple[Tensor, Tensor],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    log = tmp_path / "log.txt"
    logger = logging.getLogger("auto-attack")
    logger.propagate = True
    before = (logger.level, logger.propagate, list(logger.handlers))
    make(module, linear, log_path=log).run_standard_evaluation(*batch)
    printed = capsys.readouterr().out
    assert "robust accuracy after SQUARE" in printed
    assert log.read_text() == printed
    assert (logger.level, logger.propagate, list(logger.handlers)) == before
    make(module, linear, verbose=False).run_standard_evaluation(*batch)
    assert capsys.readouterr().out == ""


def test_a_defence_is_said_not_to_be_eligible(
    module: Any, linear: nn.Module, batch: tuple[Tensor, Tensor], capsys: pytest.CaptureFixture[str]
) -> None:
    make(module, DefendedModule(linear, transforms=[GaussianNoise()])).run_standard_evaluation(*batch)
    printed = capsys.readouterr().out
    assert module.NOT_ELIGIBLE in printed
    assert "not eligible for its leaderboard" in printed
    make(module, linear).run_standard_evaluation(*batch)
    assert "eligible" not in capsys.readouterr().out


def test_an_interrupted_run_goes_on(
    module: Any, linear: nn.Module, batch: tuple[Tensor, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state.json"
    interrupted = make(module, linear)

    def stop(*_: Any) -> Tensor:
        raise KeyboardInterrupt

    monkeypatch.setattr(interrupted.square, "perturb", stop)
    with pytest.raises(KeyboardInterrupt):
        interrupted.run_standard_evaluation(*batch, bs=5, state_path=path)
    saved = json.loads(path.read_text())
    assert saved["run_attacks"] == ["apgd-ce"]
    resumed = make(module, linear)
    monkeypatch.setattr(resumed.apgd, "perturb", stop)  # it has been run
    resumed.run_standard_evaluation(*batch, bs=5, state_path=str(path))
    whole = tmp_path / "whole.json"
    make(module, linear).run_standard_evaluation(*batch, bs=5, state_path=whole)
    assert json.loads(path.read_text()) == json.loads(whole.read_text())


def test_one_network_is_not_blamed_for_gradients_inside_of_another(module: Any, linear: nn.Module) -> None:
    images = torch.rand(4, 3, 8, 8)
    labels = linear(images).argmax(1)

    class Within(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            with torch.enable_grad():
                points = x.detach().requires_grad_()
                slope = torch.autograd.grad(linear(points).sum(), points)[0]
            return linear(x + 0.01 * slope)  # type: ignore[no-any-return]

    assert any("dynamic" in text for text in module.warnings_about(Within(), images, labels))
    assert not any("dynamic" in text for text in module.warnings_about(linear, images, labels))


def test_robustbench_can_average_the_flags_of_a_state(
    module: Any, linear: nn.Module, batch: tuple[Tensor, Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "state.json"
    _, labels = make(module, linear).run_standard_evaluation(*batch, return_labels=True, state_path=path)
    state = module.EvaluationState.from_disk(path)
    assert state.robust_flags.mean().item() == pytest.approx((labels == batch[1]).float().mean().item())
    assert state.robust_accuracy == pytest.approx(state.robust_flags.mean().item())
    assert state.clean_accuracy == 1


def test_a_state_of_another_run_is_refused(
    module: Any, linear: nn.Module, batch: tuple[Tensor, Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "state.json"
    make(module, linear).run_standard_evaluation(*batch, state_path=path)
    with pytest.raises(ValueError, match="different set of attacks"):
        make(module, linear, attacks_to_run=["square"]).run_standard_evaluation(*batch, state_path=path)
    path.write_text("{}")
    with pytest.raises(UserError, match="holds no state"):
        make(module, linear).run_standard_evaluation(*batch, state_path=path)


def test_a_network_in_training_is_left_as_it_was(module: Any, batch: tuple[Tensor, Tensor]) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.BatchNorm2d(3), nn.BatchNorm2d(3).eval(), nn.Flatten(), nn.Linear(3 * 8 * 8, 10))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with torch.no_grad():
        labels = nn.Sequential(*network).eval()(batch[0]).argmax(1)
    network[0].train()
    for each in (network, network[2], network[3]):
        each.training = True
    attack = make(module, network, attacks_to_run=["apgd-ce", "fab-t"])
    attack.fab.n_iter = 2
    attack.run_standard_evaluation(batch[0], labels)
    module.warnings_about(network, batch[0], labels)
    assert [each.training for each in network] == [True, False, True, True]
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in network.parameters())


class Odd(nn.Module):
    """A linear network that writes into its images, or returns a tuple, or has no answer to the first image's like."""

    def __init__(self, linear: nn.Module, kind: str, first: Tensor) -> None:
        super().__init__()
        self.linear, self.kind, self.first = linear, kind, first

    def forward(self, x: Tensor) -> Any:
        if self.kind == "writes":
            return self.linear(x.add_(1).sub_(1))
        logits = self.linear(x)
        if self.kind == "tuple":
            return logits, None
        near = ((x - self.first).abs().flatten(1).amax(1) < 2 * EPS).unsqueeze(1)
        return logits.where(~near, torch.nan)


@pytest.mark.parametrize("kind", ["writes", "tuple"])
def test_a_network_gets_copies_and_may_return_what_it_likes(
    module: Any, linear: nn.Module, batch: tuple[Tensor, Tensor], kind: str
) -> None:
    images, labels = batch
    before = images.clone()
    odd = make(module, Odd(linear, kind, images[0])).run_standard_evaluation(images, labels, bs=5)
    torch.testing.assert_close(odd, make(module, linear).run_standard_evaluation(images, labels, bs=5))
    assert torch.equal(images, before)
    dynamic = DefendedModule(linear, preprocessing_defences=[Counteraction(linear)])
    assert any("dynamic" in line for line in module.warnings_about(dynamic, images, labels))
    assert module.warnings_about(Odd(linear, kind, images[0]), images, labels) == []


def test_an_answer_that_is_no_number_counts_as_wrong(module: Any, linear: nn.Module) -> None:
    """Also where the label is 0, which is what a maximum over NaN comes to."""
    images, labels = torch.rand(12, 3, 8, 8), torch.zeros(12, dtype=torch.int64)
    list(linear.parameters())[1].data[0] += 100  # every image is taken for the first class, whatever is done to it
    attack = make(module, Odd(linear, "none", images[0]))
    _, predicted = attack.run_standard_evaluation(images, labels, bs=5, return_labels=True)
    assert predicted.tolist() == [10, *[0] * 11]  # a class that there is not
    assert attack.clean_accuracy(images, labels) == pytest.approx(11 / 12)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_of_few_classes_fewer_attacks_run(
    module: Any, classes: int, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, classes)).eval()
    images = torch.rand(4, 3, 8, 8)
    every = ["apgd-ce", "apgd-dlr", "apgd-t", "fab-t", "square"]
    attack = make(module, network, attacks_to_run=every)
    for part in (attack.apgd_targeted, attack.fab):
        part.n_iter = 2
    monkeypatch.setattr(attack.logger, "propagate", True)
    attack.run_standard_evaluation(images, network(images).argmax(1))
    skipped = {2: ["apgd-dlr", "apgd-t"], 3: ["apgd-t"], 5: []}[classes]
    assert attack.attacks_to_run == [name for name in every if name not in skipped]
    said = f"{', '.join(skipped)} did not run: of {classes} classes there are too few"
    assert (said in caplog.text) == bool(skipped)
