"""An evaluation, end to end, on real images and the shipped network."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal
from unittest import mock

import numpy as np
import pytest
import torch
import torchattacks
from torch import nn
from watching import Watcher

from counteract import DefendedModule, RandomCropResize, _random, load_model
from counteract.attacks import draw_starts
from counteract.datasets import Dataset, load_dataset
from counteract.evaluation import EvaluationSpec, ExampleCache, Means, Run, evaluate, make_spec, preset_for
from counteract.evaluation.attacks import Crafter, attack_keys, defence_keys, parse_attack
from counteract.evaluation.batches import BatchSize
from counteract.evaluation.spec import AttackBudget
from counteract.models import ResNet

CPU = torch.device("cpu")
FEW = {"limit": 24, "attacks": ["none", "pgd3", "pgd6-targeted"], "defences": ["none", "counteraction+crop-pad"]}


def spec(**changes: Any) -> EvaluationSpec:
    return make_spec(preset_for("digits") | FEW | changes, "test")


def run(made: EvaluationSpec, batch_size: int = 100, watcher: Watcher | None = None) -> Run:
    return evaluate(made, Means(batch_size=batch_size, watcher=watcher or Watcher()))


def results(run: Run) -> list[dict[str, Any]]:
    """A run's rows without the times, which no two runs share."""
    return [vars(row) | {"seconds": 0, "relative_time": 0} for row in run.rows]


def test_a_row_against_the_same_thing_by_hand(digits_net: ResNet, digits: Dataset) -> None:
    """Keys as the design says, torchattacks' own PGD one image at a time, a module built by hand."""
    made = spec(attacks=["pgd3"], defences=["crop-resize"], seeds=2, limit=10)
    (row,) = run(made).rows
    hits = []
    for seed in range(2):
        keys = _random.fold(_random.key(seed), torch.arange(10))
        images, labels = digits.images[:10], digits.labels[:10]
        starts = draw_starts(attack_keys(keys), images, made.attack.eps)
        adversarial = starts
        for _ in range(3):  # steps of torchattacks' PGD around the image, each from where the last one ended
            one = torchattacks.PGD(digits_net, eps=1, alpha=made.attack.eps_step, steps=1, random_start=False)
            moved = one(adversarial, labels)
            adversarial = (images + (moved - images).clamp(-made.attack.eps, made.attack.eps)).clamp(0, 1)
        module = DefendedModule(digits_net, transforms=[RandomCropResize()], executions=20)
        hits.append(float((module(adversarial, defence_keys(keys)).argmax(1) == labels).float().mean()) * 100)
    assert row.accuracy == pytest.approx(sum(hits) / 2)
    assert (row.seeds, row.n, row.executions, row.forward_equivalents) == (2, 10, 20, 20)


def test_accuracy_does_not_depend_on_the_batch_size() -> None:
    made = spec(limit=15, defences=["counteraction", "counteraction+crop-pad", "mixup-inference", "gaussian-noise"])
    columns = [[row.accuracy for row in run(made, batch_size).rows] for batch_size in (1, 7, 500)]
    assert columns[0] == columns[1] == columns[2]


def test_seeds_differ_and_a_run_repeats() -> None:
    made = spec(seeds=3, defences=["counteraction+crop-pad"])
    first, second = results(run(made)), results(run(made))
    assert first == second
    assert max(row["std"] for row in first) > 0


def test_the_progress_ends_at_its_total() -> None:
    watcher = Watcher()
    run(spec(seeds=2), watcher=watcher)
    assert watcher.done == watcher.begun > 0


def test_the_default_attack_beats_the_undefended_network() -> None:
    rows = run(spec(attacks=["none", "pgd10", "pgd10-targeted"], defences=["none"], limit=100)).rows
    clean, untargeted, targeted = (row.accuracy for row in rows)
    assert clean >= 90
    assert untargeted < 20
    assert targeted < 20


def test_the_worst_case_is_no_better_than_any_attack() -> None:
    found = run(spec())
    for case in found.worst_cases:
        assert case.accuracy <= min(row.accuracy for row in found.rows if row.defence == case.defence)


def test_attacks_on_the_predicted_label_do_not_look_at_the_true_one(digits_net: ResNet, digits: Dataset) -> None:
    images = digits.images[:16]
    predicted = digits_net(images).argmax(1)

    def attacked(labels: torch.Tensor, attack_label: Literal["true", "predicted"]) -> torch.Tensor:
        data = Dataset("some", images, labels, digits.class_names)
        return crafter(digits_net, data, AttackBudget(attack_label=attack_label)).craft(
            [parse_attack("pgd3")], 0, [range(16)]
        )["pgd3"]

    others = (predicted + 1) % 10
    assert torch.equal(attacked(others, "predicted"), attacked(predicted, "true"))
    assert not torch.equal(attacked(others, "true"), attacked(predicted, "true"))


def crafter(network: nn.Module, data: Dataset, budget: AttackBudget, cache: Path | None = None) -> Crafter:
    warn = Watcher().warn
    size = BatchSize(16, CPU, warn)
    return Crafter(network, "some", data, budget, ExampleCache(cache, warn), size, lambda work: None)


def test_one_run_of_steps_gives_what_separate_runs_of_torchattacks_give(digits_net: ResNet, digits: Dataset) -> None:
    """Bit for bit, from the same starts: what separate attacks with 2, 5 and 9 steps of torchattacks' PGD make."""
    data, budget = digits.take(16), AttackBudget(eps=12 / 255, eps_step=3 / 255)
    names = ["pgd2", "pgd9", "pgd5"]
    made = crafter(digits_net, data, budget).craft(map(parse_attack, names), 3, [range(16)])
    keys = attack_keys(_random.fold(_random.key(3), torch.arange(16)))
    starts = draw_starts(keys, data.images, budget.eps)
    for name in names:
        attack = torchattacks.PGD(
            digits_net, eps=budget.eps, alpha=budget.eps_step, steps=int(name[3:]), random_start=True
        )
        with mock.patch("torch.Tensor.uniform_", lambda noise, low, high: noise.copy_(starts - data.images)):
            assert torch.equal(made[name], attack(data.images, data.labels)), name


def test_examples_come_from_the_cache_if_and_only_if_nothing_changed(
    digits_net: ResNet, digits: Dataset, tmp_path: Path
) -> None:
    data, budget, attacks = digits.take(120), AttackBudget(), [parse_attack("none"), parse_attack("pgd2")]
    blocks = [range(100), range(100, 120)]
    made = crafter(digits_net, data, budget, tmp_path).craft(attacks, 0, blocks)["pgd2"]
    broken = nn.Identity()  # which no attack could differentiate to logits: the examples must come from the cache
    assert torch.equal(crafter(broken, data, budget, tmp_path).craft(attacks, 0, blocks)["pgd2"], made)
    part = crafter(broken, data, budget, tmp_path).craft(attacks, 0, blocks[1:])
    assert torch.equal(part["pgd2"], made[100:])
    assert torch.equal(part["none"], data.images[100:])
    for seed, other in ((1, budget), (0, AttackBudget(eps=0.01)), (0, AttackBudget(eps_step=0.01))):
        assert not torch.equal(crafter(digits_net, data, other, tmp_path).craft(attacks, seed, blocks)["pgd2"], made)


def test_files_of_images(cifar10: Path, tmp_path: Path) -> None:
    data = preset_for(str(cifar10)) | {"models": ["digits-resnet-mixup"], "limit": 8, "attacks": ["pgd2"]}
    rows = run(make_spec(data | {"defences": ["mixup-inference"], "pool": str(cifar10)}, "test")).rows
    assert (rows[0].n, rows[0].dataset) == (8, str(cifar10))
    with pytest.raises(ValueError, match=r"no training split for mixup-inference: name one with --pool"):
        run(make_spec(data | {"defences": ["mixup-inference"]}, "test"))


def test_the_pool_may_be_the_test_split() -> None:
    assert run(spec(defences=["mixup-inference"], pool="test", limit=8)).rows
    with pytest.raises(ValueError, match="pool must be 'train', 'test' or a path"):
        run(spec(defences=["mixup-inference"], pool="tests"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"attacks": ["pgd"]}, "attack 'pgd' is not known; did you mean pgd"),
        ({"attacks": ["pgd0"]}, "attack 'pgd0' is not known"),
        ({"attacks": ["fgsm"]}, "known: none, pgd10, .*any other number of steps"),
        ({"models": ["digits-resnet-mixpu"]}, "did you mean digits-resnet-mixup"),
        ({"defences": ["nothing"]}, "defence 'nothing' is not known"),
    ],
)
def test_names_that_are_not_known(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run(spec(**change))


def test_a_network_for_other_classes(tmp_path: Path, digits_net: ResNet, cifar10: Path) -> None:
    with np.load(cifar10) as archive:
        images, labels = archive["images"][:4], archive["labels"][:4] % 2
    np.savez(tmp_path / "two.npz", images=images, labels=labels, class_names=np.array(["a", "b"]))
    data = preset_for("digits") | FEW | {"dataset": str(tmp_path / "two.npz")}
    with pytest.raises(ValueError, match="has 10 outputs for 2 classes"):
        run(make_spec(data, "test"))


def test_parse_attack() -> None:
    assert vars(parse_attack("pgd200-targeted")) == {"name": "pgd200-targeted", "steps": 200, "targeted": True}


def test_models_load_in_eval_mode() -> None:
    network = load_model("digits-resnet-mixup")
    assert not network.training
    data = load_dataset("digits")
    assert (network(data.images).argmax(1) == data.labels).float().mean() >= 0.95
