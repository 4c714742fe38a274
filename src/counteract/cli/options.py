"""Options that several commands have in common, and the spec and the run options that they make."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from counteract._errors import UserError
from counteract._files import check_writable

if TYPE_CHECKING:
    import torch

    from counteract.evaluation import RunOptions, Watcher

SpecArgument = Annotated[
    str | None, typer.Argument(help="table1 ... figure3, or a TOML file; without one, the dataset's own.")
]


@dataclass(frozen=True)
class Shared:
    """The options that `evaluate` and `audit` have in common, as they were given."""

    dataset: Annotated[
        str | None,
        typer.Option(
            help="digits, cifar10, an .npz, folder:DIR, cifar10-c:contrast:3, package.module:factory; see datasets."
        ),
    ] = None
    resize: Annotated[
        int | None, typer.Option(min=1, help="Of pictures: the shorter side; by default as the network wants them.")
    ] = None
    crop: Annotated[int | None, typer.Option(min=1, help="Of pictures: the square in the centre.")] = None
    skip_unreadable: Annotated[
        bool, typer.Option("--skip-unreadable", help="Go on without pictures that cannot be read, and name them.")
    ] = False
    save_examples: Annotated[
        Path | None, typer.Option(help="A folder for adversarial examples, .npz and PNG; --attack file:DIR reads them.")
    ] = None
    workers: Annotated[int, typer.Option(min=0, help="Processes that read pictures; 0 for none.")] = 2
    weights: Annotated[
        str | None,
        typer.Option(
            help="A checkpoint for package.module:factory, torchvision: or timm:; of torchvision also a name."
        ),
    ] = None
    untrained: Annotated[
        bool, typer.Option("--untrained", help="Random weights for torchvision:, timm: or hf:, to try things out.")
    ] = False
    mean: Annotated[str | None, typer.Option(help="Of a network that expects normalised images: 0.49,0.48,0.45")] = None
    std: Annotated[str | None, typer.Option(help="Likewise: 0.25,0.24,0.26")] = None
    classes: Annotated[Path | None, typer.Option(help="For clip:FOLDER: a file with one class name a line.")] = None
    surrogate: Annotated[
        str | None,
        typer.Option(help="A network to make oblivious attacks on, for a --model that is defended already."),
    ] = None
    bpda_at: Annotated[
        list[str] | None,
        typer.Option(
            help="A module inside the network that attacks take for the identity (BPDA): its path, the path's end or "
            "its class; as often as wished."
        ),
    ] = None
    model_dir: Annotated[Path, typer.Option(help="Where RobustBench's checkpoints are, or go.")] = Path("models")
    trust: Annotated[bool, typer.Option("--trust", help="Let checkpoints, and what hf: loads, run any code.")] = False
    norm: Annotated[
        str | None, typer.Option(help="The norm that bounds what the attacker may change: Linf, L2 or L1.")
    ] = None
    eps: Annotated[str | None, typer.Option(help="That bound, for pixels in [0, 1]: 8/255, or 0.5 in L2.")] = None
    eps_step: Annotated[str | None, typer.Option(help="PGD's step, likewise; by default a quarter of --eps.")] = None
    preset: Annotated[str | None, typer.Option(help="How hard attacks try: quick, standard or full.")] = None
    limit: Annotated[int | None, typer.Option(help="How many test images, from the first.")] = None
    seeds: Annotated[int | None, typer.Option(help="How many seeds.")] = None
    draws: Annotated[int | None, typer.Option(help="By how many draws of the defence each image is judged.")] = None
    precision: Annotated[
        str | None, typer.Option(help="What defended networks are judged in: float32 or bf16 (docs/performance.md).")
    ] = None
    pool: Annotated[
        str | None,
        typer.Option(
            help="Images for mixup-inference: train; test or, as the source, test-augmented (both leak); or a dataset."
        ),
    ] = None
    batch_size: Annotated[
        int | None,
        typer.Option(min=1, help="Images per batch, by default what suits the device; does not change the results."),
    ] = None
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto"
    data_dir: Annotated[Path | None, typer.Option(help="Where CIFAR is or goes, ImageNet, or CIFAR-10-C.")] = None
    cache: Annotated[
        Path | None,
        typer.Option(
            envvar="COUNTERACT_CACHE", help="Where adversarial examples are kept; by default the user's cache."
        ),
    ] = None
    no_cache: Annotated[
        bool,
        typer.Option(
            "--no-cache", help="Keep no adversarial examples for other runs: many of large images fill a disk."
        ),
    ] = False

    def spec_data(self, spec: str | None, models: Sequence[str], defaults: dict[str, Any]) -> dict[str, Any]:
        """Returns the data of a spec, with what these options say in place of what it says.

        Args:
            spec: An experiment or a file; None for the dataset's own.
            models: Networks in place of its own; none keeps those.
            defaults: Fields that replace the dataset's own, but not those of a spec that was named.

        Raises:
            UserError: (a ValueError) there is no such spec or dataset, or no network.
        """
        from counteract.evaluation import read_spec, spec_for_dataset, with_models
        from counteract.evaluation.threats import with_default_threat

        data = defaults | read_spec(spec) if spec else spec_for_dataset(self.dataset or "digits", self.pool) | defaults
        names = ("surrogate", "bpda_at", "limit", "seeds", "draws", "precision", "pool", "preset", "eps_step")
        given = {name: value for name in names if (value := getattr(self, name)) is not None}
        if self.dataset:
            given["dataset"] = self.dataset
        threat = {name: value for name in ("norm", "eps") if (value := getattr(self, name)) is not None}
        if self.eps is not None:
            data.pop("eps_step", None)  # it was meant for another eps
        if models:
            data = with_models(data, models)
        data = with_default_threat(data, threat, fixed=spec is not None and spec.endswith(".toml"))
        data |= given
        tables = (("threat_model", threat), ("own_network", self._own_network()), ("pictures", self._pictures()))
        for name, said in tables:
            if said:
                data[name] = _table(data, name) | said
        if not data.get("models"):
            raise UserError(f"{spec or f'dataset {self.dataset}'} has no network of its own: name one with --model")
        return data

    def _own_network(self) -> dict[str, Any]:
        """Returns what was said of a network named `package.module:factory`, as a spec has it."""
        mean, std = _numbers("mean", self.mean), _numbers("std", self.std)
        found: dict[str, Any] = {"weights": self.weights, "untrained": self.untrained, "mean": mean, "std": std}
        found["classes"] = self.classes and str(self.classes)
        return {key: value for key, value in found.items() if value}

    def _pictures(self) -> dict[str, Any]:
        """Returns what was said of pictures, as a spec has it."""
        found = {"resize": self.resize, "crop": self.crop, "skip_unreadable": self.skip_unreadable or None}
        return {key: value for key, value in found.items() if value is not None}

    def run_options(self, watcher: Watcher, folder: Path | None) -> RunOptions:
        """Returns the place and the means of a run, whose folders are made.

        Args:
            watcher: Whoever is told of the progress.
            folder: The run's folder, if it is to have one.

        Raises:
            UserError: (a ValueError) the device cannot be used, or a folder not be made.
        """
        from counteract.evaluation import RunOptions, default_cache

        device = choose_device(self.device)
        make_folder(folder)
        if folder is not None:
            check_writable(folder / "run.json")
        make_folder(None if self.no_cache else self.cache, "cache")
        make_folder(self.save_examples, "save-examples")
        return RunOptions(
            device=device,
            batch_size=self.batch_size,
            watcher=watcher,
            data_dir=self.data_dir,
            model_dir=self.model_dir,
            trust=self.trust,
            save_examples=self.save_examples and self.save_examples.absolute(),
            workers=self.workers,
            # Absolute, because a network may go to another folder.
            cache=None if self.no_cache else (self.cache or default_cache()).absolute(),
            folder=folder and folder.absolute(),
        )

    def kept(self, folder: Path | None) -> str:
        """Returns a sentence for whoever interrupts a run."""
        if folder is not None:
            return f"what is finished is kept in {folder}; the same command goes on from there"
        return "no results are kept; with --out FOLDER they are, and the same command goes on from there"


def takes_shared(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command all options of `Shared`, which it takes as one argument, `shared`; to decorate it with."""

    @functools.wraps(command)
    def wrapper(context: typer.Context, **given: Any) -> None:
        shared = Shared(**{field.name: given.pop(field.name) for field in fields(Shared)})
        if shared.no_cache and _is_typed(context, "cache"):
            raise UserError("--cache and --no-cache exclude each other: leave one of them out")
        command(shared=shared, **given)

    hints, of_shared = get_type_hints(command, include_extras=True), get_type_hints(Shared, include_extras=True)
    own = [
        parameter.replace(annotation=hints[parameter.name], kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in inspect.signature(command).parameters.values()
        if parameter.name != "shared"
    ]
    others = [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=of_shared[field.name]
        )
        for field in fields(Shared)
    ]
    first = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    every = [first, *own, *others]
    wrapper.__signature__ = inspect.Signature(every)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {parameter.name: parameter.annotation for parameter in every}
    return wrapper


def _is_typed(context: typer.Context, name: str) -> bool:
    """Returns True for an option of the call, and False for one of the environment or by default."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def choose_device(name: str) -> torch.device:
    """Returns the device that a name means, once it is known to compute."""
    import torch

    from counteract.evaluation.options import usable_device

    return usable_device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)


def make_folder(folder: Path | None, name: str = "out") -> None:
    """Makes a folder, if there is to be one, or says why it cannot be.

    Args:
        folder: The folder.
        name: The option that names it.
    """
    try:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{name} {str(folder)!r} cannot be made a folder: {reason}") from error


def _table(data: dict[str, Any], name: str) -> dict[str, Any]:
    """Returns a table of a spec, to which options add."""
    found = data.get(name, {})
    if not isinstance(found, dict):
        raise UserError(f"{name} of the spec must be a table, [{name}], found {found!r}")
    return found


def _numbers(name: str, text: str | None) -> list[float] | None:
    """Returns the numbers in a list with commas."""
    try:
        return None if text is None else [float(number) for number in text.split(",")]
    except ValueError as error:
        raise UserError(f"--{name} must be numbers with commas between, found {text!r}") from error
