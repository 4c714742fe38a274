"""The parameters of each defence, as validated data."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from counteract.preprocessors.counteraction import Combine, Labels


def _from_fraction(value: Any) -> Any:
    """Reads "8/255" as a number; what is not text is left to pydantic."""
    if not isinstance(value, str):
        return value
    try:
        return float(Fraction(value))
    except (ValueError, ZeroDivisionError):
        raise ValueError('must be a number or a fraction such as "8/255"') from None


Size = tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]
Positive = Annotated[float, BeforeValidator(_from_fraction), Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]


class Strict(BaseModel):
    """Data that nobody changes and that has no key by mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class CounteractionParameters(Strict):
    """See `Counteraction`; the paper's section 4.1 for the defaults."""

    eps: Positive = 8 / 255
    eps_step: Positive = 4 / 255
    num_labels: Count = 9
    targeted: bool = True
    labels: Labels = "non-predicted"
    combine: Combine = "sum-of-signs"


class WindowParameters(Strict):
    """Crops and resizes: the range of sides, and how many executions are averaged (the paper's Tables 5 and 6)."""

    size: Size = (22, 30)
    executions: Count = 50


class MixupParameters(Strict):
    """Mixup inference: the weight on the input, and how many executions are averaged (the paper's Tables 5 and 6)."""

    weight: Annotated[float, Field(ge=0, le=1)] = 0.5
    executions: Count = 30


class NoiseParameters(Strict):
    """Gaussian noise: see `GaussianNoise`; executions as for the other transforms."""

    std: Positive = 0.025
    executions: Count = 50


class RotationParameters(Strict):
    """Rotation: see `RandomRotation`; executions as for the other transforms."""

    degrees: Positive = 20.0
    executions: Count = 50


class HedgeParameters(Strict):
    """See `Hedge`; the defaults are those of its authors' code."""

    eps: Positive = 0.031
    eps_step: Positive = 0.007
    steps: Count = 20


class AntiAdversaryParameters(Strict):
    """See `AntiAdversary`; the defaults are those of its authors' code."""

    eps_step: Positive = 0.15
    steps: Count = 2


class DefenceParameters(Strict):
    """The parameters of each defence by its name on the command line."""

    model_config = ConfigDict(alias_generator=lambda name: name.replace("_", "-"))

    counteraction: CounteractionParameters = CounteractionParameters()
    crop_resize: WindowParameters = WindowParameters()
    resize_pad: WindowParameters = WindowParameters()
    crop_pad: WindowParameters = WindowParameters()
    mixup_inference: MixupParameters = MixupParameters()
    gaussian_noise: NoiseParameters = NoiseParameters()
    rotation: RotationParameters = RotationParameters()
    hedge: HedgeParameters = HedgeParameters()
    anti_adversary: AntiAdversaryParameters = AntiAdversaryParameters()

    def updated(self, changes: DefenceParameters) -> DefenceParameters:
        """These parameters, but for those that `changes` was given explicitly."""
        data = self.model_dump(by_alias=True)
        for defence, values in changes.model_dump(by_alias=True, exclude_unset=True).items():
            data[defence] |= values
        return DefenceParameters.model_validate(data)
