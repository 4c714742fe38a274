"""Attacks in turn, each on what those before it left: the worst case stays what it is, and there is less to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from watching import Watcher

from counteract.attacks.registry import Attack
from counteract.evaluation import Run, RunOptions, evaluate_spec, make_spec, spec_for_dataset
from counteract.evaluation.plan import Task
from counteract.evaluation.worker import Worker

SMALL = {"preset": "quick", "steps": 4, "targets": 2}
ATTACKS = ["clean", "noise", "pgd3", "bpda-apgd-ce", "apgd-ce", "bpda-apgd-cw"]
MILD: dict[str, Any] = {"threat_model": {"eps": 5 / 255}, "eps_step": 1.5 / 255}
NOISY = {"gaussian-noise": {"std": 0.2, "executions": 1}}


def run(folder: Path | None = None, watcher: Watcher | None = None, batch_size: int = 100, **changes: Any) -> Run:
    few = {"limit": 40, "attacks": ATTACKS, "defences": ["undefended", "gaussian-noise"], "draws": 2, "seeds": 2}
    made = make_spec(spec_for_dataset("digits") | few | MILD | {"preset": SMALL, "parameters": NOISY} | changes, "test")
    return evaluate_spec(made, RunOptions(batch_size=batch_size, watcher=watcher or Watcher(), folder=folder))


def correct(run: Run) -> dict[tuple[str, str, int], Tensor]:
    return {(cell.attack, cell.defence, seed): hits for cell in run.cells for seed, hits in cell.correct.items()}


def test_worst_cases_are_those_of_all_attacks_on_all_examples_and_each_accuracy_counts_the_attacks_before() -> None:
    every, cascade = run(), run(cascade=True)
    assert [vars(case) for case in cascade.worst_cases] == [vars(case) for case in every.worst_cases]
    found, expected = correct(cascade), correct(every)
    for defence in ("undefended", "gaussian-noise"):
        for seed in (0, 1):
            left = torch.ones(40, dtype=torch.bool)
            for attack in ATTACKS:
                hits = expected[attack, defence, seed]
                torch.testing.assert_close(found[attack, defence, seed], hits * left)
                left &= hits > 0
            assert 0 < left.sum() < 40


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
    assert asked["noise"] == asked["apgd-ce"] == 40  # both defences are tried on them
    assert asked["bpda-apgd-cw"] < asked["bpda-apgd-ce"] < 2 * 40


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


def test_nothing_may_be_left() -> None:
    everything: dict[str, Any] = {"threat_model": {"eps": 0.5}, "eps_step": 0.1}
    found = run(cascade=True, attacks=["pgd20", "apgd-ce"], **everything, defences=["undefended"])
    assert [(row.accuracy, row.relative_time > 0) for row in found.rows] == [(0, True), (0, False)]


def test_adversarial_images_may_be_rounded_to_8_bits() -> None:
    asked: dict[str, list[Tensor]] = {}

    def watch(pixels: str) -> Run:
        judge = Worker._predict

        def predict(worker: Worker, task: Task, images: Tensor, *rest: Any) -> Tensor:
            asked.setdefault(f"{task.attack.name} {pixels}", []).append(images)
            return judge(worker, task, images, *rest)

        with mock.patch.object(Worker, "_predict", predict):
            return run(attacks=["clean", "pgd3"], defences=["undefended"], pixels=pixels, seeds=1)

    runs = [watch("float"), watch("8-bit")]
    (plain,), (rounded,), (clean,) = (asked[name] for name in ("pgd3 float", "pgd3 8-bit", "clean 8-bit"))
    assert torch.equal(rounded, (plain * 255).round() / 255)
    assert not torch.equal(rounded, plain)
    assert (rounded - clean).abs().max() <= 5 / 255 + 0.5 / 255 + 1e-6
    assert torch.equal(clean, asked["clean float"][0])
    assert correct(runs[0]).keys() == correct(runs[1]).keys()
