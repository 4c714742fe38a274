"""Adaptive attacks as part of an evaluation: cached, resumed, judged on draws that they have not seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor, nn
from watching import Watcher

from counteract import DefendedModule, GaussianNoise, load_model
from counteract._precision import in_precision
from counteract.attacks import Target, run_attack
from counteract.datasets import load_dataset
from counteract.evaluation import EvaluationSpec, Means, Run, evaluate, make_spec, preset_for
from counteract.evaluation.attacks import defence_keys, example_keys
from counteract.evaluation.record import Entry, pack

TINY = {"preset": "quick", "steps": 2, "queries": 4, "targets": 2, "draws": 2, "executions": 2}
FEW = {"limit": 16, "attacks": ["none", "bpda-apgd-ce"], "defences": ["none", "counteraction+crop-pad"], "budget": TINY}


def spec(**changes: Any) -> EvaluationSpec:
    parameters = {"crop-pad": {"executions": 3}, "counteraction": {"num_labels": 3}}
    return make_spec(preset_for("digits") | {"parameters": parameters} | FEW | changes, "test")


def run(made: EvaluationSpec, batch_size: int = 100, watcher: Watcher | None = None, **places: Any) -> Run:
    return evaluate(made, Means(batch_size=batch_size, watcher=watcher or Watcher(), **places))


def correct(found: Run) -> dict[tuple[str, str], list[float]]:
    return {(cell.attack, cell.defence): cell.correct[0].tolist() for cell in found.cells}


EVERY = ("noise", "apgd-t", "bpda-pgd", "bpda-apgd-t", "smooth", "fixed", "joint", "cheap", "square", "decision")


def test_the_progress_ends_at_its_total_and_nothing_depends_on_the_batch_size() -> None:
    made, watcher = spec(attacks=EVERY, limit=10, draws=2), Watcher()
    whole = run(made, 100, watcher)
    assert watcher.done == watcher.begun > 0
    assert correct(whole) == correct(run(made, 3))


def test_several_draws_judge_and_the_first_is_that_of_a_single_one() -> None:
    once, thrice = run(spec(attacks=["noise"])), run(spec(attacks=["noise"], draws=3))
    place = ("noise", "counteraction+crop-pad")
    shares = torch.tensor(correct(thrice)[place])
    assert set((3 * shares).round().int().tolist()) <= {0, 1, 2, 3}
    assert ((shares > 0) & (shares < 1)).any()
    single = torch.tensor(correct(once)[place])
    assert ((single == 1) >= (shares == 1)).all()
    assert ((single == 0) >= (shares == 0)).all()
    assert thrice.rows[1].any_wrong >= 100 - thrice.rows[1].accuracy
    assert correct(thrice)["noise", "none"] == correct(once)["noise", "none"]


def test_adaptive_examples_are_made_for_each_defence_and_transferred_ones_once(tmp_path: Path) -> None:
    attacks = ["none", "noise", "apgd-ce", "bpda-apgd-ce", "fixed"]
    made = spec(attacks=attacks)
    first = run(made, cache=tmp_path)
    names = {path.name for path in tmp_path.rglob("*.safetensors")}
    assert len(names) == 2 + 2 * 2
    assert correct(run(made, cache=tmp_path)) == correct(first)
    run(spec(attacks=attacks, draws=2), cache=tmp_path)  # which `fixed` alone knows
    assert len({path.name for path in tmp_path.rglob("*.safetensors")} - names) == 2
    run(spec(attacks=["apgd-ce"], budget=TINY | {"steps": 3}), cache=tmp_path)
    assert len({path.name for path in tmp_path.rglob("*.safetensors")} - names) == 3


def test_a_run_goes_on_where_it_was(tmp_path: Path) -> None:
    run(spec(), folder=tmp_path)
    journal = (tmp_path / "cells.jsonl").read_text()
    watcher = Watcher()
    run(spec(), watcher=watcher, folder=tmp_path)
    assert (watcher.begun, (tmp_path / "cells.jsonl").read_text()) == (0, journal)
    run(spec(budget=TINY | {"steps": 3}), watcher=watcher, folder=tmp_path)  # the clean images are as they were
    assert (tmp_path / "cells.jsonl").read_text().count("\n") == journal.count("\n") + 2
    run(spec(draws=2), watcher=watcher, folder=tmp_path)
    assert (tmp_path / "cells.jsonl").read_text().count("\n") == journal.count("\n") + 2 + 4


def test_an_adaptive_attack_on_no_defence_is_the_same_attack_on_the_network() -> None:
    found = correct(run(spec(attacks=["apgd-ce", "bpda-apgd-ce"], defences=["none"], budget=TINY | {"steps": 6})))
    assert found["apgd-ce", "none"] == found["bpda-apgd-ce", "none"]


def test_knowing_the_draws_is_worth_something() -> None:
    """Noise so strong that one draw says little about the next."""
    parameters = {"gaussian-noise": {"std": 0.5, "executions": 1}}
    found = run(
        spec(
            attacks=["bpda-apgd-cw", "fixed"],
            defences=["gaussian-noise"],
            parameters=parameters,
            budget={"preset": "quick"},
            limit=32,
        )
    )
    unknown, known = (row.accuracy for row in found.rows)
    assert known < unknown - 10


def test_attacks_compute_in_the_precision_of_their_budget_and_are_judged_in_float32() -> None:
    made: list[Tensor] = []
    inside: list[set[torch.dtype]] = []
    judges: list[nn.Module] = []
    classify = DefendedModule.classify

    def judge(module: DefendedModule, *images: Any, **options: Any) -> tuple[Tensor, Tensor]:
        judges.append(module.model)
        return classify(module, *images, **options)

    def spy(name: str, of: Target, images: Tensor, *rest: Any) -> Tensor:
        seen: set[torch.dtype] = set()
        layer = next(module for module in of.defended.modules() if isinstance(module, nn.Conv2d))
        hook = layer.register_forward_hook(lambda layer, inputs, output: seen.add(output.dtype))
        made.append(run_attack(name, of, images, *rest))
        hook.remove()
        inside.append(seen)
        return made[-1]

    watched = mock.patch.object(DefendedModule, "classify", judge)
    with mock.patch("counteract.evaluation.crafting.run_attack", spy), watched:
        full, half = (
            run(spec(budget=TINY | {"precision": p}, defences=["gaussian-noise"])) for p in ("float32", "bf16")
        )
    assert inside[0] == {torch.float32}
    assert torch.bfloat16 in inside[1]
    reduced = type(in_precision(nn.Identity(), "bf16"))
    assert judges
    assert not any(isinstance(network, reduced) for network in judges)
    assert not torch.equal(made[0], made[1])
    assert correct(full)["none", "gaussian-noise"] == correct(half)["none", "gaussian-noise"]
    module = DefendedModule(load_model("digits-resnet-mixup"), transforms=[GaussianNoise()], executions=20)
    images, labels, keys = made[1][:16], load_dataset("digits").labels[:16], example_keys(0, torch.arange(16))
    assert (
        correct(half)["bpda-apgd-ce", "gaussian-noise"]
        == (module(images, defence_keys(keys)).argmax(1) == labels).tolist()
    )


def test_an_entry_of_several_draws() -> None:
    bits = torch.tensor([[1, 0, 1], [1, 1, 0]]).bool()
    entry = Entry("key", executions=1, work=1, seconds=1, plain_seconds=1, n=3, correct=pack(bits), draws=2)
    assert entry.hits().tolist() == [1, 0.5, 0.5]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"attacks": ["bpda-agpd-ce"]}, "attack 'bpda-agpd-ce' is not known; did you mean bpda-apgd-ce"),
        ({"attacks": ["smoth"]}, "did you mean smooth"),
        ({"budget": "quik"}, "budget 'quik' is not known; did you mean quick"),
        ({"draws": 0}, "draws: .*found 0"),
    ],
)
def test_mistakes(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run(spec(**changes))
