"""The options that several commands have in common."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from counteract._errors import UserError

if TYPE_CHECKING:
    import torch

DatasetOption = Annotated[
    str | None, typer.Option(help="digits, cifar10, or an .npz with images, labels, class_names.")
]
WeightsOption = Annotated[Path | None, typer.Option(help="A checkpoint for package.module:factory.")]
MeanOption = Annotated[str | None, typer.Option(help="If that network expects normalised images: 0.49,0.48,0.45")]
StdOption = Annotated[str | None, typer.Option(help="Likewise: 0.25,0.24,0.26")]
ModelDirOption = Annotated[Path, typer.Option(help="Where RobustBench's checkpoints are, or go.")]
TrustOption = Annotated[bool, typer.Option("--trust", help="Let checkpoints hold, and run, any code.")]
BudgetOption = Annotated[str | None, typer.Option(help="How hard attacks try: quick, standard or full.")]
LimitOption = Annotated[int | None, typer.Option(help="How many test images, from the first.")]
SeedsOption = Annotated[int | None, typer.Option(help="How many seeds.")]
DrawsOption = Annotated[int | None, typer.Option(help="By how many draws of the defence each image is judged.")]
PrecisionOption = Annotated[
    str | None,
    typer.Option(help="What defended networks compute in: float32 or bf16 (docs/performance.md)."),
]
ErrorOption = Annotated[
    float | None, typer.Option(help="Spare executions: with what probability a label may then be another one.")
]
PoolOption = Annotated[
    str | None, typer.Option(help="Images for mixup-inference: train, test (leaks, as the source) or an .npz.")
]
BatchSizeOption = Annotated[
    int | None,
    typer.Option(min=1, help="Images per batch, by default what suits the device; does not change the results."),
]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
DataDirOption = Annotated[Path | None, typer.Option(help="Where torchvision's copy of CIFAR is, or goes.")]
CacheOption = Annotated[
    Path | None,
    typer.Option(envvar="COUNTERACT_CACHE", help="Where adversarial examples are kept; by default the user's cache."),
]


def choose_device(name: str) -> torch.device:
    """The device that a name means, once it is known to work."""
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UserError(f"device {name!r} cannot be used here: {str(error).splitlines()[0]}") from error
    return device


def make_folder(folder: Path | None) -> None:
    """Makes a folder for results, if there is to be one, or says why it cannot be."""
    try:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"out {str(folder)!r} cannot be made a folder: {error.strerror}") from error


def own_network(weights: Path | None, mean: str | None, std: str | None) -> dict[str, Any]:
    """What was said of a network named `package.module:factory`, as a spec has it."""
    found = {"weights": weights and str(weights), "mean": numbers("mean", mean), "std": numbers("std", std)}
    return {key: value for key, value in found.items() if value}


def numbers(name: str, text: str | None) -> list[float] | None:
    """The numbers in a list with commas."""
    try:
        return None if text is None else [float(number) for number in text.split(",")]
    except ValueError as error:
        raise UserError(f"--{name} must be numbers with commas between, found {text!r}") from error
