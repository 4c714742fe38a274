"""Plots of the site: accuracies on clean images beside what attackers leave of them; what is left against its cost."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator
from reports import Outcome, Row

_INK, _FAINT, _CLEAN, _OBLIVIOUS, _WORST = "#010203", "#888888", "#00897b", "#b0850e", "#c62828"
"""Colours that stand out on white and on dark pages; the ink becomes that of the page's text."""

_WIDTH, _ROW = 4.6, 0.36
"""The width of a plot and the height of a row, in inches: narrow, so that letters stay legible on a phone."""

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "art-counteract",
    "font.size": 9.5,
    "text.color": _INK,
}


def draw(rows: Sequence[Row]) -> str:
    """Returns a plot as SVG: a line for each defence, and across them the worst case of the undefended network."""
    height = _ROW * len(rows) + 0.75
    with rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, height))
        axes = figure.add_axes((0.03, 0.42 / height, 0.94, 1 - 0.72 / height))
        for y, row in enumerate(rows):
            _draw_row(axes, y, row)
        axes.axvline(rows[0].worst.percent, color=_WORST, linewidth=0.8, linestyle=(0, (2, 2)), zorder=0)
        axes.set(xlim=(-2, 102), ylim=(len(rows) - 0.35, -0.75), yticks=[])
        axes.set_xticks([0, 25, 50, 75, 100], ["0%", "25%", "50%", "75%", "100%"])
        axes.tick_params(colors=_INK, length=0)
        axes.grid(axis="x", color=_FAINT, alpha=0.3, linewidth=0.6)
        axes.spines[:].set_visible(False)
        axes.legend(*_legend(axes), loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, frameon=False,
                    handletextpad=0.1, columnspacing=1, fontsize=9)  # fmt: skip
        return _to_svg(figure)


def draw_verdicts(outcomes: Sequence[Outcome]) -> str:
    """Returns a plot as SVG: for each network what attackers leave, against the passes that they take for an image."""
    networks = list(dict.fromkeys(each.network for each in outcomes))
    with rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, 1.75 * len(networks)), layout="constrained")
        panels = figure.subplots(len(networks), sharex=True, squeeze=False)[:, 0]
        for axes, network in zip(panels, networks, strict=True):
            _draw_verdicts(axes, network, [each for each in outcomes if each.network == network])
        panels[-1].set_xlabel("passes an image", color=_INK)
        return _to_svg(figure)


def _draw_verdicts(axes: Any, network: str, outcomes: Sequence[Outcome]) -> None:
    """Draws the panel of a network: a point for each attacker, with its name."""
    for number, each in enumerate(sorted(outcomes, key=lambda each: each.passes)):
        colour = _CLEAN if "audit" in each.attacker else _OBLIVIOUS
        axes.plot(each.passes, each.left, "o", color=colour, markersize=5)
        axes.annotate(
            each.attacker.split(", ")[-1], (each.passes, each.left), (0, -14 if number % 2 else 6),
            textcoords="offset points", ha="center", fontsize=8.5, color=_INK,
        )  # fmt: skip
    left = [each.left for each in outcomes]
    axes.set(xscale="log", ylim=(min(left) - 2, max(left) + 2))
    axes.set_xticks([10, 100, 1000, 10000], ["10", "100", "1,000", "10,000"])
    axes.yaxis.set_major_locator(MultipleLocator(2))
    axes.yaxis.set_major_formatter("{x:.0f}%")
    axes.set_title(network, fontsize=9, loc="left", color=_INK)
    axes.tick_params(colors=_INK, length=0, which="both")
    axes.grid(color=_FAINT, alpha=0.3, linewidth=0.6)
    axes.spines[:].set_visible(False)


def _to_svg(figure: Figure) -> str:
    """Returns a figure as SVG whose ink takes the colour of the page's text."""
    text = io.StringIO()
    figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = text.getvalue()
    return svg[svg.index("<svg") :].replace(_INK, "currentColor")


def _draw_row(axes: Any, y: int, row: Row) -> None:
    """Draws a defence: its name above a line from its worst case to its accuracy on clean images."""
    axes.text(0, y - 0.26, row.defence, va="center", fontsize=9, color=_INK)
    height = y + 0.16
    axes.plot([row.worst.percent, row.clean.percent], [height, height], color=_FAINT, linewidth=0.9, zorder=1)
    axes.plot([row.worst.low, row.worst.high], [height, height], color=_WORST, linewidth=3.2, alpha=0.35, zorder=2)
    for label, accuracy, colour, marker in (
        ("clean", row.clean, _CLEAN, "o"),
        ("attacker does not know", row.oblivious, _OBLIVIOUS, "D"),
        ("attacker knows", row.worst, _WORST, "o"),
    ):
        axes.plot(
            accuracy.percent, height, marker, color=colour, markersize=4.6, label=label, zorder=3, linestyle="none"
        )


def _legend(axes: Any) -> tuple[list[Any], list[str]]:
    """Returns one handle for each kind of point."""
    handles, labels = axes.get_legend_handles_labels()
    return handles[:3], labels[:3]
