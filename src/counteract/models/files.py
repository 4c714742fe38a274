"""Weight files: safetensors whose metadata say how to build the network and how it was trained; no pickles."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from counteract._errors import UserError, unknown_name
from counteract._extras import needing
from counteract._seeding import seeded
from counteract.models.resnet import ARCHITECTURES, ResNet

with needing("evaluate"):
    from pydantic import BaseModel, ConfigDict, Field, JsonValue

    from counteract._files import is_file, write_atomically
    from counteract._toml import validate

_ATTACKED = ("adversarial", "iat")
"""The methods that attack the network while it is trained."""

_Finite = Annotated[float, Field(allow_inf_nan=False)]


class Card(BaseModel):
    """A weight file's own account of itself.

    Attributes:
        architecture: A key of `ARCHITECTURES`.
        width: Channels after the stem.
        class_names: One name per class, in the order of the logits.
        mean: The normalisation inside the network, one value per channel.
        std: Likewise.
        dataset: The dataset it was trained on.
        method: The way it was trained: `standard`, `mixup`, `adversarial` or `iat`.
        recipe: The training recipe, whole.
        accuracy: Measured accuracies in percent by what was measured, e.g. `{"clean": 93.1, "n": 500}`.
        conditions: The circumstances of its training: time, machine, versions.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    architecture: str
    width: Annotated[int, Field(ge=1)]
    class_names: Annotated[tuple[str, ...], Field(min_length=1)]
    mean: tuple[_Finite, _Finite, _Finite]
    std: tuple[_Finite, _Finite, _Finite]
    dataset: str
    method: str
    recipe: dict[str, JsonValue] = {}
    accuracy: dict[str, float] = {}
    conditions: dict[str, str | int | float] = {}

    @property
    def training(self) -> str:
        """The training in words: its method, and as far as the card says so its recipe, epochs and attack."""
        recipe = _in_words(self.recipe, attacked=self.method in _ATTACKED)
        return f"{self.method} by {recipe}" if recipe else self.method

    def build(self) -> ResNet:
        """Makes the network, with untrained weights.

        Raises:
            UserError: (a ValueError) the architecture is unknown.
        """
        if self.architecture not in ARCHITECTURES:
            raise unknown_name("architecture", self.architecture, ARCHITECTURES)
        return ARCHITECTURES[self.architecture](
            num_classes=len(self.class_names), width=self.width, mean=self.mean, std=self.std
        )


def _in_words(recipe: Mapping[str, Any], *, attacked: bool) -> str:
    """A recipe in words, those before it included; nothing where a card has none that `counteract train` wrote."""
    try:
        stopped = f"{recipe['stopped_after_epoch']} of " if "stopped_after_epoch" in recipe else ""
        attack = f", PGD-{recipe['attack_steps']} within {recipe['attack_eps']:g}/255" if attacked else ""
        before = f", after {_in_words(recipe['init'], attacked=attacked)}" if recipe.get("init") else ""
        return f"{recipe['name']}, {stopped}{recipe['epochs']} epochs{attack}{before}"
    except (KeyError, TypeError, ValueError, AttributeError):
        return ""


def save_network(network: ResNet, card: Card, path: Path) -> None:
    """Writes weights and card to `path`, atomically: a reader sees the old file or the new one, never a part.

    Raises:
        UserError: (a ValueError) it cannot be written.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    write_atomically(path, save(tensors, metadata={"counteract": card.model_dump_json()}))


def read_card(path: Path) -> Card:
    """Reads a weight file's card without its weights.

    Raises:
        UserError: (a ValueError) the file is missing, damaged, or was not written by `save_network`.
    """
    return _open(path)[0]


def load_network(path: Path) -> ResNet:
    """Reads a network, in eval mode on the CPU.

    Raises:
        UserError: (a ValueError) the file is missing, damaged, not ours, or does not fit its card.
    """
    card, tensors = _open(path, weights=True)
    try:
        with torch.device("meta"):  # what a card claims is known to fit before it takes any memory
            card.build().load_state_dict(tensors, assign=True)
        with seeded(0):  # the caller's generator goes on as if nothing had been drawn
            network = card.build()
        network.load_state_dict(tensors)
    except UserError as error:
        raise UserError(f"weights {path} carry a damaged card: {error}") from error
    except (RuntimeError, ValueError, TypeError, OverflowError) as error:
        raise UserError(f"weights {path} do not fit the {card.architecture} that their card names: {error}") from error
    return network.eval()


def _open(path: Path, *, weights: bool = False) -> tuple[Card, dict[str, torch.Tensor]]:
    if not is_file(path):
        raise UserError(f"weights {path} cannot be read: there is no such file")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()} if weights else {}  # noqa: SIM118
    except (OSError, SafetensorError, RuntimeError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise UserError(f"weights {path} cannot be read: {error}") from error
    if "counteract" not in metadata:
        raise UserError(f"weights {path} carry no card of this package; load them through a factory instead")
    source = f"weights {path} carry a damaged card"
    try:
        return validate(Card, json.loads(metadata["counteract"]), source), tensors
    except UserError:
        raise
    except (ValueError, RecursionError) as error:
        raise UserError(f"{source}: {error}") from error
