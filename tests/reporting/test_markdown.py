"""The report as Markdown: of runs that are made up, and of committed ones beside what was printed of them before."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from reporting.synthetic import adaptive, half_finished, make_page_run, make_run

from counteract.evaluation.legacy import read_legacy
from counteract.reporting.audit import Findings
from counteract.reporting.markdown import to_markdown

RESULTS = Path(__file__).parents[2] / "eval" / "results"


def test_markdown() -> None:
    text = to_markdown(half_finished())
    lines = text.splitlines()
    assert lines[0] == "# net on digits, n = 4, 2 seeds, eps = 12/255"
    assert "- state: unfinished: 9 of 12 measurements (network x attack x defence x seed)" in lines
    assert "- threat model: Linf, eps = 12/255" in lines
    assert "- attacks: oblivious; PGD's step 3/255, untargeted ones away from the true label" in lines
    assert "- versions and machine: python 3.12.1, torch 2.11.0, cores 2" in lines
    assert "| defence | oblivious worst case | adaptive | undefended | clean | pgd2 | forward passes | time |" in lines
    assert (
        "| counteraction | 37.5 ±17.7 (9.2-78.1) | not measured | 0.0 ±0.0 | 50.0 ±0.0 (15.0-85.0) | "
        "62.5 ±17.7 (21.9-90.8) | 13 | 13.0x |" in lines
    )
    assert "| rotation | - | not measured | 0.0 ±0.0 | 75.0 (30.1-95.4, 1 of 2 seeds) | - | 8 | 8.0x |" in lines
    assert "The paper beside" not in text
    # counteraction gains 2 of 4 in seed 0 and 3 of 4 in seed 1
    assert "| counteraction | -50.0 (-93.0 to +26.3) | +62.5 (-19.1 to +100.0) |" in lines


def test_markdown_has_parameters_and_remarks() -> None:
    run = half_finished(settings=[{"attacks": "targeted", "parameters": {"rotation": {"degrees": 5}}}])
    lines = to_markdown(run).splitlines()
    assert "| rotation | untargeted attacks | rotation: degrees 20, 50 executions |" in lines
    assert "| rotation | targeted attacks | rotation: degrees 5, 50 executions |" in lines
    assert "| counteraction | every attack | counteraction: targeted, N = 9, eps 8/255, eps\\_step 4/255 |" in lines
    assert "| undefended | every attack" not in "\n".join(lines)
    assert lines[lines.index("## Remarks") + 2].startswith(
        "- missing, because the run has not come so far: net, clean, "
    )
    assert "## Remarks" not in to_markdown(make_page_run())


def test_a_worst_case_that_bad_luck_is_a_part_of_is_said_to_be_a_lower_bound() -> None:
    luck = "- a worst case of a defence that draws is a lower bound: the least under any attack, bad luck included"
    run = adaptive()
    assert luck in to_markdown(run).splitlines()
    for cell in run.cells:
        cell.executions, cell.drawn = 50, {seed: shares[None] > 0 for seed, shares in cell.correct.items()}
    known = to_markdown(run)
    assert luck not in known
    assert "the attack that is worst for an example is chosen by other draws than the one that judges it" in known
    once = make_page_run()
    once.cells[1].executions = 50
    assert f"{luck}; more draws tell luck from attacks (--draws 5)" in to_markdown(once).splitlines()


def test_markdown_escapes_and_puts_the_paper_beside() -> None:
    run = half_finished(title="Table 1: <b>|a_b|*", models={"mixup": "my|net"}, attacks=["pgd10", "pgd10-targeted"])
    text = to_markdown(run)
    assert text.startswith("# Table 1: \\<b\\>\\|a\\_b\\|\\*\n")
    assert "mixup is my\\|net" in text
    assert "| undefended | pgd10-targeted | \\<=1 | - | - |" in text
    measured = make_run({**run.spec.model_dump(by_alias=True), "seeds": 1}, lambda *_: torch.arange(400) < 100)
    assert "| counteraction | pgd10 | 26.5 | 25.0 (21.0-29.5) | -1.5 |" in to_markdown(measured)


def test_what_must_be_said_stands_beside_every_table() -> None:
    run = half_finished(models={"a": "x", "b": "y"}, attacks=["pgd2"])
    assert to_markdown(run).count("was not measured here") == 2


def test_markdown_with_adaptive_attacks() -> None:
    text = to_markdown(adaptive())
    (row,) = [line for line in text.splitlines() if line.startswith("| rotation | 62.5")]
    header = "| defence | oblivious worst case | adaptive | undefended | worst case | gain | any wrong | clean |"
    assert header in text
    assert "| 37.5 (9.2-78.1, bpda-pgd) | 25.0 | 12.5 (" in row
    assert "| -12.5 (" in row
    assert "| 100.0 | 75.0 (" in row
    assert "- attacks: oblivious and adaptive; PGD's step" in text
    assert "- draws: 2 judge each example" in text
    assert "- preset: steps 20, restarts 1" in text
    assert "not measured" not in text.split("## Claims")[0]
    assert "no attack but \\`fixed\\` has seen" in text


def test_markdown_with_an_audit() -> None:
    found = Findings("rotation", (("FLAG", "gain", "a|b"), ("-", "black box", "no")), ("AutoAttack warns: x",))
    lines = to_markdown(adaptive(), found).splitlines()
    start = lines.index("## Audit")
    assert lines[start + 2] == "**rotation: 1 red flag. What it gains is not to be relied on.**"
    assert lines[start + 4 : start + 8] == [
        "|  | check | finding |", "| --- | --- | --- |", "| FLAG | gain | a\\|b |", "| - | black box | no |",
    ]  # fmt: skip
    assert "- AutoAttack warns: x" in lines
    assert "it is damaged" in to_markdown(adaptive(), "it is damaged")
    assert "## Audit" not in to_markdown(adaptive())


def tables(text: str) -> dict[tuple[str, str], list[list[str]]]:
    """The tables of a report, by the headings above them."""
    found: dict[tuple[str, str], list[list[str]]] = {}
    section = title = ""
    for line in text.splitlines():
        if line.startswith("## "):
            section, title = line[3:], ""
        elif line.startswith("### "):
            title = line[4:]
        elif line.startswith("|"):
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            found.setdefault((section, title), []).append(cells)
    return found


def in_todays_words(table: list[list[str]], section: str) -> list[list[str]]:
    """A table as it was printed before, with the words that are others today."""
    header = {"static": "undefended", "forwards": "forward passes", "none": "clean"}
    names = {"none": "clean"}
    found = [[header.get(cell, cell) for cell in table[0]]]
    for first, *rest in table[1:]:
        others = [
            cell.replace("no defence", "undefended") if section == "Claims" else names.get(cell, cell) for cell in rest
        ]
        if first == "none" and table[0][-1] == "time":
            others[-1] = "1.0x"  # by definition, not as it was measured
        found.append(["undefended" if first == "none" else first, *others])
    return found


@pytest.mark.parametrize("name", ["adaptive", "table4"])
def test_committed_results_print_the_tables_that_they_printed(name: str) -> None:
    before = tables((Path(__file__).parent / "recorded" / f"{name}.md").read_text(encoding="utf-8"))
    after = tables(to_markdown(read_legacy(RESULTS / name)))
    assert {section for section, _ in after.keys() - before.keys()} == {"Parameters"}
    assert before.keys() <= after.keys()
    for place, table in before.items():
        now = [
            [re.sub(": \u201c.*\u201d$", "", cell) for cell in row] for row in after[place]
        ]  # claims had no quotation
        assert now == in_todays_words(table, place[0])
