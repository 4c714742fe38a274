"""Runs a spec: block by block, the adversarial examples of each network, and every defence's answers to them."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import nullcontext

from counteract._batches import BatchSize
from counteract._files import sole_writer
from counteract._strangers import among_strangers
from counteract.evaluation.blocks import Block
from counteract.evaluation.cache import ExampleCache
from counteract.evaluation.crafting import Crafter
from counteract.evaluation.environment import describe_environment
from counteract.evaluation.examples import Examples
from counteract.evaluation.folder import Conditions, collect, write_conditions, write_illustrations
from counteract.evaluation.forecast import forecast, storage
from counteract.evaluation.illustrate import illustrate
from counteract.evaluation.inputs import Inputs, load_inputs
from counteract.evaluation.journal import Journal
from counteract.evaluation.options import RunOptions, checked
from counteract.evaluation.plan import ENOUGH, Plan, check_names, make_plan
from counteract.evaluation.probe import ProbeStore
from counteract.evaluation.processes import Processes
from counteract.evaluation.results import Illustrations, Run
from counteract.evaluation.spec import EvaluationSpec
from counteract.evaluation.subject import Subject
from counteract.evaluation.worker import Standing, Worker

_SECONDS = 10.0
"""The least time between two lines about what is known so far."""


def evaluate_spec(
    spec: EvaluationSpec,
    options: RunOptions | None = None,
    *,
    inputs: Inputs | None = None,
    journal: Journal | None = None,
    left_out: Mapping[tuple[str, str], str] | None = None,
) -> Run:
    """Measures the accuracy of every defence against every attack, for every network of a spec.

    Oblivious attacks are made on the undefended network, adaptive ones through the defence. Accuracy is against the
    true label over all images, and the mean over the spec's draws of the defence, none of which the attacker has seen;
    only the attack `fixed` is told them.
    Started by torchrun or Fabric's launcher, processes share the blocks among them and all return the whole run.

    Args:
        spec: Everything that is measured.
        options: The place and the means of the run; the results do not depend on them.
        inputs: What the spec names, if it is loaded already.
        journal: That of an evaluation of part of the spec in this process, whose results are taken over.
        left_out: The reasons why some attacks are not made on some defences, by the names of both.

    Raises:
        UserError: (a ValueError) a name in the spec is unknown, or what it names cannot be loaded or does not fit; or
            another process writes to the same folder.
    """
    check_names(spec, inputs)
    options = checked(options)
    processes = Processes.join(options.device)
    with sole_writer(options.folder) if options.folder and processes.rank == 0 else nullcontext():
        inputs = inputs or load_inputs(spec, options)
        with among_strangers(inputs.strangers()), inputs.held():
            subjects = [Subject(label, spec, inputs, processes.device) for label in inputs.networks]
            return _Evaluation(spec, options, processes, inputs, subjects, journal, left_out).run()


class _Evaluation:
    """One process's part of an evaluation."""

    def __init__(
        self,
        spec: EvaluationSpec,
        options: RunOptions,
        processes: Processes,
        inputs: Inputs,
        subjects: Sequence[Subject],
        journal: Journal | None,
        left_out: Mapping[tuple[str, str], str] | None,
    ) -> None:
        self.spec, self.options, self.processes, self.left_out = spec, options, processes, left_out
        self.inputs, self.subjects = inputs, subjects
        warn = options.watcher.warn
        self.size = BatchSize(options.batch_size, processes.device, warn, inputs.data.image_shape)
        self.cache = ExampleCache(options.cache, warn)
        self.cache_probes = ProbeStore(options.cache and options.cache / "probes", warn)
        self.journal = journal or Journal(options.folder, processes.rank)
        self.illustrations: dict[str, Illustrations] = {}

    def run(self) -> Run:
        """Measures what the journal lacks."""
        blocks, plan = self._begin()
        for subject in self.subjects:
            self._measure(subject, blocks, plan)
        for entries in self.processes.gather(self.journal.added):
            self.journal.learn(entries)
        return collect(self._conditions(plan, blocks), self.journal.entries, self.journal.damaged, self.illustrations)

    def _begin(self) -> tuple[list[Block], Plan]:
        """Makes the plan and opens the journal; the first process does so for all: answers are rounded."""
        options, blocks = self.options, self.inputs.blocks
        probes = ProbeStore(options.folder and options.folder / "probes", options.watcher.warn)
        plan = make_plan(self.spec, self.subjects, probes, self.left_out)
        places = self.processes.gather([task.place for task in plan.tasks])[0]
        plan = plan.at(places)
        if self.processes.rank == 0:
            self.journal.open()
            if self.journal.damaged:
                options.watcher.warn(
                    f"{self.journal.damaged} damaged lines of the journal in {options.folder} are not believed: "
                    "their blocks are measured again"
                )
            if options.folder is not None:
                write_conditions(self._conditions(plan, blocks), options.folder)
        known = list(self.journal.entries.values()) if self.processes.rank == 0 else []
        self.journal.learn(self.processes.gather(known)[0])
        return blocks, plan

    def _measure(self, subject: Subject, blocks: Sequence[Block], plan: Plan) -> None:
        """Measures the cells of one network, those of a block after those of another."""
        spec, watcher = self.spec, self.options.watcher
        tasks = [task for task in plan.tasks if task.place.model == subject.label]
        crafter = Crafter(subject, spec, self.cache, self.cache_probes, self.size)
        kept = Examples(self.options.save_examples, spec)
        worker = Worker(subject, spec, self.inputs.data, tasks, crafter, self.journal, self.size, watcher, kept)
        if spec.illustrations and blocks and self.processes.rank == 0:
            self.illustrations[subject.label] = illustrate(spec, subject, crafter, self.inputs.data, blocks[0])
            if self.options.folder:
                write_illustrations(self.illustrations, self.options.folder)
        units, standing, told, before = self._announce(worker, blocks), Standing(tasks), -math.inf, 0
        for place, after in self.processes.take(subject.label, len(blocks)):
            watcher.advance(sum(units[before:place]))  # what others took meanwhile
            worker.run(blocks[place], None if after is None else blocks[after])
            before = place + 1
            standing.add(blocks[place], self.journal.entries)
            if after is not None and time.monotonic() - told > _SECONDS:
                told = time.monotonic()
                watcher.tell(f"{subject.label}, {standing.describe()}")
        watcher.advance(sum(units[before:]))

    def _announce(self, worker: Worker, blocks: Sequence[Block]) -> list[int]:
        """Says what a network's cells take, and returns how many units of it each block has, whoever takes it."""
        left, label = worker.left(blocks), worker.subject.label
        if left:
            cells = [(task, block, worker.subject.draws(task.judged)) for task, block in left]
            said = [forecast(label, cells, max(worker.more_draws(task) and ENOUGH for task, _ in left))]
            if self.cache.folder is not None:
                said.append(storage(label, cells, math.prod(self.inputs.data.image_shape), self.cache.folder))
            for line in filter(None, said):
                self.options.watcher.tell(line)
            self.options.watcher.begin(label, sum(len(block) for _, block in left))
        counted = Counter(block for _, block in left)
        return [len(block) * counted[block] for block in blocks]

    def _conditions(self, plan: Plan, blocks: Sequence[Block]) -> Conditions:
        environment = describe_environment(self.processes.device) | {"processes": self.processes.count}
        return Conditions.of(self.spec, environment, self.inputs.data.class_names, self.subjects, plan, blocks)
