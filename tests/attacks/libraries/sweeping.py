"""The sweep over every attack of a library: least effort, on four digits."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from counteract import attack
from counteract.attacks import AttackWarning
from counteract.attacks.libraries.arguments import Parameters
from counteract.attacks.norms import NORMS, Name
from counteract.datasets import Dataset

EVERY = bool(os.environ.get("COUNTERACT_SWEEP"))
"""True to sweep over attacks that take long even with the least effort, too."""

EPS = 12 / 255

BOUNDS: dict[Name, float] = {"Linf": EPS, "L2": 0.5, "L1": 12.0}
"""The bounds of the sweeps."""

_LITTLE = {
    "conjugate_sinkhorn_max_iter": 10, "init_eval": 10, "init_size": 20, "k": 5, "m": 2, "max_eval": 20,
    "max_inner_iter": 2, "max_iter": 2, "max_iterations": 10, "n_queries": 20, "nb_iter": 2, "nb_random_init": 1,
    "nb_steps": 2, "num_iter_set": 2, "num_trial": 5, "popsize": 2, "projected_sinkhorn_max_iter": 10,
    "query_limit": 50, "restarts": 2, "sample_size": 5, "steps": 2, "binary_search_steps": 2,
}  # fmt: skip
"""Arguments that make attacks fast, whichever of them an attack has."""


def swept(library: str, name: str, parameters: Parameters, more: str = "", suffix: str = "") -> str:
    """Returns an attack's name with arguments for the least effort."""
    given = [f"{key}={value}" for key, value in _LITTLE.items() if key in parameters and f"{key}=" not in more]
    arguments = ", ".join([*given, *filter(None, [more])])
    return f"{library}:{name}{suffix}" + (f"({arguments})" if arguments else "")


def attacked(name: str, module: nn.Module, data: Dataset, norm: Name = "Linf") -> tuple[Tensor, list[str]]:
    """Returns what an attack makes of images, and what is said of it."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("error")
        warnings.simplefilter("always", AttackWarning)
        found = attack(name, module, data.images, data.labels, eps=BOUNDS[norm], norm=norm)
    return found, [str(each.message) for each in said]


def check(
    name: str, module: nn.Module, data: Dataset, *, bounded: bool, norm: Name = "Linf"
) -> tuple[Tensor, list[str]]:
    """Makes sure that an attack keeps its bounds, repeats itself and leaves the module alone."""
    before = {key: value.clone() for key, value in module.state_dict().items()}
    random = torch.get_rng_state()
    found, said = attacked(name, module, data, norm)
    assert found.shape == data.images.shape
    assert found.dtype == data.images.dtype
    assert not found.requires_grad
    assert NORMS[norm].size(found - data.images).max() <= BOUNDS[norm] * (1 + 1e-5)
    assert found.max() <= 1
    assert found.min() >= 0
    assert not (bounded and said), said
    assert torch.equal(torch.get_rng_state(), random), "the caller's generator was used"
    again, _ = attacked(name, module, data, norm)
    assert torch.equal(found, again)
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in module.parameters())
    return found, said


def fast(names: Iterable[str], slow: Iterable[str]) -> list[str]:
    """Returns the names of attacks to sweep over."""
    return [name for name in names if EVERY or name not in tuple(slow)]
