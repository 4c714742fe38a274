"""bfloat16 as a part of a spec: what it changes and what it leaves alone."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from networks import TinyNet
from torch import Tensor, nn

from counteract._network import ask
from counteract._precision import at_least_float32, in_precision, with_autocast, without_autocast
from counteract.datasets import Dataset
from counteract.defences import defence_names
from counteract.evaluation import Run, RunOptions, evaluate_spec, make_spec, spec_for_dataset
from counteract.reporting.words import notes

FEW: dict[str, Any] = {"limit": 32, "attacks": ["clean", "pgd5"], "defences": ["counteraction", "crop-pad"]}


def run(folder: Path, **changes: Any) -> Run:
    return evaluate_spec(make_spec(spec_for_dataset("digits") | FEW | changes, "test"), RunOptions(cache=folder))


def correct(found: Run) -> dict[tuple[str, str], list[float]]:
    return {(cell.attack, cell.defence): cell.correct[0].tolist() for cell in found.cells}


def test_a_network_in_bfloat16_is_near_the_one_in_float32(digits_net: nn.Module, digits: Dataset) -> None:
    images = digits.images[:50]
    reduced = in_precision(digits_net, "bf16")
    with torch.no_grad():
        exact, near = digits_net(images), reduced(images)
    assert near.dtype == torch.float32
    assert 0 < (near - exact).abs().max() < 0.1 * exact.abs().max()
    assert (near.argmax(1) == exact.argmax(1)).float().mean() >= 0.95
    assert in_precision(digits_net, "float32") is digits_net
    (gradient,) = torch.autograd.grad(reduced(images.requires_grad_()).sum(), images)
    assert gradient.dtype == torch.float32
    assert gradient.abs().max() > 0


def test_the_layers_of_a_network_in_bfloat16_are_its_own(digits_net: nn.Module) -> None:
    reduced = in_precision(digits_net, "bf16")
    assert reduced.head is digits_net.head


def test_oblivious_examples_are_the_same_and_the_answers_nearly(tmp_path: Path) -> None:
    exact = run(tmp_path)
    names = {path.name for path in tmp_path.rglob("*.safetensors")}
    reduced = run(tmp_path, precision="bf16")
    assert {path.name for path in tmp_path.rglob("*.safetensors")} == names
    assert correct(reduced) != correct(exact)  # signs of small gradients flip
    for one, other in zip(exact.rows, reduced.rows, strict=True):
        assert abs(one.accuracy - other.accuracy) < 20
    assert not any("bf16" in note for note in notes(exact))
    assert any("bf16" in note for note in notes(reduced))


def test_results_in_bfloat16_do_not_stand_in_for_exact_ones(tmp_path: Path) -> None:
    options = RunOptions(folder=tmp_path)
    for count, changes in enumerate(({}, {"precision": "bf16"}), start=1):
        evaluate_spec(make_spec(spec_for_dataset("digits") | FEW | changes, "test"), options)
        assert len((tmp_path / "journal.jsonl").read_text().splitlines()) == 4 * count


@pytest.mark.parametrize("defence", defence_names()[1:])
def test_every_defence_is_attacked_in_bfloat16(defence: str) -> None:
    effort = {"preset": "quick", "steps": 1, "target_steps": 1, "queries": 1, "precision": "bf16"}
    attacks = ["bpda-apgd-cw", "smooth", "joint", "cheap", "around"]
    changes = {"limit": 2, "attacks": attacks, "defences": [defence], "preset": effort}
    found = evaluate_spec(make_spec(spec_for_dataset("digits") | changes, "test"))
    assert {cell.attack for cell in found.measured} >= {"bpda-apgd-cw", "joint", "around"}


def test_a_precision_that_is_none() -> None:
    with pytest.raises(ValueError, match="precision"):
        make_spec(spec_for_dataset("digits") | {"precision": "fp8"}, "test")


def test_without_autocast_networks_alone_have_the_callers() -> None:
    matrix = torch.rand(3, 3)
    with torch.autocast("cpu", torch.float16):
        with without_autocast(matrix.device):
            assert (matrix @ matrix).dtype == torch.float32
            with with_autocast():
                assert (matrix @ matrix).dtype == torch.float16
                with without_autocast(matrix.device), with_autocast():  # of a defence in that network
                    assert (matrix @ matrix).dtype == torch.float16
                with torch.autocast("cpu", enabled=False), without_autocast(matrix.device), with_autocast():
                    assert (matrix @ matrix).dtype == torch.float32
            assert (matrix @ matrix).dtype == torch.float32
        assert (matrix @ matrix).dtype == torch.float16
    with without_autocast(matrix.device), with_autocast():
        assert (matrix @ matrix).dtype == torch.float32
    with without_autocast(torch.device("meta")):
        pass


def test_an_autocast_that_is_kept_is_that_of_its_thread() -> None:
    matrix = torch.rand(3, 3)

    def elsewhere() -> torch.dtype:
        with with_autocast():
            return (matrix @ matrix).dtype

    with torch.autocast("cpu", torch.bfloat16), without_autocast(matrix.device), ThreadPoolExecutor(1) as other:
        assert other.submit(elsewhere).result() == torch.float32


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_half_precision_becomes_single(dtype: torch.dtype) -> None:
    found = at_least_float32(torch.ones(1, dtype=dtype)).dtype
    assert found == (torch.float64 if dtype == torch.float64 else torch.float32)


class Sure(TinyNet):
    """A network whose cross-entropy has slopes that float16 does not hold."""

    def forward(self, x: Tensor) -> Tensor:
        logits = super().forward(x)
        return logits + 20 * F.one_hot(logits.argmax(1), 10)


class Casting(nn.Module):
    """A network that computes in float16 by itself."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Any:
        with torch.autocast("cpu", torch.float16):
            return self.network(x)


def slopes(network: nn.Module, x: Tensor, *, twice: bool) -> Tensor:
    """Returns the gradient of the cross-entropy to the network's own labels, or that of its size in some pixels."""
    points, labels = x.clone().requires_grad_(), ask(network, x).argmax(1)
    loss = F.cross_entropy(ask(network, points), labels, reduction="sum")
    (gradient,) = torch.autograd.grad(loss, points, create_graph=twice)
    return torch.autograd.grad(gradient.square().sum(), points)[0] if twice else gradient


def apart(one: Tensor, other: Tensor) -> float:
    """Returns the largest difference of two images' numbers, as a share of the larger ones of each image."""
    return float(((one - other).flatten(1).abs() / other.flatten(1).abs().amax(1, keepdim=True)).max())


@pytest.mark.parametrize("change", [nn.Module.half, Casting])
def test_gradients_in_float16_are_those_of_single_precision(change: Callable[[nn.Module], nn.Module]) -> None:
    x = torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    exact, found = slopes(Sure().eval(), x, twice=False), slopes(change(Sure().eval()), x, twice=False)
    assert exact.abs().max() < 1e-7
    assert apart(found, exact) < 0.05


def test_gradients_of_gradients_in_float16_are_left_alone() -> None:
    x = torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    exact, found = slopes(TinyNet().eval(), x, twice=True), slopes(TinyNet().eval().half(), x, twice=True)
    assert apart(found, exact) < 0.1
