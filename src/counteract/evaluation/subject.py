"""Subjects: the networks under evaluation, and the same with each defence, as they are attacked and judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from counteract._errors import UserError
from counteract._network import ask, borrowed, device_of, dtype_of, folded
from counteract._precision import Precision, in_precision
from counteract._seeding import draws_unkeyed, seeded
from counteract._values import Strict
from counteract.attacks.victim import has_gradients, randomness, survey_networks
from counteract.defences import (
    DEFENCES,
    CounteractionParameters,
    Ingredients,
    Shape,
    build_defence,
    describe_parameters,
    forward_passes,
    parse_defence,
)
from counteract.defended import DefendedModule
from counteract.evaluation.identity import Probe, ProbeStore, fingerprint, network_key, object_key
from counteract.evaluation.inputs import Inputs, check_card
from counteract.evaluation.probe import probe_images, take_probe
from counteract.evaluation.results import NetworkNote
from counteract.evaluation.spec import EvaluationSpec, Variant
from counteract.models.survey import survey
from counteract.preprocessors import RandomPreprocessor
from counteract.preprocessors.first_order import FirstOrderPreprocessor
from counteract.whole import Defended, WholeModule, whole_module

_FEW = 8
"""Images of the data that a network is asked about."""

_IN_HAND = "an object of the caller's own"
"""The words for the parameters of a defence in hand."""


@dataclass(frozen=True)
class Judged:
    """A network with a defence.

    Attributes:
        name: The defence, as the tables name it.
        defended: The network with the defence, as it is judged.
        attacked: The same in the precision in which it is attacked.
        key: A hash of everything that can be read about it.
        in_hand: True for a defence that a caller passed in, which nothing but its code and its answers tells apart.
        words: The defence's parameters, for reports.
        shape: The shape of an image.
        device: The device that it is on.
    """

    name: str
    defended: Defended
    attacked: Defended
    key: str
    in_hand: bool
    words: str
    shape: Shape
    device: torch.device

    @cached_property
    def executions(self) -> int:
        """The number of executions that one answer averages."""
        return self.defended.executions

    @cached_property
    def passes(self) -> int:
        """The cost of one defended prediction in forward passes."""
        return forward_passes(self.defended)

    @cached_property
    def random(self) -> tuple[bool, bool]:
        """Two answers: True where its answers depend on its keys; True where those parts do that run once per input."""
        return randomness(self.attacked, self._images)

    @cached_property
    def unkeyed(self) -> bool:
        """True where a defence in hand draws from global generators."""
        keys = torch.arange(len(self._images), device=self.device)
        return self.in_hand and draws_unkeyed(lambda x: self.defended(x, keys), self._images)

    def describe(self) -> str:
        """Returns the defence's parameters and what else reports must say of it."""
        return f"{self.words}; its draws follow the block" if self.unkeyed else self.words

    @cached_property
    def gradients(self) -> bool:
        """True where its answers have a gradient that is of use; our own defences have one where the network has."""
        if not isinstance(self.defended, WholeModule):
            return True
        keys = torch.arange(len(self._images), device=self.device)
        with borrowed(self.defended), seeded(0):
            return has_gradients(lambda x: self.defended(x, keys), self._images)

    def identity(self, store: ProbeStore) -> str:
        """Returns the hash by which its results are found; a defence in hand is asked for its answers."""
        return store.settle(self.key, self._probe, f"defence {self.name}") if self.in_hand else self.key

    @cached_property
    def _probe(self) -> Probe:
        keys = torch.arange(len(self._images), device=self.device)
        with borrowed(self.defended):
            return take_probe(lambda x: self.defended(x, keys), self._images)

    @cached_property
    def _images(self) -> Tensor:
        return probe_images(self.shape).to(self.device)


class Subject:
    """A network under evaluation.

    Args:
        label: Its label in the spec.
        spec: The spec.
        inputs: Everything that the spec names.
        device: The device of this process.

    Raises:
        UserError: (a ValueError) it does not map images of the data to as many logits as there are classes.
    """

    def __init__(self, label: str, spec: EvaluationSpec, inputs: Inputs, device: torch.device) -> None:
        network, data = inputs.networks[label], inputs.data
        self._card = check_card(label, network.about, data)
        self.label, self.spec, self.network, self._inputs, self.device = label, spec, network, inputs, device
        self.key = network_key(network.module, network.about.source)
        self._few = data.read(torch.arange(len(data))[:_FEW])
        self.shape: Shape = data.image_shape
        self.survey = survey(network.module, network.name, self._few, data.num_classes)
        self._probe = self._take_probe(network.module)
        self.module = ready(network.module, device)
        self._judged: dict[tuple[str, str], Judged] = {}
        self._identities: dict[int, str] = {}
        self._precisions: dict[Precision, nn.Module] = {}
        self._about_defences: dict[str, list[str]] = {}

    def _take_probe(self, network: nn.Module) -> Probe:
        """Returns the network's answers to fixed images, as it was loaded."""
        images = probe_images(self.shape).to(device_of(network) or torch.device("cpu"), dtype_of(network))
        with borrowed(network):
            return take_probe(lambda x: ask(network, x), images, precise=self.survey.precise)

    @property
    def method(self) -> str | None:
        """The training method that its card names."""
        return self.network.about.method

    def identity(self, store: ProbeStore) -> str:
        """Returns the hash by which its results are found in the store's folder."""
        if id(store) not in self._identities:
            self._identities[id(store)] = store.settle(self.key, self._probe, f"model {self.label}")
        return self._identities[id(store)]

    def note(self) -> NetworkNote:
        """Returns what reports must say of the network."""
        found, threat = self.survey, self.spec.threat_model
        notes = [*found.notes(), *([self._card] if self._card else [])]
        notes += [f"with {name}: {note}" for name, said in self._about_defences.items() for note in said]
        published = self.network.about
        if published.norm is not None and (published.norm, published.eps) != (threat.norm, threat.eps):
            notes.append(
                f"it was published for {_threat(published.norm, published.eps)}; evaluated here is {threat}, "
                "which says nothing of that"
            )
        return NetworkNote(random=found.unkeyed, method=self.method, notes=tuple(notes))

    def judged(self, variant: Variant, *, targeted: bool) -> Judged:
        """Returns the network with a defence, whose parameters may follow the kind of attack; made once."""
        parameters = self.parameters(variant, targeted=targeted)
        key = self._key(variant, parameters)
        if (variant.name, key) not in self._judged:
            self._judged[variant.name, key] = self._judge(variant, parameters, key)
        return self._judged[variant.name, key]

    def parameters(self, variant: Variant, *, targeted: bool) -> dict[str, Strict]:
        """Returns the parameters of every defence; of a network of few classes counteraction draws as many as it can.

        Raises:
            UserError: (a ValueError) the spec has it draw more labels than there are.
        """
        found = self.spec.parameters_for(self.label, self.method, targeted=targeted, variant=variant)
        if any((DEFENCES[part].shares or part) == "counteraction" for part in self._parts(variant)):
            given = found.get("counteraction", CounteractionParameters())
            assert isinstance(given, CounteractionParameters)
            found["counteraction"] = _with_labels(given, self.survey.classes, self.label)
        return found

    def _parts(self, variant: Variant) -> tuple[str, ...]:
        return parse_defence(variant.defence) if self._named(variant) else ()

    def _named(self, variant: Variant) -> bool:
        return variant.defence not in self._inputs.defences

    def _key(self, variant: Variant, parameters: Mapping[str, Strict]) -> str:
        """Returns a hash of a defence: name, parameters and pool, or all that an object in hand is."""
        if not self._named(variant):
            return object_key(self._inputs.defences[variant.defence])
        parts = [DEFENCES[part] for part in parse_defence(variant.defence)]
        given = [parameters.get(part.shares or part.name, part.parameters()) for part in parts]
        pooled = [self._pool_key] if any(part.name == "mixup-inference" for part in parts) else []
        return fingerprint(variant.defence, self.spec.precision, *given, *pooled)

    @cached_property
    def _pool_key(self) -> str:
        """A hash of the images that mixup inference mixes with.

        Raises:
            UserError: (a ValueError) they have another shape than the data, or labels that the network has not.
        """
        pool = self._inputs.pool()
        if pool.image_shape != self.shape:
            raise UserError(f"pool must have images of the data's shape, {self.shape}, found {pool.image_shape}")
        if len(pool) and int(pool.labels.max()) >= self.survey.classes:
            raise UserError(
                f"pool has labels up to {int(pool.labels.max())}, and model {self.label} has {self.survey.classes} "
                "classes: the labels must be the network's"
            )
        return pool.digest(0, len(pool))

    def _judge(self, variant: Variant, parameters: Mapping[str, Strict], key: str) -> Judged:
        spec, named = self.spec, self._named(variant)
        made = {each: self._build(variant, parameters, each) for each in {spec.precision, spec.preset.precision}}
        if self.survey.slopes.failure and any(isinstance(part, FirstOrderPreprocessor) for part in _parts_of(made)):
            raise UserError(
                f"defence {variant.name} moves images along a network's gradient, and model {self.label} has none of "
                f"use ({self.survey.slopes.failure})"
            )
        if not named:
            known = (self.network.module, *map(self._computing_in, made))
            found = survey_networks(made[spec.precision], self._few, self.survey.classes, known)
            self._about_defences[variant.name] = [note for each in found for note in each.notes()]
        return Judged(
            name=variant.name,
            defended=made[spec.precision],
            attacked=made[spec.preset.precision],
            key=key,
            in_hand=not named,
            words=describe_parameters(variant.defence, parameters, self.shape) if named else _IN_HAND,
            shape=self.shape,
            device=self.device,
        )

    def _computing_in(self, precision: Precision) -> nn.Module:
        """Returns the network in a precision, made once."""
        if precision not in self._precisions:
            self._precisions[precision] = in_precision(self.module, precision)
        return self._precisions[precision]

    def _build(self, variant: Variant, parameters: Mapping[str, Strict], precision: Precision) -> Defended:
        network = self._computing_in(precision)
        if self._named(variant):
            ingredients = Ingredients(network, self.shape, self._inputs.pool)
            return build_defence(variant.defence, ingredients, parameters)
        return wrap(self._inputs.defences[variant.defence], network, self.shape, self.device)


def wrap(defence: object, network: nn.Module, shape: Shape, device: torch.device) -> Defended:
    """Returns a defended network made of a defence in hand: a preprocessor, several, or a whole defended network."""
    if isinstance(defence, DefendedModule):
        return defence.to(device)
    if isinstance(defence, nn.Module):
        return whole_module(defence.to(device), probe_images(shape).to(device))
    parts = [defence] if isinstance(defence, RandomPreprocessor) else list(defence)  # type: ignore[call-overload]
    return DefendedModule(network, preprocessing_defences=parts)


def _parts_of(made: Mapping[Precision, Defended]) -> list[RandomPreprocessor[Any]]:
    """Returns the defences of a defended network; none of a whole one."""
    first = next(iter(made.values()))
    return [] if isinstance(first, WholeModule) else [*first.preprocessing_defences, *first.transforms]


def _with_labels(given: CounteractionParameters, classes: int, label: str) -> CounteractionParameters:
    """Returns parameters whose number of labels is one that a network of so many classes has."""
    available = classes - (given.labels == "non-predicted")
    if given.num_labels <= available:
        return given
    if "num_labels" in given.model_fields_set:
        raise UserError(
            f"counteraction: num_labels is {given.num_labels}, and of the {classes} classes of model {label} "
            f"labels={given.labels!r} leaves {available}: lower it, or leave it out"
        )
    return given.model_copy(update={"num_labels": available})


def ready(network: nn.Module, device: torch.device) -> nn.Module:
    """Returns a network as it is computed with: on its device, in the fastest form that it offers."""
    return folded(network).to(device).to(memory_format=torch.channels_last)


def _threat(norm: str, eps: float | None) -> str:
    """Returns a published threat model in words."""
    return norm if eps is None else f"{norm}, eps = {eps:.3g}"
