"""The verdict follows from the gain, the flags and the number of images."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from reporting.synthetic import make_run
from torch import Tensor

from counteract.auditing.checklist import Check
from counteract.auditing.verdict import _needed, _word, decide, settled
from counteract.evaluation import Run
from counteract.evaluation.scores import Paired

ATTACKS = ["clean", "pgd10", "bpda-apgd-ce", "square"]


def run(defended: dict[str, Any], undefended: dict[str, Any], n: int = 100, shift: int = 0) -> Run:
    """So many of the first images are right; with a defence they are counted from `shift` on."""
    spec: dict[str, Any] = {
        "dataset": "digits", "models": ["net"], "attacks": ATTACKS, "defences": ["undefended", "rotation"], "seeds": 1,
    }  # fmt: skip

    def correct(model: str, defence: str, attack: str, seed: int) -> Tensor:
        counts, start = (undefended, 0) if defence == "undefended" else (defended, shift)
        index = (torch.arange(n) - start) % n
        right: Tensor = index < counts[attack]
        return right

    return make_run(spec, correct)


def of(clean: int, oblivious: int, adaptive: int) -> dict[str, int]:
    return {"clean": clean, "pgd10": oblivious, "bpda-apgd-ce": adaptive, "square": clean}


NONE = of(95, 40, 40)


@pytest.mark.parametrize(
    ("defended", "word", "reason"),
    [
        (of(95, 70, 70), "sound", r"+30.0 points"),
        (of(95, 41, 40), "no gain", r"+0.0 points"),
        (of(95, 70, 40), "gain not confirmed", r"+0.0 points"),
        (of(95, 30, 28), "worse than no defence", r"-12.0 points"),
        (of(95, 70, 30), "worse than no defence", r"-10.0 points"),
    ],
)
def test_words(defended: dict[str, int], word: str, reason: str) -> None:
    found = decide(run(defended, NONE), "rotation", [])
    assert found.word == word
    assert reason in found.reason


def test_a_claim_is_the_gain_under_the_same_attacks() -> None:
    """That the worst case has attacks which find more, on both networks, is no gain that anybody claims."""
    both = of(95, 70, 40)
    assert decide(run(both, both), "rotation", []).word == "no gain"


@pytest.mark.parametrize(
    ("flag", "with_gain"), [("backward pass", "cannot tell"), ("clean images", "gain not confirmed")]
)
def test_flags_take_a_gain_and_nothing_else(flag: str, with_gain: str) -> None:
    up = [Check(flag, True, "it is up"), Check("planted example", False, "fine")]
    found = decide(run(of(95, 70, 70), NONE), "rotation", up)
    assert (found.word, flag in found.reason) == (with_gain, True)
    assert decide(run(of(95, 41, 40), NONE), "rotation", up).word == "no gain"
    assert decide(run(of(95, 30, 28), NONE), "rotation", up).word == "worse than no defence"


def test_too_few_images_say_how_many_it_takes() -> None:
    """On 20 images 4 are lost and 4 are won: half of the interval is 27 points, and 10 take about 7 times as many."""
    found = decide(run(of(19, 8, 8), of(19, 8, 8), n=20, shift=4), "rotation", [])
    assert found.word == "cannot tell"
    assert "on 20 images: it would take about 1" in found.reason
    assert decide(run(of(190, 80, 80), of(190, 80, 80), n=200, shift=40), "rotation", []).word == "no gain"


def test_a_claim_is_not_confirmed_where_it_surely_is_more_than_the_worst_case_has() -> None:
    """Its interval lies above that of the gain; a few points more, which chance may have made, are no claim."""
    gain = Paired(1, 100, 2.0, (-3.0, 7.0))
    assert _word(gain, Paired(1, 100, 12.0, (7.1, 17.0))) == "gain not confirmed"
    assert _word(gain, Paired(1, 100, 12.0, (7.0, 17.0))) == "no gain"
    assert _word(gain, None) == "no gain"
    assert _word(Paired(1, 30, 4.0, (-7.0, 15.0)), Paired(1, 30, 8.0, (3.0, 13.0))) == "cannot tell"


@pytest.mark.parametrize(
    ("ci95", "word"),
    [
        ((-20.0, -0.1), "worse than no defence"),
        ((-20.0, 0.0), "no gain"),
        ((-20.1, 0.0), "cannot tell"),
        ((0.0, 10.0), "no gain"),
        ((0.0, 10.1), "cannot tell"),
        ((0.0, 20.0), "cannot tell"),
        ((0.1, 20.0), "sound"),
        ((-10.0, 10.0), "no gain"),
        ((-10.0, 10.1), "cannot tell"),
    ],
)
def test_an_interval_that_reaches_zero_tells_neither_gain_nor_loss(ci95: tuple[float, float], word: str) -> None:
    assert _word(Paired(1, 100, 0.0, ci95), None) == word


def test_a_gain_of_ten_points_is_not_called_none() -> None:
    """Of 100 images 8 are lost and 14 to 16 are won: 18 may as well be, and the intervals reach 15 points."""
    for won in (14, 15, 16):
        found = decide(run(of(95, 32 + won, 32 + won), NONE, shift=8), "rotation", [])
        assert found.word == "cannot tell"


def test_the_images_that_it_takes_grow_with_the_square_of_the_interval() -> None:
    assert _needed(Paired(1, 20, 0.0, (-20.0, 20.0))) == "about 80"
    assert _needed(Paired(1, 1000, 5.0, (-10.5, 20.5))) == "about 9,611"  # half of it must be five points
    assert _needed(Paired(1, 1000, -8.0, (-24.0, 8.0))) == "about 2,561"  # half of it must be ten
    assert _needed(Paired(1, 1000, -16.0, (-48.0, 16.0))) == "about 4,000"  # sixteen, which is then a loss
    assert _needed(Paired(1, 249_999, 0.0, (-20.0, 20.0))) == "about 999,996"
    assert _needed(Paired(1, 250_000, 0.0, (-20.0, 20.0))) == "very many"


def test_reasons_are_said_in_full() -> None:
    gain, up = run(of(95, 70, 70), NONE), [Check("backward pass", True, ""), Check("clean images", True, "")]
    words = "in the worst case +30.0 points (+20.2 to +38.7) beside no defence"
    assert decide(gain, "rotation", []).reason == words
    assert decide(gain, "rotation", up).reason == f"{words}, which a better attack may take away: see backward pass"
    assert decide(gain, "rotation", up[1:]).reason == f"{words}, which is not to be relied on: see clean images"
    two = [Check(name, True, "") for name in ("gain", "large eps", "clean cost", "more steps")]
    assert decide(gain, "rotation", two).reason.endswith(": see large eps, more steps")
    assert decide(gain, "rotation", two[::2]).reason.endswith(": see gain, clean cost")
    assert decide(run(NONE, NONE), "undefended", []).reason == "no flag is up"
    told = decide(run(NONE, NONE), "undefended", up).reason
    assert told == "the accuracies may be too high: see backward pass, clean images"
    few = decide(run(of(19, 8, 8), of(19, 8, 8), n=20, shift=4), "rotation", []).reason
    assert few == (
        "in the worst case +0.0 points (-28.2 to +28.2) beside no defence, on 20 images: it would take about 159 to "
        "tell 10 points from none"
    )


def test_without_a_worst_case_there_is_no_verdict() -> None:
    given = run(NONE, NONE)
    for cell in given.cells:
        if cell.defence == "rotation":
            cell.correct = {}
    found = decide(given, "rotation", [])
    assert (found.word, found.reason) == ("cannot tell", "a worst case was not measured")
    assert settled(given, "rotation") is None


def test_the_undefended_network_claims_no_gain() -> None:
    given = run(NONE, NONE)
    assert decide(given, "undefended", []).word == "sound"
    found = decide(given, "undefended", [Check("large eps", True, "")])
    assert found.word == "cannot tell"
    assert "large eps" in found.reason


@pytest.mark.parametrize(
    ("defended", "undefended", "word"),
    [
        (of(95, 30, 1), of(95, 0, 0), "gain not confirmed"),
        (of(95, 1, 0), of(95, 0, 0), "no gain"),
        (of(95, 30, 30), of(95, 0, 0), None),  # which may be a gain, or none
        (of(95, 30, 0), of(95, 40, 40), None),  # worse, unless the undefended network falls too
        (of(95, 70, 40), of(95, 40, 40), None),
    ],
)
def test_a_verdict_stands_where_no_attack_can_change_it(
    defended: dict[str, int], undefended: dict[str, int], word: str | None
) -> None:
    assert settled(run(defended, undefended), "rotation") == word


def test_too_few_images_are_a_reason_to_stop_where_nothing_is_left() -> None:
    assert settled(run(of(9, 4, 0), of(9, 0, 0), n=10), "rotation") == "cannot tell"
    assert settled(run(of(9, 4, 1), of(9, 0, 0), n=10), "rotation") is None


def test_nothing_stands_for_the_undefended_network() -> None:
    assert settled(run(of(95, 0, 0), of(95, 0, 0)), "undefended") is None
