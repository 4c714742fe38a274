"""Examples in a folder as an attack: what is missing or damaged is one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from counteract._errors import UserError
from counteract._sealed import seal
from counteract.attacks import find_attack
from counteract.attacks.kept import ABOUT, Kept, image_hash
from counteract.attacks.libraries import AttackError, AttackWarning
from counteract.attacks.preset import AttackPreset
from counteract.attacks.threat_model import ThreatModel
from counteract.attacks.victim import Victim

IMAGES = torch.rand(3, 3, 4, 4, generator=torch.Generator().manual_seed(0))
THREAT = ThreatModel(eps=0.1)


def keep(folder: Path, defence: str | None = None, **changes: np.ndarray) -> None:
    about = {"attack": "mine", "model": "net", "defence": defence, "threat_model": THREAT.model_dump(mode="json")}
    (folder / ABOUT).write_bytes(seal(about))
    arrays = {
        "images": (IMAGES + 0.05).clamp(0, 1).numpy(),
        "labels": np.arange(3),
        "index": np.arange(3),
        "clean": np.array([image_hash(image) for image in IMAGES]),
    }
    np.savez(folder / "block-0000000.npz", **arrays | changes)  # type: ignore[arg-type]


def attacked(folder: Path, images: torch.Tensor) -> torch.Tensor:
    victim, none = Victim.__new__(Victim), torch.zeros(len(images), dtype=torch.long)
    with pytest.warns(AttackWarning, match="its examples were made by mine on net"):
        return Kept(f"file:{folder}").run(victim, images, none, none, AttackPreset.model_validate("quick"), None)


def test_each_image_gets_its_own_example_in_whatever_order(tmp_path: Path) -> None:
    keep(tmp_path)
    order = [2, 0, 0]
    assert torch.equal(attacked(tmp_path, IMAGES[order]), (IMAGES[order] + 0.05).clamp(0, 1))
    with pytest.raises(AttackError, match="there is no example of one of the images"):
        attacked(tmp_path, IMAGES.flip(3))


def test_the_key_follows_what_the_files_hold(tmp_path: Path) -> None:
    keep(tmp_path)
    name = f"file:{tmp_path}"
    first = find_attack(name).origin
    assert first == find_attack(name).origin
    keep(tmp_path, images=IMAGES.numpy() * 0.5)
    assert find_attack(name).origin not in (first, "")


def test_what_is_no_folder_of_examples_is_one_line(tmp_path: Path) -> None:
    def check(name: str, threat: ThreatModel = THREAT) -> None:
        find_attack(name).check(nn.Identity(), threat, 3, IMAGES)

    name = f"file:{tmp_path}"
    assert find_attack(name).adaptive is False  # reports know names whose folders are gone
    with pytest.raises(UserError, match=r"about\.json cannot be read"):
        check(name)
    keep(tmp_path, "crop-pad")
    check(f"{name}@defended")
    with pytest.raises(UserError, match="made through crop-pad: write it with @defended"):
        check(name)
    with pytest.raises(UserError, match="give the same --norm and --eps"):
        check(f"{name}@defended", ThreatModel(eps=0.2))
    (tmp_path / ABOUT).write_text("{}")
    with pytest.raises(UserError, match=r"about\.json is damaged"):
        check(name)


def test_damaged_files_are_one_line(tmp_path: Path) -> None:
    for changes in ({"labels": np.arange(2)}, {"images": np.zeros((3, 4))}):
        keep(tmp_path, **changes)
        with pytest.raises(UserError, match="is damaged: its arrays do not fit together"):
            attacked(tmp_path, IMAGES)
    (tmp_path / "block-0000000.npz").write_bytes(b"PK nothing")
    with pytest.raises(UserError, match=r"npz is damaged"):
        attacked(tmp_path, IMAGES)
