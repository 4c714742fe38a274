"""The registry of defences: ours, those of other packages, ART's own, and anyone's factory."""

from __future__ import annotations

import functools
import inspect
import re
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

from art.defences.postprocessor.postprocessor import Postprocessor
from art.defences.preprocessor.preprocessor import Preprocessor
from pydantic import create_model
from torch import nn

from counteract._arguments import check_count, check_text
from counteract._errors import UserError, shown, unknown_name
from counteract._factories import find_factory
from counteract._plugins import by_name, load_plugin
from counteract._signatures import parameter_model, signature_of
from counteract._values import Count, Strict

UNDEFENDED = "undefended"
"""The name of the network without a defence; `none` is read as it."""

ART = "art:"
"""The prefix of ART's own defences."""

OFFERED = ("num_classes", "input_shape", "pool")
"""The facts that a factory is told if it has a parameter of that name."""

GROUP = "counteract.defences"
"""The entry points of packages that bring defences of their own."""

_NETWORKS = ("network", "model", "classifier", "estimator", "net")
"""The names of a parameter that is passed the network, even to an ART preprocessor."""

_ART_GIVEN = {
    "clip_values": (0.0, 1.0), "channels_first": True, "apply_fit": False, "apply_predict": True, "augmentation": False,
}  # fmt: skip
"""The arguments that make ART's defences act at inference on images in [0, 1], channels first."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class Defence:
    """A defence.

    Attributes:
        name: Its name.
        help: One line about it.
        source: Its factory, `factory(network, num_classes=..., input_shape=..., **parameters)`, of which it is passed
            what it has parameters for. It returns an ART preprocessor or postprocessor, a list of these, or a whole
            defended network; or it is one of these itself; or the name of a factory, `package.module:factory`.
        executions: The number of executions over which its answers are averaged, each with a draw of its own; None for
            one that runs once per input.
        like: The name of another defence, whose parameters are this one's too.
        ours: True for one of this package, whose results its parameters alone tell apart.
    """

    name: str
    help: str
    source: Any
    executions: int | None = None
    like: str | None = None
    ours: bool = False

    @cached_property
    def factory(self) -> Any:
        """The factory, imported."""
        return find_factory(self.source, "defence")[1] if isinstance(self.source, str) else self.source

    @cached_property
    def network_parameter(self) -> str | None:
        """The name of the parameter that is passed the network, and None where there is none.

        It is one that is called so and has no default, else the first.
        """
        taken = signature_of(self.factory)
        for name, parameter in taken.items():
            if name in _NETWORKS and parameter.default is inspect.Parameter.empty:
                return name
        first = next(iter(taken.values()), None)
        if first is None or first.kind in (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD):
            return None
        inner = getattr(self.factory, "func", self.factory)  # of a partial
        part = inspect.isclass(inner) and issubclass(inner, (Preprocessor, Postprocessor))
        wanted = first.name in _NETWORKS or not (part or first.default is not inspect.Parameter.empty)
        return first.name if wanted else None

    def make(self, network: nn.Module, **arguments: Any) -> object:
        """Calls the factory, with the network where it takes one."""
        name = self.network_parameter
        if name is None:
            return self.factory(**arguments)
        first = name == next(iter(signature_of(self.factory)))
        return self.factory(network, **arguments) if first else self.factory(**{name: network}, **arguments)

    @cached_property
    def parameters(self) -> type[Strict]:
        """The type of its parameters."""
        if not callable(self.factory) or isinstance(self.factory, (Preprocessor, Postprocessor)):
            return Strict
        if self.like is not None:
            return find_defence(self.like).parameters
        found = parameter_model(self.factory, without=(self.network_parameter or "", *OFFERED))
        # Whatever runs on the input can be redrawn for each of several executions, whose outputs are averaged.
        repeated: dict[str, Any] = {
            "executions": (Count | None, self.executions),
            "average": (Literal["probabilities", "logits"], "probabilities"),
        }
        added = {name: field for name, field in repeated.items() if name not in found.model_fields}
        return create_model(found.__name__, __base__=found, **added)


_REGISTERED: dict[str, Defence] = {}


def _ours(name: str, place: str, about: str, executions: int | None = None, like: str | None = None) -> Defence:
    return Defence(name, about, f"counteract.preprocessors.{place}", executions, like, ours=True)


def register_defence(
    name: str,
    factory: Any,
    *,
    help: str = "",  # noqa: A002  (the word that users know)
    executions: int | None = None,
) -> None:
    """Gives a defence a name, which then stands wherever a defence's name does, in this process.

    A package registers its own by an entry point of the group `counteract.defences`, with this name and factory.

    Args:
        name: The name: letters, digits, `-`, `_` and `.`, the first of them a letter, a digit or `_`.
        factory: `factory(network, num_classes=..., input_shape=..., **parameters)`, of which it is passed what it has
            parameters for; the images that mixup inference mixes with, too, as `pool`. It returns an ART preprocessor
            or postprocessor, a list of these, or a `torch.nn.Module` that is the whole defended network: images in
            [0, 1] to logits, log-probabilities or probabilities. One of these in hand will do.
        help: One line about it, for lists of defences; by default the first of its docstring.
        executions: The number of executions that are averaged, each with a draw of its own; None for what runs once per
            input. Whoever names the defence can say otherwise: `name(executions=10)`.

    Raises:
        UserError: (a ValueError) the name is taken by another defence, or is none, or the factory is nothing that makes
            a defence, or another argument of another kind.

    Examples:
        >>> from art.defences.preprocessor import JpegCompression
        >>> import counteract
        >>> counteract.register_defence("jpeg-30", JpegCompression((0, 1), quality=30, channels_first=True))
    """
    name = check_text("name", name, "a text")
    if name in (UNDEFENDED, "none"):
        raise UserError(f"name {name!r} stands for no defence: choose another")
    if not _NAME.fullmatch(name):
        raise UserError(f"name must be made of letters, digits, '-', '_' and '.', not begun by - or ., found {name!r}")
    if name in _OURS or (name in _REGISTERED and _REGISTERED[name].factory is not factory):
        raise UserError(f"name {name!r} is taken: choose another for this defence")
    if not callable(factory) and not isinstance(factory, (list, tuple)):
        raise UserError(f"factory must be a function that makes a defence, or a defence, found {shown(factory)}")
    about = check_text("help", help, "a text") or _first_line(factory)
    executions = None if executions is None else check_count("executions", executions)
    _REGISTERED[name] = Defence(name, about, factory, executions)


def find_defence(name: str) -> Defence:
    """Finds one defence by its name, without arguments.

    Raises:
        UserError: (a ValueError) there is none of this name.
    """
    if name.startswith(ART):
        return _of_art(name)
    if name in _OURS or name in _REGISTERED:
        return _OURS.get(name) or _REGISTERED[name]
    if ":" in name:
        _, factory = find_factory(name, "defence")
        return Defence(name, _first_line(factory), factory)
    if name in _packaged():
        factory = load_plugin(f"defence {name}", _packaged()[name])
        return Defence(name, _first_line(factory), factory)
    raise unknown_defence(name)


def unknown_defence(name: str) -> UserError:
    """The error for a name that is no defence's: it suggests near ones, and that of ART where there is one."""
    namesakes = [f"{ART}{each}" for each in _arts_own() if each.casefold() == name.casefold()]
    others = "art:NAME, package.module:factory, or several joined by +"
    return unknown_name("defence", name, defence_names(), others, namesakes=namesakes)


def is_registered(name: str) -> bool:
    """Returns True for a name of ours, one that was registered, or one that a package brings."""
    return name in _OURS or name in _REGISTERED or name in _packaged()


def defence_names() -> list[str]:
    """Every name that needs no prefix and can stand alone or be joined by `+`."""
    return [UNDEFENDED, *_OURS, *_REGISTERED, *(name for name in _packaged() if name not in _REGISTERED)]


def defence_lines() -> list[tuple[str, str]]:
    """Each defence's name and one line about it, and the forms of other names; for lists."""
    return [
        (UNDEFENDED, "the network without a defence"),
        *((name, _help(name)) for name in defence_names()[1:]),
        ("art:NAME(...)", "one of ART's preprocessors or postprocessors, `art:JpegCompression(quality=50)`"),
        ("package.module:factory(...)", "anyone's: docs/your-own-defence.md"),
    ]


def _help(name: str) -> str:
    """One line about a defence; about one that cannot be loaded, the reason."""
    try:
        return find_defence(name).help
    except UserError as error:
        return str(error)


def _arts_own() -> dict[str, type]:
    """ART's own defences by name."""
    import art.defences.postprocessor as outputs
    import art.defences.preprocessor as inputs

    return {
        each: kind
        for home, base in ((inputs, Preprocessor), (outputs, Postprocessor))
        for each, kind in vars(home).items()
        if inspect.isclass(kind) and issubclass(kind, base) and kind is not base
    }


def _of_art(name: str) -> Defence:
    """Returns one of ART's own defences, with the arguments that make it act at inference."""
    kinds = _arts_own()
    kind = kinds.get(name.removeprefix(ART))
    if kind is None:
        raise unknown_name("ART's defence", name.removeprefix(ART), sorted(kinds))
    given = {key: value for key, value in _ART_GIVEN.items() if key in signature_of(kind)}
    return Defence(name, _first_line(kind), functools.partial(kind, **given))


def _packaged() -> dict[str, list[EntryPoint]]:
    """The defences of installed packages, by name; ours come first where a name is taken twice."""
    return by_name(each for each in _entry_points() if each.name not in _OURS)


@functools.cache
def _entry_points() -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group=GROUP))


def _first_line(factory: object) -> str:
    """The first line of a docstring of its own; of an object that of its class."""
    kind = factory if inspect.isclass(factory) or inspect.isfunction(factory) else type(factory)
    return (inspect.getdoc(kind) or "").strip().partition("\n")[0]


_OURS: dict[str, Defence] = {
    defence.name: defence
    for defence in (
        _ours(
            "counteraction",
            "counteraction:Counteraction",
            "the paper's method: small first-order perturbations towards random labels, added up",
        ),
        _ours(
            "counteraction-untargeted",
            "counteraction:untargeted",
            "the same away from random labels; it has the parameters of counteraction",
            like="counteraction",
        ),
        _ours("hedge", "hedge:Hedge", "away from every class at once, in several steps (Wu et al. 2021)"),
        _ours(
            "anti-adversary",
            "anti_adversary:AntiAdversary",
            "towards the predicted class, in large steps (Alfarra et al. 2022)",
        ),
        _ours(
            "test-time-counterattack",
            "test_time_counterattack:TestTimeCounterattack",
            "away from the received features, if noise hardly moves these (TTC: Xing et al. 2025)",
        ),
        _ours(
            "energy-descent",
            "energy_descent:EnergyDescent",
            "to a lower energy of the logits, within an L2 ball (ET3: Mirza et al. 2026)",
        ),
        _ours(
            "total-variation",
            "total_variation:TotalVariation",
            "the nearest image of less variation (Rudin et al. 1992; Chambolle 2004)",
        ),
        _ours(
            "augmentation-ensemble",
            "augmentation_ensemble:AugmentationEnsemble",
            "the image, its mirror image and crops of both, averaged (TTE: Pérez et al. 2021)",
            10,
        ),
        _ours("crop-resize", "crop_resize:RandomCropResize", "a random crop, resized back (Guo et al. 2018)", 50),
        _ours(
            "resize-pad", "resize_pad:RandomResizePad", "resized to a random size, padded back (Xie et al. 2018)", 50
        ),
        _ours("crop-pad", "crop_pad:RandomCropPad", "a random crop, padded back (Pang et al. 2020)", 50),
        _ours(
            "mixup-inference",
            "mixup_inference:with_pool",
            "mixed with images of other labels (MI-OL: Pang et al. 2020)",
            30,
        ),
        _ours("gaussian-noise", "gaussian_noise:GaussianNoise", "Gaussian noise is added", 50),
        _ours("rotation", "rotation:RandomRotation", "a random rotation", 50),
    )
}
"""This package's defences by name; what is written `module:name` is found in `counteract.preprocessors`."""
