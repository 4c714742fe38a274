"""Probes: a network's answers to a few fixed images, which are part of its identity.

Its key holds what can be read of it (see `identity`), and its code may depend on more: a global, a closure, a class
typed into an interpreter. So with the first result under a key the network's probe is stored. A network that answers
otherwise under the same key has another identity: results of the first are never taken for its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from counteract._errors import UserError
from counteract._files import write_atomically
from counteract._sealed import seal, unseal
from counteract._seeding import same, seeded
from counteract.evaluation.identity import fingerprint


@dataclass(frozen=True)
class Probe:
    """Answers to a few fixed images, by which two networks under one key are told apart.

    Attributes:
        answers: The scores, float32, one row per image.
        slopes: The derivative of each image's scores in a fixed direction, float32; empty where there is no gradient.
        tolerance: The share of the largest value by which round-off may change them.
    """

    answers: Tensor
    slopes: Tensor
    tolerance: float = 1e-3

    def agrees(self, other: Probe) -> bool:
        """Returns True where another probe differs by no more than round-off."""
        tolerance = max(self.tolerance, other.tolerance)
        return same(self.answers, other.answers, tolerance) and same(self.slopes, other.slopes, 10 * tolerance)

    def dump(self) -> dict[str, Any]:
        """Returns the probe as JSON has it."""
        return {"answers": self.answers.tolist(), "slopes": self.slopes.tolist(), "tolerance": self.tolerance}

    @classmethod
    def load(cls, content: dict[str, Any]) -> Probe:
        """Returns the probe that `dump` wrote."""
        return cls(torch.tensor(content["answers"]), torch.tensor(content["slopes"]), content["tolerance"])


def take_probe(answer: Callable[[Tensor], Tensor], images: Tensor, *, precise: bool = True) -> Probe:
    """Asks for the answers to images, and for their derivatives along a fixed direction, with generators seeded.

    Args:
        answer: Images to scores.
        images: The probe's images.
        precise: False where the answers are computed in half precision.
    """
    with seeded(0), torch.no_grad():
        answers = answer(images.clone()).float().cpu()
    return Probe(answers, _slopes(answer, images), tolerance=1e-3 if precise else 3e-2)


def _slopes(answer: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Returns one derivative an image; nothing where there is no gradient."""
    points = images.clone().requires_grad_()
    direction = torch.linspace(-1, 1, images[0].numel(), device=images.device).sin().view(images.shape[1:])
    try:
        with seeded(0), torch.enable_grad():
            scores = answer(points * 1)  # a copy that is no leaf, which a network may write into
            weights = torch.linspace(-1, 1, scores.shape[1], device=scores.device).cos().to(scores.dtype)
            (gradient,) = torch.autograd.grad((scores * weights).sum(), points)
    except RuntimeError:
        return torch.empty(0)
    return (gradient * direction).flatten(1).sum(1).float().cpu()


@dataclass
class ProbeStore:
    """The probes that were seen under each key, in a folder: each makes an identity of its own.

    Attributes:
        folder: The folder; None remembers for as long as this object lives.
        warn: Told in a line when the answers under a key are new ones, or a file is damaged.
    """

    folder: Path | None
    warn: Callable[[str], None]
    _known: dict[str, list[Probe]] = field(default_factory=dict)

    def settle(self, key: str, probe: Probe, name: str) -> str:
        """Returns the identity of something with this key and these answers.

        Args:
            key: A hash of everything about it that can be read.
            probe: Its answers.
            name: The warning's name for it.
        """
        if key not in self._known:
            self._known[key] = self._read(key)
        known = self._known[key]
        agreeing = next((number for number, each in enumerate(known) if probe.agrees(each)), None)
        if agreeing is None:
            if known:
                self.warn(
                    f"{name} has the weights and the code of one seen before, and answers differently: "
                    "finished work of that one is not used for it"
                )
            agreeing = len(known)
            known.append(probe)
            self._write(key, known)
        found = known[agreeing]
        return fingerprint(key, found.answers, found.slopes)

    def _read(self, key: str) -> list[Probe]:
        path = self._path(key)
        if path is None or not path.exists():
            return []
        try:
            return [Probe.load(each) for each in unseal(path.read_bytes())["probes"]]
        except (OSError, ValueError, KeyError, TypeError):
            self.warn(f"stored answers {path} are damaged: what was found with them is measured again")
            return []

    def _write(self, key: str, probes: list[Probe]) -> None:
        path = self._path(key)
        if path is None:
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, seal({"probes": [probe.dump() for probe in probes]}))
        except (OSError, UserError) as error:
            self.warn(f"answers could not be stored: {error}")

    def _path(self, key: str) -> Path | None:
        return self.folder / f"{key}.json" if self.folder else None
