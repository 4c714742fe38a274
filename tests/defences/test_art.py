"""ART's classifiers: their networks, and their defences as they act when ART predicts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from art.defences.postprocessor import Rounded
from art.defences.preprocessor import GaussianAugmentation, JpegCompression, SpatialSmoothing
from art.estimators.certification.randomized_smoothing import PyTorchRandomizedSmoothing
from art.estimators.classification import PyTorchClassifier
from torch import Tensor, nn

from counteract import Counteraction, DefendedClassifier, DefendedModule, RandomRotation, audit, evaluate, from_art
from counteract.datasets import Dataset
from counteract.defences.art import defended_of, is_art, undefended_of
from counteract.whole import WholeModule


def classifier(net: nn.Module, **options: Any) -> PyTorchClassifier:
    given = {"clip_values": (0.0, 1.0), **options}
    return PyTorchClassifier(net, nn.CrossEntropyLoss(), (3, 32, 32), 10, **given)


JPEG = JpegCompression((0, 1), quality=30, channels_first=True)


@pytest.mark.parametrize(
    "options",
    [
        {"preprocessing_defences": [JPEG]},
        {"preprocessing_defences": [SpatialSmoothing(3, channels_first=True)], "preprocessing": None},
        {"preprocessing": (0.4, 0.2)},
        {"preprocessing_defences": [SpatialSmoothing(3, channels_first=True)], "clip_values": (0, 255)},
        {"preprocessing_defences": [JpegCompression((0, 1), apply_predict=False, apply_fit=True)]},
        {"postprocessing_defences": [Rounded(1)]},
        {"postprocessing_defences": [Rounded(2)], "preprocessing_defences": [JPEG]},
    ],
)
def test_answers_are_those_of_its_predict(options: dict[str, Any], net: nn.Module, x: Tensor) -> None:
    made = classifier(net, **options)
    assert is_art(made)
    scale = made.clip_values[1]
    wanted = torch.from_numpy(np.array(made.predict(scale * x.numpy())))
    network = undefended_of(made)
    found = defended_of(made, network)(x)
    torch.testing.assert_close(found, wanted.log_softmax(1), rtol=1e-3, atol=1e-3)
    bare = classifier(net, **{name: options[name] for name in options if "defences" not in name})
    torch.testing.assert_close(network(x), torch.from_numpy(bare.predict(scale * x.numpy())), rtol=1e-4, atol=1e-4)


def test_a_model_that_returns_probabilities_keeps_its_postprocessors(net: nn.Module, x: Tensor) -> None:
    made = classifier(nn.Sequential(net, nn.Softmax(1)), postprocessing_defences=[Rounded(2)])
    defended = defended_of(made, undefended_of(made))
    assert isinstance(defended, DefendedModule)
    torch.testing.assert_close(defended(x).exp(), torch.from_numpy(made.predict(x.numpy())), rtol=1e-4, atol=1e-5)
    logits = classifier(net, postprocessing_defences=[Rounded(1)])
    assert isinstance(defended_of(logits, undefended_of(logits)), WholeModule)


def test_a_defended_classifier_brings_its_transforms(net: nn.Module, x: Tensor) -> None:
    made = DefendedClassifier(
        net, nn.CrossEntropyLoss(), (3, 32, 32), 10, clip_values=(0, 1), transforms=[RandomRotation()], executions=3
    )
    network = undefended_of(made)
    defended = defended_of(made, network)
    assert isinstance(defended, DefendedModule)
    assert ([type(part) for part in defended.transforms], defended.executions) == ([RandomRotation], 3)
    torch.testing.assert_close(network(x), net(x))


def test_the_range_must_be_that_of_our_own_defences(net: nn.Module) -> None:
    made = classifier(net, clip_values=(0, 255), preprocessing_defences=[Counteraction(net, clip_values=(0, 255))])
    with pytest.raises(ValueError, match=r"clip_values of the classifier must be \(0, 1\) with Counteraction in it"):
        defended_of(made, undefended_of(made))


def test_a_classifier_is_audited_and_evaluated_as_it_is(digits_net: nn.Module, digits: Dataset) -> None:
    data = digits.take(8)
    noise = GaussianAugmentation(0.1, augmentation=False, apply_predict=True)
    made = classifier(digits_net, preprocessing_defences=[JPEG, noise])
    run = evaluate(made, data, defences=["undefended", made], attacks=["clean", "bpda-apgd-ce"], preset="quick")
    assert {row.defence for row in run.rows} == {"undefended", "PyTorchClassifier"}
    with pytest.raises(ValueError, match="network has defences or a predict of its own"):
        evaluate(made, data, attacks=["clean"])
    found = audit(made, images=data, preset="quick", seeds=1, draws=1)
    assert found.defence == "PyTorchClassifier"
    ((_, words),) = found.run.parameters("network", "PyTorchClassifier")
    assert "JpegCompression: quality 30" in words
    with pytest.raises(ValueError, match="network is missing"):
        audit("counteraction", images=data)


class Reversing(PyTorchClassifier):  # type: ignore[misc]
    """A classifier whose answers are not its network's."""

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        return -super().predict(x, *args, **kwargs)


def smoothed(net: nn.Module) -> PyTorchClassifier:
    given = {"loss": nn.CrossEntropyLoss(), "input_shape": (3, 32, 32), "nb_classes": 10}
    return PyTorchRandomizedSmoothing(net, clip_values=(0, 1), sample_size=8, scale=0.1, alpha=0.1, **given)


def test_a_predict_of_its_own_is_what_is_evaluated(net: nn.Module, digits: Dataset) -> None:
    data = digits.take(8)
    made = Reversing(net, nn.CrossEntropyLoss(), (3, 32, 32), 10, clip_values=(0, 1))
    right = float((made.predict(data.images.numpy()).argmax(1) == data.labels.numpy()).mean())
    run = evaluate(made, data, attacks=["clean"], defences=["undefended", made])
    plain = float((net(data.images).argmax(1) == data.labels).float().mean())
    assert [row.accuracy for row in run.rows] == pytest.approx([100 * plain, 100 * right])
    ((_, words),) = run.parameters("network", "Reversing")
    assert words.startswith("Reversing: a whole network")
    random = smoothed(net)
    assert isinstance(defended_of(random, undefended_of(random)), WholeModule)
    for each in (made, random):
        with pytest.raises(ValueError, match="a predict of its own, which only the classifier as a defence"):
            evaluate(each, data, attacks=["clean"])
        with pytest.raises(ValueError, match="whose predict is its own"):
            from_art(each)
