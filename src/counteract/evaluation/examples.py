"""Adversarial examples as files to keep: .npz with what `file:DIR` needs, PNG to look at, and what they are."""

from __future__ import annotations

import hashlib
import io
import re
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from counteract._errors import UserError
from counteract._files import write_atomically
from counteract._sealed import seal, unseal
from counteract.attacks.base import CLEAN
from counteract.attacks.kept import ABOUT, image_hash
from counteract.evaluation.blocks import Block, Sample
from counteract.evaluation.plan import Task
from counteract.evaluation.spec import EvaluationSpec


class Examples:
    """A folder with a folder for each network, attack and seed, and of adaptive attacks for each defence.

    Args:
        folder: The folder; None keeps nothing.
        spec: The spec.
    """

    def __init__(self, folder: Path | None, spec: EvaluationSpec) -> None:
        self.folder, self.spec = folder, spec

    def lacks(self, task: Task, block: Block, network: str) -> bool:
        """Returns True where a cell's examples of a block are still to be written.

        Args:
            task: The cell.
            block: The block.
            network: The key of the network.

        Raises:
            UserError: (a ValueError) the folder has examples of another run.
        """
        place = self._place(task)
        if place is None:
            return False
        self._check(place, self._about(task, network))
        return not _holds(place / _file(block), block)

    def write(self, task: Task, sample: Sample, rows: Tensor, images: Tensor, network: str) -> None:
        """Writes the examples of some rows of a block, as the network gets them.

        Args:
            task: The cell.
            sample: The block.
            rows: The rows: int64, shape (N,).
            images: Their examples.
            network: The key of the network.

        Raises:
            UserError: (a ValueError) they cannot be written.
        """
        place = self._place(task)
        if place is None:
            return
        (place / "png").mkdir(parents=True, exist_ok=True)
        write_atomically(place / ABOUT, seal(self._about(task, network), indent=1))
        at = rows.to(sample.images.device)
        index, labels = sample.index[at].cpu().numpy(), sample.labels[at].cpu().numpy()
        pixels = images.detach().cpu().float().numpy()
        for number, label, image in zip(index, labels, pixels, strict=True):
            write_atomically(place / "png" / f"{number:06}-label-{label}.png", _png(image))
        clean = np.array([image_hash(image) for image in sample.images[at]], dtype="U32")
        content = io.BytesIO()
        np.savez(content, images=pixels, labels=labels, index=index, clean=clean, digest=sample.block.digest)
        write_atomically(place / _file(sample.block), content.getvalue())

    def _place(self, task: Task) -> Path | None:
        """Returns the folder of a cell's examples; None for the clean ones."""
        if self.folder is None or task.attack.name == CLEAN:
            return None
        through = [task.place.defence] if task.attack.adaptive else []
        return self.folder.joinpath(
            *map(_plain, (task.place.model, task.attack.name, *through)), f"seed-{task.place.seed}"
        )

    def _check(self, place: Path, about: dict[str, object]) -> None:
        """Raises UserError where a folder says that its examples are others, and not these."""
        try:
            found = unseal((place / ABOUT).read_bytes())
        except (OSError, ValueError):  # there are none, or they are damaged and written anew
            return
        others = sorted(key for key in about if found.get(key) != about[key])
        if others:
            raise UserError(
                f"save_examples: {place} has examples of another run, with another {', '.join(others)}: delete "
                "them, or name another folder"
            )

    def _about(self, task: Task, network: str) -> dict[str, object]:
        spec = self.spec
        return {
            "model": spec.models[task.place.model],
            "dataset": spec.dataset,
            "attack": task.attack.name,
            "defence": spec.variant(task.judged.name).defence if task.attack.adaptive else None,
            "threat_model": spec.threat_model.model_dump(mode="json"),
            "eps_step": spec.step,
            "preset": spec.preset.model_dump(mode="json") if task.attack.preset else None,
            "seed": task.place.seed,
            "pixels": spec.pixels,
            "surrogate": spec.surrogate,
            "network": network,
            "defended": task.judged.key if task.attack.adaptive else None,
        }


def _file(block: Block) -> str:
    return f"block-{block.start:07}.npz"


def _holds(path: Path, block: Block) -> bool:
    """Returns True for a file with the examples of this block's images, of all of them as of fewer."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return str(arrays["digest"]) == block.digest
    except Exception:  # noqa: BLE001  (there is none, or it is damaged: a damaged archive raises anything)
        return False


def _png(image: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> bytes:
    """Returns an image as a PNG file, its levels rounded to bytes."""
    levels = (image * 255).round().astype(np.uint8).transpose(1, 2, 0)
    content = io.BytesIO()
    Image.fromarray(levels[..., 0] if levels.shape[-1] == 1 else levels[..., :3]).save(content, "PNG")
    return content.getvalue()


def _plain(name: str) -> str:
    """Returns a name as a folder can have it; one that had to be changed ends in a hash of what it was."""
    plain = re.sub(r"[^\w.+=-]+", "_", name).strip("._")[:60]
    return plain if plain == name else f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"
