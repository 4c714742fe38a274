"""The HTML page: well-formed, sufficient to itself, and shown by a real browser if there is one."""

from __future__ import annotations

import base64
import io
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import Image
from reporting.synthetic import CLASSES, TABLE, adaptive, make_illustrations, make_page_run, make_run, svg_text

from counteract.evaluation.results import NetworkNote
from counteract.reporting.audit import Findings
from counteract.reporting.html import to_html
from counteract.reporting.words import attack_helps

VOID = {"meta", "img", "wbr"}


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
        """The contents of the images of a kind."""
        sources = [attrs["src"] or "" for tag, attrs in self.tags if tag == "img"]
        start = f"data:image/{kind};base64,"
        return [base64.b64decode(source.removeprefix(start)) for source in sources if source.startswith(start)]


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(to_html(make_page_run(illustrations=make_illustrations())))


def test_the_page_has_everything(page: Page) -> None:
    words = " ".join(page.text.split())
    for heading in ("Table 1: a test", "Accuracy", "What counteraction adds", "Claims", "Figures", "Images",
                    "Parameters", "The paper beside what was measured"):  # fmt: skip
        assert heading in words
    assert page.count("table") == 2 + 2 + 2 + 2  # accuracies, gains, parameters, paper
    assert len(page.images("svg+xml")) == 2 + 2  # a scatter for each network, an example each
    assert len(page.images("png")) == 2 * (5 + 9)
    assert page.count("section") == 17 + 2 + 1
    assert words.count("was not measured here") == 2
    assert "complete: all 16 measurements" in words
    assert "ResNet-50s" in words
    assert "The paper's claims in its own figures: holds: 17; not published: 2." in words


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
        illustrations={name: make_illustrations()["mixup"]},
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
    assert "missing, because the run has not come so far: mixup, clean, undefended; mixup, clean, crop-pad;" in words


def test_remarks_and_parameters(page: Page) -> None:
    assert "crop-pad: size 22-30, 50 executions" in page.text
    assert "Remarks" not in Page(to_html(make_page_run())).text
    share = "raises the true class's probability in 44.4%, and lowers that of the class that the image is taken for in"
    words = " ".join(page.text.split())
    assert f"{share} 100.0%, of 540 pairs of an adversarial image and a label (n = 60 images)" in words
    note = NetworkNote(notes=("it is <odd>",))
    odd = Page(
        to_html(make_page_run(networks={"iat": note}, obstacles={("mixup", "pgd10", "crop-pad"): "no gradient"}))
    )
    assert "iat: it is <odd>" in odd.text
    assert "pgd10 did not run on mixup with crop-pad: no gradient" in odd.text
    assert "cannot run" in odd.text


def test_an_audit(page: Page) -> None:
    assert "Audit" not in page.text
    found = Findings("crop-pad", (("FLAG", "gain", "none is <left>"), ("ok", "black box", "fine")), ("a note",))
    text = " ".join(Page(to_html(make_page_run(), found)).text.split())
    assert (
        "Audit crop-pad: 1 red flag. What it gains is not to be relied on. FLAG gainnone is <left> ok black boxfine"
        in text
    )
    assert "a note" in text
    assert "Audit it is damaged" in " ".join(Page(to_html(make_page_run(), "it is damaged")).text.split())


def test_grey_images_are_shown_too() -> None:
    shown = make_illustrations()["mixup"]
    grey = replace(
        shown,
        clean=shown.clean[:, :1],
        adversarial=shown.adversarial[:, :1],
        alone=shown.alone[:, :, :1],
        counteracted=shown.counteracted[:, :1],
    )
    page = Page(to_html(make_page_run(illustrations={"mixup": grey})))
    assert Image.open(io.BytesIO(page.images("png")[0])).mode == "L"


def test_images_are_what_they_say() -> None:
    shown = make_illustrations()["mixup"]
    page = Page(to_html(make_page_run(illustrations={"mixup": shown})))
    images = [
        torch.from_numpy(np.array(Image.open(io.BytesIO(data)))).flatten(0, 1) for data in page.images("png")[:14]
    ]
    flat = [image.flatten(1).T for image in (shown.clean[0], shown.adversarial[0], shown.counteracted[0])]
    changes = (flat[1] - flat[0], flat[2] - flat[1])
    alone = [image.flatten(1).T for image in shown.alone[0]]
    wanted = [*flat, *(0.5 + 10 * change for change in changes), *alone]
    for found, expected in zip(images, wanted, strict=True):
        assert (found / 255 - expected.clamp(0, 1)).abs().max() < 0.51 / 255
    assert "clean: airplane (86%)" in page.text
    assert "adversarial: cat (69%)" in page.text
    assert "+ airplane alone: cat (" in page.text
    assert "x 10" in page.text


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


def test_the_page_opens_with_the_verdict_and_ends_with_the_conditions(page: Page) -> None:
    words = " ".join(page.text.split())
    order = ["mixup: the best worst case", "Accuracy", "Attacks", "Figures", "What counteraction adds", "Claims",
             "Conditions and parameters", "complete: all 16 measurements", "Parameters"]  # fmt: skip
    places = [words.index(part) for part in order]
    assert places == sorted(places)
    assert page.count("details") == page.count("summary") == 1


def test_every_attack_is_named_and_explained() -> None:
    run = adaptive()
    page = Page(to_html(run))
    heads = {attributes.get("title") for tag, attributes in page.tags if tag == "th"}
    for name, text in attack_helps(run).items():
        assert text in heads
        assert f"{name}{text}" in page.text
    cells = [attributes for tag, attributes in page.tags if tag == "td"]
    assert cells
    assert all(attributes.get("data-label") for attributes in cells)
