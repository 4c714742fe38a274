"""Test-time counterattack (TTC): away from the features of what was received, if these hardly move under noise."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from typing_extensions import Self, Unpack

from counteract import _random
from counteract._arguments import check_count, check_real, check_text
from counteract._clamp import clamp
from counteract._errors import UserError, shown
from counteract._folding import folded
from counteract._network import borrowed
from counteract.preprocessors._smooth import STEEPNESS, gradient_of, smooth_sign
from counteract.preprocessors.base import Options, check_change
from counteract.preprocessors.first_order import FirstOrderPreprocessor

_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
"""The layers, the last of which says where a network's features are."""

_NAMED = 10
"""Up to so many modules are named in an error."""


class TestTimeCounterattack(FirstOrderPreprocessor[Tensor]):
    """Drives the input's features away from where they were received, if noise hardly moves them ("false stability").

    With h the features and delta_0 uniform noise in [-eps, eps], `steps` times

        delta_k+1 = clamp(delta_k + eps_step * sign(grad ||h(x + delta_k) - h(x)||_2^2), -eps, eps),

    each delta clamped such that x + delta stays in `clip_values`. Of an image whose features noise moves by less than
    the threshold, ||h(x + delta_0) - h(x)||_2 / ||h(x)||_2 < tau, what is added is the mean of all deltas, weighted by
    exp(beta * k), k = 0 to `steps`; of any other it is the noise delta_0 alone.

    Source: Xing, Zhao and Sebe, "CLIP is strong enough to fight back: test-time counterattacks towards zero-shot
    adversarial robustness of CLIP", CVPR 2025, arXiv 2503.03613, with the values of its code
    (`code/test_time_counterattack.py`). There the features are CLIP's embedding of the image; here they are what the
    last linear layer of any network reads, which of `clip:` networks is that embedding. tau is theirs for CLIP: other
    features may move more or less under noise.

    **How its own code attacks it**: PGD, C&W and AutoAttack's APGD on the undefended network, whose results are then
    defended. All of its figures are oblivious; the attacker never meets the counterattack.

    The cost is 1 + 2 `steps` passes. What gradients pass back, and what a copy shares, is said at
    `FirstOrderPreprocessor`; `smooth()` smooths the signs and the threshold.

    Args:
        model: The undefended network: images in `clip_values` to logits, normalisation inside.
        eps: The paper's epsilon_ttc: the largest change of a pixel, from 0 to the width of `clip_values`.
        eps_step: The paper's alpha: the size of a step, likewise.
        steps: The paper's N, the number of steps, 1 or more.
        tau: The threshold of the relative change of features under noise, below which an image is counterattacked; 0 or
            more.
        beta: The growth of the weights from one step to the next, 0 or more.
        features: The path of the module whose output are the features, or the end of its path; None for the input of
            the last linear layer that the network calls, after which it must call no convolution.
        **options: Those of `RandomPreprocessor`.

    Raises:
        UserError: (a ValueError) an argument is out of its range; on use also if the network has no such features.

    Examples:
        >>> from counteract import TestTimeCounterattack, load_model
        >>> from counteract.datasets import load_dataset
        >>> network, data = load_model("digits-resnet-mixup"), load_dataset("digits").take(8)
        >>> countered, _ = TestTimeCounterattack(network)(data.images.numpy())
        >>> countered.shape
        (8, 3, 32, 32)
    """

    __test__ = False  # its name makes pytest take it for tests

    params: ClassVar[list[str]] = [
        *FirstOrderPreprocessor.params, "eps", "eps_step", "steps", "tau", "beta", "features",
    ]  # fmt: skip

    def __init__(
        self,
        model: nn.Module,
        *,
        eps: float = 4 / 255,
        eps_step: float = 1 / 255,
        steps: int = 2,
        tau: float = 0.2,
        beta: float = 2.0,
        features: str | None = None,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(model, **options)
        self.eps = eps
        self.eps_step = eps_step
        self.steps = steps
        self.tau = tau
        self.beta = beta
        self.features = features
        self._check_params()

    def draw(self, keys: Tensor, x: Tensor, prepared: Tensor | None) -> Tensor:
        """Draws the starting noise in units of eps: uniform in [-1, 1], of the images' shape."""
        del prepared
        return 2 * _random.uniform(keys, x[0].numel()).view(len(keys), *x.shape[1:]) - 1

    def look(self, x: Tensor) -> None:
        """Makes sure that the network has such features."""
        with borrowed(self.model), torch.no_grad():
            self._encode(self.model, x[:1])

    def describe(self) -> str:
        """Returns the parameters in words, and the features."""
        return super().describe().replace("features None", "features: the last linear layer's input")

    def perturbation(self, x: Tensor, parameters: Tensor) -> Tensor:
        """The weighted mean of the deltas, or the noise."""
        with self._differentiable(x) as (model, received):
            with torch.no_grad():
                original = self._encode(model, received)
            changes = [self._kept(received, self.eps * parameters.to(received))]
            moves = torch.empty(0)
            for step in range(self.steps):
                moved = (received + changes[-1]).requires_grad_()
                features = self._encode(model, moved)
                if step == 0:
                    moves = _relative_change(features.detach(), original)
                (gradient,) = torch.autograd.grad((features - original).square().sum(), moved)
                changes.append(self._kept(received, changes[-1] + self.eps_step * gradient.sign_()))
            stable = (moves < self.tau).view(-1, 1, 1, 1)
            change = torch.where(stable, self._mean(changes), changes[0])
        return change.to(x.device)

    def smooth_perturbation(self, x: Tensor, parameters: Tensor) -> Tensor:
        """The perturbation with each sign and the threshold smoothed."""
        model = self._fast(x)
        original = self._encode(model, x)
        changes = [self._kept(x, (self.eps * parameters).to(x.dtype))]
        moves = torch.empty(0)
        for step in range(self.steps):
            moved = x + changes[-1]
            features = self._encode(model, moved)
            if step == 0:
                moves = _relative_change(features, original)
            ascent = smooth_sign(gradient_of((features - original).square().sum(), moved))
            changes.append(self._kept(x, changes[-1] + self.eps_step * ascent))
        below = 1 - moves / max(self.tau, torch.finfo(moves.dtype).eps)
        stable = (0.5 + 0.5 * torch.tanh(STEEPNESS * below)).view(-1, 1, 1, 1)
        return torch.lerp(changes[0], self._mean(changes), stable.to(x.dtype))

    def with_fewer_steps(self, steps: int) -> Self:
        """The same with at most so many steps."""
        return self._with(steps=min(self.steps, steps))

    @property
    def passes(self) -> int:
        """A forward pass of what is received, and a forward and a backward pass for each step."""
        return 1 + 2 * self.steps

    def _kept(self, x: Tensor, change: Tensor) -> Tensor:
        """A change within eps that leaves pixels in their range."""
        change = clamp(change, -self.eps, self.eps)
        if self.clip_values is None:
            return change
        low, high = self.clip_values
        return clamp(change, low - x, high - x)

    def _mean(self, changes: list[Tensor]) -> Tensor:
        """The mean of all deltas, the later the heavier."""
        weights = (self.beta * torch.arange(len(changes), dtype=torch.float64)).softmax(0).tolist()
        return torch.stack([weight * change for weight, change in zip(weights, changes, strict=True)]).sum(0)

    def _encode(self, model: nn.Module, x: Tensor) -> Tensor:
        """The features of images, one row an image."""
        with _caught(model, self.features) as caught:
            self._logits(model, x)
        layer, found = caught[-1] if caught else (None, None)
        if self.features is None and not isinstance(layer, nn.Linear):
            last = f"the last layer it calls is a {type(layer).__name__}" if layer is not None else "it calls no layer"
            problem = f"without a name they are what its last torch.nn.Linear reads, but {last}"
        elif not isinstance(found, Tensor) or len(found) != len(x):
            what = self.features or "what its last torch.nn.Linear reads"
            problem = f"{what} is {_described(found)} for a batch of {len(x)}"
        else:
            return found.flatten(1)
        raise UserError(f"features must name a module of the network that returns one row for each image: {problem}")

    def _fast(self, x: Tensor) -> nn.Module:
        """The network as it is asked; not folded where a module is named, which folding may change."""
        return folded(self.model, x) if self.features is None else self.model

    def _check_params(self) -> None:
        super()._check_params()
        self.eps = check_change("eps", self.eps, self.clip_values)
        self.eps_step = check_change("eps_step", self.eps_step, self.clip_values)
        self.steps = check_count("steps", self.steps)
        self.tau = check_real("tau", self.tau)
        self.beta = check_real("beta", self.beta)
        if self.features is not None:
            self.features = check_text("features", self.features, "the name of a module")


def _relative_change(features: Tensor, original: Tensor) -> Tensor:
    """The distance of features in units of the original ones' norm; no number where that is zero and nothing moves."""
    distance: Tensor = torch.linalg.vector_norm(features - original, dim=1)
    length: Tensor = torch.linalg.vector_norm(original, dim=1)
    return distance / length


def _module(model: nn.Module, name: str) -> nn.Module:
    """The module of a path, or the outermost of those whose paths end in it: networks come in wrappers.

    Raises:
        UserError: (a ValueError) there is none, or which one is meant is not clear.
    """
    found: dict[str, nn.Module] = {
        path: module for path, module in model.named_modules() if f".{path}".endswith(f".{name}")
    }
    least = min((path.count(".") for path in found), default=0)
    outermost = [path for path in found if path.count(".") == least]
    if len(outermost) == 1:
        return found[outermost[0]]
    known = ", ".join(outermost or [path for path, _ in model.named_modules() if path][:_NAMED])
    raise UserError(f"features must be the name of one module of the network ({known}), found {shown(name)}")


def _described(found: object) -> str:
    """Something that a module returned, in words."""
    return f"a tensor of shape {tuple(found.shape)}" if isinstance(found, Tensor) else f"a {type(found).__name__}"


@contextmanager
def _caught(model: nn.Module, name: str | None) -> Iterator[list[tuple[nn.Module, Any]]]:
    """Catches what a named module returns meanwhile, or else what layers read, in the order of the calls.

    Others may ask the same network in their own threads at the same time: their calls are not caught.
    """
    caught: list[tuple[nn.Module, Any]] = []
    mine = threading.get_ident()

    def catch(layer: nn.Module, *call: Any) -> None:
        if threading.get_ident() == mine:
            found = call[-1]  # of a layer that is about to be called its arguments, else what it returns
            caught.append((layer, found[0] if isinstance(found, tuple) else found))

    with ExitStack() as hooks:
        if name is not None:
            hooks.callback(_module(model, name).register_forward_hook(catch).remove)
        for layer in model.modules() if name is None else ():
            if isinstance(layer, _LAYERS):
                hooks.callback(layer.register_forward_pre_hook(catch).remove)
        yield caught
