"""Examples in a folder as an attack: what is missing or damaged is one line."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from counteract._errors import UserError
from counteract._sealed import seal
from counteract.attacks import find_attack
from counteract.attacks.base import obstacle
from counteract.attacks.kept import ABOUT, Kept, image_hash
from counteract.attacks.libraries import AttackError, AttackWarning
from counteract.attacks.norms import NORMS, Name
from counteract.attacks.preset import AttackPreset
from counteract.attacks.threat_model import ThreatModel
from counteract.attacks.victim import Victim

IMAGES = torch.rand(3, 3, 4, 4, generator=torch.Generator().manual_seed(0))
THREAT = ThreatModel(eps=0.1)


def keep(folder: Path, defence: str | None = None, **changes: np.ndarray) -> None:
    about: dict[str, object] = {"attack": "mine", "model": "net", "dataset": "digits", "defence": defence}
    about |= {"threat_model": THREAT.model_dump(mode="json")}
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
    with pytest.warns(AttackWarning, match=r"^its examples were made by mine on net$"):
        return Kept(f"file:{folder}").run(victim, images, none, none, AttackPreset.model_validate("quick"), None)


def test_each_image_gets_its_own_example_in_whatever_order(tmp_path: Path) -> None:
    keep(tmp_path)
    order = [2, 0, 0]
    assert torch.equal(attacked(tmp_path, IMAGES[order]), (IMAGES[order] + 0.05).clamp(0, 1))
    assert attacked(tmp_path, IMAGES.double()).dtype == torch.float64
    with pytest.raises(AttackError, match="there is no example of one of the images"):
        attacked(tmp_path, IMAGES.flip(3))


def test_examples_below_a_folder_are_found_where_there_are_no_others(tmp_path: Path) -> None:
    one, other = tmp_path / "net" / "mine" / "seed-0", tmp_path / "net" / "mine" / "seed-1"
    one.mkdir(parents=True)
    keep(one)
    assert Kept(f"file:{tmp_path}").folder == one
    assert torch.equal(attacked(tmp_path, IMAGES), attacked(one, IMAGES))
    other.mkdir()
    keep(other)
    with pytest.raises(UserError, match=rf"2 folders with examples are below it: name one, file:{re.escape(str(one))}"):
        _ = Kept(f"file:{tmp_path}").about


@pytest.mark.parametrize(("depth", "found"), [(1, True), (4, True), (5, False)])
def test_examples_are_found_four_folders_down(tmp_path: Path, depth: int, found: bool) -> None:
    place = tmp_path.joinpath(*"abcde"[:depth])
    place.mkdir(parents=True)
    keep(place)
    assert Kept(f"file:{tmp_path}").folder == (place if found else tmp_path)


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
    flat, double = np.zeros((3, 4), np.float32), np.zeros((3, 3, 4, 4))
    for changes in ({"labels": np.arange(2)}, {"images": flat}, {"images": double}):
        keep(tmp_path, **changes)
        with pytest.raises(UserError, match="is damaged: its arrays do not fit together"):
            attacked(tmp_path, IMAGES)
    keep(tmp_path, labels=np.array([object()] * 3))
    with pytest.raises(UserError, match=rf"^attack file:{re.escape(str(tmp_path))}: .*npz is damaged: Object arrays"):
        attacked(tmp_path, IMAGES)
    (tmp_path / "block-0000000.npz").write_bytes(b"PK nothing")
    with pytest.raises(UserError, match=r"npz is damaged"):
        attacked(tmp_path, IMAGES)


def test_examples_lie_in_several_files(tmp_path: Path) -> None:
    keep(tmp_path)
    (tmp_path / "block-0000000.npz").rename(tmp_path / "block-0000256.npz")
    others = IMAGES.flip(3)
    keep(tmp_path, clean=np.array([image_hash(image) for image in others]), images=(others * 0.5).numpy())
    wanted = torch.stack([others[1], IMAGES[0], others[2]])
    expected = torch.stack([others[1] * 0.5, (IMAGES[0] + 0.05).clamp(0, 1), others[2] * 0.5])
    assert torch.equal(attacked(tmp_path, wanted), expected)


def test_a_hash_is_that_of_the_pixels_as_floats() -> None:
    image = torch.tensor([[[0.0, 0.5]]])
    found = image_hash(image)
    assert found == hashlib.sha256(np.array([0.0, 0.5], np.float32).tobytes()).hexdigest()[:32]
    assert image_hash(image.double()) == image_hash(image.expand(2, 1, 2)[:1].transpose(1, 2).transpose(1, 2)) == found


def test_an_example_of_another_shape_and_one_that_is_missing_are_one_line(tmp_path: Path) -> None:
    keep(tmp_path, "crop-pad", images=np.zeros((3, 3, 4, 5), np.float32))
    victim, none = Victim.__new__(Victim), torch.zeros(1, dtype=torch.long)
    name, preset = f"file:{tmp_path}@defended", AttackPreset.model_validate("quick")

    def run(image: torch.Tensor) -> torch.Tensor:
        return Kept(name).run(victim, image.unsqueeze(0), none, none, preset, None)

    with (
        pytest.warns(AttackWarning, match=r"^its examples were made by mine on net, through crop-pad$"),
        pytest.raises(AttackError, match=rf"^attack {re.escape(name)} failed: its examples .* shape, \(3, 4, 5\)$"),
    ):
        run(IMAGES[0])
    with (
        pytest.warns(AttackWarning),
        pytest.raises(AttackError, match=r"of one of the images; they were made of digits, 3 images$"),
    ):
        run(1 - IMAGES[0])


def test_what_is_wrong_with_a_folder_is_said_in_full(tmp_path: Path) -> None:
    keep(tmp_path, "crop-pad")
    name = f"file:{tmp_path}"
    made, asked = ({"norm": "Linf", "eps": eps} for eps in (0.1, 0.2))
    with pytest.raises(UserError) as found:
        Kept(f"{name}@defended").check(nn.Identity(), ThreatModel(eps=0.2), 3, IMAGES)
    assert str(found.value) == (
        f"attack {name}@defended: its examples were made for {made}, and the run is for {asked}: give the same --norm "
        "and --eps"
    )
    with pytest.raises(UserError) as found:
        Kept(name).check(nn.Identity(), THREAT, 3, IMAGES)
    assert str(found.value) == f"attack {name}: its examples were made through crop-pad: write it with @defended"
    keep(tmp_path)
    with pytest.raises(UserError) as found:
        Kept(f"{name}@defended").check(nn.Identity(), THREAT, 3, IMAGES)
    words = "its examples were made on the undefended network: write it without @defended"
    assert str(found.value) == f"attack {name}@defended: {words}"
    Kept(name).check(nn.Identity(), THREAT, 3, IMAGES)


def test_without_files_there_is_no_key(tmp_path: Path) -> None:
    assert Kept(f"file:{tmp_path / 'none'}").origin == Kept("file:bad\0name").origin == ""
    keep(tmp_path)
    first = Kept(f"file:{tmp_path}").origin
    (tmp_path / ABOUT).write_text((tmp_path / ABOUT).read_text() + " ")
    assert Kept(f"file:{tmp_path}").origin != first
    (tmp_path / "notes.txt").write_text("nothing of it")
    assert Kept(f"file:{tmp_path}").origin == Kept(f"file:{tmp_path}@defended").origin


@pytest.mark.parametrize("norm", NORMS)
def test_examples_of_every_norm_are_evaluated(tmp_path: Path, norm: Name) -> None:
    keep(tmp_path)
    assert obstacle(find_attack(f"file:{tmp_path}"), num_classes=10, norm=norm) is None
