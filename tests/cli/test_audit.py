"""`counteract audit` as its user meets it: what it prints, its exit code, its file, its errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import fromstring

import pytest
from effort import make_presets_tiny
from reporting.audited import FLAGGED, SOUND, UNSURE

from counteract import auditing
from counteract._errors import UserError
from counteract._sealed import unseal
from counteract.auditing import Audit
from counteract.cli import main
from counteract.evaluation import EvaluationSpec, RunOptions

SMALL = ["audit", "--limit", "16", "--seeds", "1", "--draws", "2"]


def call(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    return int(stopped.value.code or 0)


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_presets_tiny(monkeypatch)


@pytest.mark.usefixtures("_small")
def test_an_adversarially_trained_network_without_a_defence_is_sound(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call([*SMALL, "--model", "digits-resnet-iat", "--out", str(tmp_path / "found" / "it.json")]) == 0
    printed = capsys.readouterr().out
    assert "undefended: sound as far as this preset goes: no flag is up." in printed
    assert "FLAG" not in printed
    found = json.loads((tmp_path / "found" / "it.json").read_text())
    assert (found["sound"], found["defence"]) == (True, "undefended")
    assert {"gain", "black box", "large eps", "convergence", "zero gradients"} < {c["name"] for c in found["checks"]}
    assert len(found["rows"]) == 9
    assert [path.name for path in tmp_path.rglob("*.json")] == ["it.json"]


@pytest.mark.usefixtures("_small")
def test_counteraction_is_flagged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call([*SMALL, "--defence", "counteraction", "--out", str(tmp_path)]) == 1
    printed = capsys.readouterr().out
    assert "FLAG clean images: doing nothing is a better attack than some" in printed
    assert "What it gains is not to be relied on." in printed
    found = unseal((tmp_path / "audit.json").read_bytes())
    assert not found["sound"]
    for report in ("report.md", "report.html"):
        text = (tmp_path / report).read_text()
        assert "FLAG" in text
        assert "doing nothing is a better attack than some" in text
        assert "What it gains is not to be relied on." in text
    assert found["verdict"] == "cannot tell"
    assert "the tests of the attack" in found["skipped"]
    assert "on 16 images: it would take about " in found["reason"]
    assert {"audit.json", "journal.jsonl", "report.html", "report.md", "results.json", "rows.csv", "run.json"} == {
        path.name for path in tmp_path.glob("[!.]*") if path.is_file()
    }
    again = (tmp_path / "journal.jsonl").read_text()
    assert call([*SMALL, "--defence", "counteraction", "--out", str(tmp_path)]) == 1
    assert (tmp_path / "journal.jsonl").read_text() == again


def audited(verdict: Audit, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets every audit end with this."""
    monkeypatch.setattr(auditing, "audit_spec", lambda spec, options: verdict)


@pytest.mark.parametrize(("found", "code"), [(SOUND, 0), (FLAGGED, 1), (UNSURE, 3)])
def test_exit_codes(found: Audit, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    audited(found, monkeypatch)
    assert call(["audit"]) == code


@pytest.mark.parametrize(("form", "ending", "reader"), [("sarif", "sarif", json.loads), ("junit", "xml", fromstring)])
def test_formats_for_ci(form: str, ending: str, reader: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    audited(FLAGGED, monkeypatch)
    assert call(["audit", "--format", form, "--out", str(tmp_path / f"it.{ending}")]) == 1
    assert [path.name for path in tmp_path.iterdir()] == [f"it.{ending}"]
    reader((tmp_path / f"it.{ending}").read_bytes())
    assert call(["audit", "--format", form, "--out", str(tmp_path / "folder")]) == 1
    assert {"audit.json", f"audit.{ending}", "report.md"} < {path.name for path in (tmp_path / "folder").iterdir()}


SPEC = """
dataset = "digits"
models = { mixup = "digits-resnet-mixup", iat = "digits-resnet-iat" }
attacks = ["clean"]
defences = ["none", "rotation"]
limit = 7
cascade = true
[attack]
eps = "3/255"
eps_step = "1/255"
"""


def given(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> EvaluationSpec:
    """The spec that a command line stands for; nothing is run."""
    seen: list[EvaluationSpec] = []

    def stop(spec: EvaluationSpec, options: RunOptions) -> Audit:
        seen.append(spec)
        raise UserError("stopped")

    monkeypatch.setattr(auditing, "audit_spec", stop)
    assert call(["audit", *arguments]) == 2
    return seen[0]


def test_a_spec_is_audited_with_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "mine.toml"
    own.write_text(SPEC)
    spec = given([str(own), "--model", "iat"], monkeypatch)
    assert (list(spec.defences), spec.models) == (["undefended", "rotation"], {"iat": "digits-resnet-iat"})
    assert [255 * spec.threat_model.eps, 255 * spec.step] == pytest.approx([3, 1])
    assert (spec.limit, spec.seeds, spec.draws, spec.preset.targets) == (7, 2, 5, 3)
    assert spec.cascade
    changes = ["--limit", "5", "--eps", "4/255", "--defence", "counteraction", "--preset", "standard"]
    spec = given([str(own), "--model", "iat", *changes], monkeypatch)
    assert (spec.limit, spec.preset.targets) == (5, 9)
    assert 255 * spec.step == pytest.approx(1)
    assert list(spec.defences) == ["undefended", "counteraction"]
    without = given([], monkeypatch)
    assert (list(without.defences), without.limit, without.draws) == (["undefended"], 100, 5)
    assert without.parameters["counteraction"]["eps"] == "12/255"


def test_a_label_is_audited_as_what_it_stands_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own, head = tmp_path / "mine.toml", SPEC.replace('defences = ["none", "rotation"]', "")
    tables = '[defences]\nbare = "none"\nmine = {use = "rotation", degrees = 9}\nundefended = {use = "undefended"}\n'
    own.write_text(head + tables)
    spec = given([str(own), "--model", "iat"], monkeypatch)
    assert spec.defences == {"undefended": "undefended", "mine": "rotation(degrees=9)"}
    own.write_text(head + tables + 'other = "hedge"\n')
    spec = given([str(own), "--model", "iat", "--defence", "other"], monkeypatch)
    assert spec.defences == {"undefended": "undefended", "other": "hedge"}


def test_a_spec_of_several_needs_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = tmp_path / "mine.toml"
    own.write_text(SPEC)
    assert call(["audit", str(own)]) == 2
    assert "an audit is about one model, found mixup, iat: name one" in capsys.readouterr().err
    assert call(["audit", "table1", "--model", "iat"]) == 2
    assert "an audit is about one defence, found counteraction, crop-pad, " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--defence", "counteracton"], "did you mean counteraction"),
        (["--model", "digits-resnet-iatt"], "did you mean digits-resnet-iat"),
        (["--preset", "fulll"], "preset 'fulll' is not known; did you mean full"),
        (["--dataset", "mine.npz"], "name one with --model"),
        (["--limit", "0"], "limit"),
        (["--format", "sarif"], "--format sarif needs --out, a file such as audit.sarif or a folder"),
        (["--format", "sarrif"], "format 'sarrif' is not known; did you mean sarif"),
        (["--eps", "8/x"], 'a fraction such as "8/255"'),
        (["--norm", "L7"], "found 'L7'"),
        (["nothing.toml"], "cannot be read"),
    ],
)
def test_mistakes(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["audit", *arguments]) == 2
    printed = capsys.readouterr()
    assert words in printed.err
    assert len(printed.err.strip().splitlines()) == 1
