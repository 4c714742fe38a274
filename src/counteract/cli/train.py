"""`counteract train`: trains a network by a recipe."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from counteract._errors import UserError
from counteract.cli.app import command
from counteract.cli.interruption import kept

if TYPE_CHECKING:
    from counteract.datasets import Dataset


@command()
def train(
    out: Annotated[Path, typer.Option(help="Folder for model.safetensors, card.json, metrics.csv and checkpoints.")],
    dataset: Annotated[
        str,
        typer.Option(
            help="digits, cifar10, cifar100; or an .npz file, folder:DIR or package.module:factory (then --test, too)."
        ),
    ] = "digits",
    test: Annotated[str | None, typer.Option(help="The test split, if --dataset is one split.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Where torchvision finds or puts CIFAR.")] = None,
    arch: Annotated[str, typer.Option(help="resnet8, resnet18, resnet50 or resnet50-pang.")] = "resnet18",
    width: Annotated[
        int | None, typer.Option(min=1, help="Channels after the stem; by default the architecture's.")
    ] = None,
    method: Annotated[str, typer.Option(help="standard, mixup, adversarial or iat.")] = "mixup",
    recipe: Annotated[str, typer.Option(help="paper, pang, fast, another shipped recipe, or a TOML file.")] = "fast",
    epochs: Annotated[int | None, typer.Option(min=1, help="Instead of the recipe's.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many training and test images.")] = None,
    all_images: Annotated[
        bool, typer.Option("--all-images", help="Train on all images: none are set aside for validation.")
    ] = False,
    alpha: Annotated[
        float | None, typer.Option(help="Mixup weights are of Beta(alpha, alpha); by default the recipe's.")
    ] = None,
    seed: Annotated[int, typer.Option(min=-(2**63), max=2**63 - 1, help="What everything random is drawn from.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in --out.")] = False,
    init: Annotated[
        Path | None, typer.Option(help="Begin with the weights of a file that an earlier run wrote.")
    ] = None,
    devices: Annotated[int, typer.Option(min=1, help="Processes on this machine; torchrun overrides it.")] = 1,
    precision: Annotated[
        str | None, typer.Option(help="32-true, bf16-mixed or 16-mixed; by default the recipe's.")
    ] = None,
) -> None:
    """Trains a network: with Mixup, on adversarial examples, on both (iat), or on the images as they are (standard).

    Example: counteract train --dataset cifar10 --arch resnet50 --method iat --recipe fast --out runs/iat
    """
    from counteract.training import METHODS, Run, load_recipe
    from counteract.training import train as run_training

    if method not in METHODS:
        raise UserError(f"--method {method!r} is not known; known: {', '.join(METHODS)}")
    if alpha is not None and method not in ("mixup", "iat"):
        raise UserError(f"--alpha is about mixup, and --method {method} mixes nothing: leave it out")
    run = Run(
        architecture=arch,
        width=width,
        method=method,
        recipe=load_recipe(
            recipe, method, epochs=epochs, precision=precision, alpha=alpha, validation=0 if all_images else None
        ),
        recipe_name=Path(recipe).stem,
        seed=seed,
        out=out,
        devices=devices,
        resume=resume,
        init=init,
    )
    train_set, test_set = _load(dataset, test, data_dir)
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    try:
        with kept(lambda: _kept(out)):
            run_training(run, train_set.take(limit), test_set.take(limit))
    except UserError:
        if os.environ.get("LOCAL_RANK", "0") != "0":  # the first process says it for all
            raise typer.Exit(2) from None
        raise


def _kept(out: Path) -> str:
    """Returns a sentence for whoever interrupts a training."""
    if any(out.glob("checkpoint*.pt")):
        return f"the epochs that are over are kept in {out}; the same command with --resume goes on from there"
    return "no epoch was over: nothing is kept"


def _load(dataset: str, test: str | None, data_dir: Path | None) -> tuple[Dataset, Dataset]:
    """Loads the training and the test images."""
    from counteract.datasets import find_source, load_dataset
    from counteract.datasets.corrupted import read_name

    for option, name in (("--dataset", dataset), ("--test", test)):
        if name is not None and (corrupted := read_name(name)):
            raise UserError(
                f"{option} {name}: nobody trains on corrupted images, and what the card says is of clean ones: name "
                f"{corrupted[0]} here, and {name} to `counteract evaluate`"
            )
    if find_source(dataset).splits != (test is None):
        raise UserError(
            "--test names the test split exactly when --dataset is one split: an .npz file, folder:DIR or "
            "package.module:factory"
        )
    if test == dataset:
        raise UserError(f"--test {test} is the training set itself: its accuracy would be no test")
    train_set = load_dataset(dataset, "train", data_dir=data_dir)
    test_set = load_dataset(test or dataset, "test", data_dir=data_dir)
    if not train_set.class_names:
        raise UserError(f"--dataset {dataset} has no names for its classes: let it have an attribute `classes`")
    if train_set.class_names != test_set.class_names:
        raise UserError(f"--test {test} has other class_names than --dataset {dataset}")
    train_set.name = test_set.name = train_set.name.removesuffix("_train")  # of a file cifar10_train.npz
    return train_set, test_set
