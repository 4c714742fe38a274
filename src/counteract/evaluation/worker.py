"""The worker: one network's part of a run. It reads a block, attacks it, judges every defence, records and forgets."""

from __future__ import annotations

import functools
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from counteract._batches import BatchSize, batches
from counteract._network import ask
from counteract.attacks.base import CLEAN, Attack
from counteract.attacks.bounds import in_grey_levels, keep_within
from counteract.attacks.keys import defence_keys, example_keys
from counteract.attacks.libraries import AttackError
from counteract.datasets import Dataset
from counteract.evaluation.blocks import Block, Sample, read, rows_of
from counteract.evaluation.cache import Made
from counteract.evaluation.crafting import Crafter, number_of
from counteract.evaluation.examples import Examples
from counteract.evaluation.journal import Entry, Journal, failure, pack
from counteract.evaluation.judged import Judged
from counteract.evaluation.options import Watcher
from counteract.evaluation.plan import ENOUGH, Task, unit_key
from counteract.evaluation.spec import EvaluationSpec
from counteract.evaluation.subject import Subject
from counteract.evaluation.worst_cases import worst


@dataclass(frozen=True)
class _Examples:
    """Adversarial examples of some rows of a block.

    Attributes:
        made: The examples.
        rows: The rows, rising, int64.
    """

    made: Made
    rows: Tensor


@dataclass
class Worker:
    """One process's work on one network.

    Attributes:
        subject: The network.
        spec: The spec.
        data: The images and their true labels.
        tasks: The network's cells.
        crafter: The maker of adversarial examples.
        journal: The record of what is done.
        batch_size: The number of images in a batch.
        watcher: Whoever is told of the progress.
        kept: The folder where examples are written.
    """

    subject: Subject
    spec: EvaluationSpec
    data: Dataset
    tasks: Sequence[Task]
    crafter: Crafter
    journal: Journal
    batch_size: BatchSize
    watcher: Watcher
    kept: Examples
    _pace: list[float] = field(default_factory=list)
    _failed: dict[tuple[str, str], AttackError] = field(default_factory=dict)

    def left(self, blocks: Sequence[Block]) -> list[tuple[Task, Block]]:
        """Returns the cells of blocks that are not in the journal yet; of others one for each file that is lacking."""
        return [(task, block) for block in blocks for task in self._left(block)]

    def _left(self, block: Block) -> Iterator[Task]:
        made: set[tuple[str, str, int]] = set()
        for task in self.tasks:
            entry, work = self.journal.entries.get(unit_key(task.place.key, block)), (*_work(task), task.place.seed)
            if entry is None or not (entry.failed or work in made or not self._lacks(task, block)):
                made.add(work)
                yield task

    def run(self, block: Block, after: Block | None = None) -> None:
        """Measures every cell on a block, as far as the journal lacks it.

        Args:
            block: The block.
            after: The one that comes next, which may be read meanwhile.
        """
        pending = [task for task, _ in self.left([block])]
        if pending:
            sample = read(self.data, block, self.subject.device)
            if after is not None:
                self.data.expect(torch.arange(after.start, after.stop))
            self._measure(pending, sample)

    def _measure(self, tasks: Sequence[Task], sample: Sample) -> None:
        for seed in range(self.spec.seeds):
            mine = [task for task in tasks if task.place.seed == seed]
            oblivious: dict[str, _Examples] = {}
            for task in mine:
                rows = self._remaining(task, sample.block)
                try:
                    self._judge(task, sample, rows, self._examples(task, rows, sample, mine, oblivious))
                except AttackError as error:
                    self._give_up(task, sample.block, error)
                self.watcher.advance(len(sample.block))

    def _give_up(self, task: Task, block: Block, error: AttackError) -> None:
        """Records that somebody else's attack failed, and says so the first time."""
        if _work(task) not in self._failed:
            self._failed[_work(task)] = error
            self.watcher.warn(f"{task.place.model}: {error}; the run goes on without it")
        self.journal.add(failure(unit_key(task.place.key, block), len(block), f"it failed: {error.reason}"))

    def _examples(
        self, task: Task, rows: Tensor, sample: Sample, mine: Sequence[Task], oblivious: dict[str, _Examples]
    ) -> Made:
        """Returns a task's adversarial images of some rows; what failed once is not tried again.

        Of the tasks of its seed that are measured, `mine`, those that do not know of the defence share what was made by
        attacks' names, `oblivious`, to which more is added.
        """
        if _work(task) in self._failed:
            raise self._failed[_work(task)]
        attack = task.attack
        if attack.adaptive:
            found = _Examples(self.crafter.craft(attack, task.judged, task.place.seed, sample, rows), rows)
        else:
            if attack.name not in oblivious:
                oblivious.update(self._oblivious(task, sample, mine))
            found = oblivious[attack.name]
        self._keep(task, sample, found)
        places = torch.searchsorted(found.rows, rows)
        assert torch.equal(found.rows[places], rows), f"{attack.name} was not made of all that it is needed for"
        return replace(found.made, images=rows_of(found.made.images, places))

    def _oblivious(self, task: Task, sample: Sample, mine: Sequence[Task]) -> dict[str, _Examples]:
        """Makes the examples of an attack that does not know of the defence, and of others on its path, by their names.

        They are made once for all defences, of the rows that any of them needs, those included that are done already:
        so they are the same whether the run was interrupted or not.
        """
        attack, seed = task.attack, task.place.seed
        alike = [each for each in self.tasks if each.place.seed == seed and _is_made_with(each.attack, attack)]
        rows = self._wanted(alike, attack, sample)
        if attack.path is None:
            return {attack.name: _Examples(self.crafter.craft(attack, task.judged, seed, sample, rows), rows)}
        together = {each.attack.name: each.attack for each in mine if _is_made_with(each.attack, attack)}
        made = self.crafter.on_path(attack.path, together.values(), seed, sample, rows)
        return {name: _Examples(found, rows) for name, found in made.items()}

    def _lacks(self, task: Task, block: Block) -> bool:
        return self.kept.lacks(task, block, self.subject.key)

    def _keep(self, task: Task, sample: Sample, found: _Examples) -> None:
        """Writes examples to the folder where they are kept, if there is one that lacks them."""
        if self._lacks(task, sample.block):
            clean = rows_of(sample.images, found.rows)
            images = self._handed_on(task, clean, keep_within(self.spec.threat_model, clean, found.made.images)[0])
            self.kept.write(task, sample, found.rows, images, self.subject.key)

    def _wanted(self, tasks: Sequence[Task], attack: Attack, sample: Sample) -> Tensor:
        """Returns the rows of an attack that is made now, and of later ones with it, which in a cascade are fewer."""
        if any(not task.after for task in tasks):
            return torch.arange(len(sample.block))
        rows = [self._remaining(task, sample.block) for task in tasks if task.attack.name == attack.name]
        wanted: Tensor = torch.cat(rows).unique()
        return wanted

    def _handed_on(self, task: Task, clean: Tensor, images: Tensor) -> Tensor:
        """Returns adversarial images as the defended network gets them; the clean ones stay as they are."""
        if self.spec.pixels == "float" or task.attack.name == CLEAN:
            return images
        return in_grey_levels(self.spec.threat_model, clean, images)

    def _remaining(self, task: Task, block: Block) -> Tensor:
        """Returns the rows of a task: in a cascade those that each cell before it left."""
        left = torch.ones(len(block), dtype=torch.bool)
        for key in task.after:
            left &= self.journal.entries[unit_key(key, block)].left()
        return left.nonzero()[:, 0]

    def _judge(self, task: Task, sample: Sample, rows: Tensor, made: Made) -> None:
        """Asks a defended network for its labels of some rows, and records them; the other rows count as wrong."""
        at = rows.to(sample.images.device)
        clean = rows_of(sample.images, rows)
        within, outside = keep_within(self.spec.threat_model, clean, made.images)
        images = self._handed_on(task, clean, within)
        keys, labels = example_keys(task.place.seed, sample.index[at]), sample.labels[at]
        predict = functools.partial(self._predict, task, images, keys, sample.block)
        predicted, seconds = timed(predict)
        correct = torch.zeros(len(predicted), len(sample.block), dtype=torch.bool)
        correct[:, rows] = (predicted == labels).cpu()
        spared = torch.zeros(1, len(sample.block), dtype=torch.bool)
        spared[0, rows] = self._spared(task, images, keys, labels, (predicted != labels).all(0), sample.block).cpu()
        self.journal.add(
            Entry(
                key=unit_key(task.place.key, sample.block),
                n=len(sample.block),
                draws=len(predicted),
                correct=pack(correct),
                executions=task.judged.executions,
                passes=task.judged.passes,
                seconds=seconds,
                undefended_seconds=self._undefended_pace(sample) * len(rows) * len(predicted),
                unusable=int((predicted < 0).sum()),
                attack_passes=made.passes,
                projected=int(outside.sum()),
                said=made.said,
                tried=len(rows),
                random=self.subject.draws_anew(task.judged),
                once=self.subject.is_random(task.judged) and not self.subject.draws_anew(task.judged),
                spared=pack(spared) if spared.any() else "",
                partial=any(self.journal.entries[unit_key(key, sample.block)].failed for key in task.after),
            )
        )

    def _predict(self, task: Task, images: Tensor, keys: Tensor, block: Block) -> Tensor:
        """Returns the defended labels, draw by draw: int64, shape (draws, N).

        Of a defence that draws nothing there is a single draw, whatever the spec says.
        """
        draws = range(self.subject.draws(task.judged))
        return torch.stack([self._draw(task, images, keys, block, draw) for draw in draws])

    def _draw(self, task: Task, images: Tensor, keys: Tensor, block: Block, draw: int) -> Tensor:
        """Returns the defended labels of one draw, batch by batch: int64, shape (N,)."""
        labels = [keys.new_empty(0)]
        classify = functools.partial(_classify, task.judged, images, defence_keys(keys, draw))
        unkeyed = self.subject.is_unkeyed(task.judged)
        where = (task.place.seed, block.start, number_of("judging"), draw) if unkeyed else None
        labels += [found[:kept] for found, kept in batches(classify, len(images), self.batch_size, where)]
        return torch.cat(labels)

    def _spared(self, task: Task, images: Tensor, keys: Tensor, labels: Tensor, lost: Tensor, block: Block) -> Tensor:
        """Returns the images, of those that no draw got right, that one of more draws does: bool, shape (N,).

        They stay in a cascade, where else bad luck would take from a random defence what no attack does.
        """
        spared, judging = torch.zeros_like(lost), self.subject.draws(task.judged)
        for draw in range(judging, judging + self.more_draws(task)):
            left = (lost & ~spared).nonzero()[:, 0]
            spared[left] = self._draw(task, images[left], keys[left], block, draw) == labels[left]
        return spared

    def more_draws(self, task: Task) -> int:
        """Returns the number of draws beyond those that judge in which an example must be wrong to be given up.

        An attack that is told the draws that judge has broken what it breaks in these.
        """
        asked = self.spec.cascade and not task.attack.known and self.subject.draws_anew(task.judged)
        return max(0, ENOUGH - self.spec.draws) if asked else 0

    def _undefended_pace(self, sample: Sample) -> float:
        """Returns the seconds that the undefended network takes for an image, by the middle of three measurements."""
        if not self._pace:
            few = sample.images[: self.batch_size.rows]

            def classify() -> Tensor:
                return ask(self.subject.module, few)

            with torch.no_grad():
                classify()
                self._pace.append(statistics.median(timed(classify)[1] for _ in range(3)) / len(few))
        return self._pace[0]


def _is_made_with(other: Attack, attack: Attack) -> bool:
    """Returns True for an attack itself, and for another snapshot of the same path."""
    return other.name == attack.name if attack.path is None else other.path == attack.path


def _work(task: Task) -> tuple[str, str]:
    """Returns what an attack's examples are made for: the attack, and the defence if it knows of it."""
    return task.attack.name, task.place.defence if task.attack.adaptive else ""


def _classify(judged: Judged, images: Tensor, keys: Tensor, index: Tensor) -> Tensor:
    return judged.defended.classify(images[index], keys[index])[0]


def timed(call: Callable[[], Tensor]) -> tuple[Tensor, float]:
    """Returns what a call returns, and the seconds that it took, the device's own work included."""
    start = time.perf_counter()
    result = call()
    if result.is_cuda:
        torch.cuda.synchronize(result.device)
    return result, time.perf_counter() - start


@dataclass
class Standing:
    """The worst case of each defence so far, over the blocks whose cells are all there.

    Attributes:
        tasks: The cells of one network.
        examples: The number of examples.
    """

    tasks: Sequence[Task]
    examples: int = 0
    _right: dict[str, list[float]] = field(default_factory=dict)

    def add(self, block: Block, entries: Mapping[str, Entry]) -> None:
        """Takes a block's results in."""
        self.examples += len(block)
        cells: dict[tuple[str, int], list[Entry | None]] = {}
        for task in self.tasks:
            found = entries.get(unit_key(task.place.key, block))
            cells.setdefault((task.place.defence, task.place.seed), []).append(found)
        for (defence, _), given in cells.items():
            made = [entry for entry in given if entry is not None and not entry.failed]
            if made and None not in given:
                left = worst([each.shares() for each in made], [each.drawn() if each.random else None for each in made])
                self._right.setdefault(defence, []).append(float(left.mean()))

    def describe(self) -> str:
        """Returns what is known, in words."""
        means = {defence: 100 * statistics.fmean(right) for defence, right in self._right.items()}
        worst = ", ".join(f"{defence} {accuracy:.1f}" for defence, accuracy in means.items())
        return f"{self.examples:,} examples, worst case so far: {worst}"
