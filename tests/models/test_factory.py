"""Anyone's own network, from a factory or from an ART classifier."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from art.defences.preprocessor import FeatureSqueezing
from art.estimators.classification import BlackBoxClassifier, PyTorchClassifier
from networks import TinyNet
from torch import Tensor, nn

from counteract import DefendedClassifier, GaussianNoise, from_art, load_model
from counteract._errors import UserError
from counteract.models.about import about
from counteract.models.checks import probe

MODULE = """
import torch
from networks import TinyNet
made = TinyNet()
number = 3
def make(): return TinyNet()
def fails(): raise KeyError("layer")
def leaves(): raise SystemExit(0)
class Failing(TinyNet):
    def train(self, mode=True): raise KeyError("mode")
def wrong(): return 1 + "a"
def probabilities(): return torch.nn.Sequential(TinyNet(), torch.nn.Softmax(1))
def needs(width):
    made = TinyNet()
    made.width = width
    return made
def nothing(): return None
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of the user's, in the current folder; a new name for every test."""
    name = f"mine_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    return name


def test_a_factory_in_the_current_folder_makes_a_network(mine: str) -> None:
    network = load_model(f"{mine}:make", num_classes=10)
    assert isinstance(network, TinyNet)
    assert not network.training


def test_a_network_that_a_module_holds_will_do(mine: str) -> None:
    assert isinstance(load_model(f"{mine}:made"), TinyNet)


def test_a_factory_takes_the_arguments_in_its_brackets(mine: str) -> None:
    assert load_model(f"{mine}:needs(width=(8/4, 'a', None))").width == (2, "a", None)
    assert about(f"{mine}:needs(width=2)").source != about(f"{mine}:needs(width=3)").source


def test_a_file_of_torchscript_is_a_network(tmp_path: Path) -> None:
    network = TinyNet().eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch would have everyone export
        torch.jit.trace(network, probe((3, 32, 32))).save(tmp_path / "net.pt")
        loaded = load_model(f"torch.jit:load(f='{tmp_path / 'net.pt'}')")
    torch.testing.assert_close(loaded(probe((3, 32, 32))), network(probe((3, 32, 32))))


def test_a_module_in_a_package_is_found() -> None:
    assert isinstance(load_model("networks:TinyNet"), TinyNet)


def test_the_path_is_left_as_it_was(mine: str) -> None:
    import sys

    before = sys.path.copy()
    load_model(f"{mine}:make")
    assert sys.path == before


@pytest.mark.parametrize("trust", [False, True])
def test_weights_are_loaded(mine: str, tmp_path: Path, trust: bool) -> None:
    source = TinyNet().eval()
    source.head.bias.data += 1
    torch.save({"state_dict": {f"module.{name}": value for name, value in source.state_dict().items()}}, "net.pt")
    network = load_model(f"{mine}:make", weights=tmp_path / "net.pt", trust=trust)
    torch.testing.assert_close(network(probe((3, 32, 32))), source(probe((3, 32, 32))))


def test_normalisation_is_put_in_front(mine: str) -> None:
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.3, 0.4)
    network = load_model(f"{mine}:make", mean=mean, std=std)
    x = probe((3, 32, 32))
    normalised = (x - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    torch.testing.assert_close(network(x), TinyNet().eval()(normalised))
    with pytest.raises(UserError, match="mean and std go together"):
        load_model(f"{mine}:make", mean=mean)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_module_here:make", "module 'no_such_module_here' cannot be imported"),
        (":make", "must be 'package.module:factory'"),
        ("a..b:make", "must be 'package.module:factory'"),
        ("MINE:", "must be 'package.module:factory'"),
        ("MINE.py:make", "name the module and not its file, MINE:make"),
        ("MINE:fails", "^model MINE:fails failed with KeyError: 'layer'$"),
        ("MINE:leaves", "^model MINE:leaves failed with SystemExit: 0$"),
        ("MINE:wrong", "^model MINE:wrong failed with TypeError: unsupported"),
        ("MINE:Failing", "^model MINE:Failing failed with KeyError: 'mode'$"),
        ("networks:TinyNot", "factory 'TinyNot' is not known; did you mean TinyNet"),
        ("MINE:number", "must name a function that makes a network, found int"),
        ("MINE:needs", r"could not be made by needs\(\): .*width"),
        ("MINE:needs(height=3)", r"MINE:needs could not be made by needs\(height=3\): .*"),
        ("MINE:needs(3)", r"arguments need their names"),
        ("MINE:made(width=3)", "must name a function that makes a network, found TinyNet"),
        ("MINE:nothing", r"nothing\(\) must return a torch.nn.Module, found NoneType"),
        ("MINE:probabilities", "returns probabilities, not logits"),
    ],
)
def test_a_bad_factory_is_named(mine: str, name: str, message: str) -> None:
    with pytest.raises(UserError, match=message.replace("MINE", mine)):
        load_model(name.replace("MINE", mine))


def test_a_wrong_number_of_classes_and_a_wrong_size_are_named(mine: str) -> None:
    with pytest.raises(UserError, match="has 10 outputs for 100 classes"):
        load_model(f"{mine}:make", num_classes=100)
    with pytest.raises(UserError, match=r"does not take images of shape \(1, 32, 32\)"):
        load_model(f"{mine}:make", input_shape=(1, 32, 32))


def classifier(**changes: Any) -> PyTorchClassifier:
    options: dict[str, Any] = {
        "model": TinyNet(),
        "loss": nn.CrossEntropyLoss(),
        "input_shape": (3, 32, 32),
        "nb_classes": 10,
        "clip_values": (0.0, 1.0),
        "device_type": "cpu",
    }
    return PyTorchClassifier(**options | changes)


def assert_agrees(made: PyTorchClassifier, pixels: Tensor, low: float, high: float) -> None:
    """The network on [0, 1] does what the classifier does on its own range."""
    expected = made.predict((low + (high - low) * pixels).numpy().astype(np.float32))
    torch.testing.assert_close(from_art(made)(pixels).detach(), torch.from_numpy(expected), rtol=1e-4, atol=1e-4)


def test_an_art_classifier_gives_its_network() -> None:
    x = probe((3, 32, 32))
    assert_agrees(classifier(), x, 0, 1)
    assert_agrees(classifier(clip_values=None), x, 0, 1)
    assert_agrees(classifier(clip_values=(-1.0, 1.0)), x, -1, 1)
    assert not from_art(classifier()).training


def test_an_art_classifiers_range_and_normalisation_are_kept() -> None:
    x = probe((3, 32, 32))
    assert_agrees(classifier(clip_values=(0.0, 255.0), preprocessing=(127.5, 63.0)), x, 0, 255)
    mean, std = np.array([0.4, 0.5, 0.6]).reshape(3, 1, 1), np.array([0.2, 0.3, 0.4]).reshape(3, 1, 1)
    assert_agrees(classifier(preprocessing=(mean, std)), x, 0, 1)


def test_an_art_classifier_that_cannot_be_used_is_named() -> None:
    with pytest.raises(UserError, match="must be ART's PyTorchClassifier, found BlackBoxClassifier"):
        from_art(BlackBoxClassifier(lambda x: x, (3, 32, 32), 10))
    with pytest.raises(UserError, match="has defences"):
        from_art(classifier(preprocessing_defences=[FeatureSqueezing(clip_values=(0, 1))]))
    transforms = [GaussianNoise()]
    defended = DefendedClassifier(TinyNet(), nn.CrossEntropyLoss(), (3, 32, 32), 10, transforms=transforms)
    with pytest.raises(UserError, match="has defences"):
        from_art(defended)
    with pytest.raises(UserError, match="takes images with channels last"):
        from_art(classifier(channels_first=False))
    with pytest.raises(UserError, match="model of the classifier returns probabilities"):
        from_art(classifier(model=nn.Sequential(TinyNet(), nn.Softmax(1))))
    with pytest.raises(UserError, match="has 10 outputs for 7 classes"):
        from_art(classifier(nb_classes=7))


class Mirroring(PyTorchClassifier):  # type: ignore[misc]
    """A classifier that mirrors images before it predicts."""

    def _apply_preprocessing(self, x: Any, y: Any, fit: bool = False, no_grad: bool = True) -> Any:
        prepared, labels = super()._apply_preprocessing(x, y, fit=fit, no_grad=no_grad)
        return prepared[..., ::-1].copy(), labels


class Rounding(PyTorchClassifier):  # type: ignore[misc]
    """A classifier that rounds what it predicts."""

    def _apply_postprocessing(self, preds: Any, fit: bool) -> Any:
        return super()._apply_postprocessing(preds, fit).round()


def test_an_art_classifier_with_a_part_of_predict_of_its_own_is_more_than_its_network() -> None:
    given = (TinyNet(), nn.CrossEntropyLoss(), (3, 32, 32), 10)
    for kind in (Mirroring, Rounding):
        with pytest.raises(UserError, match=f"is a {kind.__name__}, whose predict is its own"):
            from_art(kind(*given))
    from_art(DefendedClassifier(*given))


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise KeyError('layer')", "failed with KeyError: 'layer'"),
        ("raise TypeError('a')", "failed with TypeError: a"),
        ("import sys; sys.exit(3)", "failed with SystemExit: 3"),
        ("def make(:", "failed with SyntaxError: invalid syntax"),
        ("x = '\\0'; import no_such_module_here", "cannot be imported: No module named 'no_such_module_here'"),
        ("def __getattr__(name): raise KeyError(name)", "failed with KeyError: 'make'"),
    ],
)
def test_a_module_that_cannot_be_imported_is_named(
    code: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"bad_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=f"^model {name}:make.* {words}"):
        load_model(f"{name}:make")
