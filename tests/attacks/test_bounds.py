"""Images outside of a threat model are projected onto it, and no others are touched."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from counteract.attacks import ThreatModel
from counteract.attacks.bounds import keep_within

EPS = 0.05


def test_what_is_within_stays_as_it_is(x: Tensor) -> None:
    for images in (x, x + EPS, x - EPS, (x + EPS) + 5e-7):
        found, outside = keep_within(ThreatModel(eps=EPS), x, images)
        assert found is images
        assert not outside.any()


def test_what_is_not_is_projected_and_named(x: Tensor) -> None:
    images = x.clone()
    images[1, 0, 3, 3] += 2 * EPS
    images[4] = 1 - images[4]
    images[5, 2, 0, 0] = x[5, 2, 0, 0] - 1.1 * EPS
    found, outside = keep_within(ThreatModel(eps=EPS), x, images)
    assert outside.tolist() == [False, True, False, False, True, True]
    assert torch.equal(found[~outside], images[~outside])
    assert ((found - x).abs() <= EPS + 1e-7).all()
    assert found[1, 0, 3, 3].item() == pytest.approx(x[1, 0, 3, 3].item() + EPS)
    assert torch.equal(found[1].flatten()[1:3], images[1].flatten()[1:3])


def test_pixels_outside_of_their_range_are_outside_however_near() -> None:
    clean = torch.tensor([[[[0.0, 0.99]]], [[[0.5, 0.5]]]])
    for change in (-0.02, 0.02):
        images = clean.clone()
        images[0] += change
        found, outside = keep_within(ThreatModel(eps=EPS), clean, images)
        assert outside.tolist() == [True, False]
        assert found.min() >= 0
        assert found.max() <= 1


def test_round_off_of_coarser_numbers_is_no_offence(x: Tensor) -> None:
    coarse = x.bfloat16()
    assert not keep_within(ThreatModel(eps=EPS), coarse, coarse + EPS)[1].any()
    assert keep_within(ThreatModel(eps=EPS), coarse, coarse + 2 * EPS)[1].all()
