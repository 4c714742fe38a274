"""The training loop, on Lightning Fabric: one process or many compute the same run."""

from __future__ import annotations

import math
import os
import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from lightning_fabric import Fabric
from pydantic import JsonValue
from rich.console import Console
from torch import Tensor, nn

from counteract._answers import NO_LABEL
from counteract._errors import UserError
from counteract._files import sole_writer
from counteract._folding import folded
from counteract._processes import is_first, launched
from counteract._random import fold
from counteract.datasets import Dataset
from counteract.models.files import Card, read_card
from counteract.models.resnet import ResNet
from counteract.training import objectives
from counteract.training.accuracy import count_correct, test_accuracy
from counteract.training.adversary import attacked, predict
from counteract.training.batchnorm import globalise
from counteract.training.checkpoint import CURRENT, PREVIOUS, load_checkpoint, save_checkpoint
from counteract.training.collective import gather_rows
from counteract.training.data import Batch, Batches, check_splits, split_validation
from counteract.training.outputs import begin_with, build_network, conditions, save_outputs, width_of
from counteract.training.progress import Monitor, Row
from counteract.training.recipe import Method, Recipe

_MIX, _MIX_ADVERSARIAL, _START = 11, 12, 13
"""Streams of an example's key, beside those of `data`."""


@dataclass(frozen=True)
class Run:
    """A training: its network, data and folder.

    Attributes:
        architecture: A key of `ARCHITECTURES`.
        method: `standard`, `mixup`, `adversarial` (on adversarial examples alone) or `iat`.
        recipe: The way to train it.
        out: The folder for checkpoints, logs and results.
        recipe_name: The recipe's name.
        width: Channels after the stem; None for the architecture's own.
        seed: The seed of everything random.
        devices: Processes on this machine; under torchrun, that decides.
        resume: Goes on from the checkpoint in `out`.
        init: A file that an earlier run wrote, whose weights this one begins with; None for random ones.
    """

    architecture: str
    method: Method
    recipe: Recipe
    out: Path
    recipe_name: str
    width: int | None = None
    seed: int = 0
    devices: int = 1
    resume: bool = False
    init: Path | None = None


def train(run: Run, train_set: Dataset, test_set: Dataset, console: Console | None = None) -> Card:
    """Trains a network, measures it on the test set, and writes model.safetensors, card.json and metrics.csv.

    Args:
        run: The training.
        train_set: The training images; a validation set is split off them.
        test_set: Looked at once, when all is done.
        console: The console for progress; by default stderr.

    Raises:
        UserError: (a ValueError) something in `run` or the data does not fit, or the loss is not finite.
    """
    shared = check_splits(train_set, test_set)
    network = build_network(run.architecture, run.width, train_set, run.seed)
    if run.init is not None:
        begin_with(network, run.init)
    _check_folder(run)
    alone = is_first() and os.environ.get("LOCAL_RANK", "0") == "0"  # which Fabric's own launcher sets for the others
    with sole_writer(run.out) if alone else nullcontext():
        fabric = make_fabric(run)
        fabric.launch()
        trainer = Trainer(fabric, run, network, train_set, console or Console(stderr=True, emoji=False))
        if shared:
            trainer.monitor.say(
                f"warning: {shared} of {len(test_set)} test images are training images, too, and count in the accuracy"
            )
        trainer.fit()
        return _finish(trainer, test_set)


def _finish(trainer: Trainer, test_set: Dataset) -> Card:
    """Measures the network on the test set, and writes it with its card."""
    fabric, run, network = trainer.fabric, trainer.run, trainer.network
    card = Card(
        architecture=run.architecture,
        width=width_of(network),
        class_names=test_set.class_names,
        mean=tuple(round(value, 4) for value in network.normalize.mean.flatten().tolist()),
        std=tuple(round(value, 4) for value in network.normalize.std.flatten().tolist()),
        dataset=test_set.name,
        method=run.method,
        recipe={"name": run.recipe_name, "seed": run.seed, **run.recipe.model_dump(mode="json"), **_origin(run)},
        accuracy=test_accuracy(fabric, network, test_set, run.recipe.eps),
        conditions=conditions(fabric, trainer.history),
    )
    if fabric.is_global_zero:
        save_outputs(run.out, network, card)
    trainer.monitor.say(f"{run.out / 'model.safetensors'}: {_sentence(card)}")
    fabric.barrier()
    return card


def _origin(run: Run) -> dict[str, JsonValue]:
    """Returns the origin of a run's weights: nothing, or the recipe of an earlier one."""
    return {} if run.init is None else {"init": read_card(run.init).recipe}


def _sentence(card: Card) -> str:
    found = card.accuracy
    return (
        f"test accuracy of {found['n']:,.0f}: clean {found['clean']:.1f}% [{found['clean_low']:.1f}, "
        f"{found['clean_high']:.1f}], PGD-20 at {found['eps']:g}/255 {found['pgd20']:.1f}% "
        f"[{found['pgd20_low']:.1f}, {found['pgd20_high']:.1f}]"
    )


def _check_folder(run: Run) -> None:
    """Makes the output folder; a run that is there is not overwritten by accident."""
    if not run.resume and any((run.out / name).exists() for name in (CURRENT, PREVIOUS)):
        raise UserError(f"--out {run.out} holds a run; add --resume to go on with it, or name another folder")
    try:
        run.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out {run.out} cannot be made ({error.strerror})") from error


def make_fabric(run: Run) -> Fabric:
    """Sets up the processes: those of torchrun where it started us, else `devices` of our own."""
    devices, nodes = launched() or (run.devices, 1)
    if run.recipe.batch_size % (devices * nodes):
        raise UserError(
            f"batch_size of the recipe, {run.recipe.batch_size}, does not divide among {devices * nodes} processes"
        )
    strategy = "ddp" if devices * nodes > 1 else "auto"
    return Fabric(strategy=strategy, devices=devices, num_nodes=nodes, precision=run.recipe.precision)


class Trainer:
    """One process's part of a run."""

    def __init__(self, fabric: Fabric, run: Run, network: ResNet, train_set: Dataset, console: Console) -> None:
        self.fabric, self.run, self.recipe = fabric, run, run.recipe
        images, self.validation = split_validation(train_set, self.recipe.validation, run.seed)
        self.batches = Batches(
            images,
            batch_size=self.recipe.batch_size,
            seed=run.seed,
            padding=self.recipe.crop_padding,
            flip=self.recipe.flip,
            device=fabric.device,
        )
        share = self.recipe.batch_size // fabric.world_size
        self.share = slice(fabric.global_rank * share, (fabric.global_rank + 1) * share)
        self._set_up(network)
        self.identity = {
            "architecture": run.architecture,
            "width": width_of(network),
            "classes": train_set.num_classes,
            "method": run.method,
            "dataset": train_set.name,
            "images": len(train_set),
            "data": train_set.digest(0, len(train_set)),
            "seed": run.seed,
            "recipe": self.recipe.model_dump(mode="json"),
            **_origin(run),
        }
        history = self._restore() if run.resume else []
        self.monitor = Monitor(
            run.out,
            console,
            epochs=self.recipe.epochs,
            steps=len(self.batches),
            batch_size=self.recipe.batch_size,
            history=history,
            active=fabric.is_global_zero,
        )

    @property
    def history(self) -> list[Row]:
        """The metrics of the epochs that are over."""
        return self.monitor.history

    def _set_up(self, network: ResNet) -> None:
        """Hands network and optimiser to Fabric: `network` stays the plain one, `model` is what is trained through."""
        if self.fabric.world_size > 1:
            globalise(network)
        if self.recipe.channels_last:
            network.to(memory_format=torch.channels_last)
        self.network = network
        optimizer = torch.optim.SGD(
            network.parameters(),
            lr=self.recipe.lr,
            momentum=self.recipe.momentum,
            nesterov=self.recipe.nesterov,
            weight_decay=self.recipe.weight_decay,
        )
        compiled = self.recipe.compile and self.fabric.device.type == "cuda"
        module = cast(nn.Module, torch.compile(network)) if compiled else network
        self.model, self.optimizer = self.fabric.setup(module, optimizer)

    def fit(self) -> None:
        """Trains from the epoch after the last checkpoint to the end."""
        with self.monitor:
            for epoch in range(len(self.history), self.recipe.epochs):
                self._epoch(epoch)
                self._save()

    def _epoch(self, epoch: int) -> None:
        began = time.monotonic()
        order = self.batches.order(epoch)
        losses = [self.step(order, epoch, number) for number in range(len(self.batches))]
        seconds = time.monotonic() - began
        clean, robust = self._validate()
        self.monitor.epoch(
            {
                "epoch": epoch + 1,
                "loss": sum(losses) / len(losses),
                "lr": self.recipe.learning_rate(epoch + 1),
                "clean": clean,
                "pgd": robust,
                "images_per_s": len(losses) * self.recipe.batch_size / seconds,
                "seconds": time.monotonic() - began,
            }
        )
        self._watch_robustness()

    def step(self, order: Tensor, epoch: int, number: int) -> float:
        """One step of the optimiser; returns the loss of the whole batch."""
        began = time.monotonic()
        learning_rate = self.recipe.learning_rate(epoch + number / len(self.batches))
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        loss = self._loss(self.batches.batch(order, epoch, number))
        self.optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        mean = float(self.fabric.all_reduce(loss.detach()))  # type: ignore[arg-type]
        step = epoch * len(self.batches) + number
        if not math.isfinite(mean):
            raise UserError(
                f"the loss is {mean} at step {step} (epoch {epoch + 1}); lower lr, or try --precision 32-true"
            )
        self.optimizer.step()
        self.monitor.step(step, mean, learning_rate, time.monotonic() - began)
        return mean

    def _loss(self, batch: Batch) -> Tensor:
        """The loss of this process's share of a batch."""
        x, y, keys = batch
        if not self.recipe.channels_last:
            x = x.contiguous()
        mine, labels = x[self.share], y[self.share]
        if self.run.method == "standard":
            return objectives.standard(self.model, mine, labels)
        if self.run.method == "mixup":
            return objectives.mixup(self.model, x, y, self._mix(keys, _MIX))
        adversarial = self._attack(mine, labels, keys[self.share])
        if self.run.method == "adversarial":
            return objectives.standard(self.model, adversarial, labels)
        mixes = (self._mix(keys, stream) for stream in (_MIX, _MIX_ADVERSARIAL))
        return objectives.iat(self.model, x, gather_rows(adversarial), y, *mixes)

    def _mix(self, keys: Tensor, stream: int) -> objectives.Mix:
        """This process's share of the blends of a batch."""
        return objectives.draw_mix(fold(keys, stream), self.recipe.alpha).share(self.share)

    def _attack(self, x: Tensor, y: Tensor, keys: Tensor) -> Tensor:
        """The adversarial examples that are trained on."""
        recipe = self.recipe
        with self.fabric.autocast():
            if recipe.attack_labels == "predicted":
                predicted = predict(self.network, x)
                y = predicted.where(predicted != NO_LABEL, y)
            return attacked(
                folded(self.network, x),
                x,
                y,
                fold(keys, _START),
                eps=recipe.attack_eps / 255,
                step=recipe.attack_step / 255,
                steps=recipe.attack_steps,
            )

    def _validate(self) -> tuple[float, float]:
        """Clean and PGD-10 accuracy on the validation images; not a number where there are none."""
        count = len(self.validation)
        if not count:
            return math.nan, math.nan
        with self.fabric.autocast():
            clean = count_correct(self.fabric, self.network, self.validation)
            robust = count_correct(self.fabric, self.network, self.validation, eps=self.recipe.eps / 255, steps=10)
        return 100 * clean / count, 100 * robust / count

    def _watch_robustness(self) -> None:
        """Reports catastrophic overfitting: robust accuracy below half of its best, where that was worth something."""
        best, now = max(row["pgd"] for row in self.history), self.history[-1]["pgd"]
        if self.run.method in ("adversarial", "iat") and best >= 20 and now < best / 2:
            self.monitor.say(
                f"warning: robust accuracy collapsed from {best:.1f}% to {now:.1f}% (catastrophic overfitting): "
                "take more attack_steps, or a lower lr"
            )

    def _save(self) -> None:
        """Writes what outlives the process; every process hears of it when that fails."""
        failure = None
        if self.fabric.is_global_zero:
            state = {
                "identity": self.identity,
                "network": self.network.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "history": self.history,
            }
            try:
                save_checkpoint(self.run.out, state)
                self.monitor.save()
            except UserError as error:
                failure = str(error)
        failure = self.fabric.broadcast(failure)
        if failure is not None:
            raise UserError(failure)

    def _restore(self) -> list[Row]:
        """Loads weights and optimiser; returns the epochs that are over."""
        state: dict[str, Any] = load_checkpoint(self.run.out, self.identity)
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        history: list[Row] = state["history"]
        return history
