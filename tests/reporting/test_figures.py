"""The figures of a report: what is drawn and written in them."""

from __future__ import annotations

import re

from reporting.synthetic import CLASSES, SWEEP, TABLE, make_illustrations, make_page_run, svg_text

from counteract.reporting.figures import make_figures


def test_the_scatter_has_every_defence() -> None:
    first, second = make_figures(make_page_run())
    assert {"undefended", "crop-pad", "with counteraction", "clean accuracy (%)", "oblivious worst case (%)"} <= set(
        svg_text(first.svg)
    )
    assert first.caption.startswith("mixup: ")
    assert second.caption.startswith("iat: ")
    assert make_figures(make_page_run(TABLE | {"attacks": ["pgd10"]})) == []
    assert make_figures(make_page_run(TABLE | {"attacks": ["clean"]})) == []


def test_the_sweep_is_in_units_of_a_grey_level() -> None:
    (picture,) = make_figures(make_page_run(SWEEP))
    written = svg_text(picture.svg)
    assert {"eps_step (in units of 1/255)", "accuracy (%)", "clean images", "pgd10", "8"} <= set(written)
    assert "Wilson" in picture.caption
    labels = SWEEP | {"sweep": {"parameter": "num_labels", "values": [1, 5, 9]}}
    assert "num_labels" in svg_text(make_figures(make_page_run(labels))[0].svg)


def test_lines_differ_without_colour() -> None:
    (picture,) = make_figures(make_page_run(SWEEP | {"attacks": ["clean", "pgd1", "pgd2", "pgd3"]}))
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
