"""Normalisation as a layer: its arithmetic, and what it refuses."""

from __future__ import annotations

import pytest
import torch

from counteract.models import Normalize


def test_every_channel_has_its_own_mean_and_deviation() -> None:
    x = torch.rand(2, 3, 4, 5)
    found = Normalize((0.1, 0.2, 0.3), (0.5, 1.0, 2.0))(x)
    for channel, (mean, std) in enumerate(((0.1, 0.5), (0.2, 1.0), (0.3, 2.0))):
        torch.testing.assert_close(found[:, channel], (x[:, channel] - mean) / std)


def test_a_checkpoint_neither_holds_nor_needs_it() -> None:
    assert not Normalize((0.5,), (0.5,)).state_dict()
    assert not list(Normalize((0.5,), (0.5,)).parameters())


@pytest.mark.parametrize(("mean", "std"), [((0.5,), (0.5, 0.5)), ((0.5,), (0.0,))])
def test_wrong_normalisation(mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="one value per channel, std above zero"):
        Normalize(mean, std)
