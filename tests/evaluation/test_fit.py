"""Data beside a network that was made for others: refused, or said."""

from __future__ import annotations

import pytest

from counteract._errors import UserError
from counteract.datasets import ArrayDataset, Dataset
from counteract.evaluation.fit import check_card, check_pool
from counteract.evaluation.inputs import IN_HAND
from counteract.models.about import About


def test_other_data_than_a_networks_card_names_are_refused_or_said(digits: Dataset) -> None:
    letters = ArrayDataset("letters", digits.images[:2], digits.labels[:2], tuple("abcdefghij"))
    same = ArrayDataset("a-file", digits.images[:2], digits.labels[:2], digits.class_names)
    in_hand = ArrayDataset(IN_HAND, digits.images[:2], digits.labels[:2], tuple("abcdefghij"))
    own, other = About(dataset="digits", class_names=digits.class_names), About(dataset="cifar10")
    for known, data in ((own, digits), (own, same), (own, in_hand), (About(), digits), (other, in_hand)):
        assert check_card("m", known, data) is None
    assert "its card names digits and the classes 0, 1, 2, ...; the images are of letters" in str(
        check_card("m", own, letters)
    )
    assert "its card names mine and" in str(check_card("m", About(dataset="mine", class_names=("a",)), digits))
    assert check_card("m", other, letters) is None  # of which nothing is known
    assert "published for cifar10, and the images are of digits" in str(check_card("m", other, digits))
    with pytest.raises(ValueError, match=r"model m was trained on cifar10, as .*, and the dataset is digits: name"):
        check_card("m", About(dataset="cifar10", class_names=tuple("abcdefghij")), digits)


def test_classes_in_another_order_than_the_networks_are_refused(digits: Dataset) -> None:
    def check(theirs: str, ours: str) -> str | None:
        names = tuple(ours.split("|"))
        data = ArrayDataset("mine", digits.images[:2], digits.labels[:2] * 0, names)
        return check_card("m", About(class_names=tuple(theirs.split("|"))), data)

    assert check("n01, tench|goldfish, Carassius|crane|crane", "Tench|carassius|crane|x") is None
    assert check("cat|dog", "n1|n2") is None
    with pytest.raises(
        UserError, match=r"mine has 'dog' as class 0, model m as class 1.* of the network's 3; .*classes.txt"
    ):
        check("cat|dog, hound|bird", "Dog|bird")
    with pytest.raises(UserError, match="has 'n2' as class 1, model m as class 2"):
        check("cat|dog|n2, hound", "cat|n2, hound, dog")


def test_classes_of_a_pool_in_another_order_than_the_datas_are_refused(digits: Dataset) -> None:
    names = digits.class_names
    for others in (names, ("zero", *names[1:]), tuple("abcdefghij"), ()):
        pool = digits.take(3)
        pool.class_names = others
        check_pool(digits, pool)
    pool = digits.take(3)
    pool.class_names = names[::-1]
    with pytest.raises(UserError, match=r"pool digits has '9' as class 0, dataset digits as class 9: .* classes\.txt"):
        check_pool(digits, pool)
