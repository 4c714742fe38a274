"""A run's folder: what is written can be read back, whatever happened to it; and what is damaged is said."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from networks import TinyNet
from watching import Watcher

from counteract._errors import UserError
from counteract._sealed import seal, unseal
from counteract.datasets import Dataset
from counteract.evaluation import Run, RunOptions, evaluate, identity, read_run
from counteract.evaluation import blocks as blocks_module


@pytest.fixture
def run_into(digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Run]:
    """Runs a short evaluation of three blocks into a folder."""
    monkeypatch.setattr(blocks_module, "BLOCK", 8)

    def run(folder: Path | None, **changes: Any) -> Run:
        more: dict[str, Any] = {"defences": ["undefended", "rotation"], "attacks": ["clean", "pgd1"], "seeds": 2}
        more |= {"parameters": {"rotation": {"executions": 2}}, "illustrations": 2}
        options = RunOptions(watcher=Watcher(), folder=folder)
        return evaluate(TinyNet().eval(), digits.take(20), eps=0.05, options=options, **more | changes)

    return run


def hits(found: Run) -> dict[tuple[str, str], dict[int, list[str]]]:
    return {
        (c.attack, c.defence): {s: list(map(str, shares.tolist())) for s, shares in c.correct.items()}
        for c in found.cells
    }


def test_a_run_reads_back(run_into: Callable[..., Run], tmp_path: Path) -> None:
    made = run_into(tmp_path)
    found = read_run(tmp_path)
    assert hits(found) == hits(made)
    assert found.rows == made.rows
    assert (found.spec, found.environment, found.class_names) == (made.spec, made.environment, made.class_names)
    assert (found.networks, found.defences, found.obstacles) == (made.networks, made.defences, made.obstacles)
    assert found.complete
    assert found.missing == []
    assert found.illustrations.keys() == made.illustrations.keys() == set(made.spec.models)
    for label, shown in found.illustrations.items():
        assert shown.clean.shape == (2, 3, 32, 32)
        assert {n: t.tolist() for n, t in vars(shown).items()} == {
            n: t.tolist() for n, t in vars(made.illustrations[label]).items()
        }


def test_a_run_reads_back_with_other_versions(
    run_into: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its report is made of what was measured; a new run would measure anew."""
    made = run_into(tmp_path)
    monkeypatch.setattr(identity, "_VERSIONS", dict.fromkeys(identity._VERSIONS, "99.9"))
    assert read_run(tmp_path).complete
    assert hits(read_run(tmp_path)) == hits(made)


def test_a_part_of_a_journal_is_a_part_of_the_results(run_into: Callable[..., Run], tmp_path: Path) -> None:
    made = run_into(tmp_path)
    path = tmp_path / "journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    assert len(lines) == 3 * 2 * 2 * 2
    path.write_bytes(b"".join(lines[:10]))
    found = read_run(tmp_path)
    assert not found.complete
    assert "missing" in found.missing[0]
    row = next(row for row in found.rows if (row.attack, row.defence) == ("clean", "undefended"))
    assert row.n == 16 if row.seeds == 1 else 8
    assert hits(run_into(tmp_path)) == hits(made)


def test_entries_of_other_runs_stay_and_do_not_count(run_into: Callable[..., Run], tmp_path: Path) -> None:
    run_into(tmp_path, eps_step=0.01)
    first = (tmp_path / "journal.jsonl").read_text().count("\n")
    made = run_into(tmp_path, eps_step=0.02)
    assert (tmp_path / "journal.jsonl").read_text().count("\n") > first
    assert hits(read_run(tmp_path)) == hits(made)


def test_no_damage_to_a_folder_prints_other_rows(run_into: Callable[..., Run], tmp_path: Path) -> None:
    """A byte changed, taken away or cut off: the report is the same, says what is missing, or is refused."""
    made = run_into(tmp_path)
    expected, chance = hits(made), random.Random(0)
    for path in (tmp_path / "run.json", tmp_path / "journal.jsonl", tmp_path / "illustrations.safetensors"):
        whole = path.read_bytes()
        for _ in range(40):
            at = chance.randrange(len(whole))
            flipped = bytes([whole[at] ^ (1 << chance.randrange(8))])
            path.write_bytes(
                chance.choice([whole[:at], whole[:at] + whole[at + 1 :], whole[:at] + flipped + whole[at + 1 :]])
            )
            try:
                found = read_run(tmp_path)
            except ValueError as error:
                assert "damaged" in str(error)  # noqa: PT017
                continue
            for place, seeds in hits(found).items():
                for seed, shares in seeds.items():
                    pairs = zip(shares, expected[place][seed], strict=True)
                    assert all(a in (b, "nan") for a, b in pairs), (path.name, at)
            assert hits(found) == expected or found.missing
        path.write_bytes(whole)


def test_folders_that_hold_no_run(run_into: Callable[..., Run], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds no run: run\.json cannot be read: No such file"):
        read_run(tmp_path)
    run_into(tmp_path)
    path = tmp_path / "run.json"
    content = unseal(path.read_bytes())
    path.write_text("{")
    with pytest.raises(ValueError, match=r"run\.json is damaged"):
        read_run(tmp_path)
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"run\.json is damaged \(the checksum does not fit\)"):
        read_run(tmp_path)
    path.write_bytes(seal(content | {"format": 3}))
    with pytest.raises(
        ValueError, match=r"was written by another version of this package \(format 3, this one has 2\)"
    ):
        read_run(tmp_path)
    del content["places"]
    path.write_bytes(seal(content))
    with pytest.raises(ValueError, match=r"run\.json is damaged.*places"):
        read_run(tmp_path)


def test_a_folder_has_one_writer(run_into: Callable[..., Run], tmp_path: Path) -> None:
    hold = "import filelock, sys; lock = filelock.FileLock(sys.argv[1]); lock.acquire(); print(flush=True); input()"
    command = [sys.executable, "-c", hold, str(tmp_path / ".lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(ValueError, match=r"another run writes to .*: wait until it has ended, or name another"):
            run_into(tmp_path)
        other.kill()
    assert run_into(tmp_path).complete


def test_committed_examples_to_look_at_are_read_in_the_order_of_the_networks() -> None:
    for folder in ("figure1", "pang/figure1", "pang/figure1-cifar100"):
        run = read_run(Path(__file__).parents[2] / "eval" / "results" / folder)
        assert run.complete
        assert list(run.illustrations) == list(run.spec.models) == ["mixup", "iat"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"networks": [1]}, "run.json is damaged: networks"),
        ({"networks": {"network": {"nothing": 1}}}, "run.json is damaged: networks.network"),
        ({"environment": 3}, "run.json is damaged: environment"),
        ({"defences": [[1]]}, "run.json is damaged: defences.0"),
        ({"blocks": [[0, "8", "d"], ["x", 9, "d"]]}, "run.json is damaged: blocks.1.0"),
        ({"blocks": [[0, 10**15, "d"]]}, "its places or blocks are none of its spec"),
        ({"blocks": [[0, 8, "d"], [9, 10, "d"]]}, "its places or blocks are none of its spec"),
        ({"blocks": [[5, -5, "d"]]}, "its places or blocks are none of its spec"),
        ({"spec": {"dataset": 3}}, "run.json: "),
    ],
)
def test_conditions_that_are_none_are_named(
    change: dict[str, Any], words: str, run_into: Callable[..., Run], tmp_path: Path
) -> None:
    run_into(tmp_path)
    path = tmp_path / "run.json"
    content = unseal(path.read_bytes())
    path.write_bytes(seal(content | change))
    with pytest.raises(ValueError, match=words):
        read_run(tmp_path)
    path.write_bytes(seal(content | {"places": [content["places"][0] | {"attack": "pgd7"}]}))
    with pytest.raises(ValueError, match="its places or blocks are none of its spec"):
        read_run(tmp_path)


def test_a_folder_of_runs_names_them(tmp_path: Path) -> None:
    for name in ("exact", "bf16"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text("{}")
    with pytest.raises(UserError, match=r"runs in folders of their own: name one of bf16, exact in it$"):
        read_run(tmp_path)
