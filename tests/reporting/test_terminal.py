"""The tables in the terminal, of runs that are made up."""

from __future__ import annotations

import io
import math
import re

import pytest
import torch
from reporting.synthetic import SPEC, adaptive, half_finished, make_run
from rich.console import Console

from counteract.evaluation.results import NetworkNote, Run
from counteract.reporting.terminal import _head, accuracy_table, fitted, print_run
from counteract.reporting.words import ADAPTIVE, FOOTNOTE, notes
from counteract.robustbench.eligibility import NOT_ELIGIBLE


def printed(run: Run) -> list[str]:
    console = Console(width=160, file=io.StringIO())
    console.print(accuracy_table(run))
    assert isinstance(console.file, io.StringIO)
    return [" ".join(line.split()) for line in console.file.getvalue().splitlines()]


def said(run: Run, capsys: pytest.CaptureFixture[str]) -> str:
    print_run(run)
    return " ".join(capsys.readouterr().out.split())


def test_the_terminal_table() -> None:
    lines = printed(half_finished())
    assert lines[0] == "net on digits, n = 4, 2 seeds, eps = 12/255"
    assert "defence clean pgd2 (95% interval) passes time" in lines
    assert "undefended 100.0 ±0.0 0.0 ±0.0 0.0 ±0.0 (0-49) 10 10.0x" in lines
    assert "counteraction 50.0 ±0.0 62.5 ±17.7 37.5 ±17.7 (9-78) 13 13.0x" in lines
    assert "rotation 75.0 - - 8 8.0x" in lines


def test_titles() -> None:
    assert printed(half_finished(seeds=1))[0] == "net on digits, n = 4, 1 seed, eps = 12/255"
    titled = printed(half_finished(title="Mine [bold]", models={"a": "x", "b": "y"}))
    assert titled[:2] == ["Mine [bold]", "2 networks on digits, n = 4, 2 seeds, eps = 12/255"]
    assert {"a", "b"} <= set(titled)
    nothing = make_run(SPEC, lambda *_: None)
    assert printed(nothing)[0] == "net on digits, n = 4, 2 seeds, eps = 12/255"
    assert "undefended - - - - -" in printed(nothing)


def test_printing_says_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(half_finished(), capsys)
    assert FOOTNOTE in text
    assert "This run is unfinished: 9 of 12 measurements" in text
    assert (
        "missing, because the run has not come so far: net, clean, rotation, seed 1; net, pgd2, rotation, seed 0; "
        "net, pgd2, rotation, seed 1." in text
    )
    text = said(make_run(SPEC | {"models": {"a": "robustbench:cifar10/Linf/Wong2020Fast"}}, lambda *_: [1, 0]), capsys)
    assert "unfinished" not in text
    assert "missing" not in text
    assert NOT_ELIGIBLE in text


def test_printing_says_parameters_and_remarks(capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run(
        SPEC,
        lambda *_: [1, 0],
        networks={"net": NetworkNote(random=True)},
        obstacles={("net", "pgd2", "rotation"): "it needs gradients"},
        damage=("2 lines are damaged",),
    )
    text = said(run, capsys)
    assert (
        "Parameters of net: counteraction: targeted, N = 9, eps 8/255, eps_step 4/255; "
        "rotation: degrees 20, 50 executions." in text
    )
    assert "net: its answers are random; its draws follow the block." in text
    assert "pgd2 did not run on net with rotation: it needs gradients." in text
    assert "2 lines are damaged." in text
    assert re.search(r"rotation 50\.0 ±0\.0 cannot run 50\.0 ±0\.0", text)


def test_an_interrupted_run_says_n_where_it_is_less() -> None:
    shares = torch.tensor([1.0, 0.0, math.nan, math.nan])
    lines = printed(make_run(SPEC | {"seeds": 1}, lambda m, d, attack, s: shares if attack == "pgd2" else [1, 1, 1, 1]))
    assert any(re.match(r"rotation 100\.0 50\.0 \(n=2\) 50\.0 \(\d+-\d+, n=2\) 8 8\.0x$", line) for line in lines)


def test_a_run_with_adaptive_attacks_says_what_the_defence_is_worth(capsys: pytest.CaptureFixture[str]) -> None:
    print_run(adaptive())
    text = capsys.readouterr().out
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "undefended 100.0 50.0 75.0 (bpda-pgd) 25.0 (5-70) - 75.0" in lines
    assert any(
        line.startswith("rotation 75.0 62.5 37.5 (bpda-pgd) 12.5 (1-60) -12.5 (") and line.endswith(" 100.0")
        for line in lines
    )
    assert "(strongest attack) (95% interval) (paired 95%)" in " ".join(text.split())
    assert "not measured" not in text
    assert ADAPTIVE in " ".join(text.split())
    assert notes(adaptive()) == [ADAPTIVE]


def test_many_attacks_have_rows(capsys: pytest.CaptureFixture[str]) -> None:
    attacks = [f"pgd{steps}" for steps in range(1, 12)]
    print_run(make_run(SPEC | {"attacks": attacks, "seeds": 1}, lambda *_: [1, 0, 1, 1]))
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "attack undefended counteraction rotation" in lines
    assert "pgd11 75.0 75.0 75.0" in lines
    assert "forward passes 10 13 8" in lines


@pytest.mark.parametrize("width", [80, 50])
def test_tables_fit_the_terminal_and_nothing_is_cut(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    attacks = ["clean", *(f"pgd{steps}-targeted" for steps in range(1, 9)), "smooth"]
    print_run(make_run(SPEC | {"attacks": attacks, "seeds": 2}, lambda *_: [1, 0, 1, 1]))
    text = capsys.readouterr().out
    assert all(len(line) <= width for line in text.splitlines())
    assert "…" not in text
    assert text.count("75.0") >= 3 * len(attacks)
    assert text.count("rotation") >= 2


def test_a_table_that_fits_is_in_one_piece() -> None:
    table = accuracy_table(half_finished())
    assert len(fitted(table, Console(width=160))) == 1
    parts = fitted(table, Console(width=50))
    assert len(parts) > 1
    assert [part.title is None for part in parts] == [False, *(True for _ in parts[1:])]
    heads = [str(column.header) for part in parts for column in part.columns[1:]]
    assert heads == [str(column.header) for column in table.columns[1:]]


def test_heads_break_at_the_marks_of_names_and_keep_those_of_arguments() -> None:
    assert _head("bpda-apgd-t") == "bpda\napgd\nt"
    assert _head("torchattacks:CW(c=1e-3,kappa=-1)@defended") == "torchattacks\nCW\n(c=1e-3,kappa=-1)\ndefended"
