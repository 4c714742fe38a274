"""Run options by default, and the watcher that shows nothing."""

from __future__ import annotations

import pytest
import torch

from counteract.evaluation.options import RunOptions, Silent


def test_by_default_nothing_is_shown_kept_or_trusted() -> None:
    options = RunOptions()
    assert options.device == torch.device("cpu")
    assert isinstance(options.watcher, Silent)
    assert (options.cache, options.folder, options.trust) == (None, None, False)


def test_the_silent_watcher_shows_nothing_but_warns(capsys: pytest.CaptureFixture[str]) -> None:
    silent = Silent()
    silent.begin("net", 3)
    silent.advance(1)
    silent.tell("known")
    with pytest.warns(UserWarning, match="out of memory") as warned:
        silent.warn("out of memory")
    assert warned[0].filename == __file__  # the caller's place, not its own
    assert capsys.readouterr() == ("", "")
