"""The module `autoattack` that RobustBench expects, on top of the `pyautoattack` that it installs.

The two differ in their signatures, and `pyautoattack` 0.2.0 cannot go on with a run that was interrupted: it writes its
state's sets as text, and a restored run lacks its predictions. Here it can.
"""

from __future__ import annotations

import json
import logging
import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar
from unittest import mock

import pyautoattack
import pyautoattack.autoattack
import pyautoattack.state
import torch
from pyautoattack import checks
from torch import Tensor, nn

from counteract._answers import labels_of
from counteract._errors import UserError
from counteract._files import write_atomically
from counteract._network import Asked, borrowed, device_of
from counteract.defended import DefendedModule
from counteract.robustbench.eligibility import NOT_ELIGIBLE

_CLASSES = {"apgd-dlr": 3, "apgd-t": 4}
"""The least number of classes for attacks on the DLR loss."""


class EvaluationState(pyautoattack.state.EvaluationState):
    """The progress of a run of AutoAttack, in a file; its flags are numbers, because RobustBench takes their mean."""

    flags: ClassVar[torch.dtype] = torch.float32
    _robust_flags: Tensor | None
    _clean_accuracy: float

    def to_disk(self, force: bool = False) -> None:
        """Writes the state, atomically, if it has a file."""
        del force  # it is small: it is always written
        if self.path is None:
            return
        content = {
            "attacks_to_run": sorted(self._attacks_to_run),
            "run_attacks": sorted(self._run_attacks),
            "robust_flags": None if self._robust_flags is None else self._robust_flags.int().tolist(),
            "clean_accuracy": self._clean_accuracy,
        }
        write_atomically(self.path, json.dumps(content).encode())

    @classmethod
    def from_disk(cls, path: Path | str) -> EvaluationState:
        """Reads a state.

        Raises:
            UserError: (a ValueError) there is none in this file.
        """
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
            flags = content["robust_flags"]
            return cls(
                set(content["attacks_to_run"]),
                path=Path(path),
                _run_attacks=set(content["run_attacks"]),
                _robust_flags=None if flags is None else torch.tensor(flags, dtype=cls.flags),
                _clean_accuracy=content["clean_accuracy"],
            )
        except (OSError, KeyError, TypeError, json.JSONDecodeError) as error:
            raise UserError(f"aa_state_path {path} holds no state of this package's AutoAttack: {error!r}") from error


class _RunState(EvaluationState):
    """The same inside a run, which needs truth values.

    `pyautoattack` goes on with restored flags only to fail for want of predictions. So a restored state shows it none:
    it classifies the images anew and sets the flags, and those that had fallen before fall then.
    """

    flags = torch.bool
    restored: Tensor | None = None

    @classmethod
    def from_disk(cls, path: Path | str) -> EvaluationState:
        """Reads a state; its flags come into force when the run first sets them."""
        state = super().from_disk(path)
        assert isinstance(state, _RunState)
        state.restored, state._robust_flags = state._robust_flags, None
        return state

    @property
    def robust_flags(self) -> Tensor | None:
        """The images that still stand: bool, one for each."""
        return self._robust_flags

    @robust_flags.setter
    def robust_flags(self, robust_flags: Tensor) -> None:
        if self.restored is not None:
            robust_flags &= self.restored.to(robust_flags.device)  # in place: the run holds this tensor
            self.restored = None
        self._robust_flags = robust_flags
        self.to_disk()

    @property
    def clean_accuracy(self) -> float:
        """The accuracy before any attack; what a resumed run sets it to is not."""
        return self._clean_accuracy

    @clean_accuracy.setter
    def clean_accuracy(self, accuracy: float) -> None:
        if math.isnan(self._clean_accuracy):
            self._clean_accuracy = accuracy
        self.to_disk()


class AutoAttack(pyautoattack.AutoAttack):
    """AutoAttack (Croce and Hein 2020) as RobustBench calls it; the network is in eval mode meanwhile.

    Args:
        model: Maps images in [0, 1] to logits.
        norm: `"Linf"`, `"L2"` or `"L1"`.
        eps: The bound on the perturbation.
        seed: Of the attacks' random starts; None for the time.
        verbose: Prints progress.
        attacks_to_run: The attacks of `version="custom"`.
        version: `"standard"`, `"plus"`, `"rand"` or `"custom"`.
        device: The device to compute on; by default the network's.
        log_path: A file that what is printed is appended to.
    """

    attacks_to_run: list[str]

    def __init__(
        self,
        model: nn.Module,
        norm: str = "Linf",
        eps: float = 0.3,
        seed: int | None = None,
        verbose: bool = True,
        attacks_to_run: Sequence[str] = (),
        version: str = "standard",
        device: torch.device | str | None = None,
        log_path: str | Path | None = None,
    ) -> None:
        super().__init__(
            Asked(model),
            attacks=list(attacks_to_run) or None,
            device=device or device_of(model) or "cpu",
            eps=eps,
            norm=norm,
            seed=seed,
            version=version,
        )
        self._defended = isinstance(model, DefendedModule)
        self.verbose = verbose
        self.log_path = log_path

    def get_logits(self, x: Tensor) -> Tensor:
        """Returns the logits by which images are judged; one that is not finite favours a class that there is not.

        The maximum of such a row would be its first NaN, which is right where that is the label.
        """
        logits: Tensor = super().get_logits(x)
        usable = (labels_of(logits) >= 0).unsqueeze(1)
        if usable.all():
            return logits
        least = torch.finfo(logits.dtype).min
        return torch.cat([logits.where(usable, least), torch.where(usable, least, 0.0)], dim=1)

    def run_standard_evaluation(
        self,
        x_orig: Tensor,
        y_orig: Tensor,
        bs: int = 250,
        return_labels: bool = False,
        state_path: str | Path | None = None,
    ) -> Any:
        """Attacks all images, each attack those that the ones before it left standing.

        Args:
            x_orig: Images in [0, 1], shape (N, C, H, W).
            y_orig: Their labels, shape (N,).
            bs: Images per batch.
            return_labels: Returns the predictions, too.
            state_path: A file for the state; a run that finds one there goes on with it.
        """
        path = None if state_path is None else Path(state_path)
        _forget_calls()
        patched = mock.patch.object(pyautoattack.autoattack, "EvaluationState", _RunState)
        if len(x_orig):
            with borrowed(self.model):
                self._fit(x_orig[:1])
        with self._logged(), borrowed(self.model), patched:
            if self._defended:
                self.logger.warning(NOT_ELIGIBLE)
            adversarial, predicted = super().run_standard_evaluation(x_orig, y_orig, batch_size=bs, state_path=path)
        return (adversarial, predicted) if return_labels else adversarial

    def run_standard_evaluation_individual(
        self, x_orig: Tensor, y_orig: Tensor, bs: int = 250, return_labels: bool = False
    ) -> dict[str, Any]:
        """Runs each attack on all images; returns its result by its name."""
        every = self.attacks_to_run
        try:
            found = {}
            for attack in every:
                self.attacks_to_run = [attack]
                found[attack] = self.run_standard_evaluation(x_orig, y_orig, bs, return_labels)
            return found
        finally:
            self.attacks_to_run = every

    def _fit(self, image: Tensor) -> None:
        """Leaves out the attacks whose losses need more classes than there are, and targets that there are not."""
        with torch.no_grad():
            classes = self.model(image.to(self.device)).shape[1]
        for attack in (self.apgd_targeted, self.fab):
            attack.n_target_classes = min(attack.n_target_classes, classes - 1)
        missing = [name for name in self.attacks_to_run if classes < _CLASSES.get(name, 2)]
        if missing:
            self.attacks_to_run = [name for name in self.attacks_to_run if name not in missing]
            self.logger.warning("%s did not run: of %d classes there are too few", ", ".join(missing), classes)

    @contextmanager
    def _logged(self) -> Iterator[None]:
        """Sends what the attacks report to stdout and to the log file, as the original AutoAttack prints it."""
        handlers: list[logging.Handler] = [logging.StreamHandler(sys.stdout)] if self.verbose else []
        if self.log_path is not None:
            handlers.append(logging.FileHandler(self.log_path, encoding="utf-8"))
        level, propagate = self.logger.level, self.logger.propagate
        for handler in handlers:
            self.logger.addHandler(handler)
        self.logger.setLevel(logging.DEBUG)
        self.logger.propagate = False
        try:
            yield
        finally:
            self.logger.setLevel(level)
            self.logger.propagate = propagate
            for handler in handlers:
                self.logger.removeHandler(handler)
                handler.close()


def warnings_about(model: nn.Module, images: Tensor, labels: Tensor) -> list[str]:
    """Returns AutoAttack's warnings: of randomness, outputs that are no logits, gradients inside or none.

    Args:
        model: Maps images in [0, 1] to logits.
        images: A few images, shape (N, C, H, W).
        labels: Their labels, shape (N,).
    """
    _forget_calls()
    found: list[str] = []
    asked = Asked(model)
    logger = SimpleNamespace(warning=found.append)
    points = images.detach().clone().requires_grad_()
    with borrowed(model), torch.enable_grad():
        checks.check_randomized(asked, images, labels, logger=logger)
        checks.check_range_output(asked, images, logger=logger)
        checks.check_dynamic(asked, images, logger=logger)
        loss = torch.nn.functional.cross_entropy(asked(points), labels, reduction="sum")
        checks.check_zero_gradients(torch.autograd.grad(loss, points)[0].contiguous(), logger=logger)
    return [" ".join(text.removesuffix(" See flags_doc.md for details.").split()) for text in found]


def _forget_calls() -> None:
    """Sets AutoAttack's counts of gradients inside of a network to zero, which it never does itself."""
    checks.funcs.update(dict.fromkeys(checks.funcs, 0))


def as_modules() -> dict[str, ModuleType]:
    """The modules `autoattack` and `autoattack.state`."""
    package, state = ModuleType("autoattack", __doc__), ModuleType("autoattack.state", __doc__)
    package.AutoAttack = AutoAttack  # type: ignore[attr-defined]
    package.state = state  # type: ignore[attr-defined]
    state.EvaluationState = EvaluationState  # type: ignore[attr-defined]
    return {"autoattack": package, "autoattack.state": state}
