"""Defences by name: the registry, factories that make one, and the defended networks that names stand for."""

from counteract._extras import needing

with needing("evaluate"):
    from counteract.defences.build import Ingredients, build_defence, describe_defence, forward_passes
    from counteract.defences.names import Values, check_parameters, parse_defence, spell_call
    from counteract.defences.registry import (
        UNDEFENDED,
        Defence,
        defence_lines,
        defence_names,
        find_defence,
        register_defence,
    )

__all__ = [
    "UNDEFENDED",
    "Defence",
    "Ingredients",
    "Values",
    "build_defence",
    "check_parameters",
    "defence_lines",
    "defence_names",
    "describe_defence",
    "find_defence",
    "forward_passes",
    "parse_defence",
    "register_defence",
    "spell_call",
]
