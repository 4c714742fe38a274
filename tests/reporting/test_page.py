"""The HTML page and its figures: well-formed, sufficient to themselves, and shown by a real browser if there is one."""

from __future__ import annotations

import base64
import io
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import Image
from reporting.synthetic import CLASSES, make_illustrations, make_run

from counteract.evaluation.record import Run
from counteract.reporting.figures import make_figures
from counteract.reporting.html import to_html

VOID = {"meta", "img", "wbr"}
TABLE: dict[str, Any] = {
    "title": "Table 1: a test", "dataset": "any", "models": {"mixup": "x", "iat": "y"}, "illustrations": 2,
    "attacks": ["none", "pgd10"], "defences": ["none", "crop-pad", "counteraction", "counteraction+crop-pad"],
}  # fmt: skip
SWEEP: dict[str, Any] = {
    "title": "Figure 2", "dataset": "any", "models": ["net"], "attacks": ["none", "pgd10"],
    "defences": ["none", "counteraction"], "sweep": {"parameter": "eps_step", "values": ["1/255", "2/255", "8/255"]},
}  # fmt: skip


def make_page_run(spec: dict[str, Any] = TABLE, **options: Any) -> Run:
    """Every defence is right on all clean images, and on as many others as its name has letters."""
    return make_run(
        spec,
        lambda model, defence, attack, seed: torch.arange(50) < (50 if attack == "none" else len(defence)),
        **options,
    )


class Page(HTMLParser):
    """Checks that tags match as it reads, and keeps what the tests ask for."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.text += data

    def count(self, tag: str) -> int:
        return sum(found == tag for found, _ in self.tags)

    def images(self, kind: str) -> list[bytes]:
        """What the images of a kind hold."""
        sources = [attrs["src"] or "" for tag, attrs in self.tags if tag == "img"]
        start = f"data:image/{kind};base64,"
        return [base64.b64decode(source.removeprefix(start)) for source in sources if source.startswith(start)]


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(to_html(make_page_run(illustrations=make_illustrations())))


def test_the_page_has_everything(page: Page) -> None:
    words = " ".join(page.text.split())
    for heading in ("Table 1: a test", "Accuracy", "What counteraction adds", "Claims", "Figures", "Images",
                    "The paper beside what was measured"):  # fmt: skip
        assert heading in words
    assert page.count("table") == 2 + 2 + 2  # accuracies, gains, paper
    assert len(page.images("svg+xml")) == 2 + 2  # a scatter for each network, an example each
    assert len(page.images("png")) == 2 * 5
    assert page.count("section") == 13 + 1
    assert words.count("was not measured here") == 2
    assert "complete: all 16 measurements" in words
    assert "ResNet-50s" in words
    assert "The paper's claims in its own figures: holds: 13." in words


def test_the_page_needs_nothing_beside_itself(page: Page) -> None:
    assert page.count("script") == page.count("link") == page.count("iframe") == 0
    for _, attributes in page.tags:
        for name in ("src", "href", "srcset", "poster", "data"):
            assert (attributes.get(name) or "data:").startswith("data:")
    assert not re.search(r"url\(|@import", to_html(make_page_run()))
    for svg in page.images("svg+xml"):
        references = re.findall(r'(?:href|src)="([^"]*)"|url\(([^)]*)\)', svg.decode())
        assert all(start.startswith(("#", "data:")) for start in map("".join, references))


def test_the_page_is_for_phones_and_screen_readers(page: Page) -> None:
    assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in page.tags
    assert all(attributes.get("alt") for tag, attributes in page.tags if tag == "img")
    assert [attributes.get("class") for tag, attributes in page.tags if tag == "div"].count("wide") == page.count(
        "table"
    )


def test_names_cannot_become_markup() -> None:
    name = '<script>alert("1")</script>$x$&_^'
    run = make_page_run(
        TABLE | {"title": name, "models": {name: "x"}},
        illustrations=make_illustrations(),
        class_names=(name, *CLASSES[1:]),
    )
    page = Page(to_html(run))
    assert page.count("script") == 0
    assert name in page.text
    for svg in page.images("svg+xml"):
        ElementTree.fromstring(svg)
    example = page.images("svg+xml")[1].decode()
    assert "<script>" not in example
    assert f"{name} (true)" in svg_text(example)  # and no dollar begins a formula


def test_a_run_that_has_just_begun_has_a_page() -> None:
    run = make_run(TABLE, lambda *_: None)
    words = " ".join(Page(to_html(run)).text.split())
    assert "unfinished: 0 of 16 measurements" in words
    assert "Figures" not in words
    assert "Images" not in words


def test_grey_images_are_shown_too() -> None:
    shown = make_illustrations()
    grey = replace(shown, clean=shown.clean[:, :1], steps=shown.steps[:, :, :1])
    page = Page(to_html(make_page_run(illustrations=grey)))
    assert Image.open(io.BytesIO(page.images("png")[0])).mode == "L"


def test_images_are_what_they_say() -> None:
    shown = make_illustrations()
    page = Page(to_html(make_page_run(illustrations=shown)))
    images = [torch.from_numpy(np.array(Image.open(io.BytesIO(data)))).flatten(0, 1) for data in page.images("png")[:5]]
    flat = shown.clean[0].flatten(1).T, shown.steps[0, 0].flatten(1).T, shown.steps[0, -1].flatten(1).T
    changes = (flat[1] - flat[0], flat[2] - flat[1])
    wanted = [*flat, *(0.5 + 10 * change for change in changes)]
    for found, expected in zip(images, wanted, strict=True):
        assert (found / 255 - expected.clamp(0, 1)).abs().max() < 0.51 / 255
    assert "clean: airplane (86%)" in page.text
    assert "adversarial: cat (69%)" in page.text
    assert "x 10" in page.text


def svg_text(svg: str) -> list[str]:
    """What is written in a figure."""
    return [
        "".join(found.itertext()).strip()
        for found in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
    ]


def test_the_scatter_has_every_defence() -> None:
    first, second = make_figures(make_page_run())
    assert {"none", "crop-pad", "with counteraction", "clean accuracy (%)", "oblivious worst case (%)"} <= set(
        svg_text(first.svg)
    )
    assert first.caption.startswith("mixup: ")
    assert second.caption.startswith("iat: ")
    assert make_figures(make_page_run(TABLE | {"attacks": ["pgd10"]})) == []
    assert make_figures(make_page_run(TABLE | {"attacks": ["none"]})) == []


def test_the_sweep_is_in_units_of_a_grey_level() -> None:
    (picture,) = make_figures(make_page_run(SWEEP))
    written = svg_text(picture.svg)
    assert {"eps_step (in units of 1/255)", "accuracy (%)", "clean images", "pgd10", "8"} <= set(written)
    assert "Wilson" in picture.caption
    labels = SWEEP | {"sweep": {"parameter": "num_labels", "values": [1, 5, 9]}}
    assert "num_labels" in svg_text(make_figures(make_page_run(labels))[0].svg)


def test_lines_differ_without_colour() -> None:
    (picture,) = make_figures(make_page_run(SWEEP | {"attacks": ["none", "pgd1", "pgd2", "pgd3"]}))
    dashes = set(re.findall(r"stroke-dasharray: ([^;\"]*)", picture.svg))
    assert len(dashes) == 3  # and one line without


def test_the_probabilities_of_an_example() -> None:
    run = make_page_run(SWEEP, illustrations=make_illustrations(count=1))
    picture = make_figures(run)[-1]
    written = svg_text(picture.svg)
    order = ["clean", "adversarial", *(f"+ {name}" for name in CLASSES if name != "cat")]
    assert written[: len(order)] == order
    assert {"airplane (true)", "cat (adversarial)"} <= set(written)
    assert "adversarial taken for cat, counteracted for airplane" in picture.caption
    assert "<image" in picture.svg


def test_the_same_run_gives_the_same_page() -> None:
    assert to_html(make_page_run()) == to_html(make_page_run())


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium on the PATH")
def test_a_browser_shows_the_page(tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text(to_html(make_page_run(illustrations=make_illustrations())), encoding="utf-8")
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
               f"--user-data-dir={tmp_path / 'profile'}", "--hide-scrollbars", "--window-size=500,4000",
               f"--screenshot={tmp_path / 'shot.png'}", (tmp_path / "report.html").as_uri()]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    shot = Image.open(tmp_path / "shot.png").convert("L")
    assert shot.size == (500, 4000)
    assert len(np.unique(np.asarray(shot))) > 20  # text, lines and images, not a blank page
    right_edge = shot.crop((490, 0, 500, 4000)).getextrema()
    assert right_edge == (255, 255)  # nothing is wider than the page: tables scroll inside their own boxes
