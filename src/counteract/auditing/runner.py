"""An audit: every attack on one network with one defence, the probes, and the checklist."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from counteract._batches import BatchSize
from counteract._errors import UserError
from counteract._files import write_atomically
from counteract._sealed import seal
from counteract._seeding import seeded
from counteract._strangers import among_strangers
from counteract.attacks import ATTACKS as SUITE
from counteract.attacks import CLEAN, Attack, find_attack
from counteract.attacks.norms import CLIMBED, climbs_in
from counteract.attacks.victim import has_gradients
from counteract.auditing.checklist import Check, check_probes, check_run, no_probes
from counteract.auditing.probes import Prober, Probes
from counteract.datasets import Dataset
from counteract.defences import UNDEFENDED
from counteract.evaluation import EvaluationSpec, Inputs, Run, RunOptions, evaluate_spec, load_inputs, make_spec
from counteract.evaluation.plan import check_names
from counteract.evaluation.processes import Processes
from counteract.evaluation.subject import Judged, Subject

ATTACKS = (CLEAN, "pgd50", "pgd50-targeted", *(name for name in SUITE if name != CLEAN))
"""Every kind of attack there is."""

DEFAULTS = {"preset": "quick", "limit": 100, "seeds": 2, "draws": 5}
"""The fields of an audit's spec where nobody gives others: a first look."""


@dataclass(frozen=True)
class Audit:
    """The findings of an audit.

    Attributes:
        defence: The defence that was audited.
        run: The accuracies, of the defence and of the undefended network.
        probes: The strongest attack that has gradients, with other steps and bounds; None where none could run.
        checks: The checklist.
        notes: AutoAttack's own warnings, which say what its standard version may not be trusted with. They are no
            flags: the suite averages over draws and differentiates through the defence, which is what they ask for.
    """

    defence: str
    run: Run
    probes: Probes | None
    checks: tuple[Check, ...]
    notes: tuple[str, ...]

    @property
    def sound(self) -> bool:
        """True where no flag is up."""
        return not any(check.flag for check in self.checks)


def make_audit_spec(data: Mapping[str, Any], defence: str, source: str = "options") -> EvaluationSpec:
    """Returns the spec of an audit: every attack on the undefended network and on the defended one.

    Args:
        data: A spec; its attacks and defences, a sweep and a cascade do not count.
        defence: The defence.
        source: The place of the data, for errors.

    Raises:
        UserError: (a ValueError) a key is missing, unknown or has an invalid value, there are several networks, or no
            attack climbs in the norm.
    """
    defences = list(dict.fromkeys([UNDEFENDED, defence]))
    fixed = {"attacks": ATTACKS, "defences": defences, "cascade": False, "sweep": None}
    made = make_spec({**data, **fixed}, source)
    if len(made.models) > 1:
        raise UserError(f"an audit is about one model, found {', '.join(made.models)}: name one")
    if made.threat_model.norm not in CLIMBED:
        raise UserError(f"an audit in {made.threat_model.norm} is not to be had: {climbs_in(CLIMBED)}")
    return made


def audit_spec(spec: EvaluationSpec, options: RunOptions | None = None, *, inputs: Inputs | None = None) -> Audit:
    """Audits the last defence of a spec that `make_audit_spec` made.

    Args:
        spec: Everything that is measured.
        options: The place and the means of the run.
        inputs: Everything that the spec names, if it is loaded already.

    Raises:
        UserError: (a ValueError) a name in the spec is unknown, or what it names cannot be loaded or does not fit.
    """
    options = options or RunOptions()
    check_names(spec, inputs)
    inputs = inputs or load_inputs(spec, options)
    with among_strangers(inputs.strangers()):
        return _audit(spec, options, inputs)


def write_audit(found: Audit, path: Path) -> None:
    """Writes an audit as JSON with a checksum, atomically.

    Raises:
        UserError: (a ValueError) it cannot be written.
    """
    content = {
        "sound": found.sound,
        "defence": found.defence,
        "checks": [asdict(check) for check in found.checks],
        "notes": list(found.notes),
        "summaries": [asdict(summary) for summary in found.run.summaries],
        "rows": [asdict(row) for row in found.run.rows],
        "environment": found.run.environment,
        "spec": found.run.spec.model_dump(mode="json"),
    }
    write_atomically(path, seal(content, indent=1))


def _last(spec: EvaluationSpec) -> str:
    """Returns the label of the defence that is audited."""
    return list(spec.defences)[-1]


def _audit(spec: EvaluationSpec, options: RunOptions, inputs: Inputs) -> Audit:
    """Runs the attacks and the probes, and goes through the checklist."""
    run = evaluate_spec(spec, options, inputs=inputs)
    _tell_worst_cases(run, options)
    (label,) = inputs.networks
    device = Processes.join(options.device).device
    subject, defence = Subject(label, spec, inputs, device), _last(spec)
    judged = subject.judged(spec.variant(defence), targeted=False)
    size = BatchSize(options.batch_size, device, options.watcher.warn)
    strongest, probes = _strongest(run), None
    if strongest is not None:
        probes = Prober(subject, judged, inputs.data, spec, size, options.watcher).probe(strongest)
    checks = check_probes(probes, inputs.data.num_classes) if probes else no_probes(_why_not(run))
    notes = _autoattack(subject, judged, inputs.data)
    return Audit(defence, run, probes, (*check_run(run, defence), *checks), tuple(notes))


def _tell_worst_cases(run: Run, options: RunOptions) -> None:
    """Tells what is known before the probes begin."""
    cases = ", ".join(f"{case.defence} {case.accuracy:.1f}%" for case in run.worst_cases)
    options.watcher.tell(f"worst case under every attack: {cases}")


def _strongest(run: Run) -> Attack | None:
    """Returns the attack with gradients through the defence that left the least.

    One that knows the judging draws would be no fair measure. Where none could run there is none.
    """
    left = {row.attack: row.accuracy for row in run.rows if row.defence == _last(run.spec)}
    fair = [attack for attack in map(find_attack, left) if attack.adaptive and attack.gradients and not attack.known]
    return min(fair, key=lambda attack: left[attack.name], default=None)


def _why_not(run: Run) -> str:
    """Returns the reasons why no attack with gradients through the defence could run, in words."""
    of_defence = {name: why for (_, name, defence), why in run.obstacles.items() if defence == _last(run.spec)}
    reasons = [why for name, why in of_defence.items() if find_attack(name).adaptive and find_attack(name).gradients]
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
