"""The terminal table, Markdown and CSV of runs that are made up."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
import torch
from reporting.synthetic import make_run
from rich.console import Console

from counteract.evaluation.record import Run
from counteract.models.eligibility import NOT_ELIGIBLE
from counteract.reporting import content
from counteract.reporting.csv_file import to_csv
from counteract.reporting.markdown import to_markdown
from counteract.reporting.terminal import ADAPTIVE, FOOTNOTE, accuracy_table, print_run

SPEC: dict[str, Any] = {
    "dataset": "digits", "models": ["net"], "attacks": ["none", "pgd2"], "seeds": 2, "limit": 4,
    "defences": ["none", "counteraction", "rotation"], "attack": {"eps": "12/255"},
}  # fmt: skip

# seed 0 and seed 1; the worst case of counteraction: 1000 and 1100, so 1.5 of 4
RIGHT = {
    ("none", "none"): ([1, 1, 1, 1], [1, 1, 1, 1]),
    ("none", "pgd2"): ([0, 0, 0, 0], [0, 0, 0, 0]),
    ("counteraction", "none"): ([1, 1, 0, 0], [1, 1, 0, 0]),
    ("counteraction", "pgd2"): ([1, 0, 1, 0], [1, 1, 1, 0]),
    ("rotation", "none"): ([1, 1, 1, 0], None),
}


def half_finished(**fields: Any) -> Run:
    def correct(model: str, defence: str, attack: str, seed: int) -> list[int] | None:
        seeds = RIGHT.get((defence, attack))
        return seeds and seeds[seed]

    return make_run(SPEC | fields, correct)


def printed(run: Run) -> list[str]:
    console = Console(width=160, file=io.StringIO())
    console.print(accuracy_table(run))
    assert isinstance(console.file, io.StringIO)
    return [" ".join(line.split()) for line in console.file.getvalue().splitlines()]


def test_the_terminal_table() -> None:
    lines = printed(half_finished())
    assert lines[0] == "net on digits, n = 4, 2 seeds, eps = 12/255"
    assert "none 100.0 ±0.0 0.0 ±0.0 0.0 ±0.0 (0-49) 4 4.0x" in lines
    assert "counteraction 50.0 ±0.0 62.5 ±17.7 37.5 ±17.7 (9-78) 13 13.0x" in lines
    assert "rotation 75.0 - - 8 8.0x" in lines


def test_titles() -> None:
    assert printed(half_finished(seeds=1))[0] == "net on digits, n = 4, 1 seed, eps = 12/255"
    titled = printed(half_finished(title="Mine [bold]", models={"a": "x", "b": "y"}))
    assert titled[:2] == ["Mine [bold]", "2 networks on digits, n = 4, 2 seeds, eps = 12/255"]
    assert {"a", "b"} <= set(titled)
    nothing = make_run(SPEC, lambda *_: None)
    assert printed(nothing)[0] == "net on digits, n = 4, 2 seeds, eps = 12/255"
    assert "none - - - - -" in printed(nothing)


def test_printing_says_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    print_run(half_finished())
    said = " ".join(capsys.readouterr().out.split())
    assert FOOTNOTE in said
    assert "unfinished: 9 of 12 measurements" in said
    print_run(make_run(SPEC | {"models": {"a": "robustbench:x"}}, lambda *_: [1, 0]))
    said = " ".join(capsys.readouterr().out.split())
    assert "unfinished" not in said
    assert NOT_ELIGIBLE in said


def test_the_csv_has_every_row_and_field() -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(half_finished()))))
    assert [(row["attack"], row["defence"], row["seeds"]) for row in rows] == [
        ("none", "none", "2"), ("none", "counteraction", "2"), ("none", "rotation", "1"),
        ("pgd2", "none", "2"), ("pgd2", "counteraction", "2"),
    ]  # fmt: skip
    row = rows[-1]
    assert (row["dataset"], row["model"], row["n"]) == ("digits", "net", "4")
    assert float(row["accuracy"]) == 62.5
    assert float(row["std"]) == pytest.approx(17.678, abs=1e-3)
    assert float(row["ci95_low"]) < 62.5 < float(row["ci95_high"])
    assert (row["executions"], row["forward_equivalents"], row["relative_time"]) == ("1", "13", "13.0")
    assert float(row["seconds"]) == 13.0


def test_markdown() -> None:
    text = to_markdown(half_finished())
    lines = text.splitlines()
    assert lines[0] == "# net on digits, n = 4, 2 seeds, eps = 12/255"
    assert "- state: unfinished: 9 of 12 measurements (network x attack x defence x seed)" in lines
    assert "- versions and machine: python 3.12.1, torch 2.11.0, cores 2" in lines
    assert "| defence | oblivious worst case | adaptive | static | none | pgd2 | forwards | time |" in lines
    assert (
        "| counteraction | 37.5 ±17.7 (9.2-78.1) | not measured | 0.0 ±0.0 | 50.0 ±0.0 (15.0-85.0) | "
        "62.5 ±17.7 (21.9-90.8) | 13 | 13.0x |" in lines
    )
    assert "| rotation | - | not measured | 0.0 ±0.0 | 75.0 (30.1-95.4, 1 of 2 seeds) | - | 8 | 8.0x |" in lines
    assert "The paper beside" not in text
    # counteraction gains 2 of 4 in seed 0 and 3 of 4 in seed 1
    assert "| counteraction | -50.0 (-93.0 to +26.3) | +62.5 (-19.1 to +100.0) |" in lines


def test_markdown_escapes_and_puts_the_paper_beside() -> None:
    run = half_finished(title="Table 1: <b>|a_b|*", models={"mixup": "my|net"}, attacks=["pgd10", "pgd10-targeted"])
    text = to_markdown(run)
    assert text.startswith("# Table 1: \\<b\\>\\|a\\_b\\|\\*\n")
    assert "mixup is my\\|net" in text
    assert "| none | pgd10-targeted | \\<=1 | - | - |" in text
    measured = make_run({**run.spec.model_dump(by_alias=True), "seeds": 1}, lambda *_: torch.arange(400) < 100)
    assert "| counteraction | pgd10 | 26.5 | 25.0 (21.0-29.5) | -1.5 |" in to_markdown(measured)


def test_every_table_of_accuracies_has_the_columns_that_keep_it_honest() -> None:
    run = half_finished(models={"a": "x", "b": "y"}, attacks=["pgd2"])
    for grid in content.accuracies(run):
        assert grid.header[1:4] == ("oblivious worst case", "adaptive", "static")
        assert {row[2].text for row in grid.rows} == {"not measured"}
        assert all(len(row) == len(grid.header) for row in grid.rows)
    assert to_markdown(run).count("was not measured here") == 2
    assert "clean images included" not in content.glossary(run)
    assert "clean images included" in content.glossary(half_finished())


def test_gains_compare_with_the_same_without_counteraction() -> None:
    spec = SPEC | {"defences": ["none", "rotation", "counteraction", "counteraction+rotation"], "seeds": 1}
    right = {"none": 0, "rotation": 100, "counteraction": 200, "counteraction+rotation": 400}
    run = make_run(spec, lambda model, defence, attack, seed: torch.arange(400) < right[defence])
    (grid,) = content.gains(run)
    assert [(row[0].text, row[1].text) for row in grid.rows] == [
        ("counteraction", "+50.0"), ("counteraction+rotation", "+75.0"),
    ]  # fmt: skip


# four examples, by two draws; static worst case 0100, defended 1/2 0 0 0
KNOWN: dict[tuple[str, str], list[float]] = {
    ("none", "none"): [1, 1, 1, 1],
    ("none", "pgd2"): [0, 1, 0, 1],
    ("none", "bpda-pgd"): [1, 1, 1, 0],
    ("none", "square"): [1, 1, 1, 1],
    ("rotation", "none"): [1, 1, 1, 0],
    ("rotation", "pgd2"): [1, 1, 0.5, 1],
    ("rotation", "bpda-pgd"): [0.5, 0, 0, 1],
    ("rotation", "square"): [1, 1, 1, 0.5],
}


def adaptive(**fields: Any) -> Run:
    attacks, defences = ["none", "pgd2", "bpda-pgd", "square"], ["none", "rotation"]
    changed = SPEC | {"attacks": attacks, "defences": defences, "seeds": 1, "draws": 2} | fields

    def correct(model: str, defence: str, attack: str, seed: int) -> torch.Tensor:
        shares = torch.tensor(KNOWN[defence, attack])
        return torch.stack([shares > 0, shares > 0.5])

    return make_run(changed, correct)


def test_a_run_with_adaptive_attacks_says_what_the_defence_is_worth(capsys: pytest.CaptureFixture[str]) -> None:
    print_run(adaptive())
    said = capsys.readouterr().out
    lines = [" ".join(line.split()) for line in said.splitlines()]
    assert "none 100.0 50.0 75.0 (bpda-pgd) 25.0 (5-70) - 75.0" in lines
    assert any(
        line.startswith("rotation 75.0 62.5 37.5 (bpda-pgd) 12.5 (1-60) -12.5 (") and line.endswith(" 100.0")
        for line in lines
    )
    assert "not measured" not in said
    assert ADAPTIVE in " ".join(said.split())


def test_markdown_with_adaptive_attacks() -> None:
    text = to_markdown(adaptive())
    (row,) = [line for line in text.splitlines() if line.startswith("| rotation | 62.5")]
    header = "| defence | oblivious worst case | adaptive | static | worst case | gain | any wrong | none |"
    assert header in text
    assert "| 37.5 (9.2-78.1, bpda-pgd) | 25.0 | 12.5 (" in row
    assert "| -12.5 (" in row
    assert "| 100.0 | 75.0 (" in row
    assert "- attacks: oblivious and adaptive; eps = 12/255" in text
    assert "- draws: 2 judge each example" in text
    assert "- budget: steps 20, restarts 1" in text
    assert "not measured" not in text.split("## Claims")[0]
    assert "no attack but \\`fixed\\` has seen" in text


def test_many_attacks_have_rows(capsys: pytest.CaptureFixture[str]) -> None:
    attacks = [f"pgd{steps}" for steps in range(1, 12)]
    print_run(make_run(SPEC | {"attacks": attacks, "seeds": 1}, lambda *_: [1, 0, 1, 1]))
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "attack none counteraction rotation" in lines
    assert "pgd11 75.0 75.0 75.0" in lines
    assert "cost in forwards 4 13 8" in lines
