"""PGD in training: against a case computed by hand, and in eval mode."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from counteract._random import fold, key
from counteract.training.adversary import pgd, random_start


class Linear(nn.Module):
    """Logits (0, 4 x1 - 2 x2) of a two-pixel image: PGD against class 0 goes up in x1 and down in x2."""

    def __init__(self) -> None:
        super().__init__()
        self.modes: list[bool] = []

    def forward(self, x: Tensor) -> Tensor:
        self.modes.append(self.training)
        score = 4 * x[:, 0, 0, 0] - 2 * x[:, 0, 0, 1]
        return torch.stack([torch.zeros_like(score), score], 1)


def attack(network: nn.Module, labels: list[int], start: Tensor, steps: int = 3) -> Tensor:
    x = torch.tensor([[0.5, 0.5], [0.95, 0.5]]).view(2, 1, 1, 2)
    return pgd(network, x, torch.tensor(labels), start, eps=0.1, step=0.04, steps=steps).view(2, 2)


def test_steps_projection_and_pixel_range_by_hand() -> None:
    found = attack(Linear(), [0, 0], torch.zeros(2, 1, 1, 2), steps=1)
    torch.testing.assert_close(found, torch.tensor([[0.54, 0.46], [0.99, 0.46]]))
    found = attack(Linear(), [0, 0], torch.zeros(2, 1, 1, 2), steps=3)
    torch.testing.assert_close(found, torch.tensor([[0.6, 0.4], [1.0, 0.4]]))


def test_it_leads_away_from_the_labels_it_is_given() -> None:
    found = attack(Linear(), [1, 1], torch.zeros(2, 1, 1, 2), steps=1)
    torch.testing.assert_close(found, torch.tensor([[0.46, 0.54], [0.91, 0.54]]))


def test_it_begins_at_the_start() -> None:
    start = torch.full((2, 1, 1, 2), -0.1)
    found = attack(Linear(), [0, 0], start, steps=1)
    torch.testing.assert_close(found, torch.tensor([[0.44, 0.4], [0.89, 0.4]]))


def test_the_network_is_in_eval_mode_and_put_back() -> None:
    network = Linear().train()
    attack(network, [0, 0], torch.zeros(2, 1, 1, 2))
    assert network.modes == [False] * 3
    assert network.training


def test_running_statistics_and_gradients_are_untouched() -> None:
    network = nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(2, 2)).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    attack(network, [0, 1], torch.zeros(2, 1, 1, 2))
    assert all(value.equal(before[name]) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_random_start_is_uniform_and_keyed_by_example() -> None:
    keys = fold(key(0), torch.arange(50))
    x = torch.zeros(50, 3, 5, 5)
    start = random_start(x, keys, 0.1)
    assert float(start.min()) >= -0.1 - 1e-7
    assert float(start.max()) <= 0.1 + 1e-7
    assert abs(float(start.mean())) < 0.005
    assert abs(float(start.var()) - 0.04 / 12) < 2e-4
    assert start[7:9].equal(random_start(x[7:9], keys[7:9], 0.1))
    assert not start[7].equal(start[8])
