"""The published figures: that they are transcribed as printed, and stand beside the right measurements."""

from __future__ import annotations

from pathlib import Path

import pytest
from reporting.synthetic import make_run

from counteract import _data
from counteract._errors import UserError
from counteract.reporting.paper.figures import Selector, all_published, beside, family, published, reproduces

ATTACKS = ["pgd10", "pgd50", "pgd200", "pgd10-targeted", "pgd50-targeted", "pgd200-targeted"]

# The improvements that Tables 1 and 2 print in parentheses, a second time typed off, in the order of ATTACKS.
PRINTED_GAINS = {
    (1, "mixup", "crop-pad"): [12.5, 16.8, 22.2, 21.9, 32.6, 40.9],
    (1, "mixup", "crop-resize"): [19.3, 23.0, 27.9, 16.3, 28.9, 30.9],
    (1, "mixup", "mixup-inference"): [12.7, 19.8, 23.2, -0.3, 8.8, 12.2],
    (1, "iat", "crop-pad"): [9.4, 10.8, 11.4, 5.6, 6.9, 7.3],
    (1, "iat", "crop-resize"): [6.3, 7.4, 7.9, -0.6, 0.3, 1.2],
    (1, "iat", "mixup-inference"): [4.1, 5.1, 5.5, -2.9, -2.9, -1.6],
    (2, "mixup", "crop-pad"): [9.7, 13.5, 16.0, 10.7, 18.2, 18.9],
    (2, "mixup", "crop-resize"): [14.8, 20.1, 22.4, 17.5, 24.6, 25.6],
    (2, "mixup", "mixup-inference"): [6.4, 10.6, 12.8, -0.5, 6.9, 8.2],
    (2, "iat", "crop-pad"): [4.6, 6.6, 7.1, 1.6, 1.2, 1.6],
    (2, "iat", "crop-resize"): [4.7, 8.4, 8.9, 1.2, 1.2, 1.5],
    (2, "iat", "mixup-inference"): [1.6, 3.5, 4.3, -0.6, 0.0, 0.9],
}
MISPRINTED = {  # what the accuracies say instead
    (1, "iat", "crop-pad", "pgd10"): 9.0,
    (1, "iat", "mixup-inference", "pgd50-targeted"): -1.9,
    (2, "mixup", "crop-resize", "pgd10"): 15.2,
    (2, "mixup", "mixup-inference", "pgd50"): 10.7,
}
DATASETS = {1: "cifar10", 2: "cifar100"}


@pytest.mark.parametrize(("table", "model", "baseline"), PRINTED_GAINS)
def test_the_printed_gains_are_the_differences(table: int, model: str, baseline: str) -> None:
    found = published(table, DATASETS[table])
    for attack, printed in zip(ATTACKS, PRINTED_GAINS[table, model, baseline], strict=True):
        ours, theirs = (found[Selector(model, d, attack)] for d in (f"counteraction+{baseline}", baseline))
        wanted = MISPRINTED.get((table, model, baseline, attack), printed)
        assert ours.accuracy - theirs.accuracy == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("table", "dataset", "rows", "attacks"),
    [(1, "cifar10", 16, 6), (2, "cifar100", 16, 6), (3, "cifar10", 6, 3), (3, "cifar100", 6, 3),
     (4, "cifar10", 12, 1), (4, "cifar100", 12, 1)],
)  # fmt: skip
def test_every_table_is_whole(table: int, dataset: str, rows: int, attacks: int) -> None:
    found = published(table, dataset)
    assert len({(key.model, key.defence) for key in found}) == rows
    assert len(found) == rows * attacks
    assert published(table, "digits") == {}


@pytest.mark.parametrize(("table", "dataset"), DATASETS.items())
def test_tables_agree_where_they_overlap(table: int, dataset: str) -> None:
    first, third = published(table, dataset), published(3, dataset)
    shared = first.keys() & third.keys()
    assert len(shared) == 6
    assert {key: first[key].text for key in shared} == {key: third[key].text for key in shared}


def test_some_figures_by_hand() -> None:
    table = published(1, "cifar10")
    assert table[Selector("mixup", "counteraction", "pgd200-targeted")].text == "63.1"
    assert table[Selector("iat", "undefended", "pgd50")].text == "43.5"
    bound = table[Selector("mixup", "undefended", "pgd10-targeted")]
    assert (bound.text, bound.accuracy) == ("<=1", 1.0)
    assert published(4, "cifar100")[Selector("mixup", "counteraction", "clean")].text == "8.3"


def test_a_run_beside_its_table() -> None:
    spec = {
        "title": "Table 1: a test", "dataset": "any", "models": {"mixup": "x", "other": "y"},
        "attacks": ["pgd10", "pgd10-targeted"], "defences": ["undefended", "crop-pad"],
    }  # fmt: skip
    run = make_run(spec, lambda model, defence, attack, seed: [1, 0, 0, 0] if attack == "pgd10" else None)
    found = {item.published.selector: item for item in beside(run)}
    assert {key.model for key in found} == {"mixup"}
    assert len(found) == 48
    assert found[Selector("mixup", "crop-pad", "pgd10")].difference == pytest.approx(25 - 23.0)
    assert found[Selector("mixup", "crop-pad", "pgd10-targeted")].difference is None
    assert found[Selector("mixup", "crop-resize", "pgd50")].measured is None


def test_what_a_run_is_about() -> None:
    spec = {"dataset": "any", "models": ["mixup"], "attacks": ["clean"], "defences": ["undefended"]}

    def about(title: str, classes: int = 10) -> tuple[str | None, str, int, int]:
        names = tuple(str(label) for label in range(classes))
        run = make_run(spec | {"title": title}, lambda *_: [1], class_names=names)
        return reproduces(run), family(run), len(beside(run)), len(all_published(run))

    everything = 96 + 18 - 6 + 12
    assert about("Table 3, its second half", 100) == ("Table 3", "cifar100", 18, everything)
    assert about("Table 3") == ("Table 3", "cifar10", 18, everything)
    assert about("Figure 2") == ("Figure 2", "cifar10", 0, everything)
    assert about("Table 1", 7) == ("Table 1", "cifar7", 0, 0)
    assert about("Figure 1: x")[0] == "Figure 1"
    assert about("Steps of something")[0] == "Steps"
    for title in ("", "Table 10", "Table 5", "Figure 4", "My Table 1"):
        assert about(title) == (None, "cifar10", 0, 0)


def test_where_the_data_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clone = Path(__file__).parents[3] / "eval" / "paper"
    assert _data.data_folder("paper").joinpath("table1.csv").is_file()
    monkeypatch.setattr(_data, "files", lambda package: tmp_path)
    assert _data.data_folder("paper") == clone
    (tmp_path / "_data/paper").mkdir(parents=True)
    assert _data.data_folder("paper") == tmp_path / "_data/paper"  # the wheel's comes first
    monkeypatch.setattr(_data, "__file__", str(tmp_path / "a/b/c.py"))
    with pytest.raises(UserError, match="experiments data are missing"):
        _data.data_folder("experiments")
