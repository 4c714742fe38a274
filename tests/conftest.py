"""Fixtures for every test: tiny networks, a few real images, and the CIFAR files where a checkout has them."""

from __future__ import annotations

import importlib.util
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from networks import TinyNet
from torch import Tensor, nn

from counteract.datasets import Dataset, load_dataset
from counteract.models import load_model

DATA = Path(os.environ.get("COUNTERACT_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
"""CIFAR as the developers share it, which is not part of the project; its `unpack.py` makes plain .npz files."""


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Leaves the user's cache of adversarial examples and the terminal's width alone, also in processes of tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("COLUMNS", raising=False)
        patch.setenv("COUNTERACT_CACHE", str(tmp_path_factory.mktemp("examples")))
        yield


@pytest.fixture
def heard() -> Iterator[None]:
    """Hears Ctrl-C in this test, also where whoever runs the tests does not, as behind `nohup`."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def net() -> TinyNet:
    net = TinyNet()
    net.eval()
    return net


@pytest.fixture(scope="session")
def digits_net() -> nn.Module:
    return load_model("digits-resnet-mixup")


@pytest.fixture(scope="session")
def digits() -> Dataset:
    return load_dataset("digits")


@pytest.fixture(scope="session")
def cifar10(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An .npz file of CIFAR-10's test split."""
    if not (DATA / "cifar10_test.npz").is_file():
        pytest.skip(f"needs CIFAR-10 in {DATA}, which is shared among the developers and no part of the project")
    spec = importlib.util.spec_from_file_location("unpack", DATA / "unpack.py")
    assert spec is not None
    assert spec.loader is not None
    unpack = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(unpack)
    folder = tmp_path_factory.mktemp("cifar")
    unpack.main(str(folder), "cifar10_test")
    return folder / "cifar10_test.npz"


@pytest.fixture(scope="session")
def photos(cifar10: Path) -> Dataset:
    """The first 64 test images of CIFAR-10."""
    return load_dataset(str(cifar10)).take(64)


@pytest.fixture
def x(digits: Dataset) -> Tensor:
    """Six real images with room below 0 and above 1."""
    return digits.images[:6] * 0.6 + 0.2


@pytest.fixture
def pool(digits: Dataset) -> tuple[Tensor, Tensor]:
    return digits.images[100:160], digits.labels[100:160]
