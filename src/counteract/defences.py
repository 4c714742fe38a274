"""The registry of defences: from a name such as `counteraction+crop-resize` to a defended network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field
from torch import nn

from counteract._errors import UserError, unknown_name
from counteract._toml import validate
from counteract._values import Count, Positive, Size, Strict
from counteract.defended import DefendedModule
from counteract.preprocessors import (
    AntiAdversary,
    Counteraction,
    GaussianNoise,
    Hedge,
    MixupInference,
    RandomCropPad,
    RandomCropResize,
    RandomPreprocessor,
    RandomResizePad,
    RandomRotation,
)
from counteract.preprocessors._window import RandomWindow
from counteract.preprocessors.counteraction import Combine, Labels
from counteract.whole import Defended, WholeModule

if TYPE_CHECKING:
    from counteract.datasets import Dataset

UNDEFENDED = "undefended"
"""The name of the network without a defence; `none` is read as it."""

Shape = tuple[int, int, int]
"""Channels, height and width of an image."""


class Parameters(Strict):
    """The parameters of a defence, as validated data."""

    def words(self, image_shape: Shape | None = None) -> str:
        """The parameters in words, for reports; by their names unless a defence has better ones."""
        del image_shape
        return ", ".join(f"{name} {_number(name, value)}" for name, value in self.model_dump().items())


class RepeatedParameters(Parameters):
    """The parameters of a defence that is redrawn for each of its executions.

    Attributes:
        executions: The number of executions that are averaged.
    """

    executions: Count = 50

    def words(self, image_shape: Shape | None = None) -> str:
        """The parameters in words, the number of executions last."""
        del image_shape
        others = [f"{name} {_number(name, value)}" for name, value in self.model_dump().items() if name != "executions"]
        return ", ".join([*others, f"{self.executions} executions"])


class CounteractionParameters(Parameters):
    """The parameters of `Counteraction`; the paper's section 4.1 for the defaults."""

    eps: Positive = 8 / 255
    eps_step: Positive = 4 / 255
    num_labels: Count = 9
    steps: Count = 1
    targeted: bool = True
    labels: Labels = "non-predicted"
    combine: Combine = "sum-of-signs"

    def words(self, image_shape: Shape | None = None) -> str:
        """The kind, the paper's N, mu (eps) and alpha (eps_step), and what else is unlike the paper."""
        del image_shape
        kind = "targeted" if self.targeted else "untargeted"
        bounds = f"eps {_number('eps', self.eps)}, eps_step {_number('eps_step', self.eps_step)}"
        others = [f"{self.steps} steps"] * (self.steps > 1)
        others += [f"labels {self.labels}"] * (self.labels != "non-predicted")
        others += [self.combine] * (self.combine != "sum-of-signs")
        return ", ".join([kind, f"N = {self.num_labels}", bounds, *others])


class WindowParameters(RepeatedParameters):
    """The range of a window's side; the paper's Tables 5 and 6 for the executions.

    Attributes:
        size: The least and the greatest side in pixels; None for the paper's share of the image's side, which is 22 to
            30 of 32.
    """

    size: Size | None = None

    def words(self, image_shape: Shape | None = None) -> str:
        """The range of sides, and the executions."""
        if self.size is not None:
            low, high = self.size
        elif image_shape is not None:
            low, high = _window_size(self, image_shape, "")
        else:
            return f"size {_USUAL[0]}-{_USUAL[1]} of {_USUAL_SIDE}, {self.executions} executions"
        return f"size {low}-{high}, {self.executions} executions"


class MixupParameters(RepeatedParameters):
    """The weight of mixup inference on the input; the paper's Tables 5 and 6 for the executions."""

    weight: Annotated[float, Field(ge=0, le=1)] = 0.5
    executions: Count = 30


class NoiseParameters(RepeatedParameters):
    """The standard deviation of Gaussian noise; executions as for the other transforms."""

    std: Positive = 0.025


class RotationParameters(RepeatedParameters):
    """The range of a rotation; executions as for the other transforms."""

    degrees: Positive = 20.0


class HedgeParameters(Parameters):
    """The parameters of `Hedge`; the defaults are those of its authors' code."""

    eps: Positive = 0.031
    eps_step: Positive = 0.007
    steps: Count = 20


class AntiAdversaryParameters(Parameters):
    """The parameters of `AntiAdversary`; the defaults are those of its authors' code."""

    eps_step: Positive = 0.15
    steps: Count = 2


@dataclass(frozen=True)
class Ingredients:
    """The things that defences are made of.

    Attributes:
        network: The undefended network.
        image_shape: Channels, height and width of an image.
        pool: Loads the images that mixup inference mixes with.
    """

    network: nn.Module
    image_shape: Shape
    pool: Callable[[], Dataset]


@dataclass(frozen=True)
class Defence:
    """A defence.

    Attributes:
        name: Its name.
        help: One line about it.
        parameters: Its parameters' type; made without arguments it holds the defaults.
        build: Makes it of ingredients and parameters.
        repeated: True if it is redrawn for each execution; its parameters then have the number of executions.
        shares: The name of another defence, whose parameters are this one's too.
    """

    name: str
    help: str
    parameters: type[Parameters]
    build: Callable[[Ingredients, Any], RandomPreprocessor[Any]]
    repeated: bool = False
    shares: str | None = None


def _counteraction(of: Ingredients, parameters: CounteractionParameters) -> Counteraction:
    return Counteraction(of.network, **parameters.model_dump())


def _untargeted(of: Ingredients, parameters: CounteractionParameters) -> Counteraction:
    return _counteraction(of, parameters.model_copy(update={"targeted": False}))


def _hedge(of: Ingredients, parameters: HedgeParameters) -> Hedge:
    return Hedge(of.network, **parameters.model_dump())


def _anti_adversary(of: Ingredients, parameters: AntiAdversaryParameters) -> AntiAdversary:
    return AntiAdversary(of.network, **parameters.model_dump())


def _mixup_inference(of: Ingredients, parameters: MixupParameters) -> MixupInference:
    return MixupInference(of.network, of.pool(), weight=parameters.weight)


def _gaussian_noise(of: Ingredients, parameters: NoiseParameters) -> GaussianNoise:
    del of
    return GaussianNoise(parameters.std)


def _rotation(of: Ingredients, parameters: RotationParameters) -> RandomRotation:
    del of
    return RandomRotation(parameters.degrees)


def _window(name: str, made: type[RandomWindow]) -> Callable[[Ingredients, WindowParameters], RandomWindow]:
    def build(of: Ingredients, parameters: WindowParameters) -> RandomWindow:
        return made(_window_size(parameters, of.image_shape, name))

    return build


_USUAL, _USUAL_SIDE = (22, 30), 32
"""The paper's range of sides, and the side of its images."""


def _window_size(parameters: WindowParameters, image_shape: Shape, name: str) -> Size:
    """The range of sides for images of a shape.

    Raises:
        UserError: (a ValueError) the range that was asked for makes no sense for such images.
    """
    height, width = image_shape[1:]
    side = min(height, width)
    if parameters.size is None:
        low, high = (max(1, round(end * side / _USUAL_SIDE)) for end in _USUAL)
        return low, high
    low, high = parameters.size
    least = -(-side // 2)
    if not least <= low <= high <= side:
        raise UserError(
            f"{name}: size must lie within {least}-{side} for images of {height} x {width}, found {low}-{high}"
        )
    return low, high


DEFENCES: dict[str, Defence] = {
    defence.name: defence
    for defence in (
        Defence(
            "counteraction",
            "the paper's method: small first-order perturbations towards random labels, added up",
            CounteractionParameters,
            _counteraction,
        ),
        Defence(
            "counteraction-untargeted",
            "the same away from random labels; it has the parameters of counteraction",
            CounteractionParameters,
            _untargeted,
            shares="counteraction",
        ),
        Defence("hedge", "away from every class at once, in several steps (Wu et al. 2021)", HedgeParameters, _hedge),
        Defence(
            "anti-adversary",
            "towards the predicted class, in a few large steps (Alfarra et al. 2022)",
            AntiAdversaryParameters,
            _anti_adversary,
        ),
        Defence(
            "crop-resize",
            "a random crop, resized back (Guo et al. 2018)",
            WindowParameters,
            _window("crop-resize", RandomCropResize),
            repeated=True,
        ),
        Defence(
            "resize-pad",
            "resized to a random size, padded back (Xie et al. 2018)",
            WindowParameters,
            _window("resize-pad", RandomResizePad),
            repeated=True,
        ),
        Defence(
            "crop-pad",
            "a random crop, padded back (Pang et al. 2020, after Xie et al.)",
            WindowParameters,
            _window("crop-pad", RandomCropPad),
            repeated=True,
        ),
        Defence(
            "mixup-inference",
            "mixed with images of other labels (MI-OL: Pang et al. 2020)",
            MixupParameters,
            _mixup_inference,
            repeated=True,
        ),
        Defence("gaussian-noise", "Gaussian noise is added", NoiseParameters, _gaussian_noise, repeated=True),
        Defence("rotation", "a random rotation", RotationParameters, _rotation, repeated=True),
    )
}
"""The defences by name. Those that are not repeated run once per input, with nothing random before them."""


def defence_names() -> list[str]:
    """Every name that can stand alone or be joined by `+`."""
    return [UNDEFENDED, *DEFENCES]


def defence_lines() -> list[tuple[str, str]]:
    """Each defence's name and one line about it, for lists."""
    return [(UNDEFENDED, "the network without a defence"), *((d.name, d.help) for d in DEFENCES.values())]


def parse_defence(name: str) -> tuple[str, ...]:
    """Splits a defence's name into its parts, in the order in which they run; () for `undefended`.

    Raises:
        UserError: (a ValueError) a part is unknown.
    """
    if name in (UNDEFENDED, "none"):
        return ()
    parts = tuple(name.split("+"))
    for part in parts:
        if part not in DEFENCES:
            raise unknown_name("defence", part, defence_names(), "several joined by +")
    return parts


def check_parameters(values: Mapping[str, Mapping[str, Any]]) -> dict[str, Strict]:
    """Validates parameters by the names of their defences; what is not given keeps its default, and counts as unset.

    Raises:
        UserError: (a ValueError) a defence or a parameter is unknown, or a value is out of its range.
    """
    found: dict[str, Strict] = {}
    for name, given in values.items():
        defence = DEFENCES.get(name)
        if defence is None:
            raise unknown_name("defence", name, [name for name, known in DEFENCES.items() if known.shares is None])
        if defence.shares is not None:
            raise UserError(f"{name} has no parameters of its own: give those of {defence.shares}")
        found[name] = validate(defence.parameters, dict(given), name)
    return found


def build_defence(name: str, of: Ingredients, parameters: Mapping[str, Strict]) -> DefendedModule:
    """Makes the defended network that a name stands for.

    What comes before the first repeated part runs once per input; that part and all after it are redrawn for each
    execution, of which there are as many as the part that wants most.

    Args:
        name: The defence's name.
        of: The things it is made of.
        parameters: Parameters by the names of defences; the defaults hold where there are none.

    Raises:
        UserError: (a ValueError) a part is unknown, or its parameters make no sense for such images.
    """
    parts = [DEFENCES[part] for part in parse_defence(name)]
    wanted = [_parameters_of(part, parameters) for part in parts]
    built = [part.build(of, given) for part, given in zip(parts, wanted, strict=True)]
    first = next((position for position, part in enumerate(parts) if part.repeated), len(parts))
    return DefendedModule(
        of.network,
        preprocessing_defences=built[:first],
        transforms=built[first:],
        executions=max((given.executions for given in wanted if isinstance(given, RepeatedParameters)), default=1),
    )


def describe_parameters(name: str, parameters: Mapping[str, Strict], image_shape: Shape | None = None) -> str:
    """The parameters of a defence in words: `counteraction: targeted, N = 9, ...; crop-resize: size 22-30, ...`.

    Args:
        name: The defence's name.
        parameters: Parameters by the names of defences; the defaults hold where there are none.
        image_shape: Channels, height and width of an image, if that is known.
    """
    described = []
    for part in (DEFENCES[part] for part in parse_defence(name)):
        given = _parameters_of(part, parameters)
        if part.build is _untargeted:
            given = given.model_copy(update={"targeted": False})
        described.append(f"{part.name}: {given.words(image_shape)}")
    return "; ".join(described)


def forward_passes(defended: Defended) -> int:
    """The cost of a defended prediction in forward passes of its network; a backward pass to the input counts as one.

    Of a whole module nothing is known, and one pass is counted.
    """
    if isinstance(defended, WholeModule):
        return 1
    once = sum(defence.passes for defence in defended.preprocessing_defences)
    shared = sum(isinstance(transform, MixupInference) for transform in defended.transforms)
    return once + shared + defended.executions * (1 + sum(transform.passes for transform in defended.transforms))


def _parameters_of(defence: Defence, parameters: Mapping[str, Strict]) -> Parameters:
    """The parameters that were given for a defence, or its defaults."""
    found = parameters.get(defence.shares or defence.name)
    return found if isinstance(found, defence.parameters) else defence.parameters()


def _number(name: str, value: Any) -> str:
    """A value as reports show it; bounds on pixels as n/255 where they are grey levels or halves of them."""
    if not isinstance(value, float):
        return str(value)
    levels = round(value * 510) / 2
    is_levels = name.startswith("eps") and levels > 0 and abs(value * 255 - levels) < 1e-9
    return f"{levels:g}/255" if is_levels else f"{value:g}"
