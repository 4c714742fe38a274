"""Passes and graphs: how many rows go together, in multiples of eight images, and whose graphs are computed twice."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from counteract import _passes
from counteract._passes import Graphs, draws_of_all, images_kept, pass_of

SMALL, LARGE = torch.zeros(104, 3, 32, 32), torch.zeros(104, 3, 224, 224)


@pytest.mark.parametrize(
    ("images", "draws", "expected"),
    [
        (SMALL, 1, (128, 1)),  # all of them
        (SMALL, 5, (24, 5)),
        (SMALL, 16, (8, 16)),
        (SMALL, 20, (24, 5)),  # four passes of 120 rows, not two of 80 for each eight images
        (SMALL, 50, (8, 13)),
        (SMALL[:6], 20, (8, 20)),
        (SMALL[:6], 500, (8, 21)),
        (LARGE, 1, (16, 1)),
        (LARGE, 20, (8, 2)),
    ],
)
def test_passes_are_as_full_as_graphs_that_fit_allow(images: Tensor, draws: int, expected: tuple[int, int]) -> None:
    assert pass_of(images, draws) == expected


@pytest.mark.parametrize("draws", [1, 2, 5, 9, 20, 50, 100])
def test_passes_do_not_depend_on_the_number_of_images(draws: int) -> None:
    assert {pass_of(SMALL[:count], draws) for count in (8, 16, 24, 104)} == {pass_of(SMALL, draws)}


def test_graphs_are_kept_of_all_images_or_of_multiples_of_eight() -> None:
    assert [images_kept(SMALL, draws) for draws in (1, 4, 5, 20, 64, 65)] == [512, 128, 96, 24, 8, 0]
    assert [images_kept(SMALL[:5], draws) for draws in (100, 102, 103)] == [5, 5, 0]
    assert [images_kept(LARGE, draws) for draws in (1, 2, 3)] == [16, 8, 0]


def test_images_that_must_go_together_do_so_with_fewer_draws() -> None:
    assert [draws_of_all(images) for images in (SMALL, SMALL[:8], torch.zeros(1000, 3, 32, 32))] == [4, 64, 1]


class Counted(nn.Module):
    """Keeps the square of 1,000 numbers a row, and counts how often it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        self.asked.append(len(x))
        return (x.expand(-1, 1000).clone() ** 2).sum(1)


@pytest.mark.parametrize(
    ("graphs", "again"),
    [
        (Graphs(everything=True), 0),
        (Graphs(everything=False), 5),
        (Graphs(everything=False, within=25), 3),
        (Graphs(everything=False, within=10, limit=130_000), 2),  # bytes: 40,000 a pass
        (Graphs(everything=False, limit=10**6), 5),  # nothing is known of what a pass takes
        (Graphs(everything=False, within=10, limit=10**6), 0),
    ],
)
def test_graphs_beyond_the_bounds_are_computed_again(graphs: Graphs, again: int) -> None:
    network, x = Counted(), torch.linspace(0, 1, 50).unsqueeze(1).requires_grad_()
    answers = torch.cat([graphs.run(network, 10, part) for part in x.split(10)])
    assert network.asked == [10] * 5
    (gradient,) = torch.autograd.grad(answers.sum(), x)
    assert network.asked == [10] * (5 + again)
    torch.testing.assert_close(gradient, 2000 * x.detach())


def test_without_gradients_nothing_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_passes, "checkpoint", None)
    monkeypatch.setattr(_passes, "saved_tensors_hooks", None)
    with torch.no_grad():
        assert Graphs(everything=False).run(torch.exp, 1, torch.zeros(1)) == 1
