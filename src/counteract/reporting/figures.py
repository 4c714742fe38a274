"""The figures of a report as SVG: told apart by marker and line style, so that they can be read in grey."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from itertools import cycle
from typing import Any

import matplotlib
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from torch import Tensor

from counteract.attacks.base import CLEAN
from counteract.defences import UNDEFENDED
from counteract.evaluation.results import Illustrations, Run
from counteract.evaluation.spec import Sweep
from counteract.reporting.lines import Line, make_lines
from counteract.reporting.words import adaptive_attacks

# Narrow and with large letters: on a phone a figure is as wide as the page.
_STYLE: dict[Any, Any] = {
    "font.size": 11,
    "text.parse_math": False,  # a dollar in a name is a dollar
    "svg.fonttype": "none",
    "svg.hashsalt": "counteract",  # the same figure is the same file
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "0.9",
    "legend.frameon": False,
}
_MARKERS = "osD^vPX*h<>"
_LINES = ("-", "--", "-.", ":")
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # Okabe and Ito's


@dataclass(frozen=True)
class Picture:
    """A figure, with its caption."""

    svg: str
    caption: str


def make_figures(run: Run) -> list[Picture]:
    """Returns all figures that the run has the data for."""
    found: list[Picture | None] = []
    for model in run.spec.models:
        lines = make_lines(run, model)
        if run.spec.sweep is None:
            found.append(_clean_against_worst(run, model, lines))
        else:
            found += [_swept(run, run.spec.sweep, model, defence, lines) for defence in run.spec.defences]
    for model, shown in run.illustrations.items():
        found += [_probabilities(run, model, shown, k) for k in range(len(shown.clean))]
    return [picture for picture in found if picture is not None]


def _draw(size: tuple[float, float], paint: Callable[[Figure], None]) -> str:
    """Returns the SVG of a figure of a size in inches."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(size, layout="constrained")
        paint(figure)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


def _clean_against_worst(run: Run, model: str, lines: list[Line]) -> Picture | None:
    """Returns each defence between clean accuracy and its worst case, and where counteraction moves it."""
    places = {
        line.defence: (line.rows[CLEAN].accuracy, line.summary.worst.accuracy)
        for line in lines
        if CLEAN in line.rows and line.summary.worst and len(run.spec.attacks) > 1
    }
    if not places:
        return None
    worst = "worst case" if adaptive_attacks(run) else "oblivious worst case"
    bases = list(dict.fromkeys(_split(defence)[1] for defence in places))
    shapes = dict(zip(bases, cycle(_MARKERS)))

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot(xlim=(-3, 103), ylim=(-3, 103), xlabel="clean accuracy (%)", ylabel=f"{worst} (%)")
        axes.plot([0, 100], [0, 100], ":", color="0.6", linewidth=1)
        for defence, place in places.items():
            kind, base = _split(defence)
            if kind and base in places:
                axes.plot(*zip(places[base], place, strict=True), color="0.8", linewidth=1, zorder=1)
            axes.plot(*place, **_marker(shapes[base], kind))
        _legend(figure, shapes, {_split(defence)[0] for defence in places})

    caption = (
        f"{model}: accuracy on clean images and in the {worst} of this run. A grey line joins each "
        "defence to the same with counteraction before it. On the dotted line no attack takes anything."
        f"{'' if adaptive_attacks(run) else ' Adaptive: not measured.'}"
    )
    return Picture(_draw((5, 5.8), paint), caption)


def _split(defence: str) -> tuple[str, str]:
    """Returns a defence as counteraction, if it begins with it, and the rest."""
    first, _, rest = defence.partition("+")
    return (first, rest or UNDEFENDED) if first.startswith("counteraction") else ("", defence)


def _marker(shape: str, kind: str) -> dict[str, Any]:
    """Returns a marker, hollow without counteraction, full with it, half full with untargeted perturbations."""
    fill = {"": "none", "counteraction": "full"}.get(kind, "left")
    return {
        "marker": shape, "markersize": 9, "fillstyle": fill, "linestyle": "none",
        "markerfacecolor": "#0072b2", "markerfacecoloralt": "white", "markeredgecolor": "black",
    }  # fmt: skip


def _legend(figure: Figure, shapes: dict[str, str], kinds: set[str]) -> None:
    names = {"": "alone", "counteraction": "with counteraction", "counteraction-untargeted": "with its untargeted kind"}
    handles = [Line2D([], [], label=base, **_marker(shape, "")) for base, shape in shapes.items()]
    handles += [Line2D([], [], label=names.get(kind, kind), **_marker("o", kind)) for kind in sorted(kinds - {""})]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=10, handletextpad=0.2)


def _swept(run: Run, sweep: Sweep, model: str, defence: str, lines: list[Line]) -> Picture | None:
    """Returns accuracy against the swept parameter, a line for each attack: the paper's Figures 2 and 3."""
    by_name = {line.defence: line.rows for line in lines}
    series = {
        attack: [
            (_number(sweep, value), row)
            for value in sweep.values
            if (row := by_name.get(f"{defence}@{value}", {}).get(attack)) is not None
        ]
        for attack in run.spec.attacks
    }
    if not any(series.values()):
        return None

    def paint(figure: Figure) -> None:
        unit = " (in units of 1/255)" if sweep.parameter.startswith("eps") else ""
        axes = figure.add_subplot(xlabel=f"{sweep.parameter}{unit}", ylabel="accuracy (%)")
        for (attack, found), marker, line, colour in zip(
            series.items(), cycle(_MARKERS), cycle(_LINES), cycle(_COLOURS)
        ):
            means = [row.accuracy for _, row in found]
            below = [row.accuracy - row.ci95[0] for _, row in found]
            above = [row.ci95[1] - row.accuracy for _, row in found]
            name = "clean images" if attack == CLEAN else attack
            axes.errorbar(
                [x for x, _ in found], means, [below, above],
                label=name, marker=marker, linestyle=line, color=colour, capsize=3, markersize=7,
            )  # fmt: skip
        axes.set_ylim(bottom=0)
        figure.legend(loc="outside lower center", ncols=2, fontsize=10)

    caption = (
        f"{model}: accuracy of {defence} against {sweep.parameter}, with Wilson 95% intervals."
        f"{'' if adaptive_attacks(run) else ' Oblivious attacks; adaptive: not measured.'}"
    )
    return Picture(_draw((5, 4.6), paint), caption)


def _number(sweep: Sweep, value: str | float) -> float:
    """Returns the place of a value of the sweep on the axis."""
    number = float(Fraction(value))
    return 255 * number if sweep.parameter.startswith("eps") else number


def _probabilities(run: Run, model: str, shown: Illustrations, k: int) -> Picture:
    """Returns the class probabilities of one example, one perturbation at a time: the paper's Figure 1."""
    names, true = run.class_names, int(shown.labels[k])
    before, after = shown.adversarial_probabilities[k], shown.counteracted_probabilities[k]
    probabilities = torch.stack([shown.clean_probabilities[k], before, *shown.alone_probabilities[k], after]).numpy()
    images = torch.stack([shown.clean[k], shown.adversarial[k], *shown.alone[k], shown.counteracted[k]])
    ticks = ["clean", "adversarial", *(f"+ {names[int(label)]}" for label in shown.order[k]), "all together"]
    fooled, final = int(before.argmax()), int(after.argmax())
    roles = {true: "true"}
    roles.setdefault(fooled, "adversarial")
    roles.setdefault(final, "counteracted")

    def paint(figure: Figure) -> None:
        grid = figure.add_gridspec(2, 1, height_ratios=(1, 7), hspace=0)
        _strip(figure.add_subplot(grid[0]), images)
        axes = figure.add_subplot(grid[1], xlim=(-0.5, len(ticks) - 0.5), ylim=(-0.03, 1.03), ylabel="probability")
        for label in set(range(len(names))) - set(roles):
            axes.plot(probabilities[:, label], ".", color="0.75")
        for (label, role), marker, line, colour in zip(roles.items(), _MARKERS, _LINES, _COLOURS, strict=False):
            axes.axhline(float(before[label]), color=colour, linestyle=line, linewidth=1)
            axes.plot(probabilities[:, label], marker, label=f"{names[label]} ({role})", color=colour)
        axes.axvline(1.5, color="0.6", linestyle=":", linewidth=1)
        axes.axvline(len(ticks) - 1.5, color="0.6", linestyle=":", linewidth=1)
        axes.set_xticks(range(len(ticks)), ticks, rotation=60, ha="right", rotation_mode="anchor", fontsize=10)
        figure.legend(loc="outside lower center", ncols=2, fontsize=10)

    caption = (
        f"Example {k + 1}, {model}: the probability of each class for the clean image, for the adversarial one of the "
        "run's first attack, for that with counteraction's perturbation for one label alone, and with all of them "
        f"together. Truly {names[true]}; adversarial taken for {names[fooled]}, counteracted for {names[final]}. "
        "A horizontal line is at a class's probability for the adversarial image; other classes are grey."
    )
    return Picture(_draw((5.4, 5), paint), caption)


def _strip(axes: Axes, images: Tensor) -> None:
    """Draws the images in a row, each above its place on the axis below."""
    pixels = np.pad(images.permute(0, 2, 3, 1).numpy(), ((0, 0), (0, 0), (1, 1), (0, 0)), constant_values=1)
    row = np.concatenate(list(pixels), axis=1)
    axes.imshow(
        row, extent=(-0.5, len(images) - 0.5, 0, 1), aspect="auto", interpolation="none", cmap="gray", vmin=0, vmax=1
    )
    axes.set_axis_off()
