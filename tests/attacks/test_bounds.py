"""Images outside of a threat model are projected onto it, and no others are touched."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from counteract.attacks import ThreatModel, draw_starts
from counteract.attacks.bounds import in_grey_levels, keep_within
from counteract.attacks.norms import NORMS, Name

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
    few, black = 2.0**-7 * torch.tensor([1.9, 2.5]), torch.zeros(2, 3, 4, 4, dtype=torch.bfloat16)  # of bfloat16's own
    beyond = (0.25 + few).bfloat16().view(-1, 1, 1, 1).expand_as(black)
    assert keep_within(ThreatModel(eps=0.25), black, beyond)[1].tolist() == [False, True]


@pytest.mark.parametrize("norm", ["L2", "L1"])
def test_other_norms_have_their_own_balls(x: Tensor, norm: Name) -> None:
    bound = ThreatModel(norm=norm, eps=2.0)
    steps = torch.tensor([0, 0.5, 1.0, 1.1, 3, 9]).view(-1, 1, 1, 1)
    grey = torch.full_like(x, 0.5)
    change = torch.sign(x - 0.5)
    images = grey + steps * 2.0 * change / bound.metric.size(change).view(-1, 1, 1, 1)
    found, outside = keep_within(bound, grey, images)
    assert outside.tolist() == [False, False, False, True, True, True]
    assert torch.equal(found[:3], images[:3])
    torch.testing.assert_close(bound.metric.size(found - grey)[3:], torch.full((3,), 2.0))


@pytest.mark.parametrize("norm", NORMS)
def test_grey_levels_do_not_leave_the_ball(norm: Name) -> None:
    generator = torch.Generator().manual_seed(0)
    clean = torch.randint(256, (8, 3, 16, 16), generator=generator) / 255
    bound = ThreatModel(norm=norm, eps={"Linf": 8 / 255, "L2": 0.1, "L1": 2.0}[norm])
    images = draw_starts(torch.arange(8), clean, bound.eps, bound.metric)
    rounded = in_grey_levels(bound, clean, images)
    levels = rounded * 255
    torch.testing.assert_close(levels, levels.round(), rtol=0, atol=1e-4)
    assert (bound.metric.size(rounded - clean) <= bound.eps + 1e-5).all()
    assert (rounded - images).abs().max() <= 1 / 255 + 1e-6
    if norm == "Linf":
        assert torch.equal(rounded, (images * 255).round() / 255)
    assert torch.equal(in_grey_levels(bound, clean, clean), clean)


@pytest.mark.parametrize(
    ("norm", "eps", "beyond", "out"),
    [
        ("Linf", 0.05, 0.8e-6, False),
        ("Linf", 0.05, 1.5e-6, True),
        ("L2", 2.0, 2.5e-6, False),  # 56 pixels' worth of round-off, of 3 x 32 x 32
        ("L2", 2.0, 5e-6, True),
        ("L2", 20.0, 1.5e-5, False),  # which grows with the bound
        ("L2", 20.0, 3e-5, True),
    ],
)
def test_round_off_is_within_and_what_is_more_is_not(norm: Name, eps: float, beyond: float, out: bool) -> None:
    bound, clean = ThreatModel(norm=norm, eps=eps), torch.zeros(1, 3, 32, 32, dtype=torch.float64)
    change = torch.full_like(clean, 1.0)
    images = (eps + beyond) * change / bound.metric.size(change).view(-1, 1, 1, 1)
    assert keep_within(bound, clean, images)[1].item() is out


@pytest.mark.parametrize("norm", ["L2", "L1"])
def test_other_norms_go_to_the_next_level_on_the_way_back(norm: Name) -> None:
    clean = torch.full((1, 1, 1, 6), 100 / 255)
    images = clean + torch.tensor([0.4, -0.4, 1.6, -1.6, 2.0, -2.0]) / 255
    found = in_grey_levels(ThreatModel(norm=norm, eps=1.0), clean, images)
    torch.testing.assert_close(255 * found.flatten(), torch.tensor([100.0, 100, 101, 99, 102, 98]))
    nearly = in_grey_levels(ThreatModel(norm=norm, eps=1.0), clean, clean + torch.tensor([1.99995, -1.99995] * 3) / 255)
    torch.testing.assert_close(255 * nearly.flatten(), torch.tensor([102.0, 98] * 3))


def test_pixels_at_the_ends_of_their_range_are_within_it() -> None:
    clean = torch.tensor([[[[0.0, 1.0]]], [[[0.5, 0.5]]]])
    found, outside = keep_within(ThreatModel(eps=EPS), clean, clean)
    assert found is clean
    assert not outside.any()


@pytest.mark.parametrize("eps", [0.4 / 255, 1.5 / 255, 0.03])
@pytest.mark.parametrize("norm", NORMS)
def test_nor_do_they_where_clean_pixels_or_bounds_lie_between_them(norm: Name, eps: float) -> None:
    clean = torch.rand(8, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    bound = ThreatModel(norm=norm, eps=eps * {"Linf": 1, "L2": 8, "L1": 100}[norm])
    for images in (draw_starts(torch.arange(8), clean, bound.eps, bound.metric), clean):
        rounded = in_grey_levels(bound, clean, images)
        assert (bound.metric.size(rounded - clean) <= bound.eps * (1 + 1e-3)).all()
        off_grid = (255 * rounded - (255 * rounded).round()).abs() > 1e-3
        assert torch.equal(rounded[off_grid], clean[off_grid])
        assert not off_grid.all()
