"""The accuracy that attackers leave to networks, against the forward passes that they take for an image.

    python eval/benchmarks/verdict.py [--dataset cifar10] [--model NAME ...] [--defence crop-pad] [--limit 300]

On the same images: the attacks of an audit at each effort, AutoAttack's official code, and torchattacks' APGD-T with
nine targets and a hundred steps; with a defence before the network the audit's attacks alone. A backward pass counts
as one. `--plot FILE.svg` draws it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from timing import conditions

from counteract.attacks import CLEAN
from counteract.auditing.runner import of_a_bare_network, stages
from counteract.defences import UNDEFENDED
from counteract.evaluation import EvaluationSpec, RunOptions, evaluate_spec, make_spec, read_spec, with_models

MODELS = ["cifar10-resnet18w16-iat", "cifar10-resnet18w16-mixup", "cifar10-resnet50-pang-iat"]
"""The networks: those that ship."""

OTHERS = {"AutoAttack": "autoattack", "torchattacks, APGDT": "torchattacks:APGDT(steps=100)"}

DRAWS = 5
"""The fresh draws that judge each example through a defence, as in an audit: it holds if it holds in all of them."""


@dataclass(frozen=True)
class Outcome:
    """One attacker's outcome on one network.

    Attributes:
        model: The network.
        name: The attacker.
        left: The accuracy that is left, in percent.
        passes: The passes for an image.
    """

    model: str
    name: str
    left: float
    passes: float


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
            run = evaluate_spec(spec, RunOptions(folder=folder, cache=None))
            (worst,) = run.worst_cases
            passes = sum(row.attack_passes or 0.0 for row in run.rows)
            yield Outcome(model, name, worst.accuracy, passes)


def draw(outcomes: list[Outcome], path: Path) -> None:
    """Plots what is left against the passes, a colour for each network and a mark for each attacker."""
    from matplotlib import pyplot

    names = list(dict.fromkeys(each.name for each in outcomes))
    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    for number, model in enumerate(dict.fromkeys(each.model for each in outcomes)):
        for each in (each for each in outcomes if each.model == model):
            mark = "os^Dv*"[names.index(each.name)]
            axes.plot(each.passes, each.left, mark, color=f"C{number}", label=f"{model}: {each.name}")
    axes.set(xscale="log", xlabel="passes an image", ylabel="accuracy that is left, %")
    axes.legend(fontsize=7)
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Prints a line for each attacker on each network, and plots them."""
    parser = argparse.ArgumentParser(description="the accuracy that attackers leave, against their passes")
    parser.add_argument("--dataset", default="cifar10")
    parser.add_argument("--model", action="append")
    parser.add_argument("--defence", default=UNDEFENDED)
    parser.add_argument("--preset", action="append")
    parser.add_argument("--eps", default="8/255")
    parser.add_argument("--limit", type=int, default=300)
    parser.add_argument("--out", type=Path, help="a folder where a run that was interrupted goes on")
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    options.model, options.preset = options.model or MODELS, options.preset or ["quick", "standard"]
    print(conditions(f"{options.dataset}, {options.limit} images, {options.defence}, eps = {options.eps}"))
    print("| network | attacker | left | passes an image |\n|---|---|---|---|")
    found = []
    for each in measure(options):
        found.append(each)
        print(f"| {each.model} | {each.name} | {each.left:.2f} | {each.passes:,.0f} |", flush=True)
    if options.plot:
        draw(found, options.plot)


if __name__ == "__main__":
    main()
