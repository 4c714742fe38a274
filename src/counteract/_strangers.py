"""Somebody else's code: whatever it raises becomes one line that names it, and it leaves the process as it found it."""

from __future__ import annotations

import inspect
import os
import signal
import sysconfig
import threading
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torch
from torch import nn

from counteract._errors import StrangersError, UserError, describe
from counteract._interrupts import Interrupt, are_told

_PACKAGE = __name__.partition(".")[0]

_INSTALLED = tuple({sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib")})
"""The folders of Python's own modules and of installed packages."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def strangers_code(name: str) -> Iterator[None]:
    """Turns whatever is raised into a StrangersError, but for a UserError and for Ctrl-C.

    Args:
        name: The name of whoever runs here, in the message: `model own:make`.

    Raises:
        StrangersError: (a ValueError) something was raised, an exit included.
    """
    with among_strangers({name: None}):
        yield


def offered(thing: object, name: str, *arguments: object) -> Any:
    """Returns what a method of this name returns; None where there is none that takes such arguments.

    Args:
        thing: The object that may have the method.
        name: The method's name.
        arguments: The arguments.

    Raises:
        StrangersError: (a ValueError) the method fails.
    """
    method = getattr(thing, name, None)
    try:
        inspect.signature(method).bind(*arguments)  # type: ignore[arg-type]
    except (TypeError, ValueError):  # no method, or one of the same name that wants something else
        return None
    with strangers_code(f"method {name} of {type(thing).__name__}"):
        return method(*arguments)  # type: ignore[misc]


@contextmanager
def among_strangers(strangers: Mapping[str, object]) -> Iterator[None]:
    """Turns what strangers raise into a StrangersError, where code of ours works with them; the rest stays as it is.

    Args:
        strangers: Networks and defences by their names in the message; of two that share a part the last is named.
            None stands for all code.

    Raises:
        StrangersError: (a ValueError) one of them raised something, an exit included.
    """
    told = are_told()
    with _left_as_found():
        try:
            yield
        except UserError:
            raise
        except BaseException as error:
            interrupted = isinstance(error, Interrupt if told else KeyboardInterrupt)
            name = None if interrupted else _culprit(error, strangers)
            if name is None:
                raise
            raise StrangersError(f"{name} failed with {describe(error)}") from error


def _culprit(error: BaseException, strangers: Mapping[str, object]) -> str | None:
    """Returns the name of whose code an error came from; None if it was ours.

    The innermost frame that works on a part of a stranger decides. Code of theirs that is no part, a gradient for one,
    tells that it was one of them.
    """
    owners = {id(part): name for name, thing in strangers.items() for part in _parts(thing)}
    names = [name for name, thing in strangers.items() if thing is None or name in owners.values()]
    theirs = None in strangers.values()
    for frame in _frames(error):
        owner = owners.get(id(frame.f_locals.get("self")))
        if owner is not None:
            return owner
        theirs = theirs or _is_theirs(frame)
    return " or ".join(names) if theirs and names else None


def _frames(error: BaseException) -> list[FrameType]:
    """Returns the frames that an error came through, the innermost first; those of its causes before its own."""
    causes = [error]
    while (cause := causes[-1].__cause__) is not None and cause not in causes:
        causes.append(cause)
    return [frame for each in reversed(causes) for frame, _ in reversed(list(traceback.walk_tb(each.__traceback__)))]


def _parts(thing: object) -> list[object]:
    """Returns the objects that a network, a defence or a list of defences is made of, but for ours and their parts."""
    things = list(thing) if isinstance(thing, (list, tuple)) else [thing]
    found: list[object] = []
    for each in things:
        try:
            parts = list(nn.Module.modules(each)) if isinstance(each, nn.Module) else [each]
        except Exception:  # noqa: BLE001  (a module whose constructor did not finish has no parts yet)
            parts = [each]
        ours = ("torch", "torchvision") if _is_ours(type(each).__module__) else ()
        found += [part for part in parts if type(part).__module__.partition(".")[0] not in (_PACKAGE, *ours)]
    return found


def _is_theirs(frame: FrameType) -> bool:
    """Returns True for code that is not installed, and where torch runs a network or its backward pass."""
    module, file = str(frame.f_globals.get("__name__")), frame.f_code.co_filename
    if _is_ours(module):
        return False
    if module == "torch.nn.modules.module":
        return not _is_ours(type(frame.f_locals.get("self")).__module__)
    return module.startswith("torch.autograd") or not file.startswith((*_INSTALLED, "<"))


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] == _PACKAGE


@contextmanager
def _left_as_found() -> Iterator[None]:
    """Puts back the current folder, the handlers of signals, and torch's defaults."""
    here = _current_folder()
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    gradients, dtype, device = torch.is_grad_enabled(), torch.get_default_dtype(), torch.get_default_device()
    try:
        yield
    finally:
        if here is not None and _current_folder() != here:
            os.chdir(here)
        for number, handler in handlers.items():
            main = threading.current_thread() is threading.main_thread()
            if main and handler is not None and signal.getsignal(number) is not handler:
                signal.signal(number, handler)
        torch.set_grad_enabled(gradients)
        if torch.get_default_dtype() != dtype:
            torch.set_default_dtype(dtype)
        if torch.get_default_device() != device:
            torch.set_default_device(device)


def _current_folder() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109  (a text: nothing is done with it but to go back)
    except OSError:  # it was deleted
        return None
