"""The page of what was measured has the verdicts of the records."""

from __future__ import annotations

from pathlib import Path

import pytest
from scripts import EVAL, load_script

from counteract.evaluation import make_spec, read_run
from counteract.evaluation.experiments import read_spec

MEASURED = load_script("measured.py")

PAGE = EVAL.parent / "docs" / "measured.md"


def test_the_page_has_the_verdicts_of_the_records() -> None:
    rows = list(MEASURED.rows())
    assert len(rows) > 40
    text = PAGE.read_text(encoding="utf-8")
    assert "\n".join(["<!-- python eval/measured.py -->", *rows, ""]) in text


def test_every_record_stands_on_the_page() -> None:
    text = PAGE.read_text(encoding="utf-8")
    columns = MEASURED.COLUMNS.values()
    later = {name for names in MEASURED.LATER.values() for name in names}
    named = (
        {name for names in columns for name in names} | later | {"adaptive", "pang/adaptive-mixup", "pang/adaptive-iat"}
    )
    there = {str(path.parent.relative_to(EVAL / "results")) for path in EVAL.glob("results/**/run.json")}
    others = ("shortcuts", "before-rebuild", "art-defences", "field")  # about speed, the engine, other defences
    assert {name for name in there if not name.startswith(others)} <= named
    assert all(f"`{name.split('/')[-1]}`" in text for name in named)


@pytest.mark.parametrize(("name", "later"), [(name, each) for name, them in MEASURED.LATER.items() for each in them])
def test_what_was_made_later_is_of_the_same_networks_images_and_parameters(name: str, later: str) -> None:
    first, then = (read_run(EVAL / "results" / each) for each in (name, later))
    assert then.complete
    assert then.examples == first.examples
    for setting in ("dataset", "seeds", "threat_model"):
        assert getattr(then.spec, setting) == getattr(first.spec, setting)
    for label, network in then.spec.models.items():
        assert Path(network).stem == Path(first.spec.models[label]).stem
    assert then.defences.items() <= first.defences.items()


@pytest.mark.parametrize(("name", "whole"), MEASURED.WITHIN.items())
def test_a_record_of_some_networks_is_within_one_of_the_same_settings_for_the_others(name: str, whole: str) -> None:
    own, other = (read_run(EVAL / "results" / each) for each in (name, whole))
    assert own.complete
    assert (own.examples, own.spec.dataset, own.spec.threat_model) == (
        other.examples,
        other.spec.dataset,
        other.spec.threat_model,
    )
    specs = [make_spec(read_spec(each.partition("/")[2]), each) for each in (name, whole)]
    for label in other.spec.models.keys() - own.spec.models.keys():
        for variant in specs[0].variants():
            for targeted in (False, True):
                first, second = (
                    each.parameters_for(label, label, targeted=targeted, variant=variant) for each in specs
                )
                assert first == second
