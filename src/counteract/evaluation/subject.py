"""Subjects: the networks under evaluation, surveyed, and the same with each defence, made once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property, partial

import torch
from torch import Tensor, nn

from counteract._batches import GRANULE
from counteract._errors import UserError
from counteract._network import ask, borrowed, device_of, dtype_of
from counteract._precision import Precision, in_precision
from counteract._seeding import same, seeded
from counteract.attacks.base import CLEAN
from counteract.attacks.keys import example_keys
from counteract.attacks.pgd import draw_starts
from counteract.attacks.straight import StraightThrough, check_named, taken_for_the_identity
from counteract.attacks.victim import has_gradients, survey_networks
from counteract.defences import UNDEFENDED, Ingredients, Values, build_defence, find_defence, parse_defence
from counteract.defences.art import is_art
from counteract.defences.build import Built, Shape, build_in_hand
from counteract.defences.names import parameters_of
from counteract.defended import DefendedModule, check_undefended
from counteract.evaluation.computing import channels_last, ready
from counteract.evaluation.fit import check_card, check_pool, few_classes, leak_of
from counteract.evaluation.identity import fingerprint, network_key, object_key
from counteract.evaluation.inputs import LEAKING, Inputs, Network
from counteract.evaluation.judged import OVER, Judged
from counteract.evaluation.probe import Probe, ProbeStore, take_probe
from counteract.evaluation.results import NetworkNote
from counteract.evaluation.spec import EvaluationSpec, Variant
from counteract.evaluation.threats import published_threat
from counteract.models.survey import Survey, probe_images, survey
from counteract.preprocessors.first_order import FirstOrderPreprocessor

_FEW = 8
"""Images of the data that a network is asked about."""

_MORE = 64
"""Images of the data by which it is seen if a stranger's defence draws."""

_HOOKED = (
    "the undefended network inside of it has forward hooks ({} first): if they are the defence's, what is called "
    "undefended is defended, too; give the defence a copy of the network"
)
"""The words for a module in hand that may have changed the undefended network."""

_AS_IT_IS = "it computes as it is, not in bf16: networks are brought into that which a defence is given"
"""The words for a defended network in hand, where bfloat16 is asked for."""


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
        check_undefended(
            network.module, f"model {network.name}", "name the undefended network, and what defends it as a defence"
        )
        spec.threat_model.check_shape(data.image_shape)
        if len(data) == 0:
            raise UserError(f"dataset {data.name} holds no images")
        self._cards = list(filter(None, [check_card(label, network.about, data), _check_surrogate(inputs)]))
        self.label, self.spec, self.network, self._inputs, self.device = label, spec, network, inputs, device
        self.key = network_key(network.module, network.about.source)
        self._few = data.read(torch.arange(len(data))[:_FEW])
        self.shape: Shape = data.image_shape
        self.survey = survey(network.module, network.name, self._few, data.num_classes)
        self._probe = self._take_probe(network.module, self.survey)
        self.module = ready(network.module, device, self._few)
        self._first = self.answers() if self.survey.repeatable else []
        self.surrogate = self._survey_surrogate(inputs.surrogate)
        self._judged: dict[tuple[str, str], Judged] = {}
        self._identities: dict[int, str] = {}
        self._precisions: dict[tuple[nn.Module, Precision], nn.Module] = {}
        self._over: dict[nn.Module, tuple[str, ...]] = {}
        self._about_defences: dict[str, list[str]] = {}

    def _take_probe(self, network: nn.Module, found: Survey) -> Probe:
        """Returns a network's answers to fixed images, as it was loaded, given what is known of it."""
        images = probe_images(self.shape).to(device_of(network) or torch.device("cpu"), dtype_of(network))
        with borrowed(network):
            return take_probe(lambda x: ask(network, x), images, precise=found.precise)

    def answers(self) -> list[Tensor]:
        """Returns the answers to fixed images, with the same draws each time, of all forms of the network."""
        images = probe_images(self.shape).to(self.device, dtype_of(self.module))
        found = []
        for network in dict.fromkeys((self.module, self.original)):  # one, where nothing can be folded
            with borrowed(network), seeded(0), torch.no_grad():
                found.append(ask(network, images))
        return found

    def check_unchanged(self, who: str) -> None:
        """Raises UserError where somebody else's code left another network behind than there was at first.

        Args:
            who: The name of that code, with its kind.
        """
        if self.survey.repeatable and not all(map(same, self._first, self.answers())):
            raise UserError(
                f"{who} changed the network, which answers otherwise than before: what comes after it would be about "
                "another one. Let it work on a copy"
            )

    def _survey_surrogate(self, network: Network | None) -> nn.Module | None:
        """Returns the surrogate as it is computed with, once it is known to take such images."""
        if network is None:
            return None
        self._of_surrogate = survey(network.module, network.name, self._few, self.survey.classes)
        self._surrogate_key = network_key(network.module, network.about.source)
        self._surrogate_probe = self._take_probe(network.module, self._of_surrogate)
        return ready(network.module, self.device, self._few)

    @cached_property
    def attackable(self) -> nn.Module:
        """The network that oblivious attacks are made on: the surrogate where there is one."""
        return self._attackable_in("float32")

    def _attackable_in(self, precision: Precision) -> nn.Module:
        """Returns the same in a precision; a backward pass takes modules inside it for the identity."""
        if self.surrogate is not None:
            return self.surrogate
        network = self._computing_in(precision)
        over = self._taken_for_the_identity(network, partial(ask, network))
        return StraightThrough(network, over) if over else network

    def _taken_for_the_identity(self, network: nn.Module, answer: Callable[[Tensor], Tensor]) -> tuple[str, ...]:
        """Returns the modules inside of a network that attacks take for the identity, looked for once."""
        if network not in self._over:
            self._over[network] = taken_for_the_identity(network, self.spec.bpda_at, answer, self._two)
        return self._over[network]

    @property
    def over(self) -> tuple[str, ...]:
        """The paths of modules inside the network that attacks take for the identity."""
        return self.attackable.paths if isinstance(self.attackable, StraightThrough) else ()

    @cached_property
    def _shown(self) -> tuple[Tensor, ...]:
        """Images of the data, and points around them: a defence may draw for those alone that look attacked."""
        index, threat = torch.arange(len(self._inputs.data))[:_MORE], self.spec.threat_model
        images = self._inputs.data.read(index).to(self.device)
        around = draw_starts(example_keys(0, index.to(self.device)), images, threat.eps, threat.metric)
        return (*images.split(GRANULE), *around.split(GRANULE))

    @property
    def _two(self) -> Tensor:
        """Two images to look at modules with."""
        return probe_images(self.shape)[:2].to(self.device)

    @cached_property
    def has_gradients(self) -> bool:
        """True where that network has a gradient that is of use."""
        if self.surrogate is not None:
            return self._of_surrogate.gradients
        if self.survey.gradients or not self.over:
            return self.survey.gradients
        with borrowed(self.attackable), seeded(0):
            return has_gradients(partial(ask, self.attackable), self._two)

    def check_names(self) -> None:
        """Raises UserError where a module that attacks are to take for the identity is nowhere."""
        check_named(self.spec.bpda_at, [self.module, *(judged.given.model for judged in self._judged.values())])

    def surrogate_identity(self, store: ProbeStore) -> str:
        """Returns the hash by which results with the surrogate are found; empty where there is none."""
        if self.surrogate is None:
            return ""
        return store.settle(self._surrogate_key, self._surrogate_probe, "the surrogate")

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
        said = found.notes(gradients=found.gradients or (self.surrogate is None and not self.over))
        said += [OVER.format(", ".join(self.over))] * bool(self.over)
        notes = [*said, *self.network.about.notes, *self._cards, *filter(None, [few_classes(self._inputs.data)])]
        notes += [*self._inputs.data.notes, *self._leak]
        notes += [f"with {name}: {note}" for name, said in self._about_defences.items() for note in said]
        published = self.network.about
        attacked = set(self.spec.attacks) != {CLEAN}
        if attacked and published.norm is not None and (published.norm, published.eps) != (threat.norm, threat.eps):
            notes.append(
                f"it was published for {published_threat(published)}; evaluated here is {threat}, which says nothing "
                "of that"
            )
        return NetworkNote(random=found.unkeyed, method=self.method, training=published.training, notes=tuple(notes))

    def is_unkeyed(self, judged: Judged) -> bool:
        """Returns True where answers with a defence are drawn from global generators, which whoever asks must seed."""
        return self.survey.unkeyed or judged.unkeyed

    def is_random(self, judged: Judged) -> bool:
        """Returns True where answers with a defence differ from draw to draw."""
        return judged.random[0] or self.is_unkeyed(judged)

    def draws(self, judged: Judged) -> int:
        """Returns the number of draws by which a defence is judged: of one that draws nothing a single one."""
        return self.spec.draws if self.draws_anew(judged) else 1

    def draws_anew(self, judged: Judged) -> bool:
        """Returns True where answers differ from draw to draw, and more than one draw may count."""
        return (self.spec.draws > 1 or self.spec.cascade) and self.is_random(judged)

    @property
    def undefended(self) -> Judged:
        """The network without a defence."""
        return self.judged(self.spec.variant(UNDEFENDED), targeted=False)

    def judged(self, variant: Variant, *, targeted: bool) -> Judged:
        """Returns the network with a defence, whose parameters may follow the kind of attack; made once."""
        parameters = self.spec.parameters_for(self.label, self.method, targeted=targeted, variant=variant)
        place = (variant.name, repr(parameters))
        if place not in self._judged:
            self._judged[place] = self._judge(variant, parameters)
        return self._judged[place]

    def _judge(self, variant: Variant, parameters: Values) -> Judged:
        spec = self.spec
        made = {each: self._build(variant, parameters, each) for each in {spec.precision, spec.preset.precision}}
        built = made[spec.precision]
        self._inputs.strangers()[f"defence {variant.name}"] = list(built.parts)
        for each in made.values():
            self._inputs.hold(each.defended)
        self._about_defences[variant.name] = self._look_at(variant, built, made) + self._precision_of(variant)
        given, keys = made[spec.preset.precision].defended, torch.arange(2, device=self.device)
        return Judged(
            name=variant.name,
            defended=built.defended,
            given=given,
            key=self._key(variant, parameters, built),
            stranger=not built.ours,
            network=self.attackable if spec.preset.precision == "float32" else self._attackable_in("bf16"),
            surrogate=self.surrogate is not None,
            words=built.words,
            shape=self.shape,
            device=self.device,
            over=self._taken_for_the_identity(given.model, lambda x: given(x, keys)),
            shown=() if built.ours and self.surrogate is None else self._shown,
        )

    def _look_at(self, variant: Variant, built: Built, made: Iterable[Precision]) -> list[str]:
        """Asks what a defence needs of the network, and returns what must be said of a stranger's own networks.

        Raises:
            UserError: (a ValueError) the network has no gradient, and the defence moves images along it.
        """
        parts = built.defended.parts if isinstance(built.defended, DefendedModule) else ()
        if self.survey.slopes.failure and any(isinstance(part, FirstOrderPreprocessor) for part in parts):
            raise UserError(
                f"defence {variant.name} moves images along a network's gradient, and model {self.label} has none of "
                f"use ({self.survey.slopes.failure})"
            )
        if built.ours:
            return []
        forms = (self.module, self.original)
        known = (self.original, *(self._computing_in(each, form) for each in made for form in forms))
        found = survey_networks(built.defended, self._few, self.survey.classes, known)
        self.check_unchanged(f"defence {variant.name}")
        return [note for each in found for note in each.notes(gradients=each.gradients)] + self._hooks_of(variant)

    def _precision_of(self, variant: Variant) -> list[str]:
        """Returns what must be said of a defended network in hand, which computes as it is."""
        defence = self._inputs.defences.get(variant.label)
        asked = "bf16" in (self.spec.precision, self.spec.preset.precision)
        return [_AS_IT_IS] if asked and (isinstance(defence, nn.Module) or is_art(defence)) else []

    def _hooks_of(self, variant: Variant) -> list[str]:
        """Returns what must be said where a module in hand has the undefended network in it, and that has hooks."""
        defence, network = self._inputs.defences.get(variant.label), self.network.module
        if not isinstance(defence, nn.Module) or network not in list(defence.modules()):
            return []
        hooked = [path or "its own" for path, module in network.named_modules() if module._forward_hooks]
        return [_HOOKED.format(hooked[0])] if hooked else []

    @cached_property
    def original(self) -> nn.Module:
        """The network with all of its layers, as strangers' defences get it: batch normalisation is not folded."""
        return channels_last(self.network.module.to(self.device), self._few)

    def _computing_in(self, precision: Precision, network: nn.Module | None = None) -> nn.Module:
        """Returns the network in a precision, made once."""
        place = (self.module if network is None else network, precision)
        if place not in self._precisions:
            self._precisions[place] = in_precision(*place)
        return self._precisions[place]

    def _build(self, variant: Variant, parameters: Values, precision: Precision) -> Built:
        network, original = self._computing_in(precision), self._computing_in(precision, self.original)
        images = probe_images(self.shape).to(self.device)
        ingredients = Ingredients(network, images, self.survey.classes, self._inputs.pool, original)
        if variant.label in self._inputs.defences:
            return build_in_hand(self._inputs.defences[variant.label], ingredients)
        return build_defence(variant.defence, ingredients, parameters)

    def _key(self, variant: Variant, parameters: Values, built: Built) -> str:
        """Returns a hash of a defence: name, parameters and pool, and of a stranger's all that can be read of it."""
        if variant.label in self._inputs.defences:
            return fingerprint(self.key, object_key(built.parts))
        parts = [(call, find_defence(call.name)) for call in parse_defence(variant.defence)]
        given = [repr(sorted(parameters_of(*part, parameters).items())) for part in parts]
        pooled = [self._pool_key] if any(part.name == "mixup-inference" for _, part in parts) else []
        strange = [] if built.ours else [self.key, object_key(built.parts)]
        return fingerprint(variant.defence, self.spec.precision, *given, *pooled, *strange)

    @cached_property
    def _leak(self) -> list[str]:
        """The sentence about a pool that leaks, if it does and its name does not say so already, which reports read."""
        mixing = any("mixup-inference" in name for name in self.spec.defences.values())
        if not mixing or self.spec.pool in LEAKING:
            return []
        found = leak_of(self._inputs.data, self._inputs.pool())
        return [] if found is None else [found]

    @cached_property
    def _pool_key(self) -> str:
        """A hash of the images that mixup inference mixes with.

        Raises:
            UserError: (a ValueError) they have another shape than the data, or labels that the network has not, or
                classes in another order.
        """
        pool = self._inputs.pool()
        if pool.image_shape != self.shape:
            raise UserError(f"pool must have images of the data's shape, {self.shape}, found {pool.image_shape}")
        if len(pool) and int(pool.labels.max()) >= self.survey.classes:
            raise UserError(
                f"pool has labels up to {int(pool.labels.max())}, and model {self.label} has {self.survey.classes} "
                "classes: the labels must be the network's"
            )
        check_pool(self._inputs.data, pool)
        return pool.digest(0, len(pool))


def _check_surrogate(inputs: Inputs) -> str | None:
    """Returns what must be said of the surrogate on other data than its own; None if there is nothing, or no surrogate.

    Raises:
        UserError: (a ValueError) it does not belong to the data: see `check_card`.
    """
    other = inputs.surrogate
    if other is None:
        return None
    said = check_card(f"{other.name} (the surrogate)", other.about, inputs.data)
    return said and f"the surrogate {other.name}: {said}"
