"""Keys of examples, attackers and defenders: a function of seed and index, and all different."""

from __future__ import annotations

import torch

from counteract.attacks.keys import attack_keys, defence_keys, example_keys


def test_a_key_is_that_of_its_seed_and_index() -> None:
    keys = example_keys(3, torch.arange(10))
    assert torch.equal(example_keys(3, torch.tensor([7, 2])), keys[[7, 2]])
    assert torch.equal(keys[:1], torch.tensor([-3891903916349603253]))  # recorded: results that were published have it


def test_no_two_are_alike() -> None:
    keys = torch.cat([example_keys(seed, torch.arange(50)) for seed in range(3)])
    every = torch.cat([keys, attack_keys(keys), *(defence_keys(keys, draw) for draw in range(3))])
    assert len(every.unique()) == len(every)
