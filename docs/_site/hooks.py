"""Hooks of the site: pages made of files elsewhere, of the commands' help and of results; names for files it lacks."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from plots import draw, draw_verdicts
from reports import AUDITED, read_audits, read_outcomes, read_rows, to_table

_OUTSIDE = re.compile(r"\[([^\]]+)\]\((?:\.\./)+((?!http)[^)#\s]+)(?:#[^)]*)?\)")

_COMMANDS = "<!-- the commands -->"

_FILE = re.compile(r"<!-- the file (?P<path>\S+) -->")

_VERDICTS = re.compile(r"<!-- verdicts (?P<path>\S+) -->")

_AUDITS = re.compile(r"<!-- audits (?P<folder>\S+) -->")

_RESULTS = re.compile(r"<!-- results (?P<run>\S+) (?P<network>\S+) -->")


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:
    """Puts commands and results into their pages, and names the files that links lead to outside of the site."""
    del page, files
    root = Path(config["config_file_path"]).parent
    if _COMMANDS in markdown:
        markdown = markdown.replace(_COMMANDS, _commands())
    markdown = _FILE.sub(lambda found: _file(root / found["path"]), markdown)
    markdown = _RESULTS.sub(lambda found: _results(root, **found.groupdict()), markdown)
    markdown = _AUDITS.sub(lambda found: to_table(read_audits(root / found["folder"]), AUDITED), markdown)
    markdown = _VERDICTS.sub(lambda found: _plot(draw_verdicts(read_outcomes(root / found["path"]))), markdown)
    return _OUTSIDE.sub(lambda link: _named(link, root), markdown)


def _commands() -> str:
    """Returns the help of every command, as Typer writes it, one level down."""
    call = [sys.executable, "-m", "typer", "counteract.cli.entry", "utils", "docs", "--name", "counteract"]
    text = subprocess.run(call, check=True, capture_output=True, text=True).stdout
    _, _, commands = html.unescape(text).partition("\n## ")
    return f"## {commands}"


def _file(path: Path) -> str:
    """Returns a Markdown file without its title, with links to docs/ that lead there from a page in it."""
    _, _, text = path.read_text(encoding="utf-8").partition("\n")
    return re.sub(r"\]\((?:\.\./)*docs/", "](", text)


def _results(root: Path, run: str, network: str) -> str:
    """Returns the plot of a run on a network, and its figures as a table that is folded away."""
    rows = read_rows(root / "eval" / "results" / run / "report.md", network)
    table = to_table(rows).replace("\n", "\n    ")
    return f'{_plot(draw(rows))}\n\n??? note "The same figures as a table"\n    {table}\n'


def _plot(svg: str) -> str:
    """Returns a plot as a figure of the page."""
    return f'<figure class="plot">{svg}</figure>'


def _named(link: re.Match[str], root: Path) -> str:
    """Returns the name of a file that a link leads to, which must be there."""
    text, target = link.groups()
    if (root / "docs" / target).exists():
        return link[0]
    if not (root / target).exists():
        raise FileNotFoundError(f"a link leads to {target}, which is not there")
    return text if text.strip("`") == target else f"{text} (`{target}`)"
