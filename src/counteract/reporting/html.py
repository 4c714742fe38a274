"""The report as one HTML page that needs nothing beside itself: figures and images are inside it."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image
from torch import Tensor

from counteract.evaluation.results import Illustrations, Run
from counteract.reporting import content, words
from counteract.reporting.audit import Findings
from counteract.reporting.figures import make_figures
from counteract.reporting.paper.verdicts import assess
from counteract.reporting.remarks import remarks

AMPLIFICATION = 10
"""The factor by which differences of images are shown larger than they are."""


@dataclass(frozen=True)
class Frame:
    """An image, with its caption."""

    source: str
    caption: str


def to_html(run: Run, audit: Findings | str | None = None) -> str:
    """Returns the whole report.

    Args:
        run: The run.
        audit: The findings of an audit of this run, or a sentence about an audit that cannot be shown.
    """
    page = Environment(
        loader=PackageLoader("counteract.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    ).get_template("report.html")
    return page.render(
        run=run,
        content=content,
        words=words,
        remarks=remarks(run),
        verdicts=words.verdicts(run),
        explained=words.attack_helps(run),
        audit=audit,
        assessments=assess(run),
        figures=[Frame(_uri("svg+xml", picture.svg.encode()), picture.caption) for picture in make_figures(run)],
        examples=[
            (f"Example {k + 1}, {model}: {run.class_names[int(shown.labels[k])]}", _frames(run, shown, k))
            for model, shown in run.illustrations.items()
            for k in range(len(shown.clean))
        ],
        amplification=AMPLIFICATION,
    )


def _frames(run: Run, shown: Illustrations, k: int) -> list[Frame]:
    """Returns one example: clean, adversarial, counteracted by one label alone and by all, and the differences."""
    clean, adversarial, counteracted = shown.clean[k], shown.adversarial[k], shown.counteracted[k]
    named = [
        ("clean", clean, shown.clean_probabilities[k]),
        ("adversarial", adversarial, shown.adversarial_probabilities[k]),
        ("counteracted", counteracted, shown.counteracted_probabilities[k]),
    ]
    alone = [
        (f"+ {run.class_names[int(label)]} alone", image, odds)
        for label, image, odds in zip(shown.order[k], shown.alone[k], shown.alone_probabilities[k], strict=True)
    ]
    differences = [
        ("adversarial - clean", adversarial - clean),
        ("counteracted - adversarial", counteracted - adversarial),
    ]
    return [
        *(Frame(_png(image), f"{name}: {_prediction(run, odds)}") for name, image, odds in named),
        *(Frame(_png(0.5 + AMPLIFICATION * change), f"{name}, x {AMPLIFICATION}") for name, change in differences),
        *(Frame(_png(image), f"{name}: {_prediction(run, odds)}") for name, image, odds in alone),
    ]


def _prediction(run: Run, probabilities: Tensor) -> str:
    label = int(probabilities.argmax())
    return f"{run.class_names[label]} ({float(probabilities[label]):.0%})"


def _png(image: Tensor) -> str:
    """Returns an image with values in [0, 1], of one channel or three, as a data URI; what lies outside is clamped."""
    pixels = image.clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).squeeze(2).numpy()
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return _uri("png", buffer.getvalue())


def _uri(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
