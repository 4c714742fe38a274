"""Recipes: ways to train a network, as data. `paper`, `fast` and those of the shipped weights are TOML files here."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from counteract._errors import UserError, unknown_name
from counteract._toml import read_toml, validate

Method = Literal["standard", "mixup", "adversarial", "iat"]
METHODS: tuple[Method, ...] = get_args(Method)

_RECIPES = files("counteract.training") / "recipes"


class Recipe(BaseModel):
    """A way to train a network. In the TOML file a method's own table, [iat] say, changes values for it.

    Attributes:
        epochs: Passes over the training images.
        batch_size: Images in a step, over all processes.
        lr: The highest learning rate.
        momentum: SGD's.
        nesterov: True if the momentum is Nesterov's.
        weight_decay: On every parameter.
        schedule: `steps`: lr, divided by 10 at each epoch of `drops`; `one-cycle`: linearly up to lr, linearly to zero.
        drops: For `steps`.
        warmup: For `one-cycle`: the part of the training that goes up.
        crop_padding: Random crops of images padded by so many pixels; 0 for none.
        flip: Mirrors half of the images.
        attack_eps: The largest change of a pixel in adversarial examples, in grey levels (1/255).
        attack_step: One step of that PGD, in grey levels.
        attack_steps: The number of its steps.
        attack_labels: The labels it leads away from: the `true` ones, or the `predicted` ones, as in the official code.
        alpha: Mixup weights are drawn from Beta(alpha, alpha); of one, the paper's, evenly from 0 to 1.
        eps: The radius, in grey levels, of the PGD that validation and test accuracies are measured under.
        validation: The largest number of training images that are set aside (never more than a tenth); 0 for none.
        precision: Lightning Fabric's: `32-true`, `bf16-mixed`, ...
        channels_last: Runs the network in channels-last layout.
        compile: Uses `torch.compile` on CUDA; on CPUs it did not pay.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=2)
    lr: float = Field(gt=0, allow_inf_nan=False)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    nesterov: bool = False
    weight_decay: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    schedule: Literal["steps", "one-cycle"]
    drops: tuple[int, ...] = ()
    warmup: float = Field(default=0.25, gt=0, lt=1)
    crop_padding: int = Field(default=4, ge=0)
    flip: bool = True
    attack_eps: float = Field(default=8.0, gt=0, le=255)
    attack_step: float = Field(default=2.0, gt=0, le=255)
    attack_steps: int = Field(default=10, ge=1)
    attack_labels: Literal["true", "predicted"] = "true"
    alpha: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    eps: float = Field(default=8.0, gt=0, le=255)
    validation: int = Field(default=1000, ge=0)
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    channels_last: bool = False
    compile: bool = False

    @model_validator(mode="after")
    def _check_drops(self) -> Recipe:
        if self.drops and self.schedule != "steps":
            raise ValueError("drops belong to schedule = 'steps'")
        return self

    def learning_rate(self, done: float) -> float:
        """The learning rate once `done` epochs (with their fraction) are over."""
        if self.schedule == "steps":
            return float(self.lr * 0.1 ** sum(done >= drop for drop in self.drops))
        part = done / self.epochs
        return self.lr * min(part / self.warmup, (1 - part) / (1 - self.warmup))


def recipe_names() -> list[str]:
    """The names of the recipes that come with the package."""
    return sorted(item.name.removesuffix(".toml") for item in _RECIPES.iterdir() if item.name.endswith(".toml"))


def load_recipe(name: str, method: Method, **changes: Any) -> Recipe:
    """Reads a recipe.

    Args:
        name: One of `recipe_names()`, or the path of a TOML file.
        method: The method whose table is merged in.
        changes: Fields to change; those that are None are left alone.

    Raises:
        UserError: (a ValueError) there is no such recipe, or it is not a valid one.
    """
    values = _read(name)
    tables = {key: values.pop(key, {}) for key in METHODS}
    if not isinstance(tables[method], dict):
        raise UserError(f"recipe {name}: {method} must be a table, [{method}]")
    values |= tables[method] | {key: value for key, value in changes.items() if value is not None}
    return validate(Recipe, values, f"recipe {name}")


def _read(name: str) -> dict[str, Any]:
    if name.endswith(".toml"):
        return read_toml(Path(name), f"recipe {name}")
    known = recipe_names()
    if name not in known:
        raise unknown_name("recipe", name, known, "a path ending in .toml")
    return read_toml(_RECIPES / f"{name}.toml", f"recipe {name}")
