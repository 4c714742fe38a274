"""Anyone's objects by name, `package.module:attribute`, imported as Python does and from the current folder."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from types import ModuleType
from typing import Any

from counteract._calls import Call, spell_arguments
from counteract._errors import UserError, unknown_name
from counteract._strangers import strangers_code


def find_factory(name: str, what: str) -> tuple[ModuleType, Any]:
    """Returns the module of a factory, and the factory: a function, or an object that the module holds.

    Args:
        name: `package.module:factory`; modules are looked for as Python does, and in the current folder.
        what: The kind of thing that is named, for the error: `model`, `defence`.

    Raises:
        UserError: (a ValueError) there is no such module or factory, or the module cannot be imported.
    """
    home, _, attribute = name.partition(":")
    if home.endswith(".py"):
        dotted = ".".join(PurePath(home).with_suffix("").parts)
        raise UserError(f"{what} {name}: name the module and not its file, {dotted}:{attribute or 'factory'}")
    if not all(part.isidentifier() for part in [*home.split("."), attribute]):
        raise UserError(f"{what} {name} must be 'package.module:factory'")
    with strangers_code(f"{what} {name}"), _current_folder():
        try:
            module = importlib.import_module(home)
        except ImportError as error:
            raise UserError(f"{what} {name}: module {home!r} cannot be imported: {error}") from error
        if not hasattr(module, attribute):
            raise unknown_name(f"{what} {name}: in module {home!r}, factory", attribute, _public(module))
        return module, getattr(module, attribute)


def call_factory(factory: Callable[..., object], call: Call, what: str) -> object:
    """Returns what a factory makes of the arguments in the brackets of its name.

    Args:
        factory: The factory.
        call: Its name as users write it.
        what: The kind of thing that is named, for the error: `model`, `dataset`.

    Raises:
        UserError: (a ValueError) it takes other arguments.
    """
    try:
        inspect.signature(factory).bind(**call.arguments)
    except ValueError:  # of a function that is not written in Python nothing is known
        pass
    except TypeError as error:
        raise UserError(f"{what} {call.name} could not be made by {in_words(call)}: {error}") from error
    return factory(**call.arguments)


def in_words(call: Call) -> str:
    """The call of a factory as Python has it, `factory(key=value)`."""
    return f"{call.name.partition(':')[2]}({spell_arguments(call.arguments)})"


@contextmanager
def _current_folder() -> Iterator[None]:
    """Lets modules be imported from the current folder, as `python -m` does and an installed command does not."""
    before = sys.path.copy()
    sys.path.insert(0, str(Path.cwd()))
    try:
        yield
    finally:
        sys.path[:] = before


def _public(module: ModuleType) -> list[str]:
    return [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
