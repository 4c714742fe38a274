"""Specs: everything that an evaluation measures, as validated data: TOML, with options on top."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from counteract._precision import Precision
from counteract._toml import validate
from counteract._values import Count, Positive, Strict
from counteract.attacks.preset import DEFAULT, AttackPreset
from counteract.attacks.threat_model import ThreatModel
from counteract.defences import check_parameters, parse_defence
from counteract.evaluation.upgrade import upgrade_spec

_MOST = 10_000
"""The largest number of seeds and of draws."""

Values = dict[str, dict[str, Any]]
"""Parameters that differ from their defaults, by defence and name."""


class OwnNetwork(Strict):
    """Weights and normalisation of networks named `package.module:factory`: see `load_model`."""

    weights: str | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[Positive, ...] | None = None


class Setting(Strict):
    """Parameters that hold for some networks, one defence or one kind of attack, as in the paper's Tables 5 and 6.

    Attributes:
        model: A label among the spec's models; None for every network.
        method: Training methods, as networks' own cards have them: `mixup`, `iat`, `adversarial`; None for every one.
        defence: A defence by its whole name, `counteraction+crop-resize` for one; None for every one.
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

    @field_validator("parameters")
    @classmethod
    def _check(cls, value: Values) -> Values:
        check_parameters(value)
        return value

    @field_validator("defence")
    @classmethod
    def _check_defence(cls, value: str | None) -> str | None:
        if value is not None:
            parse_defence(value)
        return value

    def applies(self, model: str, method: str | None, defence: str, *, targeted: bool) -> bool:
        """Returns True where a network, by its label and training method, a defence and a kind of attack are meant."""
        kind = "targeted" if targeted else "untargeted"
        named = self.method is None or method in self.method
        return (
            named and self.model in (None, model) and self.defence in (None, defence) and self.attacks in (None, kind)
        )


class Sweep(Strict):
    """One parameter of counteraction that takes several values in turn, as in the paper's Figures 2 and 3.

    Each defence with counteraction in it is evaluated once for each value, as `counteraction@2/255` and so on.
    """

    parameter: Literal["eps", "eps_step", "num_labels", "steps"]
    values: Annotated[tuple[str | int, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _check_values(self) -> Sweep:
        for value in self.values:
            check_parameters(self.parameters(value))
        return self

    def parameters(self, value: str | int) -> Values:
        """Returns the parameters that one of the values stands for."""
        return {"counteraction": {self.parameter: value}}


class Variant(Strict):
    """A defence as the tables name it, with what a sweep changes in it."""

    name: str
    defence: str
    parameters: Values = Field(default_factory=dict)


class EvaluationSpec(Strict):
    """Everything that the results of an evaluation depend on, beside versions and machine.

    Attributes:
        title: The heading of the reports.
        dataset: A dataset's name, or an .npz file with the test split.
        pool: The images of mixup inference: the `train` split of a named dataset; its `test` split, or that cropped
            and mirrored at random, `test-augmented`, which is what the source's code does: both leak the images that
            are classified into predictions; or an .npz file.
        models: Names for `load_model` by the labels that tables and settings use; of a plain list of names each is
            its own label.
        attacks: Names of attacks, `clean` for the unattacked images.
        defences: Names of defences, joined by `+`; `undefended` for none.
        limit: The number of test images, from the first; None for all.
        seeds: The number of seeds: 0, 1, ... All random draws are functions of seed, example and execution.
        cascade: True lets each attack try only the examples that some draw of the defence still classified correctly
            under every attack before it, as AutoAttack does; the others count as wrong. The worst case is what it would
            be without, and the accuracy under one attack is that under all attacks up to it.
        draws: The number of draws of the defence by which each example is judged; the accuracy is the mean over them.
        precision: The precision of the defended network, the defence's own passes included; oblivious attacks are made
            in float32 in any case.
        illustrations: The number of examples of which each network's images and probabilities are kept.
        gains_over: The number of adversarial images over which it is counted how often a perturbation for one label
            alone raises the true class's probability, where there are illustrations.
        own_network: Weights and normalisation of networks named `package.module:factory`.
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
    defences: Annotated[tuple[str, ...], Field(min_length=1)]
    limit: Count | None = None
    seeds: Annotated[Count, Field(le=_MOST)] = 1
    cascade: bool = False
    draws: Annotated[Count, Field(le=_MOST)] = 1
    precision: Precision = "float32"
    illustrations: Annotated[int, Field(ge=0, lt=2**31)] = 0
    gains_over: Count = 60
    own_network: OwnNetwork = OwnNetwork()
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
        return {name: name for name in value} if listed else value

    @field_validator("attacks", "defences")
    @classmethod
    def _name_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """Lets no attack and no defence stand in tables twice."""
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
        return self

    @property
    def step(self) -> float:
        """The step of PGD."""
        return self.threat_model.eps / 4 if self.eps_step is None else self.eps_step

    def variants(self) -> list[Variant]:
        """Returns every defence under the name that the tables have for it, the values of a sweep told apart."""
        found = []
        for defence in self.defences:
            if self.sweep is None or "counteraction" not in defence:
                found.append(Variant(name=defence, defence=defence))
                continue
            for value in self.sweep.values:
                changes = self.sweep.parameters(value)
                found.append(Variant(name=f"{defence}@{value}", defence=defence, parameters=changes))
        return found

    def parameters_for(self, model: str, method: str | None, *, targeted: bool, variant: Variant) -> dict[str, Strict]:
        """Returns the parameters of every defence.

        Args:
            model: The network's label.
            method: Its training method, if it is known.
            targeted: True for targeted attacks, False for untargeted ones and the clean images.
            variant: The defence, with what a sweep changes.
        """
        values = self.parameters
        for setting in self.settings:
            if setting.applies(model, method, variant.defence, targeted=targeted):
                values = _merged(values, setting.parameters)
        return check_parameters(_merged(values, variant.parameters))


def _merged(values: Values, changes: Values) -> Values:
    """Returns values with changes on top, parameter by parameter."""
    return {name: values.get(name, {}) | changes.get(name, {}) for name in [*values, *changes]}


def make_spec(data: dict[str, Any], source: str) -> EvaluationSpec:
    """Validates a spec, one of an earlier version included.

    Args:
        data: The data that were read.
        source: Their place, for the errors.

    Raises:
        UserError: (a ValueError) a key is missing, unknown or has an invalid value; it names source and key.
    """
    return validate(EvaluationSpec, upgrade_spec(data), source)
