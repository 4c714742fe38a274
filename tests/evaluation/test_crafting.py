"""The crafter: what it makes, for whom, how often, and that it gives the same as the libraries' own code."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal
from unittest import mock

import pytest
import torch
import torchattacks
from networks import Dark
from torch import nn
from watching import Watcher

from counteract import _random
from counteract._batches import BatchSize
from counteract._folding import folded
from counteract.attacks import draw_starts
from counteract.attacks.keys import attack_keys
from counteract.attacks.registry import find_attack
from counteract.datasets import ArrayDataset, Dataset
from counteract.evaluation import (
    ExampleCache,
    Inputs,
    Network,
    Run,
    RunOptions,
    evaluate_spec,
    make_spec,
    spec_for_dataset,
)
from counteract.evaluation.blocks import cut, read
from counteract.evaluation.crafting import Crafter
from counteract.evaluation.probe import ProbeStore
from counteract.evaluation.spec import EvaluationSpec, Variant
from counteract.evaluation.subject import Subject
from counteract.models import ResNet
from counteract.reporting.remarks import remarks

CPU = torch.device("cpu")
TINY = {"preset": "quick", "steps": 2, "queries": 4, "targets": 2, "draws": 2, "executions": 2}


def spec(**changes: Any) -> EvaluationSpec:
    few = {"attacks": ["clean", "bpda-apgd-ce"], "defences": ["undefended", "counteraction+crop-pad"], "preset": TINY}
    parameters = {"crop-pad": {"executions": 3}, "counteraction": {"num_labels": 3}}
    return make_spec(spec_for_dataset("digits") | {"limit": 16, "parameters": parameters} | few | changes, "test")


def crafted(
    network: nn.Module, data: Dataset, names: list[str], cache: Path | None = None, seed: int = 0, **changes: Any
) -> dict[str, torch.Tensor]:
    """The examples of a block under each attack."""
    made = spec(attacks=names, models=["net"], **changes)
    inputs = Inputs(data, {"net": Network("net", network)}, lambda: data)
    subject = Subject("net", made, inputs, CPU)
    warn = Watcher().warn
    crafter = Crafter(subject, made, ExampleCache(cache, warn), ProbeStore(None, warn), BatchSize(16, CPU, warn))
    sample = read(data, cut(data)[0], CPU)
    judged = subject.judged(Variant(name="undefended", defence="undefended"), targeted=False)
    found: dict[str, torch.Tensor] = {}
    for name in names:
        attack = find_attack(name)
        if attack.path is not None:
            together = [each for each in map(find_attack, names) if each.path == attack.path]
            made_together = crafter.on_path(attack.path, together, seed, sample, torch.arange(len(data)))
            found |= {name: each.images for name, each in made_together.items()}
        else:
            found[name] = crafter.craft(attack, judged, seed, sample, torch.arange(len(data))).images
    return found


def test_attacks_on_the_predicted_label_do_not_look_at_the_true_one(digits_net: ResNet, digits: Dataset) -> None:
    images = digits.images[:16]
    predicted = digits_net(images).argmax(1)

    def attacked(labels: torch.Tensor, attack_label: Literal["true", "predicted"]) -> torch.Tensor:
        data = ArrayDataset("some", images, labels, digits.class_names)
        return crafted(digits_net, data, ["pgd3"], attack_label=attack_label)["pgd3"]

    others = (predicted + 1) % 10
    assert torch.equal(attacked(others, "predicted"), attacked(predicted, "true"))
    assert not torch.equal(attacked(others, "true"), attacked(predicted, "true"))


def test_where_there_is_no_prediction_an_attack_leads_away_from_the_true_label(digits: Dataset) -> None:
    images = digits.images[:8] * 0.5 + 0.3
    images[2:] = 0.1  # of which this network says nothing
    data = ArrayDataset("some", images, torch.full((8,), 3), digits.class_names)
    labels = []
    for label in ("true", "predicted"):
        with mock.patch("counteract.attacks.pgd.pgd", return_value={1: images}) as called:
            crafted(Dark().eval(), data, ["pgd1"], attack_label=label)
        labels.append(called.call_args.args[2])
    true, predicted = labels
    assert predicted[2:].equal(true[2:])
    assert predicted[:2].equal(Dark().eval()(images[:2]).argmax(1))


def test_one_run_of_steps_gives_what_separate_runs_of_torchattacks_give(digits_net: ResNet, digits: Dataset) -> None:
    """Bit for bit, from the same starts: what separate attacks with 2, 5 and 9 steps of torchattacks' PGD make."""
    data, eps, names = digits.take(16), 12 / 255, ["pgd2", "pgd9", "pgd5"]
    made = crafted(digits_net, data, names, seed=3, threat_model={"eps": eps}, eps_step=3 / 255)
    keys = attack_keys(_random.fold(_random.key(3), torch.arange(16)))
    starts = draw_starts(keys, data.images, eps)
    fast = folded(digits_net, data.images)
    for name in names:
        attack = torchattacks.PGD(fast, eps=eps, alpha=3 / 255, steps=int(name[3:]), random_start=True)
        with mock.patch("torch.Tensor.uniform_", lambda noise, low, high: noise.copy_(starts - data.images)):
            assert torch.equal(made[name], attack(data.images, data.labels)), name


def test_a_suite_attack_gives_other_images_than_the_clean_ones(digits_net: ResNet, digits: Dataset) -> None:
    data = digits.take(8)
    made = crafted(digits_net, data, ["clean", "noise", "apgd-ce", "square"])
    assert torch.equal(made.pop("clean"), data.images)
    for name, images in made.items():
        assert not torch.equal(images, data.images), name
        assert float((images - data.images).abs().max()) <= 12 / 255 + 1e-6


def test_examples_come_from_the_cache_if_and_only_if_nothing_changed(
    digits_net: ResNet, digits: Dataset, tmp_path: Path
) -> None:
    data, names = digits.take(40), ["clean", "pgd2", "apgd-ce"]
    made = crafted(digits_net, data, names, tmp_path)
    attacked = mock.patch.object(Crafter, "_run_path", side_effect=AssertionError("an attack was made again"))
    with attacked, pytest.raises(AssertionError, match="made again"):
        crafted(digits_net, data, names, tmp_path, seed=1)
    with (
        mock.patch.object(Crafter, "_run", side_effect=AssertionError),
        mock.patch.object(Crafter, "_run_path", side_effect=AssertionError),
    ):
        again = crafted(digits_net, data, names, tmp_path)
        assert all(torch.equal(again[name], made[name]) for name in names)
    for seed, change in ((1, {}), (0, {"threat_model": {"eps": 0.01}}), (0, {"eps_step": 0.01})):
        assert not torch.equal(crafted(digits_net, data, names, tmp_path, seed=seed, **change)["pgd2"], made["pgd2"])


def run(watcher: Watcher | None = None, batch_size: int = 100, **changes: Any) -> Run:
    places = {name: changes.pop(name, None) for name in ("folder", "cache")}
    options = RunOptions(batch_size=batch_size, watcher=watcher or Watcher(), **places)
    return evaluate_spec(spec(**changes), options)


def shares(found: Run) -> dict[tuple[str, str], list[float]]:
    return {(cell.attack, cell.defence): cell.correct[0].tolist() for cell in found.cells}


EVERY = ("noise", "apgd-t", "bpda-pgd", "bpda-apgd-t", "smooth", "fixed", "joint", "cheap", "square", "decision")


def test_the_progress_ends_at_its_total_and_nothing_depends_on_the_batch_size() -> None:
    watcher = Watcher()
    whole = run(watcher, attacks=EVERY, limit=10, draws=2)
    assert watcher.done == watcher.begun > 0
    assert shares(whole) == shares(run(batch_size=3, attacks=EVERY, limit=10, draws=2))


def test_several_draws_judge_and_the_first_is_that_of_a_single_one() -> None:
    once, thrice = run(attacks=["noise"]), run(attacks=["noise"], draws=3)
    place = ("noise", "counteraction+crop-pad")
    several = torch.tensor(shares(thrice)[place])
    assert set((3 * several).round().int().tolist()) <= {0, 1, 2, 3}
    assert ((several > 0) & (several < 1)).any()
    single = torch.tensor(shares(once)[place])
    assert ((single == 1) >= (several == 1)).all()
    assert ((single == 0) >= (several == 0)).all()
    assert thrice.rows[1].any_wrong >= 100 - thrice.rows[1].accuracy
    assert shares(thrice)["noise", "undefended"] == shares(once)["noise", "undefended"]


def test_adaptive_examples_are_made_for_each_defence_and_transferred_ones_once(tmp_path: Path) -> None:
    attacks = ["clean", "noise", "apgd-ce", "bpda-apgd-ce", "fixed"]

    def names() -> set[str]:
        return {path.name for path in tmp_path.rglob("*.safetensors")}

    first = run(attacks=attacks, cache=tmp_path)
    before = names()
    assert len(before) == 2 + 2 * 2
    assert shares(run(attacks=attacks, cache=tmp_path)) == shares(first)
    run(attacks=attacks, draws=2, cache=tmp_path)  # which `fixed` alone knows
    assert len(names() - before) == 2
    run(attacks=["apgd-ce"], preset=TINY | {"steps": 3}, cache=tmp_path)
    assert len(names() - before) == 3


def test_a_run_goes_on_where_it_was(tmp_path: Path) -> None:
    run(folder=tmp_path)
    path, watcher = tmp_path / "journal.jsonl", Watcher()
    journal = path.read_text()
    run(watcher, folder=tmp_path)
    assert (watcher.begun, path.read_text()) == (0, journal)
    run(watcher, preset=TINY | {"steps": 3}, folder=tmp_path)  # the clean images are as they were
    assert path.read_text().count("\n") == journal.count("\n") + 2
    run(watcher, draws=2, folder=tmp_path)  # the undefended network draws nothing
    assert path.read_text().count("\n") == journal.count("\n") + 2 + 2


OTHERS = (
    "torchattacks:PGD(steps=2)", "torchattacks:PGD-targeted(steps=2)@defended", "torchattacks:GN(std=0.3)",
    "art:SquareAttack(max_iter=2)@defended", "autoattack(version='custom', attacks_to_run=['apgd-ce'])@defended",
)  # fmt: skip


def test_attacks_of_others_run_in_batches_of_their_own_size(tmp_path: Path) -> None:
    pytest.importorskip("pyautoattack")
    few: dict[str, Any] = {"attacks": OTHERS, "limit": 70, "defences": ["crop-pad"]}
    found, whole = (run(batch_size=size, **few) for size in (3, 1000))
    assert shares(found) == shares(whole)
    assert remarks(found) == remarks(whole)
    assert [(row.attack_passes, row.projected) for row in found.rows] == [
        (row.attack_passes, row.projected) for row in whole.rows
    ]
    assert not found.obstacles


def test_what_is_said_of_examples_is_kept_with_them(tmp_path: Path) -> None:
    pytest.importorskip("pyautoattack")
    few: dict[str, Any] = {"attacks": OTHERS[2:], "limit": 10, "cache": tmp_path}
    first = run(**few)
    with mock.patch.object(Crafter, "_run", side_effect=AssertionError):
        again = run(**few)
    assert shares(again) == shares(first)
    assert remarks(again) == remarks(first)
    assert "torchattacks:GN(std=0.3) on digits-resnet-mixup: 10 of 10 results lay outside" in "".join(remarks(first))
    assert "it seems to be a randomized defense!" in "".join(remarks(first))
    assert [row.attack_passes for row in again.rows] == [row.attack_passes for row in first.rows]


def test_examples_of_others_are_known_by_their_library_and_precision(tmp_path: Path) -> None:
    name = "torchattacks:FGSM"
    few: dict[str, Any] = {"attacks": [name, f"{name}@defended"], "limit": 4, "defences": ["undefended"]}

    def made(**changes: Any) -> int:
        before = len(list(tmp_path.rglob("*.safetensors")))
        run(cache=tmp_path, **few | changes)
        return len(list(tmp_path.rglob("*.safetensors"))) - before

    assert (made(), made()) == (2, 0)
    assert made(preset=TINY | {"steps": 3}) == 0
    assert made(preset=TINY | {"precision": "bf16"}) == 1
    with mock.patch("counteract.attacks.libraries.torchattacks.version", return_value="4.0"):
        assert made() == 2


def test_a_mistake_in_an_argument_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    for name, message in {
        "torchattacks:PGD(step=3)": "did you mean steps",
        "art:SquareAttack(p_init=3)": "attack art:SquareAttack.p_init=3. cannot be made: ",
    }.items():
        with pytest.raises(ValueError, match=message):
            run(attacks=["clean", name], folder=tmp_path)
    assert not (tmp_path / "journal.jsonl").exists()


def test_an_adaptive_attack_on_no_defence_is_the_same_attack_on_the_network() -> None:
    found = shares(run(attacks=["apgd-ce", "bpda-apgd-ce"], defences=["undefended"], preset=TINY | {"steps": 6}))
    assert found["apgd-ce", "undefended"] == found["bpda-apgd-ce", "undefended"]


def test_knowing_the_draws_is_worth_something() -> None:
    """Noise so strong that one draw says little about the next."""
    noise = {"gaussian-noise": {"std": 0.5, "executions": 1}}
    found = run(
        attacks=["bpda-apgd-cw", "fixed"], defences=["gaussian-noise"], parameters=noise, preset="quick", limit=32
    )
    unknown, known = (row.accuracy for row in found.rows)
    assert known < unknown - 10


def test_attacks_compute_in_the_precision_of_their_preset_and_are_judged_in_float32(
    digits_net: ResNet, digits: Dataset
) -> None:
    made = spec(preset=TINY | {"precision": "bf16"}, defences=["gaussian-noise"])
    inputs = Inputs(digits, {"digits-resnet-mixup": Network("net", digits_net)}, lambda: digits)
    subject = Subject("digits-resnet-mixup", made, inputs, CPU)
    judged = subject.judged(made.variants()[0], targeted=False)
    layers: dict[str, set[torch.dtype]] = {}
    for name, module in (("judged", judged.defended), ("attacked", judged.attacked)):
        seen = layers.setdefault(name, set())
        layer = next(each for each in module.modules() if isinstance(each, nn.Conv2d))
        hook = layer.register_forward_hook(lambda layer, inputs, output, seen=seen: seen.add(output.dtype))
        with torch.no_grad():
            module(digits.images[:8], torch.arange(8))
        hook.remove()
    assert layers == {"judged": {torch.float32}, "attacked": {torch.bfloat16}}
    victim = Crafter(
        subject, made, ExampleCache(None, print), ProbeStore(None, print), BatchSize(8, CPU, print)
    ).victim(judged)
    assert victim.defended is judged.attacked
