"""Claims: the paper's own figures keep them as they are known to."""

from __future__ import annotations

from fractions import Fraction

import pytest

from counteract.reporting.paper.claims import claims_about
from counteract.reporting.paper.figures import published
from counteract.reporting.paper.verdicts import judge_published


@pytest.mark.parametrize(
    ("about", "dataset", "count"),
    [("Table 1", "cifar10", 17), ("Table 2", "cifar100", 12), ("Table 3", "cifar10", 1), ("Table 3", "cifar100", 1),
     ("Table 4", "cifar10", 4)],
)  # fmt: skip
def test_the_paper_keeps_what_it_claims(about: str, dataset: str, count: int) -> None:
    claims, numbers = claims_about(about, []), published(int(about[-1]), dataset)
    assert len(claims) == count
    assert {claim.text: judge_published(claim, numbers).outcome for claim in claims} == dict.fromkeys(
        (claim.text for claim in claims), "holds"
    )


def test_every_claim_quotes_the_paper() -> None:
    abouts = ["Table 1", "Table 2", "Table 3", "Table 4", "Figure 2", "Figure 3", "Steps", "Perturbations"]
    claims = [claim for about in abouts for claim in claims_about(about, ["mixup"], [1, 9, 12], 100)]
    assert len(claims) == 17 + 12 + 1 + 4 + 5 + 6 + 2 + 3
    assert all(claim.quote.endswith(".") and len(claim.quote) > 60 for claim in claims)
    assert claims[0].origin == f"{claims[0].source}: \u201c{claims[0].quote}\u201d"


def test_the_headline_is_twelve_comparisons_over_both_datasets() -> None:
    for about, dataset, smallest in (("Table 1", "cifar10", "+3.8"), ("Table 2", "cifar100", "-1.2")):
        (claim,) = [found for found in claims_about(about, []) if "at least as good as" in found.text]
        assert len(claim.pairs) == 6
        assert {better.model for better, _ in claim.pairs} == {"mixup"}
        assert {worse.model for _, worse in claim.pairs} == {"iat"}
        verdict = judge_published(claim, published(int(about[-1]), dataset))
        assert f"Smallest difference {smallest}:" in verdict.evidence


def test_a_trend_is_about_every_pair_of_values() -> None:
    rising = [found for found in claims_about("Figure 2", ["p"]) if "falls nowhere" in found.text]
    assert [len(claim.pairs) for claim in rising] == [8 * 7 // 2, 4 * 3 // 2]
    steps = [[Fraction(key.defence.split("@")[1]) for key in pair] for pair in rising[0].pairs]
    assert all(better > worse for better, worse in steps)
    (beyond,) = [found for found in claims_about("Figure 2", ["p"]) if "beyond" in found.text]
    assert {better.defence for better, _ in beyond.pairs} == {"counteraction@4/255"}
    assert [worse.defence for _, worse in beyond.pairs] == [f"counteraction@{step}/255" for step in (5, 6, 7, 8)]


def test_beyond_nine_labels_there_is_a_claim_where_there_are_so_many() -> None:
    assert len(claims_about("Figure 3", ["p"], list(range(1, 10)))) == 4
    claims = claims_about("Figure 3", ["p"], [1, 9, 12, 20])
    beyond = [claim for claim in claims if "beyond 9" in claim.text]
    assert [[worse.defence for _, worse in claim.pairs] for claim in beyond] == [
        ["counteraction@12", "counteraction@20"]
    ] * 2
    assert all("On CIFAR-100" in claim.quote for claim in claims)


def test_which_kind_of_perturbation_is_better_depends_on_the_dataset() -> None:
    for classes, better in ((10, "counteraction"), (100, "counteraction-untargeted")):
        claim = claims_about("Perturbations", [], (), classes)[-1]
        assert {pair[0].defence for pair in claim.pairs if pair[0].model == "mixup"} == {
            "counteraction", "counteraction+crop-resize",
        }  # fmt: skip
        assert {pair[0].defence for pair in claim.pairs if pair[0].model == "iat"} == {better, f"{better}+crop-resize"}
        assert len(claim.pairs) == 2 * 2 * 3


def test_the_sizes_that_the_paper_states_are_its_smallest_gains() -> None:
    stated = {("Table 1", "cifar10"): [12.5, 4.1, 1.4, 3.2], ("Table 2", "cifar100"): [6.4, 1.6]}
    for (about, dataset), sizes in stated.items():
        sized = [claim for claim in claims_about(about, []) if claim.text.endswith("points") and claim.margin > 0]
        assert [claim.margin for claim in sized] == sizes
        for claim in sized:
            verdict = judge_published(claim, published(int(about[-1]), dataset))
            assert f"Smallest difference +{claim.margin}:" in verdict.evidence


def test_untargeted_perturbations_are_not_mostly_better_on_cifar100() -> None:
    outcomes = [judge_published(claim, published(4, "cifar100")).outcome for claim in claims_about("Table 4", [])]
    assert outcomes == ["does not hold", "holds", "holds", "holds"]
