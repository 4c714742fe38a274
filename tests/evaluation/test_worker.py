"""Attacks in turn, each on what those before it left: the worst case stays what it is, and there is less to do."""

from __future__ import annotations

from pathlib import Path
from queue import SimpleQueue
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor, nn
from watching import Watcher

from counteract import evaluate, load_model
from counteract._errors import UserError
from counteract.attacks import registry
from counteract.attacks.base import Attack
from counteract.attacks.libraries import registered
from counteract.attacks.registry import register_attack
from counteract.datasets import load_dataset
from counteract.evaluation import Run, RunOptions, evaluate_spec, make_spec, spec_for_dataset
from counteract.evaluation.folder import read_run
from counteract.evaluation.plan import Task
from counteract.evaluation.worker import Worker
from counteract.reporting.remarks import remarks
from counteract.reporting.words import verdicts

SMALL = {"preset": "quick", "steps": 4, "targets": 2}
ATTACKS = ["clean", "noise", "pgd3", "bpda-apgd-ce", "apgd-ce", "bpda-apgd-cw"]
MILD: dict[str, Any] = {"threat_model": {"eps": 5 / 255}, "eps_step": 1.5 / 255}
NOISY = {"gaussian-noise": {"std": 0.2, "executions": 1}}


def run(
    folder: Path | None = None,
    watcher: Watcher | None = None,
    batch_size: int = 100,
    save_examples: Path | None = None,
    **changes: Any,
) -> Run:
    few = {"limit": 40, "attacks": ATTACKS, "defences": ["undefended", "gaussian-noise"], "draws": 2, "seeds": 2}
    made = make_spec(spec_for_dataset("digits") | few | MILD | {"preset": SMALL, "parameters": NOISY} | changes, "test")
    options = RunOptions(
        batch_size=batch_size, watcher=watcher or Watcher(), folder=folder, save_examples=save_examples
    )
    return evaluate_spec(made, options)


def correct(run: Run) -> dict[tuple[str, str, int], Tensor]:
    return {(cell.attack, cell.defence, seed): hits for cell in run.cells for seed, hits in cell.correct.items()}


def test_worst_cases_are_those_of_all_attacks_on_all_examples_and_each_accuracy_counts_the_attacks_before() -> None:
    every, cascade = run(), run(cascade=True)
    assert vars(cascade.worst_cases[0]) == vars(every.worst_cases[0])
    assert cascade.worst_cases[1].accuracy == pytest.approx(every.worst_cases[1].accuracy, abs=5)  # by chance
    found, expected = correct(cascade), correct(every)
    for defence in ("undefended", "gaussian-noise"):
        for seed in (0, 1):
            left = torch.ones(40, dtype=torch.bool)
            for attack in ATTACKS:
                hits, here = expected[attack, defence, seed], found[attack, defence, seed]
                again = left if defence == "undefended" else left | (here > 0)  # spared by further draws
                torch.testing.assert_close(here, hits * again)
                left &= hits > 0
            assert 0 < left.sum() < 40


class Coin(nn.Module):
    """A defended network that answers another class every second time, whatever it is asked."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.network(x)
        return torch.where(torch.rand(len(x), 1) < 0.5, logits.roll(1, 1), logits)


@pytest.mark.parametrize("draws", [1, 3])
def test_bad_luck_under_many_attacks_is_no_attack(draws: int) -> None:
    """Attacks of no size at all: of a defence that is right every second time half is left, whatever their number."""
    network, data = load_model("digits-resnet-iat"), load_dataset("digits").take(200)
    many = [f"torchattacks:PGD(steps={steps})" for steps in range(1, 11)]
    found = evaluate(
        network, data, defences=["undefended", Coin(network)], attacks=["clean", *many], eps=1e-6, eps_step=1e-7,
        preset="quick", draws=draws, cascade=True,
    )  # fmt: skip
    (undefended, coin) = found.worst_cases
    assert undefended.accuracy > 90
    assert 40 < coin.accuracy < 60
    assert found.measured[-1].tried > 0.9 * 200 * undefended.accuracy / 100


def test_a_worst_case_by_single_draws_is_said_to_have_bad_luck_in_it() -> None:
    network, data = load_model("digits-resnet-iat"), load_dataset("digits").take(64)
    found = evaluate(
        network, data, defences=["undefended", Coin(network)], attacks=["clean", "pgd1", "noise"], eps=1e-6, draws=1,
        eps_step=1e-7,
    )  # fmt: skip
    assert any("the least under any attack, bad luck included" in remark for remark in remarks(found))
    (line,) = verdicts(found)
    assert "points" in line
    assert "a loss, bad luck included" in line


class Seldom(Coin):
    """A coin for some images of digits, and for none of those that are fixed for all networks, which are brighter."""

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.network(x)
        some = (x.flatten(1).mean(1) > 0.3) & (x.flatten(1).mean(1) < 0.4)
        return torch.where((some & (torch.rand(len(x)) < 0.5))[:, None], logits.roll(1, 1), logits)


def test_a_defence_that_draws_for_some_images_alone_is_judged_by_its_draws() -> None:
    network, data = load_model("digits-resnet-iat"), load_dataset("digits").take(64)
    many = [f"torchattacks:PGD(steps={steps})" for steps in range(1, 7)]
    found = evaluate(
        network, data, defences=["undefended", Seldom(network)], attacks=["clean", *many], eps=1e-6, eps_step=1e-7,
        preset="quick", draws=5,
    )  # fmt: skip
    (undefended, seldom) = found.worst_cases
    means = data.images.flatten(1).mean(1)
    drawn = 100 * float(((means > 0.3) & (means < 0.4)).double().mean())
    assert drawn > 25
    assert seldom.accuracy == pytest.approx(undefended.accuracy - drawn / 2, abs=6)
    assert "draws follow the block" in str(found.parameters("network", "Seldom"))


def test_examples_that_are_done_are_not_attacked_again() -> None:
    asked: dict[str, int] = {}
    attacked = Attack.__getattribute__

    def count(attack: Attack, name: str) -> Any:
        found = attacked(attack, name)
        if name != "run":
            return found

        def run(victim: Any, images: Tensor, *rest: Any) -> Tensor:
            asked[attack.name] = asked.get(attack.name, 0) + len(images)
            made: Tensor = found(victim, images, *rest)
            return made

        return run

    watcher = Watcher()
    with mock.patch.object(Attack, "__getattribute__", count):
        run(cascade=True, watcher=watcher, seeds=1, draws=1)
    assert watcher.begun == watcher.done > 0
    assert asked["apgd-ce"] < asked["noise"] == 40  # both defences are tried on those that either leaves
    assert asked["bpda-apgd-cw"] < asked["bpda-apgd-ce"] < 2 * 40
    asked.clear()
    with mock.patch.object(Attack, "__getattribute__", count):
        run(cascade=True, alone=["noise", "apgd-ce"], seeds=1, draws=1)
    assert asked["noise"] == asked["apgd-ce"] == 40


def test_an_attack_alone_in_a_cascade_tries_every_example() -> None:
    given: dict[str, Any] = {"attacks": ["clean", "noise", "pgd3", "apgd-ce", "pgd2"], "seeds": 1}
    by_itself, cascaded = correct(run(**given)), correct(run(cascade=True, alone=["apgd-ce"], **given))
    for place, expected in by_itself.items():
        if "apgd-ce" in place or "clean" in place:
            assert torch.equal(cascaded[place], expected)
    both = run(**given), run(cascade=True, alone=["apgd-ce"], **given)
    assert [case.accuracy for case in both[0].worst_cases] == [case.accuracy for case in both[1].worst_cases]


def test_nothing_depends_on_the_batch_size() -> None:
    defences = ["counteraction+crop-pad"]
    parameters = {"crop-pad": {"executions": 3}, "counteraction": {"num_labels": 3}}
    whole, parts = (run(cascade=True, batch_size=n, defences=defences, parameters=parameters) for n in (100, 3))
    found, expected = correct(parts), correct(whole)
    assert all(torch.equal(found[place], expected[place]) for place in expected)


def test_a_cascade_goes_on_where_it_was(tmp_path: Path) -> None:
    whole = run(cascade=True)
    run(tmp_path, cascade=True, attacks=ATTACKS[:3])
    journal = tmp_path / "journal.jsonl"
    lines = journal.read_text().count("\n")
    resumed = run(tmp_path, cascade=True)
    assert journal.read_text().count("\n") == lines + 3 * 2 * 2
    found, expected = correct(resumed), correct(whole)
    assert all(torch.equal(found[place], expected[place]) for place in expected)
    run(tmp_path, attacks=ATTACKS[:3])  # without a cascade these are other measurements, but for the first
    assert journal.read_text().count("\n") == lines + 3 * 2 * 2 + 2 * 2 * 2


@pytest.mark.parametrize("done", range(1, 7))
def test_a_cascade_that_was_killed_at_any_cell_ends_as_it_would_have(tmp_path: Path, done: int) -> None:
    """PGD of several lengths is made at once, and an attack of a library draws for all of its examples together."""
    attacks = ["clean", "pgd2", "pgd20", "torchattacks:PGD(steps=3)"]
    given: dict[str, Any] = {"attacks": attacks, "cascade": True, "seeds": 1, "draws": 1, "limit": 60}
    given |= {"defences": ["undefended", "counteraction"], "threat_model": {"eps": 4 / 255}, "eps_step": 1 / 255}
    expected = correct(run(tmp_path, **given))
    journal = tmp_path / "journal.jsonl"
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:done]))
    found = correct(run(tmp_path, **given))
    assert all(torch.equal(found[place], expected[place]) for place in expected)


def test_examples_of_a_finished_run_are_made_once_for_all_defences(tmp_path: Path) -> None:
    given: dict[str, Any] = {"attacks": ["clean", "pgd3", "bpda-pgd"], "seeds": 1, "draws": 1}
    run(tmp_path, **given)
    watcher = Watcher()
    run(tmp_path, watcher, save_examples=tmp_path / "examples", **given)
    assert watcher.done == 40 * (1 + 2)  # of PGD for one defence, and through each of both
    assert len(list((tmp_path / "examples").rglob("*.npz"))) == 3


def test_nothing_may_be_left() -> None:
    everything: dict[str, Any] = {"threat_model": {"eps": 0.5}, "eps_step": 0.1}
    found = run(cascade=True, attacks=["pgd20", "apgd-ce"], **everything, defences=["undefended"])
    assert [(row.accuracy, row.relative_time > 0) for row in found.rows] == [(0, True), (0, False)]


def watch(**changes: Any) -> tuple[dict[str, Tensor], Run]:
    """A run, and the images of each attack as they were judged last."""
    asked: dict[str, Tensor] = {}
    judge = Worker._predict

    def predict(worker: Worker, task: Task, images: Tensor, *rest: Any) -> Tensor:
        asked[task.attack.name] = images
        return judge(worker, task, images, *rest)

    with mock.patch.object(Worker, "_predict", predict):
        found = run(**changes)
    return asked, found


def test_adversarial_images_may_be_rounded_to_8_bits() -> None:
    given: dict[str, Any] = {"attacks": ["clean", "pgd3"], "defences": ["undefended"], "seeds": 1}
    (asked, exact), (rounded_asked, other) = (watch(pixels=pixels, **given) for pixels in ("float", "8-bit"))
    runs = [exact, other]
    plain, rounded, clean = asked["pgd3"], rounded_asked["pgd3"], rounded_asked["clean"]
    torch.testing.assert_close(rounded * 255, (rounded * 255).round(), rtol=0, atol=1e-4)
    assert not torch.equal(rounded, plain)
    assert (rounded - plain).abs().max() <= 1 / 255
    assert (rounded - clean).abs().max() <= 5 / 255 + 1e-6  # though clean pixels of digits lie between the levels
    assert torch.equal(clean, asked["clean"])
    assert correct(runs[0]).keys() == correct(runs[1]).keys()


class Listening(Watcher):
    """A watcher that remembers warnings."""

    def __init__(self) -> None:
        super().__init__()
        self.warned: list[str] = []

    def warn(self, message: str) -> None:
        self.warned.append(message)


FAILURES: SimpleQueue[bool] = SimpleQueue()
"""The failures to come, True for one; nobody can see what is in a queue, so it is no part of what the attack is."""


def odd(model: nn.Module) -> Any:
    """An attack that darkens images, if it does not fail."""

    def craft(images: Tensor, labels: Tensor) -> Tensor:
        if not FAILURES.empty() and FAILURES.get():
            raise RuntimeError("no luck")
        return images * 0.99

    return craft


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> SimpleQueue[bool]:
    """Registers `odd`, which fails as the queue says, and then darkens images."""
    monkeypatch.setattr(registered, "REGISTERED", {})
    monkeypatch.setattr(registry, "REGISTERED", registered.REGISTERED)
    register_attack("odd", odd)
    register_attack("far", lambda model: lambda images, labels: 1 - images)
    while not FAILURES.empty():
        FAILURES.get()
    return FAILURES


def spoiling(model: nn.Module) -> Any:
    """An attack that leaves a network without weights behind."""

    def craft(images: Tensor, labels: Tensor) -> Tensor:
        for parameter in model.parameters():
            parameter.data.zero_()
        return images

    return craft


def test_an_attack_that_changes_the_network_ends_the_run(broken: SimpleQueue[bool], tmp_path: Path) -> None:
    register_attack("spoiling", spoiling)
    with pytest.raises(UserError, match=r"^attack spoiling changed the network, which answers otherwise than before"):
        run(tmp_path, Listening(), attacks=["clean", "spoiling", "pgd3"], limit=16, seeds=1, draws=1)


def test_an_attack_that_fails_is_left_out_and_the_others_go_on(broken: SimpleQueue[bool], tmp_path: Path) -> None:
    broken.put(False)  # the first block's, of several batches
    broken.put(True)
    watcher, names = Listening(), ["clean", "odd", "odd@defended", "pgd3"]
    found = run(tmp_path, watcher, attacks=names, limit=300, seeds=1, draws=1)
    assert watcher.begun == watcher.done
    assert watcher.warned == [
        "digits-resnet-mixup: attack odd failed: RuntimeError: no luck; the run goes on without it"
    ]
    reason = "it failed: RuntimeError: no luck"
    assert found.obstacles == {
        ("digits-resnet-mixup", "odd", name): reason for name in ("undefended", "gaussian-noise")
    }
    assert found.complete
    assert [(row.attack, row.n) for row in found.rows] == [
        (name, 300) for name in ("clean", "odd@defended", "pgd3") for _ in range(2)
    ]
    assert [case.attacks for case in found.worst_cases] == [("clean", "odd@defended", "pgd3")] * 2
    again = read_run(tmp_path)
    assert again.obstacles == found.obstacles
    assert again.rows == found.rows


def test_a_failed_attack_is_tried_again_by_the_next_run(broken: SimpleQueue[bool], tmp_path: Path) -> None:
    broken.put(True)
    names: dict[str, Any] = {"attacks": ["clean", "odd"], "seeds": 1, "draws": 1}
    assert run(tmp_path, Listening(), **names).obstacles
    watcher = Watcher()
    found = run(tmp_path, watcher, **names)
    assert not found.obstacles
    assert watcher.begun == 2 * 40
    assert [row.attack for row in found.rows] == ["clean", "clean", "odd", "odd"]


def test_a_failed_attack_leaves_the_rest_of_a_cascade_everything(broken: SimpleQueue[bool]) -> None:
    broken.put(True)
    options: dict[str, Any] = {"seeds": 1, "draws": 1, "cascade": True}
    with_it = run(watcher=Listening(), attacks=["clean", "odd", "pgd3"], **options)
    without = run(attacks=["clean", "pgd3"], **options)
    assert [row.accuracy for row in with_it.rows] == [row.accuracy for row in without.rows]


def test_what_a_failed_attack_left_to_others_is_measured_again_with_it(
    broken: SimpleQueue[bool], tmp_path: Path
) -> None:
    broken.put(True)
    options: dict[str, Any] = {"seeds": 1, "draws": 1, "cascade": True, "attacks": ["clean", "odd", "noise"]}
    run(tmp_path, Listening(), **options)
    resumed, fresh = run(tmp_path, Listening(), **options), run(**options)
    assert [row.accuracy for row in resumed.rows] == [row.accuracy for row in fresh.rows]
    assert fresh.rows[0].accuracy > fresh.rows[-1].accuracy


def test_results_that_were_projected_are_counted_among_those_that_there_are(broken: SimpleQueue[bool]) -> None:
    given: dict[str, Any] = {"defences": ["gaussian-noise"], "attacks": ["clean", "far"], "seeds": 1, "draws": 1}
    clean, far = run(watcher=Listening(), cascade=True, **given).measured
    assert clean.correct[0].sum() <= far.projected == far.tried < 40


def test_what_an_attack_costs_is_counted(broken: SimpleQueue[bool]) -> None:
    parameters = {"gaussian-noise": {"executions": 4}}
    names = ["clean", "pgd3", "odd", "torchattacks:FGSM", "torchattacks:FGSM@defended", "bpda-pgd"]
    found = run(attacks=names, parameters=parameters, seeds=1, preset=SMALL | {"draws": 2, "executions": 3})
    passes = {(row.attack, row.defence): row.attack_passes for row in found.rows}
    expected = {"clean": 0, "pgd3": 6, "odd": 0, "torchattacks:FGSM": 2, "torchattacks:FGSM@defended": 2}
    assert {name: passes[name, "undefended"] for name in expected} == expected
    assert {name: passes[name, "gaussian-noise"] for name in expected} == expected | {"torchattacks:FGSM@defended": 8}
    known = passes["bpda-pgd", "gaussian-noise"]
    assert known is not None
    assert known > 4 * 2 * 4
    half = run(attacks=["clean", "torchattacks:FGSM@defended"], parameters=parameters, cascade=True, draws=1, seeds=1)
    clean, attacked = (row for row in half.rows if row.defence == "gaussian-noise")
    assert attacked.attack_passes == pytest.approx(8 * clean.accuracy / 100)


def test_results_outside_of_the_threat_model_are_judged_as_they_are_projected(broken: SimpleQueue[bool]) -> None:
    asked, found = watch(attacks=["clean", "far", "odd"], defences=["undefended"], seeds=1)
    clean, far = asked["clean"], asked["far"]
    assert (far - clean).abs().max().item() == pytest.approx(5 / 255, abs=1e-6)
    assert torch.equal(far, (clean + (1 - 2 * clean).clamp(-5 / 255, 5 / 255)).clamp(0, 1))
    assert torch.equal(asked["odd"], clean * 0.99)
    assert [row.projected for row in found.rows] == [0, 40, 0]
