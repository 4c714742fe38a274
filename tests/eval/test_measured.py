"""The page of what was measured has the verdicts of the records."""

from __future__ import annotations

from scripts import EVAL, load_script

PAGE = EVAL.parent / "docs" / "measured.md"


def test_the_page_has_the_verdicts_of_the_records() -> None:
    rows = list(load_script("measured.py").rows())
    assert len(rows) > 40
    text = PAGE.read_text(encoding="utf-8")
    assert "\n".join(["<!-- python eval/measured.py -->", *rows, ""]) in text


def test_every_record_stands_on_the_page() -> None:
    text = PAGE.read_text(encoding="utf-8")
    columns = load_script("measured.py").COLUMNS.values()
    named = {name for names in columns for name in names} | {"adaptive"}
    there = {str(path.parent.relative_to(EVAL / "results")) for path in EVAL.glob("results/**/run.json")}
    others = ("shortcuts", "before-rebuild", "art-defences", "field")  # about speed, the engine, other defences
    assert {name for name in there if not name.startswith(others)} <= named
    assert all(f"`{name.split('/')[-1]}`" in text for name in named)
