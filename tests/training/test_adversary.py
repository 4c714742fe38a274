"""PGD in training: its start, its direction, and a network that is left as it was found."""

from __future__ import annotations

import pytest
import torch
from networks import Dark, Shifted
from torch import Tensor, nn

from counteract._random import fold, key
from counteract.training.adversary import attacked, predict, random_start

KEYS = fold(key(0), torch.arange(2))
EPS = 0.1


class Linear(nn.Module):
    """Logits (0, 4 x1 - 2 x2) of a two-pixel image: PGD against class 0 goes up in x1 and down in x2."""

    def __init__(self) -> None:
        super().__init__()
        self.modes: list[bool] = []

    def forward(self, x: Tensor) -> Tensor:
        self.modes.append(self.training)
        score = 4 * x[:, 0, 0, 0] - 2 * x[:, 0, 0, 1]
        return torch.stack([torch.zeros_like(score), score], 1)


def images() -> Tensor:
    return torch.tensor([[0.5, 0.5], [0.95, 0.5]]).view(2, 1, 1, 2)


def attack(network: nn.Module, labels: list[int], steps: int = 3, step: float = 0.04) -> Tensor:
    found = attacked(network, images(), torch.tensor(labels), KEYS, eps=EPS, step=step, steps=steps)
    return found.view(2, 2)


def test_steps_lead_away_from_the_labels_within_eps_and_the_pixel_range() -> None:
    torch.testing.assert_close(attack(Linear(), [0, 0], 6), torch.tensor([[0.6, 0.4], [1.0, 0.4]]))
    torch.testing.assert_close(attack(Linear(), [1, 1], 6), torch.tensor([[0.4, 0.6], [0.85, 0.6]]))


def test_it_begins_at_the_start_of_the_keys() -> None:
    start = (images() + random_start(images(), KEYS, EPS)).clamp(0, 1)
    expected = start.view(2, 2) + torch.tensor([0.001, -0.001])
    expected = torch.minimum(expected, (images() + EPS).clamp(0, 1).view(2, 2))
    torch.testing.assert_close(attack(Linear(), [0, 0], 1, step=0.001), expected)


def test_the_network_is_in_eval_mode_and_put_back() -> None:
    network = Linear().train()
    attack(network, [0, 0])
    predict(network, images())
    assert network.modes == [False] * 4
    assert network.training


@pytest.mark.parametrize("use", [lambda network: attack(network, [0, 1]), lambda network: predict(network, images())])
def test_a_network_in_training_is_left_as_it_was(use: object) -> None:
    """A frozen BatchNorm stays frozen, a frozen weight too; statistics do not move, and no gradient is left."""
    network = nn.Sequential(nn.BatchNorm2d(1), nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(2, 2)).train()
    network[1].eval()
    network[3].bias.requires_grad_(False)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert callable(use)
    use(network)
    assert [module.training for module in network] == [True, False, True, True]
    assert network.training
    assert [name for name, each in network.named_parameters() if not each.requires_grad] == ["3.bias"]
    assert all(value.equal(before[name]) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_random_start_is_uniform_and_keyed_by_example() -> None:
    keys = fold(key(0), torch.arange(50))
    x = torch.zeros(50, 3, 5, 5)
    start = random_start(x, keys, EPS)
    assert float(start.min()) >= -EPS - 1e-7
    assert float(start.max()) <= EPS + 1e-7
    assert abs(float(start.mean())) < 0.005
    assert abs(float(start.var()) - 0.04 / 12) < 2e-4
    assert start[7:9].equal(random_start(x[7:9], keys[7:9], EPS))
    assert not start[7].equal(start[8])


def test_an_answer_that_is_no_number_is_no_prediction() -> None:
    before = images()
    for network in (Dark(), Shifted(in_place=True)):
        bright, dark = torch.rand(2, 3, 32, 32), torch.full((1, 3, 32, 32), 0.1)
        given = torch.cat([bright, dark])
        found = predict(network, given)
        assert torch.equal(given, torch.cat([bright, dark]))
        assert (found >= 0).tolist() == [True, True, not isinstance(network, Dark)]
    assert torch.equal(images(), before)
