"""Whoever interrupts a command is told what is kept."""

from __future__ import annotations

import pytest

from counteract.cli.interruption import Stopped, kept


def test_an_interruption_gets_a_sentence_of_what_is_kept_by_then() -> None:
    epochs = [1]
    with pytest.raises(Stopped, match=r"^2 epochs$"), kept(lambda: f"{len(epochs)} epochs"):
        stop(epochs)


def stop(epochs: list[int]) -> None:
    epochs.append(2)
    raise KeyboardInterrupt


def test_anything_else_passes() -> None:
    with pytest.raises(KeyError), kept(lambda: "nothing"):
        raise KeyError
