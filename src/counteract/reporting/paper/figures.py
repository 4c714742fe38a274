"""The paper's published accuracies (Tables 1 to 4), and a run beside them.

The tables are transcribed as printed. Four of the gains printed in parentheses beside them are not the difference of
the accuracies: Table 1, IAT, crop-pad under PGD-10 (+9.4, is +9.0) and mixup inference under targeted PGD-50 (-2.9, is
-1.9); Table 2, Mixup, crop-resize under PGD-10 (+14.8, is +15.2) and mixup inference under PGD-50 (+10.6, is +10.7).
Here a gain is always the difference.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from counteract._data import data_folder
from counteract.evaluation.results import Run
from counteract.evaluation.scores import Row

_TITLE = re.compile(r"(Table [1-4]|Figure [1-3]|Steps|Perturbations)\b")


class Selector(NamedTuple):
    """The place of one accuracy: a network, by its label, with a defence under an attack."""

    model: str
    defence: str
    attack: str


@dataclass(frozen=True)
class Published:
    """A published accuracy.

    Attributes:
        selector: Its place; the networks are `mixup` and `iat`.
        text: Its text as the paper prints it: `26.5`, or `<=1`.
    """

    selector: Selector
    text: str

    @property
    def accuracy(self) -> float:
        """The accuracy in percent; an upper bound counts as its value."""
        return float(self.text.removeprefix("<="))


@cache
def published(table: int, dataset: str) -> dict[Selector, Published]:
    """Returns the accuracies of one of the tables, 1 to 4, on `cifar10` or `cifar100`; none for another dataset."""
    text = (data_folder("paper") / f"table{table}.csv").read_text(encoding="utf-8")
    found = {}
    for row in csv.DictReader(text.splitlines()):
        if row["dataset"] == dataset:
            selector = Selector(row["model"], row["defence"], row["attack"])
            found[selector] = Published(selector, row["accuracy"])
    return found


def reproduces(run: Run) -> str | None:
    """Returns the table, figure or discussion of the paper that a run is about, by its title: `Table 1`, say."""
    match = _TITLE.match(run.spec.title)
    return match[1] if match else None


def family(run: Run) -> str:
    """Returns the paper's dataset with as many classes as the run's, if there is one: `cifar10` or `cifar100`."""
    return f"cifar{len(run.class_names)}"


def all_published(run: Run) -> dict[Selector, Published]:
    """Returns all accuracies that the paper has on the run's family of datasets, if the run is about the paper."""
    if reproduces(run) is None:
        return {}
    return {key: value for table in (1, 2, 3, 4) for key, value in published(table, family(run)).items()}


@dataclass(frozen=True)
class Beside:
    """A published accuracy with the measured one, if there is one yet."""

    published: Published
    measured: Row | None

    @property
    def difference(self) -> float | None:
        """The difference, measured minus published, in points."""
        return None if self.measured is None else self.measured.accuracy - self.published.accuracy


def beside(run: Run) -> list[Beside]:
    """Returns the published accuracies of the table that a run is about, with the measured ones, for its networks."""
    about = reproduces(run)
    if about is None or not about.startswith("Table"):
        return []
    rows = {Selector(row.model, row.defence, row.attack): row for row in run.rows}
    table = published(int(about.removeprefix("Table ")), family(run))
    return [Beside(value, rows.get(key)) for key, value in table.items() if key.model in run.spec.models]
