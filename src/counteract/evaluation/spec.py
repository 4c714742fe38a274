"""What to evaluate, as validated data: a spec is read from TOML, and the command line overrides its fields."""

from __future__ import annotations

import sys
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from counteract._errors import UserError, unknown_name
from counteract.preprocessors.counteraction import Combine, Labels

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_PRESETS = files("counteract.evaluation") / "presets"

Size = tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class AttackBudget(_Strict):
    """What every attack may do: the bound on a pixel's change, the step, and the label it moves away from."""

    eps: Positive = 8 / 255
    eps_step: Positive = 2 / 255
    attack_label: Literal["true", "predicted"] = "true"


class CounteractionParameters(_Strict):
    """See `Counteraction`; the paper's section 4.1 for the defaults."""

    eps: Positive = 8 / 255
    eps_step: Positive = 4 / 255
    num_labels: Count = 9
    labels: Labels = "non-predicted"
    combine: Combine = "sum-of-signs"


class WindowParameters(_Strict):
    """Crops and resizes: the range of sides, and how many executions are averaged (the paper's Tables 5 and 6)."""

    size: Size = (22, 30)
    executions: Count = 50


class MixupParameters(_Strict):
    """Mixup inference: the weight on the input, and how many executions are averaged (the paper's Tables 5 and 6)."""

    weight: Annotated[float, Field(ge=0, le=1)] = 0.5
    executions: Count = 30


class NoiseParameters(_Strict):
    """Gaussian noise: see `GaussianNoise`; executions as for the other transforms."""

    std: Positive = 0.025
    executions: Count = 50


class RotationParameters(_Strict):
    """Rotation: see `RandomRotation`; executions as for the other transforms."""

    degrees: Positive = 20.0
    executions: Count = 50


class DefenceParameters(_Strict):
    """The parameters of each defence by its name on the command line."""

    model_config = ConfigDict(alias_generator=lambda name: name.replace("_", "-"))

    counteraction: CounteractionParameters = CounteractionParameters()
    crop_resize: WindowParameters = WindowParameters()
    resize_pad: WindowParameters = WindowParameters()
    crop_pad: WindowParameters = WindowParameters()
    mixup_inference: MixupParameters = MixupParameters()
    gaussian_noise: NoiseParameters = NoiseParameters()
    rotation: RotationParameters = RotationParameters()


class OwnNetwork(_Strict):
    """How to load networks named `package.module:factory`: see `load_model`."""

    weights: str | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[Positive, ...] | None = None


class EvaluationSpec(_Strict):
    """Everything that the results of an evaluation depend on, beside versions and machine.

    Attributes:
        dataset: A dataset's name, or an .npz file with the test split.
        pool: Where mixup inference takes its images: the `train` split of a named dataset; its `test` split, which is
            what the source's code does and which leaks test images into predictions; or an .npz file.
        models: Names for `load_model`.
        attacks: Names of attacks, `none` for the clean images.
        defences: Names of defences, joined by `+`.
        limit: How many test images, from the first; None for all.
        seeds: How many seeds: 0, 1, ... All random draws are functions of seed, example and execution.
        own_network: Weights and normalisation of networks named `package.module:factory`.
        attack: The attacks' budget.
        parameters: The defences' parameters.
    """

    dataset: str
    pool: str = "train"
    models: Annotated[tuple[str, ...], Field(min_length=1)]
    attacks: Annotated[tuple[str, ...], Field(min_length=1)]
    defences: Annotated[tuple[str, ...], Field(min_length=1)]
    limit: Count | None = None
    seeds: Count = 1
    own_network: OwnNetwork = OwnNetwork()
    attack: AttackBudget = AttackBudget()
    parameters: DefenceParameters = DefenceParameters()


def presets() -> list[str]:
    """The datasets that have a spec of their own."""
    return sorted(item.name.removesuffix(".toml") for item in _PRESETS.iterdir() if item.name.endswith(".toml"))


def preset_for(dataset: str) -> dict[str, Any]:
    """The spec to start from for a dataset; for an .npz file it is CIFAR-10's, without its networks.

    Raises:
        UserError: (a ValueError) the dataset is neither known nor an .npz file.
    """
    if dataset in presets():
        return tomllib.loads((_PRESETS / f"{dataset}.toml").read_text(encoding="utf-8"))
    if not dataset.endswith(".npz"):
        raise unknown_name("dataset", dataset, presets(), "a path ending in .npz")
    data = preset_for("cifar10") | {"dataset": dataset}
    del data["models"]
    return data


def read_spec(path: Path) -> dict[str, Any]:
    """Reads a spec's TOML file.

    Raises:
        UserError: (a ValueError) there is no such file, or it is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"spec {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"spec {path} is not valid TOML: {error}") from error


def make_spec(data: dict[str, Any], source: str) -> EvaluationSpec:
    """Validates a spec.

    Args:
        data: What was read.
        source: Where from, for the errors.

    Raises:
        UserError: (a ValueError) a key is missing, unknown or has an invalid value; it names source and key.
    """
    try:
        return EvaluationSpec.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        found = "" if first["type"] == "missing" else f", found {first['input']!r}"
        raise UserError(f"{source}: {key}: {first['msg']}{found}") from error
