"""Claims: the paper's own figures keep them as they are known to."""

from __future__ import annotations

import pytest

from counteract.reporting.paper.claims import claims_about
from counteract.reporting.paper.figures import published
from counteract.reporting.paper.verdicts import judge_published


@pytest.mark.parametrize(
    ("about", "dataset", "count"),
    [("Table 1", "cifar10", 13), ("Table 2", "cifar100", 8), ("Table 3", "cifar10", 1), ("Table 3", "cifar100", 1),
     ("Table 4", "cifar10", 4)],
)  # fmt: skip
def test_the_paper_keeps_what_it_claims(about: str, dataset: str, count: int) -> None:
    claims, numbers = claims_about(about, []), published(int(about[-1]), dataset)
    assert len(claims) == count
    assert {claim.text: judge_published(claim, numbers).outcome for claim in claims} == dict.fromkeys(
        (claim.text for claim in claims), "holds"
    )


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
