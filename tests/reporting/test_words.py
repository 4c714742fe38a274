"""The sentences of a report."""

from __future__ import annotations

from typing import Any

import torch
from reporting.synthetic import SPEC, adaptive, half_finished, make_run
from torch import Tensor

from counteract.evaluation.results import NetworkNote, Run
from counteract.reporting.words import CASCADE, conditions, glossary, introduce, notes, parameters, verdicts


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
    assert found["attacks"].endswith("away from the true label; adversarial images rounded to 8-bit")
