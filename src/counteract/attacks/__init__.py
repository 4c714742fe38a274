"""Attacks: they know only a module that maps images in [0, 1], and keys where it draws, to (log-)probabilities."""

from counteract.attacks.budget import Budget
from counteract.attacks.objective import Objective
from counteract.attacks.pgd import PGD, draw_starts, draw_targets
from counteract.attacks.suite import RECIPES, Recipe, Target, attack_calls, run_attack

__all__ = [
    "PGD",
    "RECIPES",
    "Budget",
    "Objective",
    "Recipe",
    "Target",
    "attack_calls",
    "draw_starts",
    "draw_targets",
    "run_attack",
]
