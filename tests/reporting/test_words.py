"""The sentences of a report."""

from __future__ import annotations

from typing import Any

import torch
from reporting.synthetic import SPEC, adaptive, half_finished, make_run
from torch import Tensor

from counteract.evaluation.results import NetworkNote, Run
from counteract.reporting.words import CASCADE, conditions, glossary, introduce, notes, parameters, remarks, verdicts


def run(**fields: Any) -> Run:
    return make_run(SPEC | {"models": {"a": "x", "b": "y"}, "seeds": 1}, lambda *_: [1, 0], **fields)


def test_the_conditions_of_a_run() -> None:
    found = dict(conditions(run(networks={"b": NetworkNote(method="iat")})))
    assert found["networks"] == "a is x; b is y (training: iat)"
    assert found["threat model"] == "Linf, eps = 12/255"
    assert "preset" not in found
    assert dict(conditions(adaptive()))["preset"].startswith("steps 20, ")
    fast = half_finished(precision="bf16", defences=["mixup-inference"])
    assert dict(conditions(fast))["precision"] == "defended networks in bf16"
    assert dict(conditions(fast))["mixup pool"] == "train images"


def test_the_first_line_names_networks_with_their_training() -> None:
    recorded = NetworkNote(method="iat", training="iat by mine, 3 epochs")
    assert introduce(run(networks={"b": recorded})) == (
        "a is x; b is y (training: iat by mine, 3 epochs); on digits, n = 2, 1 seed, eps = 12/255"
    )
    shipped = make_run(SPEC | {"models": {"a": "weights/digits-resnet-iat.safetensors"}}, lambda *_: [1, 0])
    assert "a is weights/digits-resnet-iat.safetensors (training: iat by digits, 100 epochs, PGD" in introduce(shipped)


def test_notes() -> None:
    assert "Not exact: defended networks in bf16." in notes(half_finished(precision="bf16"))
    assert CASCADE in notes(half_finished(cascade=True))
    (said,) = [note for note in notes(half_finished(cascade=True, alone=["pgd2"])) if note.startswith(CASCADE)]
    assert said.endswith(" But pgd2 tried every example: theirs is the accuracy under each alone.")
    assert len(notes(run())) == 1


def test_attacks_made_on_a_surrogate_are_said_to_be() -> None:
    for made in (half_finished(surrogate="another"), adaptive(surrogate="another")):
        note = notes(made)[0]
        assert "made on the surrogate another" in note
        assert "made on the undefended network" not in note


def test_the_best_of_several_may_owe_its_gain_to_chance() -> None:
    """Six of a hundred are won and none is lost: alone that is a gain, by 0.6 points at least."""

    def correct(model: str, defence: str, attack: str, seed: int) -> Tensor:
        return torch.arange(100) < (46 if defence == "rotation" else 40)

    def told(*defences: str) -> str:
        spec = SPEC | {"models": {"a": "x"}, "seeds": 1, "defences": ["undefended", *defences]}
        (line,) = verdicts(make_run(spec, correct))
        return line

    assert ": +6.0 points (+0.6 to +11.2), a gain." in told("rotation")
    two = told("rotation", "crop-pad")
    assert two.startswith("a: the best worst case of 2 is that of rotation, 46.0%")
    assert ": +6.0 points (+0.6 to +11.2), which the best of 2 may owe to chance." in two


def test_notes_about_networks() -> None:
    found = run(networks={"a": NetworkNote(random=True), "b": NetworkNote(random=True, notes=("it is odd", "and old"))})
    assert remarks(found) == ["a: its answers are random; its draws follow the block", "b: it is odd", "b: and old"]


def test_attacks_that_could_not_run() -> None:
    every = {("a", attack, defence): "no gradient" for attack in SPEC["attacks"] for defence in SPEC["defences"]}
    some = {("b", "pgd2", "rotation"): "no surrogate", ("b", "clean", "rotation"): "another reason"}
    assert remarks(run(obstacles=every | some)) == [
        "clean, pgd2 did not run on a: no gradient",
        "clean did not run on b with rotation: another reason",
        "pgd2 did not run on b with rotation: no surrogate",
    ]


def test_answers_that_are_no_numbers_are_counted() -> None:
    found = run()
    for cell in found.cells:
        if (cell.model, cell.defence) == ("b", "rotation"):
            cell.unusable = 2
    said = "named no class (not finite, or the same for all), and count as wrong"
    assert remarks(found) == [f"b: 4 answers with rotation {said}"]


def chances(names: list[str], clean: dict[str, int], **changes: Any) -> list[str]:
    """Remarks on a run of 40 images, so many of which are right without an attack."""
    spec = SPEC | {"models": names, "seeds": 1, "defences": list(clean)} | changes
    found = make_run(
        spec, lambda _, defence, attack, __: torch.arange(40) < (clean[defence] if attack == "clean" else 0)
    )
    return [line for line in remarks(found) if "guessing" in line]


def test_accuracy_near_chance_says_what_to_try() -> None:
    assert chances(["own:make"], {"undefended": 5}) == [
        "own:make: 12.5% of the clean images are right with undefended, little more than by guessing (10.0%): if it "
        "was trained on standardised images, give their mean and deviation (--mean and --std, or "
        "counteract.models.Normalize in front of it); else compare the order of its classes"
    ]
    for own in ({"names": ["digits-resnet-iat"]}, {"own_network": {"mean": [0.5], "std": [0.2]}}):
        (line,) = chances(own.pop("names", ["own:make"]), {"undefended": 2}, **own)  # type: ignore[arg-type]
        assert line.endswith("compare the images and the order of classes with those that it was trained on")


def test_accuracy_beyond_chance_is_no_matter() -> None:
    assert chances(["own:make"], {"undefended": 11})
    assert not chances(["own:make"], {"undefended": 12})
    assert not chances(["own:make"], {"undefended": 20, "rotation": 4})  # which the defence is to be blamed for
    assert chances(["own:make"], {"counteraction": 3, "rotation": 4})[0].startswith("own:make: 10.0% of the clean")
    assert not chances(["own:make"], {"counteraction": 3, "rotation": 20})
    assert not chances(["own:make"], {"undefended": 0}, attacks=["pgd2"])


def test_what_must_be_said_of_attacks_of_others() -> None:
    names = ["clean", "torchattacks:CW(c=1)", "art:HopSkipJump@defended"]
    found = make_run(SPEC | {"models": {"a": "x", "b": "y"}, "seeds": 1, "attacks": names}, lambda *_: [1, 0])
    for cell in found.cells:
        cell.tried = 4
        if cell.attack == "torchattacks:CW(c=1)" and cell.model == "a":
            cell.projected = 3
        if cell.attack == "art:HopSkipJump@defended" and (cell.model, cell.defence) == ("b", "rotation"):
            cell.projected, cell.said = 1, {"attack art:HopSkipJump@defended warns: odd": None}
    assert remarks(found) == [
        "torchattacks:CW(c=1), art:HopSkipJump@defended: attacks of others, whose draws follow the block",
        "torchattacks:CW(c=1) on a: 3 of 4 results lay outside of the threat model, and were projected onto it",
        "art:HopSkipJump@defended on b: 1 of 4 results with rotation lay outside of the threat model, and were "
        "projected onto it",
        "b with rotation: attack art:HopSkipJump@defended warns: odd",
    ]


def test_damage_and_missing_cells_come_last() -> None:
    found = run(damage=("a line is damaged",), networks={"a": NetworkNote(notes=("odd",))})
    assert remarks(found) == ["a: odd", "a line is damaged"]


def test_parameters_are_said_once_for_networks_that_share_them() -> None:
    shared = "counteraction: targeted, N = 9, eps 8/255, eps_step 4/255; rotation: degrees 20, 50 executions"
    assert parameters(run()) == [f"Parameters of a, b: {shared}"]
    setting = {"model": "b", "attacks": "targeted", "parameters": {"rotation": {"degrees": 5}}}
    spec = SPEC | {"models": {"a": "x", "b": "y"}, "settings": [setting]}
    assert parameters(make_run(spec, lambda *_: None)) == [
        f"Parameters of a: {shared}",
        "Parameters of b: counteraction: targeted, N = 9, eps 8/255, eps_step 4/255",
        "Parameters of b under untargeted attacks: rotation: degrees 20, 50 executions",
        "Parameters of b under targeted attacks: rotation: degrees 5, 50 executions",
    ]


def test_the_glossary_says_what_the_run_has() -> None:
    assert "clean images included" in glossary(half_finished())
    assert "clean images included" not in glossary(half_finished(attacks=["pgd2"]))
    assert "adaptive: not measured" in glossary(half_finished())
    assert "2 draws" in glossary(adaptive())
    shares = torch.tensor([[1, 0], [1, 1]])
    oblivious = make_run(SPEC | {"seeds": 1, "draws": 2}, lambda *_: shares)
    assert "2 draws" in glossary(oblivious)


def test_the_conditions_name_leaks_readings_and_rounded_pixels() -> None:
    odd = half_finished(defences=["mixup-inference"], pool="test-augmented", reading="by the caption", pixels="8-bit")
    found = dict(conditions(odd))
    assert found["mixup pool"] == ("test-augmented images: a leak, the images that are classified are among them")
    assert "reading of the paper's settings: by the caption" in remarks(odd)
    assert found["attacks"].endswith("away from the true label; adversarial images rounded to 8-bit")
    assert not [line for line in remarks(run()) if "reading" in line]


def test_a_worst_case_over_two_parameter_sets_is_said_to_be_one() -> None:
    setting = {"model": "b", "attacks": "targeted", "parameters": {"rotation": {"degrees": 5}}}
    spec = SPEC | {"models": {"a": "x", "b": "y"}, "settings": [setting], "attacks": ["clean", "pgd2-targeted"]}
    assert remarks(make_run(spec, lambda *_: [1, 0]))[0] == (
        "b: the parameters of rotation under targeted attacks are not those under the others, so that a worst case "
        "over both is one over two different defences"
    )
    for attacks in (["clean", "pgd2"], ["pgd2-targeted"]):
        assert not [line for line in remarks(make_run(spec | {"attacks": attacks}, lambda *_: [1])) if "worst" in line]
