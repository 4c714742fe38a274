"""`counteract models`: the networks at hand, and the restrictions that go with the zoo."""

from __future__ import annotations

import pytest

from counteract.cli import main
from counteract.models import card_of, known_models


def call(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    return int(stopped.value.code or 0)


def test_models_lists_every_network_at_hand(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["models"]) == 0
    seen = capsys.readouterr().out
    assert known_models()
    for name in known_models():
        card = card_of(name)
        assert name in seen
        assert card.architecture in seen
        assert f"{card.accuracy['clean']:.1f}" in seen
    for form in (".safetensors", "robustbench:", "torchvision:", "timm:", "hf:", "clip:", "package.module:factory"):
        assert form in seen


def test_restrictions_go_with_the_zoo(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["models", "--dataset", "cifar10"]) == 2
    assert "go with --robustbench" in capsys.readouterr().err
