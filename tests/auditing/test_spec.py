"""The spec of an audit: every attack has its stage, and what a spec says of one defence is kept."""

from __future__ import annotations

from typing import Any

import pytest

from counteract._errors import UserError
from counteract.attacks import ATTACKS
from counteract.attacks.own import CURES
from counteract.auditing import audit_spec, make_audit_spec
from counteract.auditing.spec import stages
from counteract.evaluation import spec_for_dataset

EVERY = [name for stage in stages(2) for name in stage]


def test_every_attack_of_ours_has_its_stage() -> None:
    """But for cures, and for plain PGD on losses that APGD climbs already."""
    assert len(set(EVERY)) == len(EVERY)
    own = set(ATTACKS) - set(CURES)
    assert own - set(EVERY) == {"bpda-pgd-cw", "bpda-pgd-dlr", "bpda-pgd-t"}
    assert set(EVERY) - own == {"pgd2"}


def test_the_spec_of_an_audit() -> None:
    data = spec_for_dataset("digits") | {
        "cascade": True,
        "attacks": ["pgd1"],
        "sweep": {"parameter": "eps", "values": ["1/255"]},
    }
    spec = make_audit_spec(data, "counteraction")
    assert (spec.cascade, spec.sweep, spec.alone) == (True, None, ("clean", "pgd20", "noise", "apgd-ce"))
    assert spec.attacks == tuple(name for stage in stages(20) for name in stage)
    assert list(spec.defences) == ["undefended", "counteraction"]
    assert list(make_audit_spec(data, "undefended").defences) == ["undefended"]
    two = {"models": {"a": "digits-resnet-iat", "b": "digits-resnet-mixup"}}
    with pytest.raises(UserError, match="an audit is about one model, found a, b: name one"):
        make_audit_spec(data | two, "counteraction")
    with pytest.raises(UserError, match="did you mean counteraction"):
        audit_spec(make_audit_spec(data, "counteracton"))


def test_the_spec_of_an_audit_keeps_what_a_label_stands_for() -> None:
    given = {
        "dataset": "digits",
        "models": ["digits-resnet-iat"],
        "defences": {"mine": {"use": "rotation", "degrees": 9}},
    }
    made = make_audit_spec(given, "mine")
    assert made.defences == {"undefended": "undefended", "mine": "rotation(degrees=9)"}
    assert make_audit_spec(given, "hedge").defences == {"undefended": "undefended", "hedge": "hedge"}


@pytest.mark.parametrize(
    ("defences", "words"),
    [
        ([["x"]], "defences"),
        ([{"use": "hedge"}], "defences"),
        (5, "defences"),
        ("counteraction", "defences"),
        (["hedge", "rotation"], "an audit is about one defence, found hedge, rotation: name one with --defence"),
    ],
)
def test_a_spec_without_one_defence_is_one_line(defences: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        make_audit_spec({"dataset": "digits", "models": ["digits-resnet-iat"], "defences": defences})


def test_the_only_defence_of_a_spec_is_audited() -> None:
    data = {"dataset": "digits", "models": ["digits-resnet-iat"], "defences": ["none", "hedge"]}
    assert list(make_audit_spec(data).defences) == ["undefended", "hedge"]
    assert list(make_audit_spec(data | {"defences": ["undefended"]}).defences) == ["undefended"]
