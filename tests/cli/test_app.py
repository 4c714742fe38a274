"""All commands have the application's options, and take each of their own once."""

from __future__ import annotations

import pytest
from rich.text import Text
from typer.main import get_command

from counteract.cli import main
from counteract.cli.app import app


def call(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    return int(stopped.value.code or 0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["evaluate", "--limit", "3", "--limit", "4"], "--limit is given twice: which of the two is meant?"),
        (["evaluate", "--limit", "3", "--limit=3"], "--limit is given twice"),
        (["audit", "--model", "a", "--model", "b"], "--model is given twice"),
        (["audit", "--trust", "--trust"], "--trust is given twice"),
        (["train", "--out", "a", "--out", "b"], "--out is given twice"),
        (["evaluate", "--dataset", ""], "--dataset is given without a value"),
        (["evaluate", "--model", "a", "--model", ""], "--model is given without a value"),
        (["evaluate", ""], "spec is given without a value"),
        (["report", ""], "run_dir is given without a value"),
        (["evaluate", "--limit"], "--limit"),
        (["evaluate", "--nothing", "--nothing"], "No such option"),
    ],
)
def test_an_option_has_one_value(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(arguments) == 2
    assert words in capsys.readouterr().err


def test_what_may_be_repeated_may_be(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["--verbose", "evaluate", "--verbose", "--verbose", "--attack", "a", "--attack", "b"]) == 2
    assert "attack 'a' is not known" in capsys.readouterr().err


def test_without_a_command_there_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["--verbose"]) == 0
    assert "evaluate" in capsys.readouterr().out


def test_no_help_names_an_emoji_by_accident() -> None:
    """Typer prints help by rich, which reads names between colons so: in the middle of ours, too."""
    commands = get_command(app).commands.values()  # type: ignore[attr-defined]
    texts = [text for each in commands for text in (each.help, *(getattr(one, "help", "") for one in each.params))]
    assert len(texts) > 50
    assert [
        text for text in texts if text and Text.from_markup(text).plain != Text.from_markup(text, emoji=False).plain
    ] == []
