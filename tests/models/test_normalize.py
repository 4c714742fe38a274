"""Normalisation as a layer: its arithmetic, and what it refuses."""

from __future__ import annotations

import pytest
import torch

from counteract.models import Normalize
from counteract.models.normalize import check_deviation, check_mean

NAN = float("nan")


def test_every_channel_has_its_own_mean_and_deviation() -> None:
    x = torch.rand(2, 3, 4, 5)
    found = Normalize((0.1, 0.2, 0.3), (0.5, 1.0, 2.0))(x)
    for channel, (mean, std) in enumerate(((0.1, 0.5), (0.2, 1.0), (0.3, 2.0))):
        torch.testing.assert_close(found[:, channel], (x[:, channel] - mean) / std)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_images_keep_their_dtype(dtype: torch.dtype) -> None:
    x = torch.rand(2, 3, 4, 5)
    found = Normalize((0.1, 0.2, 0.3), (0.5, 1.0, 2.0))(x.to(dtype))
    assert found.dtype == dtype
    torch.testing.assert_close(found.float(), Normalize((0.1, 0.2, 0.3), (0.5, 1.0, 2.0))(x), rtol=1e-2, atol=2e-2)


def test_values_outside_of_the_range_of_pixels_are_refused() -> None:
    assert [check_mean(value) for value in (0, 0.5, 1)] == [0, 0.5, 1]
    assert [check_deviation(value) for value in (1e-3, 1)] == [1e-3, 1]
    for check, value in ((check_mean, 127.5), (check_deviation, 58.4)):
        with pytest.raises(ValueError, match=f"should be in .* are; did you mean {value}/255 = 0"):
            check(value)
    for check, value in ((check_mean, -0.1), (check_mean, NAN), (check_deviation, 0), (check_deviation, 1e9)):
        with pytest.raises(ValueError, match=r"should be in .*, as .*pixels are$"):
            check(value)


def test_a_checkpoint_neither_holds_nor_needs_it() -> None:
    assert not Normalize((0.5,), (0.5,)).state_dict()
    assert not list(Normalize((0.5,), (0.5,)).parameters())


@pytest.mark.parametrize(("mean", "std"), [((0.5,), (0.5, 0.5)), ((0.5,), (0.0,))])
def test_wrong_normalisation(mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="one value per channel, std above zero"):
        Normalize(mean, std)
