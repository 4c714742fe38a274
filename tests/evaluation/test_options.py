"""Run options by default, and the watcher that shows nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from counteract._errors import UserError
from counteract.evaluation.options import RunOptions, Silent


def test_by_default_nothing_is_shown_kept_or_trusted() -> None:
    options = RunOptions()
    assert options.device == torch.device("cpu")
    assert isinstance(options.watcher, Silent)
    assert (options.cache, options.folder, options.trust) == (None, None, False)


def test_a_device_and_folders_may_be_text() -> None:
    options = RunOptions(device="cpu", folder="run", cache=Path("cache"), batch_size=np.int64(8))  # type: ignore[arg-type]
    assert options == RunOptions(torch.device("cpu"), 8, options.watcher, cache=Path("cache"), folder=Path("run"))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"device": "warp"}, "device 'warp' cannot be used here: .*; try cpu, cuda or cuda:N"),
        ({"device": torch.device("meta")}, "device 'meta' cannot be used here"),
        ({"device": [3]}, r"device \[3\] cannot be used here"),
        ({"folder": 3}, "folder must be a folder's path, found 3"),
        ({"model_dir": None}, "model_dir must be a folder's path, found None"),
        ({"batch_size": 0}, "batch_size must be an integer of at least 1, found 0"),
        ({"batch_size": 2.5}, "batch_size must be an integer of at least 1, found 2.5"),
        ({"workers": -1}, "workers must be an integer of at least 0, found -1"),
        ({"watcher": 3}, "watcher must have a method begin, found 3"),
        ({"trust": "no"}, "trust must be True or False, found 'no'"),
        ({"workers": True}, "workers must be an integer of at least 0, found True"),
    ],
)
def test_other_kinds_are_refused_by_name(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=f"^{message}"):
        RunOptions(**given)


def test_the_silent_watcher_shows_nothing_but_warns(capsys: pytest.CaptureFixture[str]) -> None:
    silent = Silent()
    silent.begin("net", 3)
    silent.advance(1)
    silent.tell("known")
    with pytest.warns(UserWarning, match="out of memory") as warned:
        silent.warn("out of memory")
    assert warned[0].filename == __file__  # the caller's place, not its own
    assert capsys.readouterr() == ("", "")
