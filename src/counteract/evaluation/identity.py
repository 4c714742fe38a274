"""Keys: hashes of everything that can be read of what a result depends on.

A network's key holds its parameters, buffers, plain attributes and code. Code can depend on more than can be read off
it: see `probe`.
"""

from __future__ import annotations

import hashlib
import inspect
import logging
import numbers
import sys
import sysconfig
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel
from torch import Tensor, nn

from counteract import __version__
from counteract._reach import attributes_of, methods_of, names_in, reachable, strange_classes

_VERSIONS: Mapping[str, str | int] = {
    "art-counteract": __version__,
    **{package: version(package) for package in ("torch", "torchattacks")},
}
"""The versions of what computes."""

_LIBRARIES = ("torch", "torchvision")
"""Packages whose classes are known by their version; of all others the code itself is read."""

_INTERNALS = frozenset(vars(nn.Module())) - {"_forward_hooks", "_forward_pre_hooks"}
"""Attributes of every module that are no behaviour of its own, or are read in another way."""

Seen = dict[int, object]
"""Objects that were described already, by their ids; they are held so that no other object gets the id of one."""

_DEPTH = 6
"""Levels of objects within objects that are described."""


Part = str | int | float | Tensor | BaseModel
"""Anything that a hash can be made of."""


def fingerprint(*parts: Part, environment: Mapping[str, str | int] | None = None) -> str:
    """Returns a hash of parts in their order and of the versions of what computes: 32 hexadecimal digits.

    Args:
        *parts: The parts.
        environment: The versions, among other conditions, by default today's; a run that is read has its own.
    """
    given = environment or {}
    versions = [f"{package} {given.get(package, today)}" for package, today in _VERSIONS.items()]
    digest = hashlib.sha256()
    for part in (*versions, *parts):
        if isinstance(part, Tensor):
            digest.update(f"{part.dtype} {tuple(part.shape)}".encode())
            digest.update(part.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
        else:
            text = part.model_dump_json() if isinstance(part, BaseModel) else repr(part)
            digest.update(f"{type(part).__name__} {len(text)} {text}".encode())
    return digest.hexdigest()[:32]


def network_key(network: nn.Module, source: Sequence[str] = ()) -> str:
    """Returns a hash of a network: structure, parameters, buffers, plain attributes, code, and the text of its source.

    Buffers that are not persistent count, as do hooks and methods that were replaced.

    Args:
        network: The network, as it was loaded.
        source: More that it depends on: a factory's name and the source of its module.
    """
    return fingerprint(*source, *_describe_network(network, {}))


def object_key(thing: object) -> str:
    """Returns a hash of anything that acts as a defence: its attributes, the networks in it and its code."""
    return fingerprint(*_describe(thing, {}, 0))


def sources_of(thing: object) -> list[str]:
    """Returns the texts of the files that a stranger's code is in, and of those that they import, in a fixed order.

    Files of installed packages are not among them.

    Args:
        thing: A function, or an object with methods; nothing is known of text.
    """
    ahead = [getattr(each, "__module__", None) for each in reachable(thing) if not isinstance(each, nn.Module)]
    ahead += [type(thing).__module__]
    texts: dict[str, str] = {}
    while ahead:
        name = ahead.pop()
        module = sys.modules.get(str(name))
        if module is None or name in texts or not _is_own_file(getattr(module, "__file__", None)):
            continue
        texts[str(name)] = module_source(str(name))
        for value in vars(module).values():
            ahead.append(value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None))
    return [texts[name] for name in sorted(texts)]


def _is_own_file(file: str | None) -> bool:
    """Returns True for a file that is neither Python's, nor in this package, nor where packages are installed."""
    installed = (*sysconfig.get_paths().values(), str(Path(__file__).parents[1]))
    return file is not None and not file.startswith(installed)


def _describe_network(network: nn.Module, seen: Seen) -> Iterator[str | Tensor]:
    yield repr(network)
    for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
        yield from (name, *_plain(tensor))
    for name, module in network.named_modules():
        if id(module) in seen:
            continue
        seen[id(module)] = module
        yield f"{name} {_code_of_class(type(module))}"
        for key, value in sorted(vars(module).items()):
            if key not in _INTERNALS:
                yield key
                yield from _describe(value, seen, 0)


def _describe(value: object, seen: Seen, depth: int) -> Iterator[str | Tensor]:
    """Yields what tells a value from others: texts and tensors, in a fixed order."""
    if value is None or isinstance(value, (bool, int, float, complex, str, bytes, Path, torch.dtype)):
        yield repr(value)
    elif isinstance(value, (numbers.Number, np.generic, np.dtype, range, slice)):
        yield f"{type(value).__name__} {value!r}"
    elif isinstance(value, (ModuleType, BuiltinFunctionType, np.ufunc, logging.Logger)):
        yield f"{type(value).__name__} {getattr(value, '__name__', None) or getattr(value, 'name', '')}"
    elif isinstance(value, Tensor):
        yield from _plain(value)
    elif isinstance(value, np.ndarray):
        yield f"{value.dtype} {value.shape} {hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()}"
    elif id(value) in seen or depth > _DEPTH:
        yield type(value).__qualname__
    else:
        seen[id(value)] = value
        yield from _describe_object(value, seen, depth + 1)


def _describe_object(value: object, seen: Seen, depth: int) -> Iterator[str | Tensor]:
    if isinstance(value, nn.Module):
        seen.pop(id(value), None)
        yield from _describe_network(value, seen)
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from _describe(key, seen, depth)
            yield from _describe(each, seen, depth)
    elif isinstance(value, (list, tuple, deque)):
        yield f"{type(value).__name__} {len(value)}"
        for each in value:
            yield from _describe(each, seen, depth)
    elif isinstance(value, (set, frozenset)):
        yield repr(sorted(map(repr, value)))
    elif isinstance(value, MethodType):
        yield from _describe(value.__func__, seen, depth)
        yield from _describe(value.__self__, seen, depth)
    elif isinstance(value, FunctionType):
        yield from _describe_function(value, seen, depth)
    elif isinstance(value, partial):
        yield from _describe((value.func, value.args, value.keywords), seen, depth)
    elif isinstance(value, type):
        yield _code_of_class(value)
    else:
        yield _code_of_class(type(value))
        for key, each in sorted(attributes_of(value).items()):
            yield key
            yield from _describe(each, seen, depth)
        for kind in strange_classes(value):
            for method in methods_of(kind):
                yield from _describe_globals(method, seen, depth)


def _describe_globals(function: FunctionType, seen: Seen, depth: int) -> Iterator[str | Tensor]:
    """Yields the globals that a function of somebody's own names, and those of modules of their own that it names."""
    if not _is_own(sys.modules.get(function.__module__)):
        return
    names, spaces = names_in(function.__code__), [function.__globals__]
    for space in spaces:
        for name in sorted(names & space.keys()):
            yield name
            yield from _describe(space[name], seen, depth)
            if isinstance(space[name], ModuleType) and _is_own(space[name]) and vars(space[name]) not in spaces:
                spaces.append(vars(space[name]))


def _is_own(module: ModuleType | None) -> bool:
    """Returns True for a module of no installed package; a notebook's has no file."""
    file = getattr(module, "__file__", None)
    return not isinstance(module, ModuleType) or _is_own_file(file) or (file is None and module.__spec__ is None)


def _describe_function(function: FunctionType, seen: Seen, depth: int) -> Iterator[str | Tensor]:
    """Yields a function's code, its defaults, what it closes over and the globals that it names."""
    yield _code(function.__code__)
    yield from _describe_globals(function, seen, depth)
    yield from _describe(function.__defaults__ or (), seen, depth)
    yield from _describe(function.__kwdefaults__ or {}, seen, depth)
    for cell in function.__closure__ or ():
        try:
            yield from _describe(cell.cell_contents, seen, depth)
        except ValueError:  # a cell that nothing was put in yet
            yield "empty"


def _plain(tensor: Tensor) -> tuple[str, Tensor]:
    """Returns the values of a tensor, of whatever layout and device, with a name for layouts that NumPy lacks."""
    found = tensor.detach()
    if found.is_meta:  # a shape without values, as `torch.func.functional_call` takes them from elsewhere
        return f"meta {tuple(found.shape)}", found.new_empty(0, device="cpu")
    if found.is_quantized:
        found = found.int_repr()
    if found.layout != torch.strided:
        found = found.to_dense()
    return str(tensor.layout), found.cpu().contiguous()


def _code_of_class(kind: type) -> str:
    """Returns a class's name with what it does: a library's version, or the code of its methods and of its module."""
    home, name = kind.__module__, f"{kind.__module__}.{kind.__qualname__}"
    root = home.partition(".")[0]
    if root in _LIBRARIES or home == "builtins":
        return f"{name} {_version(root)}"
    digest = hashlib.sha256()
    for each in kind.__mro__:
        if each.__module__.partition(".")[0] in (*_LIBRARIES, "builtins"):
            continue
        for attribute, value in sorted(vars(each).items()):
            function = _function_of(value)
            if function is not None:
                digest.update(f"{attribute} {_code(function.__code__)}".encode())
            elif isinstance(value, (bool, int, float, str, tuple)) and not attribute.startswith("__"):
                digest.update(f"{attribute} {value!r}".encode())
        digest.update(module_source(each.__module__).encode())
    return f"{name} {digest.hexdigest()}"


def _function_of(value: Any) -> FunctionType | None:
    """Returns the function behind a method, a static method or a property; None for anything else."""
    inner = getattr(value, "fget", None) or getattr(value, "__func__", value)
    found = inspect.unwrap(inner) if callable(inner) else None
    return found if isinstance(found, FunctionType) else None


def _code(code: CodeType) -> str:
    """Returns a hash of compiled code that does not depend on where in a file it stands."""
    inner = [_constant(each) for each in code.co_consts]
    text = repr((code.co_code, code.co_names, code.co_varnames, code.co_freevars, inner))
    return hashlib.sha256(text.encode()).hexdigest()


def _constant(value: object) -> str:
    """Returns a constant of compiled code as text; sets are sorted: their order differs between processes."""
    if isinstance(value, CodeType):
        return _code(value)
    return repr(sorted(map(repr, value))) if isinstance(value, frozenset) else repr(value)


def module_source(name: str) -> str:
    """Returns the text of the file that a module was read from; empty where there is none, as in an interpreter.

    What is not UTF-8 stands in it as escapes.
    """
    file = getattr(sys.modules.get(name), "__file__", None)
    try:
        found = Path(file) if file and file.endswith(".py") else None
        return "" if found is None else found.read_text(encoding="utf-8", errors="backslashreplace")
    except OSError:
        return ""


@cache
def _version(root: str) -> str:
    try:
        return version(root)
    except PackageNotFoundError:
        return ""
