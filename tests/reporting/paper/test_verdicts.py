"""Verdicts on made-up measurements, counted by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from reporting.synthetic import make_illustrations, make_run

from counteract.evaluation.cells import Cell
from counteract.evaluation.results import Run
from counteract.reporting.paper.claims import Claim
from counteract.reporting.paper.figures import Selector
from counteract.reporting.paper.verdicts import assess, judge_cost, judge_measured

A, B, C = (Selector("net", name, "pgd10") for name in "abc")


def first(right: int, of: int = 400) -> torch.Tensor:
    return torch.arange(of) < right


def measured(claim: Claim, **right: int) -> tuple[str, str]:
    cells = {Selector("net", name, "pgd10"): Cell("net", "pgd10", name) for name in right}
    for key, cell in cells.items():
        cell.add(0, first(right[key.defence]), 1.0, 1.0)
    verdict = judge_measured(claim, cells)
    return verdict.outcome, verdict.evidence


@pytest.mark.parametrize(
    ("right", "outcome"),
    [
        ({"a": 200, "b": 100}, "holds"),
        ({"a": 100, "b": 200}, "does not hold"),
        ({"a": 101, "b": 100}, "not settled"),
        ({"a": 100, "b": 100}, "not settled"),
        ({"a": 100}, "not measured"),
        ({}, "not measured"),
    ],
)
def test_one_comparison(right: dict[str, int], outcome: str) -> None:
    assert measured(Claim("", "", "", ((A, B),)), **right)[0] == outcome


@pytest.mark.parametrize(
    ("margin", "outcome"),
    [(0, "holds"), (20, "holds"), (24, "not settled"), (26, "not settled"), (35, "does not hold"), (-5, "holds")],
)
def test_a_margin_is_in_points(margin: float, outcome: str) -> None:
    assert measured(Claim("", "", "", ((A, B),), margin), a=200, b=100)[0] == outcome  # 25 points


def test_all_must_hold_unless_most_is_enough() -> None:
    pairs = ((A, B), (A, C), (C, B))
    up_up_down = {"a": 300, "b": 200, "c": 100}
    assert measured(Claim("", "", "", pairs), **up_up_down)[0] == "does not hold"
    assert measured(Claim("", "", "", pairs, most=True), **up_up_down)[0] == "holds"
    assert measured(Claim("", "", "", pairs[:2], most=True), a=300, b=200)[0] == "not measured"
    assert measured(Claim("", "", "", (*pairs[:1], pairs[2]), most=True), **up_up_down)[0] == "does not hold"
    assert measured(Claim("", "", "", pairs), a=100, b=200)[0] == "does not hold"  # one that fails is enough
    assert measured(Claim("", "", "", pairs), a=300, b=200)[0] == "not measured"
    assert measured(Claim("", "", "", ()))[0] == "not measured"


def test_the_evidence_names_the_smallest_difference() -> None:
    _, evidence = measured(Claim("", "", "", ((A, B), (A, C))), a=200, b=100, c=150)
    # Bonett and Price by hand: (50 + 1) / 402 - 1 / 402 and 1.96 sqrt((52 / 402 - (50 / 402) ** 2) / 402)
    assert evidence == (
        "2 comparisons: 2 hold. Smallest difference +12.5 [+9.1, +15.7]: a 50.0 against c 37.5 (net, pgd10)."
    )


def test_only_shared_seeds_count() -> None:
    better, worse = Cell("net", "pgd10", "a"), Cell("net", "pgd10", "b")
    for seed, right in enumerate((200, 400)):
        better.add(seed, first(right), 1.0, 1.0)
    worse.add(0, first(100), 1.0, 1.0)
    verdict = judge_measured(Claim("", "", "", ((A, B),)), {A: better, B: worse})
    assert "+25.0" in verdict.evidence
    assert "a 50.0 against b 25.0" in verdict.evidence
    better.correct[0][100:] = torch.nan  # of a run that was interrupted the examples that both have count
    worse.correct[0][:50] = torch.nan
    evidence = judge_measured(Claim("", "", "", ((A, B),)), {A: better, B: worse}).evidence
    assert "a 100.0 against b 100.0" in evidence
    del better.correct[0]
    assert judge_measured(Claim("", "", "", ((A, B),)), {A: better, B: worse}).outcome == "not measured"


def simple_run(title: str, **fields: Any) -> Run:
    spec: dict[str, Any] = {
        "title": title, "dataset": "any", "models": {"mixup": "x"}, "attacks": ["clean", "pgd10", "pgd10-targeted"],
        "defences": ["undefended", "counteraction"],
    } | fields  # fmt: skip
    # clean 50%, pgd10 25%, pgd10-targeted 75%
    right = {"clean": 200, "pgd10": 100, "pgd10-targeted": 300}
    return make_run(spec, lambda model, defence, attack, seed: first(right[attack]))


def test_doing_nothing_is_an_attack_too() -> None:
    (found,) = assess(simple_run(""))
    assert found.claim.ours
    assert found.paper.outcome == "not published"
    assert found.measured.outcome == "does not hold"
    assert "4 comparisons: 2 hold, 2 fail" in found.measured.evidence
    assert "clean images 50.0 against pgd10-targeted 75.0" in found.measured.evidence
    paper = assess(simple_run("Table 1"))[-1].paper  # its Table 4 beside its Table 1
    assert paper.outcome == "does not hold"
    assert "clean images 61.2 against pgd200-targeted 63.1 (mixup, counteraction)" in paper.evidence


def test_another_defence_is_not_compared_with_its_clean_accuracy() -> None:
    switched = {"attacks": "targeted", "parameters": {"counteraction": {"targeted": False}}}
    (found,) = assess(simple_run("", settings=[switched]))
    assert "3 comparisons: 2 hold, 1 fail" in found.measured.evidence  # no defence is the same under every attack
    elsewhere = {"attacks": "targeted", "parameters": {"rotation": {"degrees": 5}}}
    (found,) = assess(simple_run("", settings=[elsewhere]))
    assert "4 comparisons" in found.measured.evidence


def test_claims_about_a_sweep_are_about_each_network_of_the_run() -> None:
    sweep = {"parameter": "eps_step", "values": ["1/255", "4/255", "8/255"]}
    spec: dict[str, Any] = {
        "title": "Figure 2", "dataset": "any", "models": ["p", "q"], "attacks": ["pgd10", "pgd10-targeted"],
        "defences": ["counteraction"], "sweep": sweep,
    }  # fmt: skip
    right = {"1/255": 100, "4/255": 200, "8/255": 300}
    run = make_run(spec, lambda model, defence, attack, seed: first(right[defence.split("@")[1]]))
    outcomes = [found.measured.outcome for found in assess(run)]
    # end to end, and without a fall, against untargeted attacks; the same against targeted ones; beyond 4/255; ours
    assert outcomes == ["holds", "not measured", "holds", "not measured", "does not hold", "not measured"]
    assert {found.paper.outcome for found in assess(run)[:5]} == {"not published"}
    assert "2 comparisons: 2 hold" in assess(run)[0].measured.evidence
    every = spec | {"sweep": {"parameter": "eps_step", "values": [f"{step}/255" for step in range(1, 9)]}}
    rising = {f"counteraction@{step}/255": 100 + 20 * step for step in range(1, 9)}
    run = make_run(every, lambda model, defence, attack, seed: first(rising[defence]))
    assert [found.measured.outcome for found in assess(run)][:4] == ["holds"] * 4
    rising["counteraction@6/255"] = 180  # a dip in the middle
    run = make_run(every, lambda model, defence, attack, seed: first(rising[defence]))
    assert [found.measured.outcome for found in assess(run)][:4] == ["holds", "does not hold", "holds", "holds"]


def test_claims_about_the_number_of_labels() -> None:
    spec: dict[str, Any] = {
        "title": "Figure 3", "dataset": "any", "models": ["p"], "attacks": ["pgd10"],
        "defences": ["counteraction"], "sweep": {"parameter": "num_labels", "values": [1, 9]},
    }  # fmt: skip
    run = make_run(spec, lambda model, defence, attack, seed: first(300 if defence.endswith("@9") else 100))
    outcomes = [found.measured.outcome for found in assess(run)]
    assert outcomes == ["holds", "not measured", "not measured", "not measured", "not measured"]


def test_claims_about_steps() -> None:
    spec: dict[str, Any] = {
        "title": "Steps", "dataset": "any", "models": ["p"], "attacks": ["pgd10", "pgd50", "pgd10-targeted"],
        "defences": ["counteraction"], "sweep": {"parameter": "steps", "values": [1, 2, 5]},
    }  # fmt: skip
    run = make_run(spec, lambda model, defence, attack, seed: first(300 if defence.endswith("@1") else 100))
    assert [found.measured.outcome for found in assess(run)] == ["holds", "not measured", "not measured"]


def test_the_cost_is_judged_by_forward_passes() -> None:
    run = simple_run("Table 1", defences=["undefended", "counteraction", "crop-pad", "counteraction+crop-pad"])
    for cell in run.cells:
        cell.passes = {"undefended": 1, "counteraction": 11, "crop-pad": 50, "counteraction+crop-pad": 60}[cell.defence]
    alone, before = (found for found in assess(run) if "does not cost too much" in found.claim.text)
    assert (alone.measured.outcome, before.measured.outcome) == ("does not hold", "holds")
    # a made-up prediction takes as many times as long as its defence's name has letters
    told = "mixup, undefended: 11 instead of 1, measured time 13.0 instead of 1.0."
    assert alone.measured.evidence == f"1 comparison: 0 hold, 1 fail. {told}"
    assert "mixup, crop-pad: 60 instead of 50" in before.measured.evidence
    for cell in run.cells:
        cell.passes = 101 if cell.defence == "counteraction+crop-pad" else 50
    again = [f for f in judge_cost(replace(run)) if "before" in f.claim.text]
    assert again[0].measured.outcome == "does not hold"
    assert {found.measured.outcome for found in judge_cost(make_run(run.spec.model_dump(), lambda *_: None))} == {
        "not measured"
    }


def make_again(run: Run) -> Run:
    """The same run, whose tables are computed anew."""
    return replace(run)


def test_figure_1_is_judged_by_images_and_not_by_pairs() -> None:
    shown = make_illustrations()["mixup"]  # four of nine labels raise the true class, all lower the wrong one
    more = replace(shown, gained=torch.ones(60, 9, dtype=torch.bool))
    run = replace(simple_run("Figure 1"), illustrations={"mixup": more})
    gained, suppressed = (found for found in assess(run) if "one non-predicted label" in found.claim.text)
    assert (gained.measured.outcome, suppressed.measured.outcome) == ("holds", "holds")
    assert gained.measured.evidence == "mixup: 100.0% [94.0, 100.0] of 540 pairs, n = 60 images."
    run = replace(simple_run("Figure 1"), illustrations={"mixup": more, "iat": shown})
    assert assess(run)[0].measured.outcome == "not settled"  # 44% of 60
    fewer = replace(shown, gained=torch.zeros(60, 9, dtype=torch.bool))
    assert assess(replace(simple_run("Figure 1"), illustrations={"mixup": more, "iat": fewer}))[0].measured.outcome == (
        "does not hold"
    )
    nothing = replace(shown, gained=shown.gained[:0], suppressed=shown.suppressed[:0])
    assert (
        assess(replace(simple_run("Figure 1"), illustrations={"mixup": nothing}))[0].measured.outcome == "not measured"
    )
    assert len(assess(replace(simple_run("Figure 2"), illustrations={"mixup": more}))) == 5 + 1
