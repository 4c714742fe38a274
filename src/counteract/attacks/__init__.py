"""Attacks: they know a network with its defence as a module that maps images and keys to log-probabilities."""

from counteract._extras import needing

with needing("evaluate"):
    from counteract.attacks.api import attack
    from counteract.attacks.base import CLEAN, Attack, obstacle
    from counteract.attacks.keys import attack_keys, defence_keys, example_keys
    from counteract.attacks.libraries import AttackError, AttackWarning, library_lines
    from counteract.attacks.objective import Objective
    from counteract.attacks.own import ATTACKS, attack_names
    from counteract.attacks.pgd import PGD, Path, draw_starts, draw_targets
    from counteract.attacks.preset import AttackPreset
    from counteract.attacks.registry import attack_lines, find_attack, register_attack
    from counteract.attacks.threat_model import ThreatModel
    from counteract.attacks.victim import Victim

__all__ = [
    "ATTACKS",
    "CLEAN",
    "PGD",
    "Attack",
    "AttackError",
    "AttackPreset",
    "AttackWarning",
    "Objective",
    "Path",
    "ThreatModel",
    "Victim",
    "attack",
    "attack_keys",
    "attack_lines",
    "attack_names",
    "defence_keys",
    "draw_starts",
    "draw_targets",
    "example_keys",
    "find_attack",
    "library_lines",
    "obstacle",
    "register_attack",
]
