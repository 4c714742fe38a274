"""Threat models: bounds that make sense, in a norm that there is."""

from __future__ import annotations

from typing import Any

import pytest

from counteract._toml import validate
from counteract.attacks import ThreatModel


def test_the_papers_is_the_default() -> None:
    assert ThreatModel() == ThreatModel(norm="Linf", eps=8 / 255)
    assert ThreatModel.model_validate({"eps": "4/255"}).eps == 4 / 255


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"norm": "L3"}, "threat_model: norm: Input should be 'Linf', 'L2' or 'L1', found 'L3'"),
        ({"norm": "L2", "eps": 0}, "threat_model: eps: .*greater than 0"),
        ({"norm": "L2", "eps": "inf"}, "threat_model: eps: .*finite"),
        ({"eps": 0}, "threat_model: eps: .*greater than 0"),
        ({"eps": 8}, "threat_model: eps: .*less than or equal to 1, found 8"),
        ({"eps": "8/0"}, "threat_model: eps: .*a fraction"),
        ({"epsilon": 0.1}, "threat_model: epsilon: Extra"),
    ],
)
def test_mistakes(data: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        validate(ThreatModel, data, "threat_model")


def test_each_norm_has_a_bound_of_its_own_and_beyond_linf_it_may_pass_1() -> None:
    assert ThreatModel(norm="L2") == ThreatModel(norm="L2", eps=0.5)
    assert ThreatModel(norm="L1").eps == 12
    assert ThreatModel(norm="L2", eps=3.5).eps == 3.5
    assert ThreatModel.model_validate({"norm": "L2", "eps": "128/255"}).eps == 128 / 255


def test_a_bound_beyond_all_images_was_meant_in_grey_levels() -> None:
    for bound in (ThreatModel(norm="L2", eps=55.4), ThreatModel(norm="L1", eps=3072), ThreatModel(eps=1)):
        bound.check_shape((3, 32, 32))
    with pytest.raises(
        ValueError, match=r"^eps must be at most 55\.43 in L2, .* images of 3x32x32, found 128: .*levels"
    ):
        ThreatModel(norm="L2", eps=128).check_shape((3, 32, 32))


def test_in_words() -> None:
    assert str(ThreatModel()) == "Linf, eps = 8/255"
    assert str(ThreatModel(norm="L2", eps=0.25)) == "L2, eps = 0.25"
