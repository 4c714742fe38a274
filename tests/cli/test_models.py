"""`counteract models`: the shipped networks, and the restrictions that go with the zoo."""

from __future__ import annotations

import pytest

from counteract.cli import main
from counteract.models import shipped_card, shipped_models


def call(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    return int(stopped.value.code or 0)


def test_models_lists_every_shipped_network(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["models"]) == 0
    seen = capsys.readouterr().out
    assert shipped_models()
    for name in shipped_models():
        card = shipped_card(name)
        assert name in seen
        assert card.architecture in seen
        assert f"{card.accuracy['clean']:.1f}" in seen


def test_restrictions_go_with_the_zoo(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["models", "--dataset", "cifar10"]) == 2
    assert "go with --robustbench" in capsys.readouterr().err
