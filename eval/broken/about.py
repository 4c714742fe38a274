"""Source, claim, truth and break of each defence, as the docstring of its module has them."""

from __future__ import annotations

import importlib
import inspect
import re
from dataclasses import dataclass
from pathlib import Path

FIELDS = ("Source", "Claimed", "Known", "Broken by")
"""Fields of a docstring, in this order."""

NOT_DEFENCES = {"__init__", "about", "controls", "rows", "surgery", "train", "trained", "yardsticks"}
"""Modules of this package that are no broken defence."""


@dataclass(frozen=True)
class About:
    """The account of a defence that the literature gives.

    Attributes:
        title: The defence in a line.
        source: Its paper.
        claimed: The robust accuracy that it was published with.
        known: That which is known today.
        broken_by: The attack that shows it.
    """

    title: str
    source: str
    claimed: str
    known: str
    broken_by: str


def names() -> list[str]:
    """The names of the modules that are broken defences."""
    return sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem not in NOT_DEFENCES)


def about(name: str) -> About:
    """Reads what the docstring of a module of this package says in its fields.

    Raises:
        ValueError: a field is missing, or stands elsewhere.
    """
    text = inspect.getdoc(importlib.import_module(f"broken.{name}")) or ""
    pattern = "".join(rf"^{field}: (.+?)" for field in FIELDS)
    found = re.fullmatch(rf"([^\n]+)\n\n.*?{pattern}", text, re.DOTALL | re.MULTILINE)
    if found is None:
        raise ValueError(f"broken.{name}: the docstring must have the fields {', '.join(FIELDS)}, in this order")
    return About(*(" ".join(part.split()) for part in found.groups()))
