"""Names of attacks that are somebody else's, `LIBRARY:NAME-targeted(key=value)@defended`, taken apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from counteract._calls import parse_call
from counteract._errors import UserError

DEFENDED = "@defended"
"""The end of a name of an attack through the defence; without it the attack is made on the undefended network."""

TARGETED = "-targeted"
"""The end of an attack's own name, before the brackets, where it is to move towards a label drawn for each image."""

_LONGEST = 80
"""The number of characters of a name in an error."""


@dataclass(frozen=True)
class Spelled:
    """A name, taken apart.

    Attributes:
        text: The name as it was written.
        home: The library, the part before the colon; empty where there is none.
        name: The attack's own name.
        arguments: The arguments in the brackets.
        targeted: True with `-targeted`.
        defended: True with `@defended`.
    """

    text: str
    home: str
    name: str
    arguments: Mapping[str, Any]
    targeted: bool
    defended: bool

    @property
    def short(self) -> str:
        """The name as errors have it."""
        return self.text if len(self.text) <= _LONGEST else f"{self.text[:_LONGEST]}..."

    @property
    def place(self) -> str:
        """The name without suffixes and arguments."""
        return f"{self.home}:{self.name}" if self.home else self.name


def read_name(text: str) -> Spelled:
    """Takes a name apart.

    Raises:
        UserError: (a ValueError) it has brackets that cannot be read, or something else than `defended` behind an @.
    """
    head, at, view = text.strip().rpartition("@")
    if not at or set(view) & set(")]}'\""):
        head, view = text.strip(), ""
    elif at + view.strip() != DEFENDED:
        raise UserError(f"attack {text}: only {DEFENDED} may stand behind the name, found @{view.strip()}")
    call = parse_call(head, "attack")
    if at and "@" in call.name:
        raise UserError(f"attack {text}: {DEFENDED} stands behind the brackets, at the end")
    library, _, name = call.name.rpartition(":")
    own = name.strip().removesuffix(TARGETED)
    return Spelled(
        text=text,
        home=library.strip(),
        name=own,
        arguments=call.arguments,
        targeted=own != name.strip(),
        defended=bool(view),
    )
