"""Specs: everything that an evaluation measures, as validated data: TOML, with options on top."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from counteract._calls import Call, parse_call, split_joined
from counteract._errors import unknown_name
from counteract._precision import Precision
from counteract._preparation import Interpolation
from counteract._toml import validate
from counteract._values import Count, Positive, Strict, not_bool
from counteract.attacks.preset import DEFAULT, AttackPreset
from counteract.attacks.threat_model import ThreatModel, in_range
from counteract.defences import UNDEFENDED, check_parameters, parse_defence, spell_call
from counteract.evaluation.threats import with_published
from counteract.evaluation.upgrade import upgrade_spec
from counteract.models.normalize import check_deviation, check_mean

_METHODS = ("standard", "mixup", "iat", "adversarial")
"""The methods of training that cards and RobustBench's names tell."""

_SWEPT = ("counteraction", "counteraction-untargeted")
"""The defences whose parameters a sweep changes."""

_MOST = 10_000
"""The largest number of seeds and of draws."""

Values = dict[str, dict[str, Any]]
"""Parameters that differ from their defaults, by defence and name."""


Mean = Annotated[float, AfterValidator(check_mean)]
"""A mean of pixels in [0, 1]."""

Deviation = Annotated[float, AfterValidator(check_deviation)]
"""A standard deviation of pixels in [0, 1]."""


Swept = Annotated[str | int | float, BeforeValidator(not_bool)]
"""A value of a sweep: a number, or a fraction as text."""


class OwnNetwork(Strict):
    """Weights and normalisation of networks named `package.module:factory` or of a library's, classes of a CLIP.

    See `load_model`.
    """

    weights: str | None = None
    untrained: bool = False
    mean: tuple[Mean, ...] | None = None
    std: tuple[Deviation, ...] | None = None
    classes: str | None = None


class Pictures(Strict):
    """The way from pictures of any size to images: see `Preparation`.

    Attributes:
        resize: The length of the shorter side after resizing.
        crop: The side of the square that is cropped from the centre.
        interpolation: The filter of the resizing, `bilinear` by default.
        skip_unreadable: True leaves out pictures that cannot be read, which the reports name.
    """

    resize: Count | None = None
    crop: Count | None = None
    interpolation: Interpolation | None = None
    skip_unreadable: bool = False


class Variant(Strict):
    """A defence as the tables name it, with what a sweep changes in it.

    Attributes:
        name: Its name in the tables.
        label: Its label in the spec.
        defence: The name that it is found by.
        parameters: The changes.
    """

    name: str
    defence: str
    label: str = ""
    parameters: Values = Field(default_factory=dict)


class Setting(Strict):
    """Parameters that hold for some networks, one defence or one kind of attack, as in the paper's Tables 5 and 6.

    Attributes:
        model: A label among the spec's models; None for every network.
        method: Training methods, as networks' own cards have them: `mixup`, `iat`, `adversarial`; None for every one.
        defence: A defence by its whole name or by its label, `counteraction+crop-resize` for one; None for every one.
        attacks: `untargeted` (the clean images included) or `targeted`; None for both.
        parameters: The parameters that differ from the spec's own.
    """

    model: str | None = None
    method: tuple[str, ...] | None = None
    defence: str | None = None
    attacks: Literal["untargeted", "targeted"] | None = None
    parameters: Values

    @field_validator("method", mode="before")
    @classmethod
    def _list(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("method")
    @classmethod
    def _check_method(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for each in value or ():
            if each not in _METHODS:
                raise unknown_name("method", each, _METHODS)
        return value

    @field_validator("parameters")
    @classmethod
    def _check(cls, value: Values) -> Values:
        check_parameters(value)
        return value

    def applies(self, model: str, method: str | None, defence: Variant, *, targeted: bool) -> bool:
        """Returns True where a network, by its label and training method, a defence and a kind of attack are meant."""
        kind = "targeted" if targeted else "untargeted"
        named = self.method is None or method in self.method
        meant = self.defence in (None, defence.name, defence.label, defence.defence)
        return named and meant and self.model in (None, model) and self.attacks in (None, kind)


class Sweep(Strict):
    """One parameter of counteraction that takes several values in turn, as in the paper's Figures 2 and 3.

    Each defence with counteraction in it is evaluated once for each value, as `counteraction@2/255` and so on.
    """

    parameter: Literal["eps", "eps_step", "num_labels", "steps"]
    values: Annotated[tuple[Swept, ...], Field(min_length=1)]

    @field_validator("values")
    @classmethod
    def _name_once(cls, values: tuple[Swept, ...]) -> tuple[Swept, ...]:
        """Lets no value stand in tables twice."""
        return tuple({str(value): value for value in values}.values())

    @model_validator(mode="after")
    def _check_values(self) -> Sweep:
        for value in self.values:
            check_parameters(self.parameters(value))
        return self

    def parameters(self, value: Swept) -> Values:
        """Returns the parameters that one of the values stands for."""
        return {"counteraction": {self.parameter: value}}


class EvaluationSpec(Strict):
    """Everything that the results of an evaluation depend on, beside versions and machine.

    Attributes:
        title: The heading of the reports.
        dataset: A dataset's name, or that of a file, a folder or a factory with the test split: see `load_dataset`.
        pool: The images of mixup inference: the `train` split of a named dataset; its `test` split, or that cropped
            and mirrored at random, `test-augmented`, which is what the source's code does: both leak the images that
            are classified into predictions; or a file, a folder or a factory.
        models: Names for `load_model` by the labels that tables and settings use; of a plain list of names each is
            its own label.
        attacks: Names of attacks, `clean` for the unattacked images.
        defences: Names of defences, joined by `+`, by the labels that tables and settings use; `undefended` for none.
            Of a plain list of names each is its own label; a table says `use = NAME` and the arguments beside it.
        limit: The number of test images, from the first; None for all.
        seeds: The number of seeds: 0, 1, ... All random draws are functions of seed, example and execution.
        cascade: True lets each attack try only the examples that none before it has broken, as AutoAttack does: those
            were wrong in every draw, of a defence that draws in twenty, and count as wrong. Up to draws, the worst case
            is what it would be without.
        alone: In a cascade, the attacks that try every example all the same: theirs is the accuracy under them alone.
        surrogate: A network that oblivious attacks are made on, and adaptive ones begin with, in place of each of the
            `models`: for one that is defended already, so that nobody knows the network under its defence. None for
            the network itself.
        bpda_at: Modules inside of networks that attacks take for the identity in their backward passes (BPDA): their
            paths, the ends of these or their classes. Those without a derivative but zero are found without.
        draws: The number of draws of the defence by which each example is judged; the accuracy is the mean over them.
        precision: The precision of the defended network when it is judged, the defence's own passes included: `float32`
            or `bf16`. Attacks that know of the defence are made in that of the `preset`, oblivious ones in float32.
        illustrations: The number of examples of which each network's images and probabilities are kept.
        gains_over: The number of adversarial images over which it is counted how often a perturbation for one label
            alone raises the true class's probability, where there are illustrations.
        own_network: Weights and normalisation of networks named `package.module:factory`, or of a library's.
        pictures: The way from pictures of any size to images; by default that of the networks, where they have one.
        threat_model: The norm and the size of what the attacker may change.
        eps_step: The step of PGD; None for a quarter of eps.
        attack_label: The label that untargeted PGD moves away from: the `true` one, or the one `predicted`.
        pixels: The pixels of adversarial images: `float`, as they are made, or rounded to `8-bit`, as files have them.
        preset: The effort of the attacks: a preset's name, or fields, `preset` among them.
        parameters: The defences' parameters, as far as they differ from their defaults.
        settings: Parameters that differ for a network, a training method, a defence or a kind of attack; the last one
            that applies wins.
        reading: The reading of the paper that the settings follow, in words, where it can be read in two ways.
        sweep: A parameter that takes several values.
    """

    title: str = ""
    dataset: str
    pool: str = "train"
    models: Annotated[dict[str, str], Field(min_length=1)]
    attacks: Annotated[tuple[str, ...], Field(min_length=1)]
    defences: Annotated[dict[str, str], Field(min_length=1)]
    limit: Count | None = None
    seeds: Annotated[Count, Field(le=_MOST)] = 1
    cascade: bool = False
    alone: tuple[str, ...] = ()
    surrogate: str | None = None
    bpda_at: tuple[str, ...] = ()
    draws: Annotated[Count, Field(le=_MOST)] = 1
    precision: Precision = "float32"
    illustrations: Annotated[int, Field(ge=0, lt=2**31)] = 0
    gains_over: Count = 60
    own_network: OwnNetwork = OwnNetwork()
    pictures: Pictures = Pictures()
    threat_model: ThreatModel = ThreatModel()
    eps_step: Positive | None = None
    attack_label: Literal["true", "predicted"] = "true"
    pixels: Literal["float", "8-bit"] = "float"
    preset: AttackPreset = Field(default_factory=lambda: AttackPreset.model_validate(DEFAULT))
    parameters: Values = Field(default_factory=dict)
    settings: tuple[Setting, ...] = ()
    reading: str = ""
    sweep: Sweep | None = None

    @field_validator("models", mode="before")
    @classmethod
    def _label_models(cls, value: Any) -> Any:
        """Lets each name of a plain list be its own label."""
        listed = isinstance(value, (list, tuple)) and all(isinstance(name, str) for name in value)
        if not (listed or isinstance(value, dict)):
            raise ValueError("must be a list of names, or a table of labels and names")
        return {name: name for name in value} if listed else value

    @field_validator("defences", mode="before")
    @classmethod
    def _label_defences(cls, value: Any) -> Any:
        """Lets each name of a plain list be its own label, and spells out tables of arguments."""
        if isinstance(value, (list, tuple)) and all(isinstance(name, str) for name in value):
            return {name: name for name in value}
        if not isinstance(value, dict):
            return value
        spelled = {label: _spelled(label, each) for label, each in value.items()}
        bare = (UNDEFENDED, "none")
        if spelled.get(UNDEFENDED, UNDEFENDED) not in bare:
            raise ValueError(f"undefended is no label for {spelled[UNDEFENDED]}: it stands for no defence")
        return dict((UNDEFENDED, UNDEFENDED) if name in bare else (label, name) for label, name in spelled.items())

    @field_validator("eps_step")
    @classmethod
    def _check_step(cls, value: float | None, info: ValidationInfo) -> float | None:
        """Lets no step leave the range of pixels in Linf."""
        threat_model = info.data.get("threat_model")
        return value if value is None or threat_model is None else in_range(value, threat_model.norm)

    @field_validator("attacks")
    @classmethod
    def _name_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """Lets no attack stand in tables twice."""
        return tuple(dict.fromkeys(value))

    @field_validator("parameters")
    @classmethod
    def _check_parameters(cls, value: Values) -> Values:
        check_parameters(value)
        return value

    @model_validator(mode="after")
    def _check_settings(self) -> EvaluationSpec:
        for setting in self.settings:
            if setting.model not in (None, *self.models):
                raise ValueError(f"settings name the model {setting.model!r}; models are {', '.join(self.models)}")
            if setting.defence not in (None, *self.defences):
                parse_defence(str(setting.defence))
        if other := [name for name in self.alone if name not in self.attacks]:
            raise ValueError(f"alone names {', '.join(other)}, which is none of the attacks")
        if self.sweep is not None:
            self._check_sweep(self.sweep.parameter)
        return self

    def _check_sweep(self, parameter: str) -> None:
        """Raises ValueError where a sweep would change no defence, or one that keeps the value in its own brackets."""
        swept = {label: _swept(defence) for label, defence in self.defences.items()}
        if not any(swept.values()):
            raise ValueError("sweep is about counteraction, which none of the defences has")
        for label, calls in swept.items():
            if any(parameter in call.arguments for call in calls):
                raise ValueError(f"sweep changes {parameter}, which {label} has a value of its own for: leave that out")

    @property
    def step(self) -> float:
        """The step of PGD."""
        return self.threat_model.eps / 4 if self.eps_step is None else self.eps_step

    def variants(self) -> list[Variant]:
        """Returns every defence under the name that the tables have for it, the values of a sweep told apart."""
        found = []
        for label, defence in self.defences.items():
            if self.sweep is None or not _swept(defence):
                found.append(Variant(name=label, label=label, defence=defence))
                continue
            for value in self.sweep.values:
                changes = self.sweep.parameters(value)
                found.append(Variant(name=f"{label}@{value}", label=label, defence=defence, parameters=changes))
        return found

    def variant(self, label: str) -> Variant:
        """Returns a defence of the spec, or one by its own name, without a sweep."""
        return Variant(name=label, label=label, defence=self.defences.get(label, label))

    def parameters_for(
        self, model: str, method: str | None, *, targeted: bool, variant: Variant
    ) -> dict[str, dict[str, Any]]:
        """Returns the parameters of every defence.

        Args:
            model: The network's label.
            method: Its training method, if it is known.
            targeted: True for targeted attacks, False for untargeted ones and the clean images.
            variant: The defence, with what a sweep changes.
        """
        values = self.parameters
        for setting in self.settings:
            if setting.applies(model, method, variant, targeted=targeted):
                values = merged(values, setting.parameters)
        return check_parameters(merged(values, variant.parameters))


def _swept(defence: str) -> list[Call]:
    """Returns the parts of a defence that a sweep is about: counteraction, of either kind."""
    calls = (parse_call(part, "defence") for part in split_joined(defence, "defence"))
    return [call for call in calls if call.name in _SWEPT]


def _spelled(label: str, given: Any) -> Any:
    """Returns a defence's name with the arguments of a table, `{use = NAME, quality = 50}`, in brackets.

    Raises:
        ValueError: the table names no defence, or joins several and has arguments.
    """
    if not isinstance(given, dict):
        return given
    arguments = dict(given)
    use = arguments.pop("use", None)
    if not isinstance(use, str):
        raise ValueError(f"{label} must say which defence it is: use = NAME")
    if arguments and (len(parse_defence(use)) > 1 or "(" in use):
        raise ValueError(
            f"{label}: arguments beside use are those of one defence: write {use} with its own in brackets"
        )
    return spell_call(use, arguments)


def merged(values: Values, changes: Values) -> Values:
    """Returns values with changes on top, parameter by parameter."""
    return {name: values.get(name, {}) | changes.get(name, {}) for name in [*values, *changes]}


def make_spec(data: dict[str, Any], source: str) -> EvaluationSpec:
    """Validates a spec, one of an earlier version included; see `with_published` for a threat model that is not said.

    Args:
        data: The data that were read.
        source: Their place, for the errors.

    Raises:
        UserError: (a ValueError) a key is missing, unknown or has an invalid value; it names source and key. Or nobody
            says which threat model is meant.
    """
    return validate(EvaluationSpec, with_published(upgrade_spec(data)), source)
