"""Anyone's objects by name, `package.module:attribute`, imported as Python does and from the current folder."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from counteract._errors import UserError, unknown_name


def find_object(name: str, what: str) -> Any:
    """Returns the object that a name stands for.

    Args:
        name: `package.module:attribute`.
        what: The kind of thing that is named, for the error: `defence`.

    Raises:
        UserError: (a ValueError) there is no such module or attribute, or importing it fails.
    """
    home, _, attribute = name.partition(":")
    try:
        with current_folder():
            module = importlib.import_module(home)
    except (TypeError, ValueError) as error:  # of an empty or a relative name
        raise UserError(f"{what} {name} must be 'package.module:factory': {error}") from error
    except Exception as error:
        raise UserError(
            f"{what} {name}: module {home!r} cannot be imported: {type(error).__name__}: {error}"
        ) from error
    if not hasattr(module, attribute):
        known = [each for each, value in vars(module).items() if callable(value) and not each.startswith("_")]
        raise unknown_name(f"{what} {name}: in module {home!r}, factory", attribute, known)
    return getattr(module, attribute)


@contextmanager
def current_folder() -> Iterator[None]:
    """Lets modules be imported from the current folder, as `python -m` does and an installed command does not."""
    before = sys.path.copy()
    sys.path.insert(0, str(Path.cwd()))
    try:
        yield
    finally:
        sys.path[:] = before
