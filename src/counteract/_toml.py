"""Reading TOML into validated models, with errors that name file and key in one line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from counteract._errors import UserError
from counteract._files import read_file

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

_LONGEST, _DEEPEST = 2**20, 200
"""The number of bytes of the longest file that is read, and of dots in one of its lines."""

Model = TypeVar("Model", bound=BaseModel)


def read_toml(path: Path | Traversable, what: str) -> dict[str, Any]:
    """Reads a TOML file.

    Args:
        path: The file.
        what: The errors' word for it: `"spec mine.toml"`, say.

    Raises:
        UserError: (a ValueError) there is no such file, or it is not TOML.
    """
    found = read_file(path, what, _LONGEST) if isinstance(path, Path) else path.read_bytes()
    try:
        text = found.decode("utf-8-sig")
        _check_depth(text, what)
        return tomllib.loads(text)
    except UserError:
        raise
    except (ValueError, RecursionError) as error:  # of bytes that are no text, too, and of numbers without an end
        raise UserError(f"{what} is not valid TOML: {error}") from error


def _check_depth(text: str, what: str) -> None:
    """Raises UserError for keys of so many parts that reading them would take minutes."""
    for number, line in enumerate(text.splitlines(), 1):
        if line.count(".") > _DEEPEST:
            raise UserError(f"{what}: line {number} has more than {_DEEPEST} dots")


def validate(model: type[Model], data: dict[str, Any], source: str) -> Model:
    """Makes a model of what was read.

    Raises:
        UserError: (a ValueError) a key is missing, unknown or has an invalid value; it names source and key.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        whole = first["type"] == "missing" or not first["loc"]  # of all keys together there is no one value
        found = "" if whole else f", found {first['input']!r}"
        raise UserError(
            f"{source}: {key + ': ' if key else ''}{first['msg'].removeprefix('Value error, ')}{found}"
        ) from error
