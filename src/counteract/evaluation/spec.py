"""What to evaluate, as validated data: a spec is read from TOML, and the command line overrides its fields."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from counteract._precision import Precision
from counteract._toml import validate
from counteract.attacks import Budget
from counteract.attacks.budget import DEFAULT
from counteract.evaluation.parameters import Count, DefenceParameters, Positive, Strict


class AttackBudget(Strict):
    """What every attack may do: the bound on a pixel's change, the step, and the label it moves away from."""

    eps: Positive = 8 / 255
    eps_step: Positive = 2 / 255
    attack_label: Literal["true", "predicted"] = "true"


class OwnNetwork(Strict):
    """How to load networks named `package.module:factory`: see `load_model`."""

    weights: str | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[Positive, ...] | None = None


class Setting(Strict):
    """Parameters that hold for one network or one kind of attack, as in the paper's Tables 5 and 6.

    Attributes:
        model: A label among the spec's models; None for every network.
        attacks: `untargeted` (the clean images included) or `targeted`; None for both.
        parameters: What differs from the spec's own parameters.
    """

    model: str | None = None
    attacks: Literal["untargeted", "targeted"] | None = None
    parameters: DefenceParameters

    def applies(self, model: str, targeted: bool) -> bool:
        """Whether this is about a network, by its label, under such an attack."""
        kind = "targeted" if targeted else "untargeted"
        return self.model in (None, model) and self.attacks in (None, kind)


class Sweep(Strict):
    """One parameter of counteraction that takes several values in turn, as in the paper's Figures 2 and 3.

    Each defence with counteraction in it is evaluated once for each value, as `counteraction@2/255` and so on.
    """

    parameter: Literal["eps", "eps_step", "num_labels"]
    values: Annotated[tuple[str | int, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _check_values(self) -> Sweep:
        for value in self.values:
            self.parameters(value)
        return self

    def parameters(self, value: str | int) -> DefenceParameters:
        """The parameters that one of the values stands for."""
        return DefenceParameters.model_validate({"counteraction": {self.parameter: value}})


class EvaluationSpec(Strict):
    """Everything that the results of an evaluation depend on, beside versions and machine.

    Attributes:
        title: What the reports are headed with.
        dataset: A dataset's name, or an .npz file with the test split.
        pool: Where mixup inference takes its images: the `train` split of a named dataset; its `test` split, which is
            what the source's code does and which leaks test images into predictions; or an .npz file.
        models: Names for `load_model` by the labels that tables and settings use; of a plain list of names each is
            its own label.
        attacks: Names of attacks, `none` for the clean images; the null attack, so `null` is read as `none`.
        defences: Names of defences, joined by `+`.
        limit: How many test images, from the first; None for all.
        seeds: How many seeds: 0, 1, ... All random draws are functions of seed, example and execution.
        cascade: Whether each attack tries only the examples that some draw of the defence still classified correctly
            under every attack before it, as AutoAttack does; the others count as wrong. The worst case is what it would
            be without, and the accuracy under one attack is that under all attacks up to it.
        draws: By how many draws of the defence each example is judged; the accuracy is the mean over them.
        precision: What the defended network computes in, the defence's own passes included; oblivious attacks are made
            in float32 in any case.
        error: With what probability a label may differ from that of all executions, to spare some of them.
        illustrations: Of how many examples the first network's images and probabilities are kept for the report.
        own_network: Weights and normalisation of networks named `package.module:factory`.
        attack: The attacks' bounds.
        budget: How hard the suite's attacks try: a preset's name, or fields, `preset` among them.
        parameters: The defences' parameters.
        settings: Parameters that differ for a network or kind of attack; the last one that applies wins.
        sweep: A parameter that takes several values.
    """

    title: str = ""
    dataset: str
    pool: str = "train"
    models: Annotated[dict[str, str], Field(min_length=1)]
    attacks: Annotated[tuple[str, ...], Field(min_length=1)]
    defences: Annotated[tuple[str, ...], Field(min_length=1)]
    limit: Count | None = None
    seeds: Count = 1
    cascade: bool = False
    draws: Count = 1
    precision: Precision = "float32"
    error: Annotated[float, Field(ge=0, lt=1)] = 0.0
    illustrations: Annotated[int, Field(ge=0)] = 0
    own_network: OwnNetwork = OwnNetwork()
    attack: AttackBudget = AttackBudget()
    budget: Budget = Field(default_factory=lambda: Budget.model_validate(DEFAULT))
    parameters: DefenceParameters = DefenceParameters()
    settings: tuple[Setting, ...] = ()
    sweep: Sweep | None = None

    @field_validator("models", mode="before")
    @classmethod
    def _label_models(cls, value: Any) -> Any:
        """Lets each name of a plain list be its own label."""
        return {name: name for name in value} if isinstance(value, (list, tuple)) else value

    @field_validator("attacks")
    @classmethod
    def _name_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """One attack must not stand in tables twice, nor under two names."""
        return tuple(dict.fromkeys("none" if name == "null" else name for name in value))

    @model_validator(mode="after")
    def _check_settings(self) -> EvaluationSpec:
        for setting in self.settings:
            if setting.model not in (None, *self.models):
                raise ValueError(f"settings name the model {setting.model!r}; models are {', '.join(self.models)}")
        return self

    def variants(self) -> list[Variant]:
        """Every defence under the name that the tables have for it, the values of a sweep told apart."""
        found = []
        for defence in self.defences:
            if self.sweep is None or "counteraction" not in defence:
                found.append(Variant(name=defence, defence=defence))
                continue
            for value in self.sweep.values:
                changes = self.sweep.parameters(value)
                found.append(Variant(name=f"{defence}@{value}", defence=defence, parameters=changes))
        return found

    def parameters_for(self, model: str, *, targeted: bool, variant: Variant) -> DefenceParameters:
        """The parameters of a defence of one network, by its label, under one kind of attack."""
        parameters = self.parameters
        for setting in self.settings:
            if setting.applies(model, targeted):
                parameters = parameters.updated(setting.parameters)
        return parameters.updated(variant.parameters)


class Variant(Strict):
    """A defence as the tables name it, with what a sweep changes in it."""

    name: str
    defence: str
    parameters: DefenceParameters = DefenceParameters()


def make_spec(data: dict[str, Any], source: str) -> EvaluationSpec:
    """Validates a spec.

    Args:
        data: What was read.
        source: Where from, for the errors.

    Raises:
        UserError: (a ValueError) a key is missing, unknown or has an invalid value; it names source and key.
    """
    return validate(EvaluationSpec, data, source)
