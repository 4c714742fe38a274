"""The accuracy that attackers leave to networks, against the forward passes that they take for an image.

    python eval/benchmarks/verdict.py [--dataset cifar10] [--model NAME ...] [--defence crop-pad] [--limit 300]

On the same images: the attacks of an audit at each effort, AutoAttack's official code, and torchattacks' APGD-T with
nine targets and a hundred steps; with a defence before the network the audit's attacks alone. A backward pass counts
as one. `--record FILE.csv` adds the outcomes to a file; the site draws those of eval/results/verdict.csv.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from timing import conditions

from counteract.attacks import CLEAN
from counteract.auditing.spec import of_a_bare_network, stages
from counteract.defences import UNDEFENDED
from counteract.evaluation import EvaluationSpec, RunOptions, evaluate_spec, make_spec, read_spec, with_models

MODELS = ["cifar10-resnet18w16-iat", "cifar10-resnet18w16-mixup", "cifar10-resnet50-pang-iat"]
"""The networks: those that ship."""

OTHERS = {"AutoAttack": "autoattack", "torchattacks, APGDT": "torchattacks:APGDT(steps=100)"}

DRAWS = 5
"""The fresh draws that judge each example through a defence, as in an audit; what is left is their mean."""


@dataclass(frozen=True)
class Outcome:
    """One attacker's outcome on one network.

    Attributes:
        dataset: The dataset.
        eps: The bound in Linf.
        network: The network.
        defence: The defence before it.
        attacker: The attacker.
        images: The number of images.
        left: The accuracy that is left, in percent.
        passes: The passes for an image.
        conditions: The device, and the version of torch.
    """

    dataset: str
    eps: str
    network: str
    defence: str
    attacker: str
    images: int
    left: float
    passes: float
    conditions: str


def contestants(options: argparse.Namespace, model: str) -> Iterator[tuple[str, EvaluationSpec]]:
    """Returns the spec of each attacker."""
    data = with_models(read_spec("table5"), [model]) | {"dataset": options.dataset, "limit": options.limit, "seeds": 1}
    data |= {"threat_model": {"norm": "Linf", "eps": options.eps}}
    bare = options.defence == UNDEFENDED
    data |= {"title": "", "defences": [options.defence], "cascade": True, "draws": 1 if bare else DRAWS, "settings": []}
    for preset in options.preset:
        spec = make_spec(data | {"preset": preset, "attacks": [CLEAN]}, "options")
        steps = spec.preset.steps
        attacks = of_a_bare_network(steps) if bare else tuple(name for stage in stages(steps) for name in stage)
        yield f"an audit's, {preset}", spec.model_copy(update={"attacks": attacks})
    for name, attack in OTHERS.items() if bare else ():
        yield name, make_spec(data | {"attacks": [CLEAN, attack]}, "options")


def measure(options: argparse.Namespace) -> Iterator[Outcome]:
    """Runs each attacker on each network."""
    for model in options.model:
        for name, spec in contestants(options, model):
            place = [each.replace("/", "-") for each in (model, options.defence)]
            folder = options.out and options.out.joinpath(*place, name.replace(" ", "-"))
            run = evaluate_spec(spec, RunOptions(options.device, folder=folder))
            (worst,) = run.worst_cases
            passes = sum(row.attack_passes or 0.0 for row in run.rows)
            yield Outcome(
                Path(options.dataset).stem, options.eps, Path(model).stem, options.defence, name, worst.n,
                round(worst.accuracy, 2), round(passes), conditions(""),
            )  # fmt: skip


def record(outcome: Outcome, path: Path) -> None:
    """Adds an outcome to a table, which may not be there yet."""
    new = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, [field.name for field in fields(Outcome)], lineterminator="\n")
        if new:
            table.writeheader()
        table.writerow(asdict(outcome))


def main() -> None:
    """Prints a line for each attacker on each network, and keeps them."""
    parser = argparse.ArgumentParser(description="the accuracy that attackers leave, against their passes")
    parser.add_argument("--dataset", default="cifar10")
    parser.add_argument("--model", action="append")
    parser.add_argument("--defence", default=UNDEFENDED)
    parser.add_argument("--preset", action="append")
    parser.add_argument("--eps", default="8/255")
    parser.add_argument("--limit", type=int, default=300)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, help="a folder where a run that was interrupted goes on")
    parser.add_argument("--record", type=Path)
    options = parser.parse_args()
    options.model, options.preset = options.model or MODELS, options.preset or ["quick", "standard"]
    print(conditions(f"{options.dataset}, {options.limit} images, {options.defence}, eps = {options.eps}"))
    print("| network | attacker | left | passes an image |\n|---|---|---|---|")
    for each in measure(options):
        print(f"| {each.network} | {each.attacker} | {each.left:.2f} | {each.passes:,.0f} |", flush=True)
        if options.record:
            record(each, options.record)


if __name__ == "__main__":
    main()
