"""The course of an audit: stage after stage of attacks, the tests of the attack, and the checklist."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain

import torch
from torch import Tensor

from counteract._batches import BatchSize
from counteract._errors import UserError
from counteract._network import ask, borrowed
from counteract._seeding import seeded
from counteract._strangers import among_strangers
from counteract.attacks import CLEAN, Attack, example_keys, find_attack
from counteract.attacks.own import CURES
from counteract.attacks.straight import inner_network
from counteract.attacks.surrogates import offers
from counteract.attacks.victim import has_gradients
from counteract.auditing.backward import FEW, Backward, look_through
from counteract.auditing.checklist import (
    Check,
    check_backward,
    check_indicators,
    check_planted,
    check_probes,
    check_run,
    check_transfer,
    no_probes,
)
from counteract.auditing.distilled import MOST, distil
from counteract.auditing.indicators import Indicators, indicate
from counteract.auditing.outcome import Audit
from counteract.auditing.planted import Planted, plant
from counteract.auditing.probes import Prober, Probes
from counteract.auditing.spec import AROUND, SECOND, THIRD, UNDER, audited, knows, of_a_bare_network, stages
from counteract.auditing.verdict import decide, settled
from counteract.datasets import Dataset
from counteract.defences import UNDEFENDED
from counteract.evaluation import EvaluationSpec, Inputs, Run, RunOptions, evaluate_spec, load_inputs
from counteract.evaluation.inputs import Network
from counteract.evaluation.journal import Journal
from counteract.evaluation.judged import Judged
from counteract.evaluation.options import checked
from counteract.evaluation.plan import check_names
from counteract.evaluation.processes import Processes
from counteract.evaluation.scores import Paired, paired
from counteract.evaluation.subject import Subject
from counteract.evaluation.worst_cases import survived
from counteract.whole import Through, WholeModule

_TESTED = (
    "transfer", "more steps", "larger eps", "large eps", "convergence", "zero gradients", "planted example",
    "unstable predictions", "silent success",
)  # fmt: skip
"""The checks of the tests of the attack."""

_NO_DEFENCE = "there is no defence that it could know of: it would be the same attack without"

_ONCE_MORE = "on this defence it would be {} once more"

_OF_SURROGATE = "; attacks took that of the surrogate"

_UNKNOWN = "; no network under it is known whose gradients could be tried in their place: name one with --surrogate"

_ASKED = 256
"""The images by whose answers networks are told apart, and which a surrogate learns first."""

_DISTILLED = "a network distilled from its answers"
"""The name of a surrogate that the audit has made."""


def audit_spec(spec: EvaluationSpec, options: RunOptions | None = None, *, inputs: Inputs | None = None) -> Audit:
    """Audits the last defence of a spec that `make_audit_spec` made.

    Args:
        spec: Everything that is measured.
        options: The place and the means of the run.
        inputs: Everything that the spec names, if it is loaded already.

    Raises:
        UserError: (a ValueError) a name in the spec is unknown, or what it names cannot be loaded or does not fit.
    """
    options = checked(options)
    check_names(spec, inputs)
    inputs = inputs or load_inputs(spec, options)
    with among_strangers(inputs.strangers()), inputs.held():
        return _audit(spec, options, inputs)


def _audit(spec: EvaluationSpec, options: RunOptions, inputs: Inputs) -> Audit:
    """Runs the attacks and the tests of the attack, as long as they can change the verdict."""
    auditor = _Auditor(spec, options, inputs)
    backward = auditor.look_back()
    useless = backward.misleads or backward.kind == "none"
    if (useless or auditor.patchy) and not auditor.led:
        auditor.find_surrogate(distilled=useless)
    cures = AROUND if auditor.borrowed else UNDER if backward.kind not in ("exact", "none") and auditor.known else ()
    *first, last = stages(spec.preset.steps)
    planned = [*first, *([cures] if cures else []), last]
    for number, stage in enumerate(planned):
        run = auditor.measure(stage)
        if (word := settled(run, auditor.defence)) is not None and auditor.flagged(run, backward):
            left = chain(*planned[number + 1 :])
            return auditor.finish(run, backward, None, (*left, "the tests of the attack"), word)
    tests = auditor.processes.gather(auditor.test(run))[0]  # of which all processes must think alike
    added = [name for name in auditor.cures(run, tests) if name not in cures]
    return auditor.finish(auditor.measure(added) if added else run, backward, tests, (), None)


@dataclass(frozen=True)
class _Tests:
    """The outcomes of the tests of the attack."""

    probes: Probes
    planted: Planted
    indicators: Indicators


class _Auditor:
    """One process's part of an audit."""

    def __init__(self, spec: EvaluationSpec, options: RunOptions, inputs: Inputs) -> None:
        self.options, self.defence = options, audited(spec)
        self.processes = Processes.join(options.device)
        self._begin(spec, inputs)
        self._journal = Journal(options.folder, self.processes.rank)
        self._done: tuple[str, ...] = ()

    def _begin(self, spec: EvaluationSpec, inputs: Inputs) -> None:
        """Takes up the subject of a spec."""
        (label,) = inputs.networks
        self.spec, self.inputs = spec, inputs
        self.subject = Subject(label, spec, inputs, self.processes.device)
        self.judged = self.subject.judged(spec.variant(self.defence), targeted=False)

    @property
    def led(self) -> bool:
        """True where a network with a gradient of use is known beside that which is audited."""
        other = self.defence != UNDEFENDED and self.subject.has_gradients
        return other or self.subject.surrogate is not None

    @property
    def known(self) -> bool:
        """True where another network is known whose gradient may stand in for the defence's, and does not already."""
        other = self.defence != UNDEFENDED or self.subject.surrogate is not None
        return other and not self.borrowed

    @property
    def borrowed(self) -> bool:
        """True where attacks take another network's gradient for the defence's, which has none."""
        return self.judged.attacked is not self.judged.straight and not self.judged.patched

    @property
    def patchy(self) -> bool:
        """True where the network has no gradient of use at some images."""
        slopes = self.subject.survey.slopes
        return bool(slopes.zero + slopes.broken)

    def find_surrogate(self, *, distilled: bool) -> None:
        """Finds a network whose gradients may stand in: one inside of that which is audited, or one distilled.

        Args:
            distilled: False where there is to be none if none is inside.
        """
        images = self.inputs.data.read(torch.arange(len(self.inputs.data))[:_ASKED]).to(self.subject.device)
        inner = inner_network(self.subject.module, lambda: ask(self.subject.module, images), images)
        if inner is not None:
            found = Network(f"the network at {inner[0]} inside of it", inner[1])
        elif distilled:
            found = Network(_DISTILLED, self._distil(images))
        else:
            return
        where = "" if distilled else " at some images"
        self.options.watcher.tell(f"its own gradients are of no use{where}: attacks take those of {found.name}")
        self._begin(self.spec.model_copy(update={"surrogate": found.name}), replace(self.inputs, surrogate=found))

    def _distil(self, images: Tensor) -> torch.nn.Module:
        """Trains a surrogate on the defence's answers; all processes take the first one's."""
        try:
            pool = self.inputs.pool()
        except UserError:
            pool = None  # then the images that are attacked must do
        if pool is not None and pool.image_shape == self.inputs.data.image_shape:
            images = torch.cat([images, pool.read(torch.arange(len(pool))[:MOST]).to(images)])
        classes = self.subject.survey.classes
        with borrowed(self.judged.defended):
            made = distil(self.judged.defended, images, self.spec.threat_model, classes)
        return self.processes.gather(made)[0]

    def look_back(self) -> Backward:
        """Compares the defence's gradients with its answers; all processes take the first one's findings."""
        few = torch.arange(len(self.inputs.data))[:FEW]
        device = self.subject.device
        images, labels = self.inputs.data.read(few).to(device), self.inputs.data.labels[few].to(device)
        found = look_through(self.judged.straight, images, labels, example_keys(0, few.to(device)))
        self.options.watcher.tell(f"{check_backward(found).name}: {check_backward(found).words}")
        return self.processes.gather(found)[0]

    def measure(self, attacks: Sequence[str]) -> Run:
        """Measures some more attacks, and tells what is known."""
        self._done = (*self._done, *attacks)
        spec = self.spec.model_copy(update={"attacks": self._done})
        run = evaluate_spec(spec, self.options, inputs=self.inputs, journal=self._journal, left_out=self._left_out())
        cases = ", ".join(f"{case.defence} {case.accuracy:.1f}%" for case in run.worst_cases)
        so_far = decide(run, self.defence, check_run(run, self.defence))
        self.options.watcher.tell(
            f"worst case after {len(self._done)} attacks, {attacks[-1]} the last: {cases}; so far: {so_far.word}"
        )
        return run

    def _left_out(self) -> dict[tuple[str, str], str]:
        """Returns the reasons why attacks are not made that would be others once more, by their names and defences."""
        found = {(name, self.defence): _ONCE_MORE.format(other) for name, other in self._repeated().items()}
        judged = self.subject.undefended
        plain = self.subject.surrogate is None and judged.attacked is judged.straight
        if not plain or self.subject.is_random(judged):
            return found
        made = {*of_a_bare_network(self.spec.preset.steps), *CURES}
        if self.defence != UNDEFENDED:
            made.add(THIRD)  # it goes on where an oblivious one ends, which must be no loss of the defence alone
        return found | {(name, UNDEFENDED): _NO_DEFENCE for name in self._done if name not in made}

    def _repeated(self) -> dict[str, str]:
        """Returns the attacks that on this defence would be another one once more, each with that one's name."""
        defended = self.judged.defended
        found = {} if offers(defended, "smooth") else {"smooth": SECOND}
        if self.subject.is_random(self.judged):
            return found
        found |= {"fixed": SECOND, "bpda-apgd-losses": "bpda-apgd-ce", "bpda-pgd-losses": "bpda-pgd"}
        cheaper = defended.executions > 1 or offers(defended, "with_fewer_steps", 1)
        return found if cheaper else found | {"cheap": SECOND}

    def flagged(self, run: Run, backward: Backward) -> bool:
        """Returns True where a flag is up already: until then the rest may raise one, whatever the worst case is."""
        return any(check.flag for check in (*check_run(run, self.defence), self._of_backward(backward)))

    def test(self, run: Run) -> _Tests | None:
        """Makes the tests of the strongest attack that has gradients; None where none has."""
        strongest = _strongest(run)
        if strongest is None:
            return None
        warn, shape = self.options.watcher.warn, self.subject.shape
        size = BatchSize(self.options.batch_size, self.subject.device, warn, shape)
        prober = Prober(self.subject, self.judged, self.inputs, self.spec, size, self.options.watcher)
        asked = self.judged.attacked
        if strongest.name in UNDER:
            asked = WholeModule(Through(asked, self.subject.attackable))
        planted = plant(prober, asked)
        self.options.watcher.tell(f"{check_planted(planted).name}: {check_planted(planted).words}")
        return _Tests(prober.probe(strongest), planted, indicate(prober))

    def cures(self, run: Run, tests: _Tests | None) -> list[str]:
        """Returns the attacks that may do where the tests show that others fail."""
        if tests is None:
            return []
        flags = {check.name for check in self._of_tests(run, tests) if check.flag}
        names = list(UNDER) if "zero gradients" in flags and self.known else []
        unstable = tests.indicators.often_unstable
        if unstable or check_planted(tests.planted).flag or flags & {"large eps", "larger eps"}:
            names += AROUND
        return [*names, *(["long"] if "convergence" in flags else [])]

    def finish(
        self, run: Run, backward: Backward, tests: _Tests | None, skipped: tuple[str, ...], word: str | None
    ) -> Audit:
        """Goes through the checklist; without the tests where a verdict, `word`, stands whatever they find."""
        if word is None:
            of_tests = self._of_tests(run, tests)
        else:
            of_tests = [Check(name, None, f"not made: {word}, whatever they find") for name in _TESTED]
            self.options.watcher.tell(f"{word}, whatever else is tried; left out: {', '.join(skipped)}")
        checks = (*check_run(run, self.defence), self._of_backward(backward), *of_tests)
        notes = _autoattack(self.subject, self.judged, self.inputs.data) if word is None else []
        probes = None if tests is None else tests.probes
        return Audit(self.defence, run, decide(run, self.defence, checks), probes, checks, tuple(notes), skipped)

    def _of_tests(self, run: Run, tests: _Tests | None) -> list[Check]:
        """Returns the checks of the tests of the attack."""
        if tests is None:
            return no_probes(_why_not(run))
        clean = next((row.accuracy for row in run.rows if row.defence == self.defence and row.attack == CLEAN), None)
        hint = self._unknown
        long, around = self._gained(run, "long"), self._gained(run, "around")
        worst = survived([cell for cell in run.measured if cell.defence == self.defence])[0]
        return [
            check_transfer(tests.probes, run, self.defence),
            *check_probes(tests.probes, self.inputs.data.num_classes, clean, long, hint),
            check_planted(tests.planted),
            *check_indicators(tests.indicators, worst, around),
        ]

    def _gained(self, run: Run, attack: str) -> Paired | None:
        """Returns the change of the worst case by one attack after those before it, or None where it did not run."""
        cells = [cell for cell in run.measured if cell.defence == self.defence]
        names = [cell.attack for cell in cells]
        if attack not in names:
            return None
        place = names.index(attack)
        return paired(survived(cells[: place + 1]), survived(cells[:place]))

    def _of_backward(self, backward: Backward) -> Check:
        """Returns the check of the backward pass."""
        return check_backward(backward, self._cure(backward), distilled=self.spec.surrogate == _DISTILLED)

    def _cure(self, backward: Backward) -> str:
        """Returns a clause about what was done about a backward pass that is not that of the answers."""
        if self.borrowed:
            return "; attacks took that of the network under it" if self.subject.surrogate is None else _OF_SURROGATE
        if backward.kind in ("exact", "none"):
            return ""
        tried = "; attacks with gradients of the network under it were tried, too (under-cw, under-t, under-ce)"
        return (tried if UNDER[0] in self._done else "") if self.known else self._unknown

    @property
    def _unknown(self) -> str:
        """A clause where no network is known whose gradient may stand in."""
        return _UNKNOWN if self.defence == UNDEFENDED and self.subject.surrogate is None else ""


def _strongest(run: Run) -> Attack | None:
    """Returns the attack with gradients through the defence, or with those under it where these find more.

    One that knows the judging draws would be no fair measure. Where none could run there is none.
    """
    left = {row.attack: row.accuracy for row in run.rows if row.defence == audited(run.spec)}
    fair = [attack for attack in map(find_attack, left) if knows(attack.name) and not attack.known]
    preferred = [attack for attack in fair if attack.name in (SECOND, *UNDER)] or fair
    return min(preferred, key=lambda attack: left[attack.name], default=None)


def _why_not(run: Run) -> str:
    """Returns the reasons why no attack with gradients through the defence could run, in words."""
    of_defence = {name: why for (_, name, defence), why in run.obstacles.items() if defence == audited(run.spec)}
    reasons = [why for name, why in of_defence.items() if knows(name)]
    return "; ".join(dict.fromkeys(reasons))


def _autoattack(subject: Subject, judged: Judged, data: Dataset) -> list[str]:
    """Returns what AutoAttack says before it begins."""
    try:
        from counteract.robustbench.autoattack import warnings_about
    except ImportError:
        return ["AutoAttack's own checks were not run: they come with the extra `robustbench`"]
    few = torch.arange(len(data))[:16]
    images, labels = data.read(few).to(subject.device), data.labels[few].to(subject.device)
    with seeded(0):
        if not has_gradients(judged.defended, images):
            return ["AutoAttack's own checks were not run: they need gradients"]
        found = warnings_about(judged.defended, images, labels)
    return [f"AutoAttack warns: {text}" for text in found]
