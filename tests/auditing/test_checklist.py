"""Each red flag goes up for what it is about, and stays down for a sound network."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from reporting.synthetic import make_run
from torch import Tensor

from counteract.auditing.backward import Backward
from counteract.auditing.checklist import (
    Check,
    check_backward,
    check_indicators,
    check_planted,
    check_probes,
    check_run,
    check_transfer,
    claimed_cells,
    no_probes,
)
from counteract.auditing.indicators import Indicators
from counteract.auditing.planted import Planted
from counteract.auditing.probes import Probes
from counteract.auditing.verdict import decide
from counteract.evaluation import Run
from counteract.evaluation.scores import Paired

N = 100
FINDINGS = Path(__file__).with_name("findings.txt")
ATTACKS = ["clean", "pgd10", "bpda-apgd-ce", "square"]
SOUND = {"clean": 90, "pgd10": 45, "bpda-apgd-ce": 40, "square": 60}
UNDEFENDED = {"clean": 95, "pgd10": 40, "bpda-apgd-ce": 40, "square": 60, "long": 40}
DEFENCE = "rotation"


def first(count: int) -> Tensor:
    return torch.arange(N) < count


def run(defended: dict[str, int], shift: int = 0, seeds: int = 2, alone: list[str] | None = None) -> Run:
    """Of the defended network so many of the first images are right, in every other seed `shift` more."""
    spec: dict[str, Any] = {
        "dataset": "digits", "models": ["net"], "attacks": ATTACKS, "defences": ["undefended", DEFENCE], "seeds": seeds,
    }  # fmt: skip
    spec |= {} if alone is None else {"cascade": True, "alone": alone}

    def correct(model: str, defence: str, attack: str, seed: int) -> Tensor:
        return first(UNDEFENDED[attack] if defence == "undefended" else defended[attack] + shift * (seed % 2))

    return make_run(spec, correct)


def flags(checks: list[Check]) -> dict[str, str]:
    return {check.name: check.words for check in checks if check.flag}


def test_a_sound_defence_has_no_flag() -> None:
    checks = check_run(run(SOUND), DEFENCE)
    assert flags(checks) == {}
    assert all(check.flag is False for check in checks)
    assert flags(check_run(run(SOUND), "undefended")) == {}


@pytest.mark.parametrize(
    ("changes", "name", "words"),
    [
        ({"pgd10": 70}, "gain", r"a gain that is not confirmed: .* \+30.0 points .* against the same oblivious"),
        ({"pgd10": 100}, "clean images", r"doing nothing is a better attack than some: .* pgd10 \(\+10.0\)"),
        ({"square": 20}, "black box", "find what those miss that have them: .* another 20.0 points"),
    ],
)
def test_what_the_accuracies_give_away(changes: dict[str, int], name: str, words: str) -> None:
    found = flags(check_run(run(SOUND | changes), DEFENCE))
    assert name in found
    assert len(found) == (1 if name == "gain" else 2)  # where an attack is that strong, the gain is flagged too
    assert re.search(words, found[name])


@pytest.mark.parametrize(("right", "flag"), [(34, True), (35, False)])
def test_six_images_of_forty_are_a_flag_and_five_are_none(right: int, flag: bool) -> None:
    """The intervals of these differences end at 0.6 and at -0.1 points."""
    helped = {"clean": right, "pgd10": 40, "bpda-apgd-ce": right, "square": right}
    assert ("clean images" in flags(check_run(run(helped), DEFENCE))) == flag
    assert ("black box" in flags(check_run(run(SOUND | {"square": right}), DEFENCE))) == flag


def test_in_a_cascade_a_later_attack_with_gradients_does_not_take_back_what_was_found_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its accuracy is that under all attacks up to it, and so is no higher."""
    monkeypatch.setattr(sys.modules[__name__], "ATTACKS", [*ATTACKS, "long"])
    found = run(SOUND | {"square": 20, "long": 20}, alone=[])
    assert "another 20.0 points" in flags(check_run(found, DEFENCE))["black box"]


def test_a_black_box_beside_attacks_that_follow_nothing_tells_nothing() -> None:
    """Of a defence an oblivious attack follows no gradient; of a network without one it does."""
    found = run(SOUND)
    found.cells[:] = [cell for cell in found.cells if cell.attack != "bpda-apgd-ce"]
    for defence, flag in ((DEFENCE, None), ("undefended", False)):
        assert [check.flag for check in check_run(found, defence) if check.name == "black box"] == [flag]


def test_worse_than_no_defence_is_a_flag() -> None:
    found = flags(check_run(run(SOUND | {"bpda-apgd-ce": 20}), DEFENCE))
    assert re.search(r"^worse than no defence: .* -20.0 points \(.*\) in the worst case", found["gain"])


@pytest.mark.parametrize(
    ("clean", "worst", "flag"),
    [
        (50, 40, True),
        (85, 40, True),
        (86, 40, False),
        (90, 40, False),
        (60, 42, True),
        (83, 44, False),
        (83, 52, False),
    ],
)
def test_a_cost_on_clean_images_beyond_every_gain_is_a_flag(clean: int, worst: int, flag: bool) -> None:
    """Of 95 that are right without the defence; the worst case is 40 there."""
    given = {"clean": clean, "pgd10": min(worst, clean), "bpda-apgd-ce": min(worst, clean), "square": clean}
    assert ("clean cost" in flags(check_run(run(given), DEFENCE))) == flag


def test_examples_of_the_undefended_network_that_do_better_than_the_adaptive_attacks_are_a_flag() -> None:
    check = check_transfer(probes(), run(SOUND | {"pgd10": 20}), DEFENCE)
    assert check.flag
    assert re.search(r"break it better: .* leaves \+20.0 points", check.words)
    assert check_transfer(probes(), run(SOUND), DEFENCE).flag is False
    assert check_transfer(probes(), run(SOUND), "undefended").flag is False


@pytest.mark.parametrize(("right", "flag"), [(34, True), (35, False)])
def test_six_images_of_forty_that_transfer_breaks_are_a_flag_and_five_are_none(right: int, flag: bool) -> None:
    """The intervals of these differences end at 0.6 and at -0.1 points."""
    assert check_transfer(probes(), run(SOUND | {"pgd10": right}), DEFENCE).flag is flag
    (steps, *_) = check_probes(probes(base=right, longer=40), 10)
    assert steps.flag is flag


def test_transfer_without_an_example_in_common() -> None:
    unknown = replace(probes(), base=torch.full((N,), torch.nan, dtype=torch.float64))
    assert check_transfer(unknown, run(SOUND), DEFENCE) == Check("transfer", None, "no example was measured with both")


def test_a_claim_in_a_cascade_is_that_of_the_attacks_that_try_every_example() -> None:
    given = SOUND | {"pgd10": 70}
    for alone in ([], ["pgd10"]):
        found = run(given, alone=alone)
        assert {cell.attack for cell in claimed_cells(found.measured, found.spec)} == set(alone)
    assert "gain" in flags(check_run(run(given, alone=["pgd10"]), DEFENCE))


def test_a_few_points_that_chance_may_have_made_are_no_claim() -> None:
    """In the worst case there is no gain; against oblivious attacks there surely is one, and it may be as small."""
    for count, flag in ((48, False), (55, True)):
        assert ("gain" in flags(check_run(run(SOUND | {"pgd10": count}), DEFENCE))) == flag


def test_a_gain_that_the_worst_case_has_too_is_confirmed() -> None:
    for worst, flag in ((90, False), (46, False), (45, True)):  # which ends at 0.6, and at -0.1 points
        better = SOUND | {"pgd10": 80, "bpda-apgd-ce": worst}
        assert ("gain" in flags(check_run(run(better), DEFENCE))) == flag
    for worst, flag in ((34, True), (35, False)):
        assert ("gain" in flags(check_run(run(SOUND | {"bpda-apgd-ce": worst, "pgd10": 40}), DEFENCE))) == flag


@pytest.mark.parametrize("without", [("pgd10", None), ("clean", DEFENCE), ("clean", "undefended"), ("clean", None)])
def test_what_was_not_measured_is_not_checked(without: tuple[str, str | None]) -> None:
    """A claim needs attacks that do not know of the defence, a cost the clean images of both networks."""
    found, (attack, defence) = run(SOUND), without
    found.cells[:] = [cell for cell in found.cells if cell.attack != attack or defence not in (None, cell.defence)]
    checks = {check.name: check.flag for check in check_run(found, DEFENCE)}
    assert checks["gain"] is (None if attack == "pgd10" else False)
    assert checks["clean cost"] is (None if attack == "clean" else False)


def test_seeds_that_spread_wider_than_the_gain() -> None:
    found = flags(check_run(run(SOUND | {"pgd10": 42}, shift=14), DEFENCE))
    assert "claimed gain is +9.0 points, the standard deviation over seeds 9.9" in found["spread over seeds"]
    assert "spread over seeds" not in flags(check_run(run(SOUND | {"pgd10": 44}, shift=12), DEFENCE))  # 8.5 of 10
    assert "spread over seeds" not in flags(check_run(run(SOUND | {"pgd10": 39}, shift=2), DEFENCE))  # no gain at all
    (check,) = [check for check in check_run(run(SOUND, seeds=1), DEFENCE) if check.name == "spread over seeds"]
    assert (check.flag, check.words) == (None, "it takes two seeds to tell")


def test_seeds_of_a_defence_that_does_nothing_spread_and_are_no_flag() -> None:
    """Half a point is what chance makes, of the gain as of the seeds: a flag in one of ten audits of such a defence."""
    assert "spread over seeds" not in flags(check_run(run(SOUND | {"pgd10": 40}, shift=1), DEFENCE))
    assert "spread over seeds" not in flags(check_run(run(SOUND | {"pgd10": 38}, shift=12), DEFENCE))  # from -1.5 on


GOOD = {
    "base": first(40).double(),
    "longer": first(40).double(),
    "wider": first(10).double(),
    "widest": first(0).double(),
}


def probes(flat: int = 0, fall: float = 0.0, **changes: int) -> Probes:
    changed = {name: first(count).double() for name, count in changes.items()}
    return Probes("smooth", fall=torch.full((N,), fall, dtype=torch.float64), flat=flat, grey=0.0, **(GOOD | changed))


@pytest.mark.parametrize(
    ("found", "name", "words"),
    [
        (probes(longer=60), "more steps", "helps the defence: twice as many steps of smooth"),
        (probes(wider=60), "larger eps", "helps the defence: bounds twice as wide"),
        (probes(widest=30), "large eps", "does not reach chance: .* leaves 30.0%, where chance is 10.0%"),
        (probes(fall=0.1), "convergence", "has not converged: .* by 0.100"),
        (probes(flat=2), "zero gradients", "vanish: 2 of 100 images"),
        (probes(wider=40), "larger eps", "take nothing from the defence, where they should: .* \\+0.0 points"),
    ],
)
def test_what_other_steps_and_bounds_give_away(found: Probes, name: str, words: str) -> None:
    (said,) = flags(check_probes(found, 10)).items()
    assert said[0] == name
    assert re.search(words, said[1])


def test_sound_probes() -> None:
    assert flags(check_probes(probes(flat=1), 10)) == {}
    assert flags(check_probes(probes(widest=14), 10)) == {}  # chance, give or take
    assert flags(check_probes(probes(longer=38, fall=0.01), 10)) == {}


@pytest.mark.parametrize(
    ("base", "wider", "clean", "flag"),
    [
        (40, 40, 90, True),
        (40, 36, 90, False),  # a fall that shows
        (20, 20, 90, False),  # of so few right ones a tenth would not show
        (90, 90, 92, False),  # within such bounds the attack does nothing yet
        (90, 90, 99, True),
        (0, 0, 90, False),
        (90, 90, 95, False),  # not below what is within a bite of the clean accuracy
        (90, 90, 95.2, True),
    ],
)
def test_no_fall_is_a_flag_where_one_would_show(base: int, wider: int, clean: float, flag: bool) -> None:
    found = check_probes(probes(base=base, longer=base, wider=wider), 10, clean)
    assert ("larger eps" in flags(found)) == flag


def test_no_fall_of_few_among_many_is_a_flag() -> None:
    """One in two hundred is right, of so many images that a tenth of them would show."""
    few = (torch.arange(20_000) < 100).double()
    found = replace(probes(), base=few, longer=few, wider=few, widest=torch.zeros_like(few), fall=torch.zeros_like(few))
    assert list(flags(check_probes(found, 10, 90.0))) == ["larger eps"]


def test_more_steps_that_were_tried_and_change_nothing_are_the_end_of_it() -> None:
    nothing, less = Paired(1, 100, 0.0, (-2.0, 2.0)), Paired(1, 100, -8.0, (-12.0, -4.0))
    assert "convergence" not in flags(check_probes(probes(fall=0.1), 10, cured=nothing))
    found = flags(check_probes(probes(fall=0.1), 10, cured=less))
    assert re.search(r"four times as many \(long\) change the worst case by -8.0", found["convergence"])


@pytest.mark.parametrize(
    ("found", "flag"),
    [
        (Backward("exact", 1.0, 1.0, 1e-6, 8), False),
        (Backward("estimate", 0.8, 0.9, 0.02, 8), False),
        (Backward("wrong", 0.2, 0.1, 0.02, 8), True),
        (Backward("masked", 0.2, 0.1, 0.02, 8), True),
        (Backward("none"), None),
    ],
)
def test_the_backward_pass(found: Backward, flag: bool | None) -> None:
    check = check_backward(found, "; and this was done")
    assert (check.name, check.flag) == ("backward pass", flag)
    assert check.words.endswith("; and this was done")
    assert ("of the network alone" in check_backward(replace(found, declared=True)).words) == (found.kind != "none")


@pytest.mark.parametrize(
    ("found", "flag"),
    [(None, None), (Planted(0, 0), None), (Planted(32, 32), False), (Planted(32, 27), False), (Planted(32, 20), True)],
)
def test_planted_examples(found: Planted | None, flag: bool | None) -> None:
    assert check_planted(found).flag is flag


def test_indicators_count_after_their_cures() -> None:
    some, right, broken = torch.arange(N) < 30, torch.ones(N), torch.zeros(N)
    none, helped = torch.zeros(N, dtype=torch.bool), Paired(1, N, -8.0, (-12.0, -4.0))
    assert flags(check_indicators(Indicators(some, some), broken, None)) == {}
    found = flags(check_indicators(Indicators(some, some), right, helped))
    assert re.search(r"on 30 of 100 images the margin jumps .* by -8.0", found["unstable predictions"])
    assert re.search(r"; 30 of them no other", found["silent success"])
    idle = Paired(1, N, 0.0, (-2.0, 2.0))
    assert flags(check_indicators(Indicators(some, none), right, idle)) == {}


def test_no_attack_with_gradients_is_a_flag_and_says_why() -> None:
    checks = no_probes("it needs gradients")
    assert {check.name for check in checks} == {check.name for check in check_probes(probes(), 10)}
    (words,) = flags(checks).values()
    assert words.endswith("could run, so none of the accuracies shows what one finds: it needs gradients")


def unmeasured() -> Run:
    found = run(SOUND)
    for cell in found.cells:
        cell.correct = {}
    return found


def drawing(right: Tensor) -> Run:
    """Of a defence that draws each attack leaves these draws right: bool, shape (draws, N)."""
    made = run(SOUND)
    for cell in made.cells:
        if cell.defence == DEFENCE and cell.attack != "clean":
            cell.correct = {seed: right.double().mean(0) for seed in cell.correct}
            cell.drawn = dict.fromkeys(cell.correct, right)
    return made


def test_a_gain_that_other_draws_take_away() -> None:
    always = first(64).expand(5, -1)
    sometimes = (torch.arange(N) < 80) & (torch.arange(5)[:, None] != torch.arange(N) % 5)  # four of five draws
    for right in (always, sometimes):  # both keep 64% beside 40
        assert decide(drawing(right), DEFENCE, []).word == "sound"
    assert "other draws" not in flags(check_run(drawing(always), DEFENCE))
    checks = check_run(drawing(sometimes), DEFENCE)
    assert re.search(
        r"gains \+24.0 points .* against a single try, and -40.0 points .* has 5$", flags(checks)["other draws"]
    )
    found = decide(drawing(sometimes), DEFENCE, checks)
    assert (found.word, found.reason[-15:]) == ("gain not confirmed", "see other draws")
    (check,) = (each for each in check_run(drawing(always[:1]), DEFENCE) if each.name == "other draws")
    assert (check.flag, check.words) == (None, "it takes several draws to tell")


def test_every_finding_is_said_in_full() -> None:
    """The names and words of all checks, with and without a flag, are those of `findings.txt`."""
    some, wrong = torch.arange(N) < 30, Backward("wrong", 0.2, 0.1, 0.02, 7)
    less, flagged = Paired(1, N, -8.0, (-12.0, -4.0)), {"clean": 80, "pgd10": 90, "bpda-apgd-ce": 40, "square": 20}
    found: dict[str, list[Check]] = {
        "sound": check_run(run(SOUND), DEFENCE),
        "flagged": check_run(run(flagged, shift=12), DEFENCE),
        "costly": check_run(run(SOUND | {"clean": 45, "pgd10": 70}), DEFENCE),
        "spread": check_run(run(SOUND | {"pgd10": 42}, shift=14), DEFENCE),
        "undefended": check_run(run(SOUND), "undefended"),
        "not measured": [*check_run(unmeasured(), DEFENCE), check_transfer(probes(), unmeasured(), DEFENCE)],
        "lucky": check_run(drawing(torch.eye(3, N, dtype=torch.bool).logical_not()), DEFENCE),
        "transfer": [check_transfer(probes(), run(SOUND | {"pgd10": count}), DEFENCE) for count in (20, 45)],
        "no defence": [check_transfer(probes(), run(SOUND), "undefended")],
        "exact": [check_backward(Backward("exact", 1.0, 0.5, 1e-6, 8), "; cured")],
        "estimate": [check_backward(Backward("estimate", 0.8, 0.9, 0.02, 8, declared=True))],
        "wrong": [check_backward(wrong, "; cured"), check_backward(wrong)],
        "masked": [check_backward(Backward("masked", 0.2, 0.1, 0.02, 7), "; cured")],
        "none": [check_backward(Backward("none"), "; cured"), check_backward(Backward("none"))],
        "distilled": [check_backward(Backward("none"), distilled=True)],
        "planted": [check_planted(each) for each in (None, Planted(32, 32), Planted(32, 20))],
        "failures": check_indicators(Indicators(some, some), torch.ones(N), less),
        "cured": check_indicators(Indicators(some, some), torch.zeros(N), None),
        "probes": check_probes(probes(), 10),
        "bad probes": check_probes(
            probes(longer=60, wider=60, widest=30, fall=0.1, flat=2), 10, 90.0, less, "; this was done"
        ),
        "idle probes": check_probes(probes(wider=40), 10),
        "no probes": no_probes("it needs gradients"),
    }
    lines = [f"{kind}: {each.name}: {each.flag}: {each.words}" for kind, every in found.items() for each in every]
    assert lines == FINDINGS.read_text(encoding="utf-8").splitlines()


def test_an_interval_that_reaches_zero_is_no_cure() -> None:
    some, right = torch.arange(N) < 30, torch.ones(N)
    reaching = Paired(1, N, -2.0, (-4.0, 0.0))
    assert "unstable predictions" not in flags(check_indicators(Indicators(some, some), right, reaching))
    assert "convergence" not in flags(check_probes(probes(fall=0.1), 10, cured=reaching))


def test_examples_that_another_attack_breaks_are_not_lost() -> None:
    """One right draw in the worst case is enough to be lost."""
    silent, none = torch.arange(N) < 40, torch.zeros(N, dtype=torch.bool)
    for count, flag in ((0, False), (12, False), (30, True)):
        worst = (torch.arange(N) < count) * 0.2
        assert ("silent success" in flags(check_indicators(Indicators(none, silent), worst, None))) == flag
    few = Indicators(none[:32], silent[:32])  # of more images than were looked at, the first
    assert "silent success" in flags(check_indicators(few, torch.ones(N), None))


def test_a_fall_that_could_be_chance_is_convergence() -> None:
    """Few images lose much: the mean is above what is flat, and its interval is not above zero."""
    found = replace(probes(), fall=torch.zeros(N, dtype=torch.float64).index_fill(0, torch.arange(3), 1.0))
    assert "convergence" not in flags(check_probes(found, 10))
    assert "convergence" in flags(check_probes(probes(fall=0.021), 10))
    assert "convergence" not in flags(check_probes(probes(fall=0.02), 10))
    spread = torch.tensor([0.04, 0.16], dtype=torch.float64)
    assert "convergence" in flags(check_probes(replace(probes(), fall=spread.repeat(N // 2)), 10))
    assert "convergence" not in flags(check_probes(replace(probes(), fall=spread), 10))
    one = torch.ones(1, dtype=torch.float64)
    single = Probes("smooth", one, one, one, one, one, 0)
    assert "convergence" in flags(check_probes(single, 10))


def test_chance_is_that_of_the_number_of_classes() -> None:
    assert "large eps" not in flags(check_probes(probes(widest=59), 2))
    assert "large eps" in flags(check_probes(probes(widest=62), 2))
    assert "large eps" in flags(check_probes(probes(widest=6), 100))
    assert "large eps" not in flags(check_probes(probes(widest=21), 7))  # its interval begins 0.1 points below


def test_no_attack_leaves_less_than_plain_grey_of_a_network_that_names_one_class() -> None:
    """Nine of ten images are of one class, which it names whatever it is shown: no attack on it fails."""
    constant = replace(probes(widest=90), grey=0.9)
    assert "large eps" not in flags(check_probes(constant, 2))
    (words,) = [check.words for check in check_probes(constant, 2) if check.name == "large eps"]
    assert words.endswith("leaves 90.0%, where plain grey leaves 90.0%")
    assert "large eps" in flags(check_probes(replace(constant, grey=0.5), 2))


def test_a_run_that_lacks_examples_and_attacks_is_checked_as_far_as_it_goes() -> None:
    """Examples that were not measured are NaN, and an attack that could not run has no cell."""
    found = run(SOUND | {"pgd10": 70})
    for cell in found.cells:
        cell.correct = (
            {}
            if cell.attack == "square"
            else {s: c.index_fill(0, torch.arange(5), torch.nan) for s, c in cell.correct.items()}
        )
    checks = {check.name: check for check in check_run(found, DEFENCE)}
    assert checks["gain"].flag
    assert "+31.6 points" in checks["gain"].words  # of the 95 examples that there are: 65 and 35 of them are right
    assert checks["black box"].flag is None
