"""Adversarial examples that are kept, and evaluated again as an attack."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from watching import Watcher

from counteract import evaluate
from counteract._errors import UserError
from counteract._sealed import unseal
from counteract.attacks.kept import ABOUT
from counteract.datasets import Dataset
from counteract.evaluation import Run, RunOptions
from counteract.evaluation.examples import _plain
from counteract.evaluation.options import Silent
from counteract.reporting.remarks import remarks

EPS = 12 / 255


def run(network: nn.Module, data: Dataset, *attacks: str, eps: float = EPS, **options: Any) -> Run:
    return evaluate(
        network,
        data,
        defences=["undefended", "crop-pad(executions=2)"],
        attacks=["clean", *attacks],
        eps=eps,
        preset={"preset": "quick", "steps": 2},
        options=RunOptions(**{"watcher": Watcher()} | options),
    )


def rows(found: Run, attack: str) -> dict[str, float]:
    return {row.defence: row.accuracy for row in found.rows if row.attack == attack}


def test_what_is_kept_is_what_was_evaluated(digits_net: nn.Module, digits: Dataset, tmp_path: Path) -> None:
    data, kept = digits.take(20), tmp_path / "kept"
    first = run(digits_net, data, "pgd2", "bpda-apgd-ce", save_examples=kept)
    places = sorted(path.parent.relative_to(kept).as_posix() for path in kept.rglob(ABOUT))
    defended = f"network/bpda-apgd-ce/{_plain('crop-pad(executions=2)')}/seed-0"
    assert places == [defended, "network/bpda-apgd-ce/undefended/seed-0", "network/pgd2/seed-0"]
    about = unseal((kept / "network/pgd2/seed-0" / ABOUT).read_bytes())
    assert (about["attack"], about["model"], about["dataset"]) == ("pgd2", "ResNet", "digits")
    assert (about["defence"], about["threat_model"]["eps"]) == (None, pytest.approx(EPS))
    assert unseal((kept / defended / ABOUT).read_bytes())["defence"] == "crop-pad(executions=2)"
    with np.load(kept / "network/pgd2/seed-0/block-0000000.npz") as arrays:
        images, labels, index = (torch.from_numpy(arrays[name]) for name in ("images", "labels", "index"))
    assert torch.equal(labels, data.labels)
    assert index.tolist() == list(range(20))
    assert EPS / 2 < (images - data.images).abs().max() <= EPS + 1e-6
    picture = np.array(Image.open(kept / f"network/pgd2/seed-0/png/000003-label-{int(labels[3])}.png"))
    assert torch.equal(torch.from_numpy(picture).permute(2, 0, 1), (images[3] * 255).round().to(torch.uint8))

    names = [f"file:{kept}/network/pgd2/seed-0", f"file:{kept}/{defended}@defended"]
    again = run(digits_net, data, *names)
    assert rows(again, names[0]) == rows(first, "pgd2")
    through = "crop-pad(executions=2)"
    assert rows(again, names[1])[through] == rows(first, "bpda-apgd-ce")[through]
    said = " ".join(remarks(again))
    assert "its examples were made by pgd2 on ResNet" in said
    assert "its examples were made by bpda-apgd-ce on ResNet, through crop-pad(executions=2)" in said
    backwards = rows(run(digits_net, data.select(torch.arange(19, -1, -1)), names[0]), names[0])
    assert backwards["undefended"] == rows(first, "pgd2")["undefended"]
    with pytest.raises(UserError, match=r"were made for .* give the same --norm and --eps"):
        run(digits_net, data, names[0], eps=8 / 255)
    with pytest.raises(UserError, match="were made on the undefended network: write it without @defended"):
        run(digits_net, data, f"{names[0]}@defended")
    with pytest.warns(UserWarning, match="there is no example of one of the images.*; the run goes on without it"):
        other = run(digits_net, digits.take(21), names[0], watcher=Silent())
    assert "there is no example of one of the images" in " ".join(other.obstacles.values())


def test_a_finished_block_whose_examples_are_missing_is_measured_again(
    digits_net: nn.Module, digits: Dataset, tmp_path: Path
) -> None:
    data, folder = digits.take(6), tmp_path / "run"
    folder.mkdir()
    first = run(digits_net, data, "pgd2", folder=folder)
    again = run(digits_net, data, "pgd2", folder=folder, save_examples=tmp_path / "kept")
    assert rows(again, "pgd2") == rows(first, "pgd2")
    assert (tmp_path / "kept/network/pgd2/seed-0/block-0000000.npz").exists()


def test_names_as_folders() -> None:
    assert _plain("pgd50-targeted") == "pgd50-targeted"
    assert _plain("a/b") != _plain("a:b")
    assert "/" not in _plain("file:../x/y")


def test_examples_of_another_run_are_neither_kept_nor_mixed(net: nn.Module, digits: Dataset, tmp_path: Path) -> None:
    data, place = digits.take(8), tmp_path / "network/pgd2/seed-0"
    run(net, data, "pgd2", save_examples=tmp_path)
    run(net, data, "pgd2", save_examples=tmp_path)
    with pytest.raises(
        UserError, match=f"{place} has examples of another run, with another eps_step, threat_model: del"
    ):
        run(net, data, "pgd2", eps=EPS / 2, save_examples=tmp_path)
    with torch.no_grad():
        next(net.parameters()).mul_(2)
    with pytest.raises(UserError, match="has examples of another run, with another network"):
        run(net, data, "pgd2", save_examples=tmp_path)
    with torch.no_grad():
        next(net.parameters()).div_(2)
    run(net, digits.take(12), "pgd2", save_examples=tmp_path)
    with np.load(place / "block-0000000.npz") as arrays:
        assert len(arrays["images"]) == 12


def test_a_cascade_keeps_what_any_defence_needed(digits_net: nn.Module, digits: Dataset, tmp_path: Path) -> None:
    data, attacks = digits.take(30), ["clean", "pgd2", "apgd-ce"]
    found = evaluate(
        digits_net,
        data,
        defences=["undefended", "counteraction"],
        attacks=attacks,
        eps=8 / 255,
        cascade=True,
        preset={"preset": "quick", "steps": 2},
        options=RunOptions(watcher=Watcher(), save_examples=tmp_path),
    )
    left = {cell.defence: cell.measured[0] > 0 for cell in found.cells if cell.attack == "pgd2"}
    needed = torch.stack(list(left.values())).any(0)
    assert len({int(each.sum()) for each in (*left.values(), needed)}) == 3  # each is left something of its own
    with np.load(tmp_path / "network/apgd-ce/seed-0/block-0000000.npz") as arrays:
        assert arrays["index"].tolist() == needed.nonzero()[:, 0].tolist()


def test_of_images_that_are_twice_there_one_example_is_taken_and_that_is_said(
    digits_net: nn.Module, digits: Dataset, tmp_path: Path
) -> None:
    data = digits.select(torch.tensor([0, 1, 2, 3, 0, 1]))
    run(digits_net, data, "pgd2-targeted", save_examples=tmp_path)
    again = run(digits_net, data, f"file:{tmp_path}")
    assert "2 of its examples are of images that others are of, too: of these the last one" in " ".join(remarks(again))
