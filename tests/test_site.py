"""The site's plots and tables are those of the records."""

from __future__ import annotations

import json
import re
from itertools import product
from pathlib import Path
from xml.etree import ElementTree

import pytest
from plots import draw, draw_verdicts
from reports import AUDITED, Accuracy, Row, read_audits, read_outcomes, read_rows, to_table

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "eval" / "results"

SHOWN = re.findall(r"<!-- results (\S+) (\S+) -->", (ROOT / "docs" / "results.md").read_text(encoding="utf-8"))
"""The runs and networks of the page of results."""

REPORT = """
### net

| defence | oblivious worst case | adaptive | worst case | gain | clean |
| --- | --- | --- | --- | --- | --- |
| undefended | 40.0 ±0.1 (38.0-42.0) | 39.0 (1.0-2.0, square) | 38.5 (36.0-41.0) | - | 90.0 (88.0-92.0) |
| mine\\_1 | 45.0 (43.0-47.0) | 20.0 (1.0-2.0, square) | 19.5 (18.0-21.0) | -19.0 (-22.0 to -16.0) | 80.0 (78.0-82.0) |

Words.

### other

| defence | clean |
| --- | --- |
| undefended | 90.0 (88.0-92.0) |
"""


def test_rows_are_read_by_their_columns(tmp_path: Path) -> None:
    path = tmp_path / "report.md"
    path.write_text(REPORT, encoding="utf-8")
    first, second = read_rows(path, "net")
    assert first == Row("undefended", Accuracy(90, 88, 92), Accuracy(40, 38, 42), Accuracy(38.5, 36, 41), "")
    assert to_table([second]).splitlines()[2] == "| mine_1 | 80.0 | 45.0 | 19.5 | -19.0 (-22.0 to -16.0) |"


@pytest.mark.parametrize(("network", "words"), [("other", "no worst case"), ("nobody", "no table of nobody")])
def test_what_a_report_does_not_have_is_refused(network: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "report.md"
    path.write_text(REPORT, encoding="utf-8")
    with pytest.raises(ValueError, match=words):
        read_rows(path, network)


def an_audit(defence: str, flagged: tuple[str, ...]) -> str:
    """An audit.json with what the site reads of it."""
    worst, undefended = {"n": 100, "accuracy": 30.0}, {"n": 100, "accuracy": 36.0}
    checks = [{"name": name, "flag": name in flagged} for name in ("gain", "black box")]
    summaries = [{}, {"defence": defence, "worst": worst, "undefended": undefended}]
    return json.dumps({"verdict": "no gain", "checks": checks, "summaries": summaries})


def test_audits_are_read_with_their_flags_the_undefended_network_first(tmp_path: Path) -> None:
    for name, defence, flagged in (("a", "hedge", ("gain", "black box")), ("b", "undefended", ())):
        (tmp_path / f"{name}.json").write_text(an_audit(defence, flagged), encoding="utf-8")
    first, second = to_table(read_audits(tmp_path), AUDITED).splitlines()[2:]
    assert first == "| `undefended` | 100 | 36.0 | 30.0 | no gain | none |"
    assert second == "| `hedge` | 100 | 36.0 | 30.0 | no gain | gain, black box |"


def test_a_folder_without_audits_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no audit"):
        read_audits(tmp_path)


def texts_of(svg: str) -> set[str]:
    """The texts of a plot."""
    texts = [each for each in ElementTree.fromstring(svg).iter() if each.tag.endswith("}text")]
    return {"".join(each.itertext()).strip() for each in texts}


@pytest.mark.parametrize(("run", "network"), SHOWN)
def test_a_plot_has_every_defence_of_its_run(run: str, network: str) -> None:
    rows = read_rows(RESULTS / run / "report.md", network)
    svg = draw(rows)
    written = texts_of(svg)
    assert {row.defence for row in rows} <= written
    assert {"clean", "attacker does not know", "attacker knows"} <= written
    assert "#010203" not in svg


def test_a_plot_of_verdicts_has_every_network_and_attacker() -> None:
    outcomes = read_outcomes(RESULTS / "verdict.csv")
    written = texts_of(draw_verdicts(outcomes))
    assert {each.network for each in outcomes} <= written
    assert {"quick", "standard", "APGDT", "AutoAttack"} <= written


def test_the_page_of_results_shows_both_networks_of_both_runs() -> None:
    runs, networks = ("art-defences", "adaptive"), ("iat", "mixup")
    assert list(product(runs, networks)) == SHOWN
