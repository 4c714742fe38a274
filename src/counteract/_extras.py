"""The extras: which packages come with each of them, and the one line that says which is missing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from counteract._errors import UserError

_EVALUATE = {"filelock", "platformdirs", "pydantic", "rich", "sklearn", "tomli", "torchattacks", "typer"}

EXTRAS = {
    "evaluate": _EVALUATE,
    "report": _EVALUATE | {"PIL", "jinja2", "matplotlib"},
    "train": _EVALUATE | {"lightning_fabric", "scipy", "tensorboard"},
    "robustbench": _EVALUATE | {"gdown", "huggingface_hub", "pyautoattack", "robustbench", "timm"},
    "timm": _EVALUATE | {"timm"},
    "hf": _EVALUATE | {"transformers"},
}
"""The packages that come with each extra, as they are imported; `pyproject.toml` has them as they are installed."""


@contextmanager
def needing(extra: str) -> Iterator[None]:
    """Makes of an import that fails for want of an extra's package a line that says what to install.

    Args:
        extra: The extra that the imports are for; one that a package comes with where it is not in this one.

    Raises:
        UserError: (a ValueError) a package of an extra is missing.
    """
    try:
        yield
    except ImportError as error:
        missing = explain_missing(error, extra)
        if missing is None:
            raise
        raise missing from error


def explain_missing(error: ImportError, extra: str = "evaluate") -> UserError | None:
    """Returns the error for a package of an extra that is missing; None for imports that fail for other reasons."""
    if not isinstance(error, ModuleNotFoundError) and error.name is not None:  # it is there, and lacks something
        return None
    for package in [error.name.partition(".")[0]] if error.name else re.findall(r"\w+", str(error)):
        for candidate in (extra, *EXTRAS):
            if package in EXTRAS[candidate]:
                return UserError(f"{package} is not installed: {how_to_install(candidate)}")
    return None


def how_to_install(extra: str) -> str:
    """Returns the words that say how an extra is installed."""
    return f"it comes with the extra {extra!r}; in a clone of art-counteract: pip install '.[{extra}]'"
