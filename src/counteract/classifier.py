"""`DefendedClassifier`: ART's `PyTorchClassifier`, averaged over randomised executions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from art.estimators.classification import PyTorchClassifier
from torch import nn

from counteract._errors import UserError
from counteract.defended import Average, DefendedModule
from counteract.preprocessors import RandomPreprocessor


class DefendedClassifier(PyTorchClassifier):
    """An ART classifier whose every output and gradient is that of the averaged, defended network.

    `preprocessing_defences` are ART's own: they run once per input. `transforms` are redrawn for each of the
    `executions`, whose outputs are averaged (see `DefendedModule`): `predict`, `loss_gradient`, `class_gradient`,
    `compute_loss` and so every attack of ART see log-probabilities of the average. Without `transforms` this is
    `PyTorchClassifier`, exactly.

    `fit` trains the undefended network through those transforms alone that have `apply_fit=True`, one draw each.
    `model` is the undefended network. `clone_for_refitting` copies the network and shares the defences: a defence that
    holds the old network still uses it, so give a refitted clone defences of its own.

    Args:
        model: The undefended network: images in `clip_values` to logits, normalisation inside.
        loss: As in ART; it is given log-probabilities where there are transforms.
        input_shape: The shape of one image.
        nb_classes: The number of classes.
        preprocessing_defences: As in ART.
        transforms: Defences of this package that are redrawn for each execution.
        executions: The number of executions.
        average: `"probabilities"` or `"logits"`.
        executions_per_pass: See `DefendedModule`.
        **kwargs: The rest of `PyTorchClassifier`'s arguments.

    Raises:
        UserError: (a ValueError) an argument is out of its range, or `preprocessing` is combined with transforms.
    """

    estimator_params = (
        *PyTorchClassifier.estimator_params, "transforms", "executions", "average", "executions_per_pass",
    )  # fmt: skip

    def __init__(
        self,
        model: nn.Module,
        loss: nn.modules.loss._Loss,
        input_shape: tuple[int, ...],
        nb_classes: int,
        *,
        preprocessing_defences: Any = None,
        transforms: Sequence[RandomPreprocessor[Any]] | None = None,
        executions: int = 1,
        average: Average = "probabilities",
        executions_per_pass: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(model, loss, input_shape, nb_classes, preprocessing_defences=preprocessing_defences, **kwargs)
        self._undefended = model
        self._transforms = transforms
        self._executions = executions
        self._average = average
        self._executions_per_pass = executions_per_pass
        self._defend("apply_predict")

    @property
    def model(self) -> nn.Module:
        """The undefended network."""
        return self._undefended

    @property
    def transforms(self) -> Sequence[RandomPreprocessor[Any]] | None:
        """The defences that are redrawn for each execution."""
        return self._transforms

    @property
    def executions(self) -> int:
        """The number of executions that are averaged."""
        return self._executions

    @property
    def average(self) -> Average:
        """The answers that are averaged: `probabilities` or `logits`."""
        return self._average

    @property
    def executions_per_pass(self) -> int | None:
        """The number of executions that go through the network together; see `DefendedModule`."""
        return self._executions_per_pass

    def set_params(self, **kwargs: Any) -> None:
        """Changes parameters, as in ART, and builds the defended network anew."""
        super().set_params(**kwargs)
        if "model" in kwargs:
            self._undefended = kwargs["model"]
        self._defend("apply_predict")

    def fit(self, *args: Any, **kwargs: Any) -> None:
        """Trains the undefended network as in ART, through the transforms with `apply_fit=True`."""
        with self._training():
            super().fit(*args, **kwargs)

    def fit_generator(self, *args: Any, **kwargs: Any) -> None:
        """Trains the undefended network as in ART, through the transforms with `apply_fit=True`."""
        with self._training():
            super().fit_generator(*args, **kwargs)

    @contextmanager
    def _training(self) -> Iterator[None]:
        self._defend("apply_fit", executions=1)
        try:
            yield
        finally:
            self._defend("apply_predict")

    def _defend(self, applies: str, executions: int | None = None) -> None:
        """Puts the network, averaged over the transforms that apply, where ART looks for its model."""
        transforms = [transform for transform in self._transforms or () if getattr(transform, applies)]
        if transforms and self.preprocessing is not None and not _is_identity(self.preprocessing):
            raise UserError(
                "preprocessing cannot be combined with transforms, which need pixels in clip_values:"
                " normalise inside the network (counteract.models.Normalize)"
            )
        defended = DefendedModule(
            self._undefended,
            transforms=transforms,
            executions=self._executions if executions is None else executions,
            average=self._average,
            executions_per_pass=self._executions_per_pass,
            clip_values=self._range(),
        )
        self._model._model = defended if transforms else self._undefended
        if not self._model._forward_pre_hooks:
            self._model.register_forward_pre_hook(_copied)

    def _range(self) -> tuple[float, float] | None:
        """Returns the pixel range to expect of the input; None, any, after ART's own defences, which check theirs."""
        if self.clip_values is None or self.preprocessing_defences or np.ndim(self.clip_values[0]):
            return None
        return float(self.clip_values[0]), float(self.clip_values[1])


def _copied(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """Gives the network a copy of what ART passes it, which may be the caller's array: it may write into it."""
    del module
    return tuple(each.clone() if isinstance(each, torch.Tensor) else each for each in inputs)


def _is_identity(standardisation: Any) -> bool:
    """Returns whether ART's standardisation subtracts zero and divides by one."""
    mean, std = getattr(standardisation, "mean", None), getattr(standardisation, "std", None)
    return mean is not None and not np.any(torch.as_tensor(mean).cpu().numpy()) and bool(np.all(np.asarray(std) == 1))
