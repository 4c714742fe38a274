"""Reading TOML into validated models, with errors that name file and key in one line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from counteract._errors import UserError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

Model = TypeVar("Model", bound=BaseModel)


def read_toml(path: Path | Traversable, what: str) -> dict[str, Any]:
    """Reads a TOML file.

    Args:
        path: The file.
        what: The errors' word for it: `"spec mine.toml"`, say.

    Raises:
        UserError: (a ValueError) there is no such file, or it is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{what} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{what} is not valid TOML: {error}") from error


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
        found = "" if first["type"] == "missing" else f", found {first['input']!r}"
        raise UserError(
            f"{source}: {key + ': ' if key else ''}{first['msg'].removeprefix('Value error, ')}{found}"
        ) from error
