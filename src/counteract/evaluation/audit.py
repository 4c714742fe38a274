"""An audit: the whole suite on one network with one defence, and the checklist."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from counteract._errors import UserError
from counteract._files import write_atomically
from counteract._precision import in_precision
from counteract.attacks import RECIPES
from counteract.datasets import Dataset
from counteract.defended import DefendedModule
from counteract.evaluation.attacks import NONE, parse_attack
from counteract.evaluation.batches import BatchSize
from counteract.evaluation.checklist import Check, check_probes, check_run
from counteract.evaluation.defences import NONE as UNDEFENDED
from counteract.evaluation.defences import Ingredients, build_defence
from counteract.evaluation.inputs import load_inputs
from counteract.evaluation.means import Means
from counteract.evaluation.probes import Prober, Probes
from counteract.evaluation.record import Run
from counteract.evaluation.runner import evaluate
from counteract.evaluation.spec import EvaluationSpec, Variant, make_spec
from counteract.evaluation.subject import ready

ATTACKS = (NONE, "pgd50", "pgd50-targeted", *RECIPES)
"""Every kind of attack there is."""


@dataclass(frozen=True)
class Audit:
    """What an audit found.

    Attributes:
        defence: The defence that was audited.
        run: The accuracies, of the defence and of the undefended network.
        probes: The strongest attack that has gradients, with other steps and bounds.
        checks: The checklist.
        notes: AutoAttack's own warnings, which say what its standard version may not be trusted with. They are no
            flags: the suite averages over draws and differentiates through the defence, which is what they ask for.
    """

    defence: str
    run: Run
    probes: Probes
    checks: tuple[Check, ...]
    notes: tuple[str, ...]

    @property
    def sound(self) -> bool:
        """Whether no flag is up."""
        return not any(check.flag for check in self.checks)


def audit_spec(data: dict[str, Any], defence: str) -> EvaluationSpec:
    """What an audit measures: the suite on the undefended network and on the defended one.

    Args:
        data: A spec; its attacks, its defences and its order of attacks do not count.
        defence: The defence.
    """
    defences = list(dict.fromkeys([UNDEFENDED, defence]))
    made = make_spec(data | {"attacks": ATTACKS, "defences": defences, "cascade": False}, "options")
    if len(made.models) > 1:
        raise UserError(f"an audit is about one model, found {', '.join(made.models)}: name one")
    return made


def audit(spec: EvaluationSpec, means: Means | None = None) -> Audit:
    """Audits the last defence of a spec that `audit_spec` made, by the means that `evaluate` would have.

    Raises:
        UserError: (a ValueError) a name in the spec is unknown, or what it names cannot be loaded or does not fit.
    """
    means = means or Means()
    inputs = load_inputs(spec, means)
    run = evaluate(spec, means, inputs=inputs)
    ((label, network),) = inputs.networks.items()
    network, data = ready(network, means.device), inputs.data.to(means.device)
    defence = spec.defences[-1]
    parameters = spec.parameters_for(label, targeted=False, variant=Variant(name=defence, defence=defence))
    defended, attacked = (
        build_defence(defence, Ingredients(in_precision(network, precision), parameters, inputs.pool))
        for precision in (spec.precision, spec.budget.precision)
    )
    size = BatchSize(means.batch_size, means.device, means.watcher.warn)
    means.watcher.begin("probes", 5)
    prober = Prober(network, defended, attacked, data, spec, size, means.watcher.advance)
    probes = prober.probe(_strongest(run))
    checks = (*check_run(run, defence), *check_probes(probes, data.num_classes))
    return Audit(defence, run, probes, checks, tuple(_autoattack(defended, data)))


def write_audit(found: Audit, path: Path) -> None:
    """Writes an audit as JSON, atomically.

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
        "spec": found.run.spec.model_dump(mode="json", by_alias=True),
    }
    write_atomically(path, (json.dumps(content, indent=1) + "\n").encode())


def _strongest(run: Run) -> str:
    """The attack with gradients through the defence that left the least; knowing the draws would be no fair measure."""
    rows = {row.attack: row.accuracy for row in run.rows if row.defence == run.spec.defences[-1]}
    recipes = {name: parse_attack(name).recipe for name in rows}
    fair = [name for name, recipe in recipes.items() if recipe and recipe.adaptive and recipe.gradients]
    return min((name for name in fair if not RECIPES[name].known), key=rows.__getitem__)


def _autoattack(defended: DefendedModule, data: Dataset) -> list[str]:
    """What AutoAttack says before it begins."""
    try:
        from counteract.models.autoattack import warnings_about
    except ImportError:
        return ["AutoAttack's own checks were not run: they come with the extra `robustbench`"]
    few = data.take(16)
    return [f"AutoAttack warns: {text}" for text in warnings_about(defended, few.images, few.labels)]
