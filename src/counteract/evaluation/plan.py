"""From a spec to the list of its cells, each with a hash of everything that its result depends on."""

from __future__ import annotations

from dataclasses import dataclass

from counteract.evaluation.attacks import Attack, parse_attack
from counteract.evaluation.defences import parse_defence
from counteract.evaluation.fingerprint import data_fingerprint, fingerprint, network_fingerprint
from counteract.evaluation.inputs import Inputs
from counteract.evaluation.parameters import DefenceParameters
from counteract.evaluation.record import Place
from counteract.evaluation.spec import EvaluationSpec


@dataclass(frozen=True)
class Task:
    """One cell of a table with one seed.

    Attributes:
        place: Where the result belongs.
        attack: The attack.
        defence: The defence's name.
        parameters: The parameters of its parts.
        mixed: A hash of the images that mixup inference mixes with, if it is among them.
        after: The keys of the cells that come before it in a cascade: examples that one of them left right in no draw
            are done.
    """

    place: Place
    attack: Attack
    defence: str
    parameters: DefenceParameters
    mixed: str = ""
    after: tuple[str, ...] = ()


def check_names(spec: EvaluationSpec) -> None:
    """Makes sure that a spec's attacks and defences are known.

    Raises:
        UserError: (a ValueError) one is not.
    """
    for name in spec.defences:
        parse_defence(name)
    for name in spec.attacks:
        parse_attack(name)


def plan(spec: EvaluationSpec, inputs: Inputs) -> list[Task]:
    """Every cell of a spec's tables with every seed, in the order in which they are measured."""
    images = data_fingerprint(inputs.data)
    identities = {label: network_fingerprint(network) for label, network in inputs.networks.items()}
    mixing = [name for name in spec.defences if "mixup-inference" in parse_defence(name)]
    mixed = {name: data_fingerprint(inputs.pool()) for name in mixing}
    fast = [spec.precision, spec.error] if spec.precision != "float32" or spec.error else []
    tasks = []
    for label, identity in identities.items():
        for seed in range(spec.seeds):
            before: dict[str, tuple[str, ...]] = {}
            for attack in map(parse_attack, spec.attacks):
                for variant in spec.variants():
                    parameters = spec.parameters_for(label, targeted=attack.targeted, variant=variant)
                    pooled = mixed.get(variant.defence, "")
                    subject = (identity, images, pooled)
                    more = ([spec.budget] if attack.recipe else []) + ([spec.draws] if spec.draws > 1 else []) + fast
                    after = before.get(variant.name, ())
                    what = (*subject, seed, attack.name, spec.attack, variant.defence, parameters)
                    key = fingerprint(*what, *more, *after)
                    place = Place(label, attack.name, variant.name, seed, key)
                    tasks.append(Task(place, attack, variant.defence, parameters, pooled, after))
                    if spec.cascade:
                        before[variant.name] = (*after, key)
    return tasks
