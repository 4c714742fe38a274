"""Names with arguments as users write them, `art:JpegCompression(quality=50)`, read without evaluating anything."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from counteract._errors import UserError

_LONGEST = 1000
"""The number of characters of the longest name that is read."""

_OPENING, _CLOSING = "([{", ")]}"


@dataclass(frozen=True)
class Call:
    """A name and the arguments in the brackets behind it.

    Attributes:
        name: The name, in front of the brackets.
        arguments: The arguments: numbers, texts, True, False, None, and lists, tuples and dicts of these.
    """

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


def parse_call(text: str, what: str) -> Call:
    """Reads `name` or `name(key=value, ...)`; values are Python literals and fractions such as `8/255`.

    Args:
        text: The text.
        what: The kind of thing that is named, for the error: `defence`, `attack`.

    Raises:
        UserError: (a ValueError) it is neither.
    """
    text = text.strip()
    name, bracket, _ = text.partition("(")
    if not bracket:
        return Call(text)
    if len(text) > _LONGEST:
        raise UserError(f"{what} {text[:40]}... has {len(text)} characters: at most {_LONGEST} are read")
    try:
        call = ast.parse("f" + text[len(name) :], mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        call = None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        raise UserError(f"{what} {text}: cannot be read; write name(key=value, ...)")
    if call.args or any(keyword.arg is None for keyword in call.keywords):
        raise UserError(f"{what} {text}: arguments need their names: name(key=value, ...)")
    arguments: dict[str, Any] = {}
    for keyword in call.keywords:
        assert keyword.arg is not None
        if keyword.arg in arguments:
            raise UserError(f"{what} {text}: {keyword.arg} is given twice")
        try:
            arguments[keyword.arg] = _value(keyword.value)
        except (ValueError, TypeError, ZeroDivisionError, RecursionError):
            raise UserError(
                f"{what} {text}: {keyword.arg} must be a number, a fraction such as 8/255, a text in quotes, True, "
                "False, None, or a list of these"
            ) from None
    return Call(name.strip(), arguments)


def spell_arguments(arguments: Mapping[str, Any]) -> str:
    """Returns arguments as they stand in brackets: what `parse_call` reads."""
    return ", ".join(f"{key}={value!r}" for key, value in arguments.items())


def split_joined(text: str, what: str) -> list[str]:
    """Splits `A+B(x=1)` at each `+` that stands in no brackets and no quotes.

    Raises:
        UserError: (a ValueError) a part is empty, or brackets or quotes are left open.
    """
    parts, depth, quote = [""], 0, ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in _OPENING + _CLOSING:
            depth += 1 if character in _OPENING else -1
            if depth < 0:
                break
        elif character == "+" and depth == 0:
            parts.append("")
            continue
        parts[-1] += character
    if depth or quote:
        raise UserError(f"{what} {text}: a bracket or a quote has no other half")
    parts = [part.strip() for part in parts]
    if not all(parts):
        raise UserError(f"{what} {text!r}: a name is missing beside a +")
    return parts


def _value(node: ast.expr) -> Any:
    """The value of a literal, or of a fraction of two numbers.

    Raises:
        ValueError: it is something else.
    """
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        above, below = _value(node.left), _value(node.right)
        if not all(isinstance(each, (int, float)) for each in (above, below)):
            raise ValueError
        return above / below
    if isinstance(node, (ast.List, ast.Tuple)):
        values = [_value(each) for each in node.elts]
        return tuple(values) if isinstance(node, ast.Tuple) else values
    return ast.literal_eval(node)
