"""Facts about a network that its name or its own card tell: its training, and the threat model it is published for."""

from __future__ import annotations

import inspect
import sys
from dataclasses import dataclass, field
from pathlib import Path

from torch import nn

from counteract._calls import parse_call
from counteract._factories import find_factory
from counteract.models.files import Card, read_card
from counteract.models.loading import card_of, is_clip, is_factory
from counteract.models.prepared import PreparedNetwork


@dataclass(frozen=True)
class About:
    """Facts about a network, as far as they are known without asking it.

    Attributes:
        method: Its training: `standard`, `mixup`, `iat` or `adversarial`; None if that is not known.
        dataset: The dataset it was trained on.
        norm: The threat model that it is published for: `Linf`, `L2` or `corruptions`; None if there is none.
        eps: That threat model's eps, in units of [0, 1]; None for corruptions.
        class_names: One name per class, as its card has them; nothing where it has none.
        training: That training in words, with its recipe.
        notes: Sentences that reports must say of it.
        source: Text that the network depends on beside its weights: a factory's name and the code of its modules.
    """

    method: str | None = None
    dataset: str | None = None
    norm: str | None = None
    eps: float | None = None
    class_names: tuple[str, ...] = field(default=(), compare=False)
    training: str = field(default="", compare=False)
    notes: tuple[str, ...] = ()
    source: tuple[str, ...] = ()


def about(name: str, network: nn.Module | None = None) -> About:
    """Returns the facts about a network that `load_model` loads by this name.

    Args:
        name: The name.
        network: The network, if it is loaded: a library's tells the names of its classes.

    Raises:
        UserError: (a ValueError) the name is none, or its card or its module cannot be read.
    """
    if isinstance(network, PreparedNetwork):
        return About(class_names=network.class_names, notes=network.notes, source=(name,))
    if name.startswith("robustbench:"):
        return _about_robustbench(name)
    if name.endswith(".safetensors"):
        return _about_card(read_card(Path(name)))
    if is_clip(name):
        return About(source=(name,))
    if is_factory(name):
        return About(source=(name, *_sources(name)))
    return _about_card(card_of(name))


def _about_card(card: Card) -> About:
    return About(method=card.method, dataset=card.dataset, class_names=card.class_names, training=card.training)


def _about_robustbench(name: str) -> About:
    from counteract.robustbench.zoo import PUBLISHED_EPS, parse_name

    entry = parse_name(name)
    adversarial = entry.threat_model != "corruptions" and not entry.name.startswith("Standard")
    return About(
        method="adversarial" if adversarial else None,
        dataset=entry.dataset,
        norm=entry.threat_model,
        eps=PUBLISHED_EPS.get((entry.dataset, entry.threat_model)),
    )


def _sources(name: str) -> list[str]:
    """Returns the code of the module that a factory is named in, and of the one that it was written in, if another."""
    module, factory = find_factory(parse_call(name, "model").name, "model")
    modules = [module]
    home = sys.modules.get(getattr(factory, "__module__", None) or "")
    if home is not None and home is not module and not isinstance(factory, nn.Module):
        modules.append(home)
    found = []
    for each in modules:
        try:
            found.append(inspect.getsource(each))
        except (OSError, TypeError):  # compiled, built in or empty: there is no text
            continue
    return found
