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
        ({"norm": "L2"}, "threat_model: norm: Input should be 'Linf', found 'L2'"),
        ({"eps": 0}, "threat_model: eps: .*greater than 0"),
        ({"eps": 8}, "threat_model: eps: .*less than or equal to 1, found 8"),
        ({"eps": "8/0"}, "threat_model: eps: .*a fraction"),
        ({"epsilon": 0.1}, "threat_model: epsilon: Extra"),
    ],
)
def test_mistakes(data: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        validate(ThreatModel, data, "threat_model")
