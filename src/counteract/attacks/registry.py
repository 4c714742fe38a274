"""The registry of attacks: from a name to an attack, of this package, of libraries, or of anyone."""

from __future__ import annotations

import re

from torch import Tensor

from counteract._arguments import check_count, check_flag, check_text
from counteract._errors import UserError, unknown_name
from counteract.attacks.base import CLEAN, Attack
from counteract.attacks.kept import PREFIX as FILE
from counteract.attacks.kept import Kept
from counteract.attacks.libraries import Foreign, find_foreign, foreign_lines, foreign_names, namesakes
from counteract.attacks.libraries.arguments import first_sentence
from counteract.attacks.libraries.autoattack import VERSIONS
from counteract.attacks.libraries.names import TARGETED, read_name
from counteract.attacks.libraries.registered import REGISTERED, Factory, Registered
from counteract.attacks.norms import NORMS
from counteract.attacks.own import ATTACKS, attack_names, find_own, pgd_line
from counteract.attacks.preset import AttackPreset
from counteract.attacks.victim import Victim

_EITHER = "oblivious, or adaptive with @defended"
"""The kind of somebody else's attack."""

_FILES = "adversarial examples that --save-examples kept in a folder"
"""The line about examples in a folder."""

_READ_AS_CLEAN = ("none", "null")

_OTHERS = "any other number of steps, torchattacks:NAME, art:NAME"
"""The other names that are known."""


def find_attack(name: str) -> Attack:
    """Finds an attack by its name.

    Raises:
        UserError: (a ValueError) there is none of this name, or it takes no such arguments.
    """
    name = check_text("attack", name, "a name")
    name = CLEAN if name in _READ_AS_CLEAN else name
    if (own := find_own(name)) is not None:
        return own
    if name.startswith(FILE):
        return _kept(Kept(name))
    if (foreign := find_foreign(name)) is not None:
        return _foreign(foreign)
    spelled = read_name(name)
    if name != spelled.place and find_own(spelled.place) is not None:
        raise UserError(
            f"attack {name}: {spelled.place} is this package's own and takes no arguments, suffixes or @defended; "
            "attacks through the defence are named bpda-..."
        )
    known = [*attack_names(), *foreign_names()]
    raise unknown_name("attack", name, known, _OTHERS, namesakes=namesakes(spelled.name))


def recorded_attack(name: str) -> Attack:
    """Finds an attack of a finished run, to be reported; one that is not known here says no more than its name does.

    It may have been registered by the program that made the run, or be of a library that is not installed here.

    Raises:
        UserError: (a ValueError) it is no name of an attack.
    """
    try:
        return find_attack(name)
    except UserError:
        spelled = read_name(name)
        return Attack(
            name,
            "an attack of the program that made this run, which is not known here",
            _not_here,
            adaptive=spelled.defended,
            targeted=spelled.targeted,
            preset=False,
            unkeyed=True,
        )


def _not_here(
    victim: Victim, images: Tensor, labels: Tensor, keys: Tensor, preset: AttackPreset, known: Tensor | None
) -> Tensor:
    raise NotImplementedError("an attack that is known by its records alone makes no examples")


def _kept(found: Kept) -> Attack:
    """Returns examples that somebody made before."""
    return Attack(
        found.name,
        _FILES,
        found.run,
        adaptive=found.defended,
        gradients=False,
        norms=tuple(NORMS),
        preset=False,
        least_classes=1,
        origin=found.origin,
        check=found.check,
    )


def _foreign(found: Foreign) -> Attack:
    """Returns somebody else's attack."""
    spelled, recipe = found.spelled, found.recipe
    return Attack(
        spelled.text,
        recipe.help,
        found.run,
        adaptive=spelled.defended,
        gradients=recipe.gradients,
        targeted=spelled.targeted,
        preset=False,
        least_classes=recipe.least_classes,
        norms=tuple(NORMS),
        unkeyed=True,
        origin=recipe.origin,
        check=found.check,
    )


def register_attack(
    name: str, factory: Factory, *, about: str | None = None, gradients: bool = True, least_classes: int = 2
) -> None:
    """Registers an attack, which goes then by its name wherever attacks do: `mine`, `mine(steps=5)@defended`.

    Packages do the same with entry points in the group `counteract.attacks`, which name the factory.

    Args:
        name: Its name: letters, digits, `-`, `_` and `.`, without `-targeted` at its end.
        factory: Makes the attack: it is called with the network, a torch module from images in [0, 1] to logits, and
            returns a function from images and labels to adversarial images. Of the arguments `eps` (and `alpha`,
            `eps_step`), `norm`, `num_classes` and `targeted` it is passed those that it has; others are the user's.
        about: One line about it; None for the first sentence of the factory's documentation.
        gradients: False if it asks for scores or labels alone.
        least_classes: The number of classes that it needs.

    Raises:
        UserError: (a ValueError) the name is taken by an attack of this package or cannot be one, the factory cannot be
            called, or another argument is of another kind.

    Examples:
        >>> import torchattacks
        >>> from counteract import register_attack
        >>> register_attack("momentum", torchattacks.MIFGSM, about="PGD with momentum")
    """
    name = check_text("name", name, "a text")
    plain = bool(re.fullmatch(r"[\w][\w.-]*", name)) and not name.endswith(TARGETED)
    if not plain or find_own(name) is not None or name in (*_READ_AS_CLEAN, *VERSIONS):
        raise UserError(f"name {name!r} is taken, or is none for an attack; choose letters, digits, '-', '_' and '.'")
    if not callable(factory):
        raise UserError(f"factory must be a function or a class that makes an attack, found {type(factory).__name__}")
    line = first_sentence(factory) if about is None else check_text("about", about, "a text")
    gradients, least_classes = check_flag("gradients", gradients), check_count("least_classes", least_classes)
    REGISTERED[name] = Registered(factory, line, gradients, least_classes)


def attack_lines() -> list[tuple[str, str]]:
    """Each attack's name and one line about it, PGD's with K for the number of steps; for lists."""
    pgd = [(name, f"oblivious: {about}") for name, about in (pgd_line("K", targeted=t) for t in (False, True))]
    clean, *others = ATTACKS.values()
    kinds = ("oblivious", "adaptive")
    own = [(clean.name, clean.help), *pgd, *((a.name, f"{kinds[a.adaptive]}: {a.help}") for a in others)]
    return [
        *own,
        *((name, f"{_EITHER}: {text}") for name, text in foreign_lines()),
        (f"{FILE}DIR", f"{_EITHER}: {_FILES}"),
    ]
