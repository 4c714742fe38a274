"""An evaluation, end to end, on real images and the shipped network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchattacks
from networks import TinyNet
from torch import Tensor, nn
from watching import Watcher

from counteract import DefendedModule, RandomCropResize, _random
from counteract._errors import StrangersError, UserError
from counteract.attacks import draw_starts
from counteract.attacks.keys import attack_keys, defence_keys
from counteract.datasets import Dataset
from counteract.evaluation import EvaluationSpec, Run, RunOptions, evaluate, evaluate_spec, make_spec, spec_for_dataset
from counteract.evaluation import blocks as blocks_module
from counteract.models import ResNet

LIGHT = {
    "crop-pad": {"executions": 4},
    "mixup-inference": {"executions": 3},
    "gaussian-noise": {"executions": 3},
    "counteraction": {"eps": "12/255", "eps_step": "6/255", "num_labels": 3},
}
FEW: dict[str, Any] = {
    "limit": 24,
    "attacks": ["clean", "pgd3", "pgd6-targeted"],
    "defences": ["undefended", "counteraction+crop-pad"],
    "parameters": LIGHT,
}


def spec(**changes: Any) -> EvaluationSpec:
    return make_spec(spec_for_dataset("digits") | FEW | changes, "test")


def run(made: EvaluationSpec, batch_size: int = 100, watcher: Watcher | None = None, **places: Any) -> Run:
    return evaluate_spec(made, RunOptions(batch_size=batch_size, watcher=watcher or Watcher(), **places))


def results(run: Run) -> list[dict[str, Any]]:
    """A run's rows without the times, which no two runs share."""
    return [vars(row) | {"seconds": 0, "relative_time": 0} for row in run.rows]


def test_a_row_against_the_same_thing_by_hand(digits_net: ResNet, digits: Dataset) -> None:
    """Keys as the design says, torchattacks' own PGD one image at a time, a module built by hand."""
    made = spec(
        attacks=["pgd3"], defences=["crop-resize"], seeds=2, limit=10, parameters={"crop-resize": {"executions": 20}}
    )
    (row,) = run(made).rows
    eps, hits = made.threat_model.eps, []
    for seed in range(2):
        keys = _random.fold(_random.key(seed), torch.arange(10))
        images, labels = digits.images[:10], digits.labels[:10]
        adversarial = draw_starts(attack_keys(keys), images, eps)
        for _ in range(3):  # steps of torchattacks' PGD around the image, each from where the last one ended
            one = torchattacks.PGD(digits_net, eps=1, alpha=made.step, steps=1, random_start=False)
            moved = one(adversarial, labels)
            adversarial = (images + (moved - images).clamp(-eps, eps)).clamp(0, 1)
        module = DefendedModule(digits_net, transforms=[RandomCropResize()], executions=20)
        hits.append(float((module(adversarial, defence_keys(keys)).argmax(1) == labels).float().mean()) * 100)
    assert row.accuracy == pytest.approx(sum(hits) / 2)
    assert (row.seeds, row.n, row.executions, row.forward_passes) == (2, 10, 20, 20)


def test_accuracy_depends_neither_on_the_batch_size_nor_on_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    made = spec(limit=15, defences=["counteraction", "counteraction+crop-pad", "mixup-inference", "gaussian-noise"])
    columns = [[row.accuracy for row in run(made, batch_size).rows] for batch_size in (1, 7, 500)]
    assert columns[0] == columns[1] == columns[2]
    monkeypatch.setattr(blocks_module, "BLOCK", 8)
    watcher = Watcher()
    assert [row.accuracy for row in run(made, watcher=watcher).rows] == columns[0]
    assert len(watcher.told) == 2  # the first says what the run takes
    assert watcher.told[1].startswith("digits-resnet-mixup, 8 examples, worst case so far: counteraction ")


def test_seeds_differ_and_a_run_repeats() -> None:
    made = spec(seeds=3, defences=["counteraction+crop-pad"])
    first, second = results(run(made)), results(run(made))
    assert first == second
    assert max(row["std"] for row in first) > 0


def test_the_progress_ends_at_its_total_of_cells_times_examples() -> None:
    watcher = Watcher()
    run(spec(seeds=2), watcher=watcher)
    assert watcher.done == watcher.begun == 2 * 3 * 2 * 24


def test_the_default_attack_beats_the_undefended_network() -> None:
    rows = run(spec(attacks=["clean", "pgd10", "pgd10-targeted"], defences=["undefended"], limit=100)).rows
    clean, untargeted, targeted = (row.accuracy for row in rows)
    assert clean >= 90
    assert untargeted < 20
    assert targeted < 20


def test_the_worst_case_is_no_better_than_any_attack() -> None:
    found = run(spec())
    for case in found.worst_cases:
        assert case.accuracy <= min(row.accuracy for row in found.rows if row.defence == case.defence)


def test_files_of_images(cifar10: Path) -> None:
    data = spec_for_dataset(str(cifar10)) | {"models": ["digits-resnet-mixup"], "limit": 8, "attacks": ["pgd2"]}
    data |= {"parameters": LIGHT}
    rows = run(make_spec(data | {"defences": ["mixup-inference"], "pool": str(cifar10)}, "test")).rows
    assert (rows[0].n, rows[0].dataset) == (8, str(cifar10))
    with pytest.raises(ValueError, match=r"no training split for mixup-inference: name one with --pool"):
        run(make_spec(data | {"defences": ["mixup-inference"]}, "test"))


def test_the_pool_may_be_the_test_split() -> None:
    assert run(spec(defences=["mixup-inference"], pool="test", limit=8)).rows
    with pytest.raises(ValueError, match="pool must be 'train', 'test', 'test-augmented', a path"):
        run(spec(defences=["mixup-inference"], pool="tests"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"attacks": ["pgd"]}, "attack 'pgd' is not known; did you mean pgd"),
        ({"attacks": ["pgd0"]}, "attack 'pgd0' is not known"),
        ({"attacks": ["fgsm"]}, "did you mean torchattacks:FGSM"),
        ({"attacks": ["zzz"]}, "known: clean, pgd10, .*any other number of steps"),
        ({"attacks": ["bpda-agpd-ce"]}, "attack 'bpda-agpd-ce' is not known; did you mean bpda-apgd-ce"),
        ({"models": ["digits-resnet-mixpu"]}, "did you mean digits-resnet-mixup"),
        ({"defences": ["nothing"]}, "defence 'nothing' is not known"),
    ],
)
def test_names_that_are_not_known(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run(spec(**change))


def test_a_network_for_other_classes(tmp_path: Path, cifar10: Path) -> None:
    with np.load(cifar10) as archive:
        images, labels = archive["images"][:4], archive["labels"][:4] % 2
    np.savez(tmp_path / "two.npz", images=images, labels=labels, class_names=np.array(["a", "b"]))
    data = spec_for_dataset("digits") | FEW | {"dataset": str(tmp_path / "two.npz")}
    with pytest.raises(ValueError, match="has 10 outputs for 2 classes"):
        run(make_spec(data, "test"))


class Later(nn.Module):
    """A network that fails at its n-th batch."""

    def __init__(self, batches: int) -> None:
        super().__init__()
        self.net, self.left = TinyNet(), [batches]

    def forward(self, x: Tensor) -> Tensor:
        self.left[0] -= 1
        if self.left[0] < 0:
            raise KeyError("layer")
        found: Tensor = self.net(x)
        return found


class Unprinted(TinyNet):
    """A network that cannot be printed."""

    def __repr__(self) -> str:
        raise KeyError("repr")


def test_a_network_that_fails_is_named_wherever_it_fails(digits: Dataset) -> None:
    once, alone = "failed with KeyError: 'layer'", r"takes 8 images together, and not 1: .*\('layer'\)"
    for batches in (0, 1, 5, 12):
        with pytest.raises(UserError, match=rf"^model (Later|in hand) ({once}|{alone})$"):
            evaluate(Later(batches).eval(), digits.take(8), attacks=["clean", "pgd9"])
    with pytest.raises(StrangersError, match=r"^model Unprinted failed with KeyError: 'repr'$"):
        evaluate(Unprinted().eval(), digits.take(8), attacks=["clean"])


def test_a_defence_that_fails_is_named(digits: Dataset) -> None:
    with pytest.raises(UserError, match=r"^(defence|model) Later (failed with KeyError: 'layer'|takes 8 .*)$"):
        evaluate(TinyNet().eval(), digits.take(8), attacks=["clean"], defences=[Later(4)])


def test_a_mistake_of_ours_is_not_blamed_on_a_network(digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("counteract.evaluation.worker.pack", lambda _: int("ours"))
    monkeypatch.setattr("counteract._strangers._INSTALLED", (str(Path(__file__).parents[2]),))
    with pytest.raises(ValueError, match="invalid literal") as found:
        evaluate(TinyNet().eval(), digits.take(8), attacks=["clean"])
    assert not isinstance(found.value, StrangersError)
