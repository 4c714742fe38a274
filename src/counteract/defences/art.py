"""ART's classifiers as defended networks: the undefended network, and the defences that the classifier holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from counteract._errors import UserError
from counteract._network import to_eval
from counteract.defended import DefendedModule
from counteract.models.checks import LogProbabilities, are_probabilities, outputs_of, probe
from counteract.models.factory import network_of, predicts_itself
from counteract.preprocessors import RandomPreprocessor
from counteract.preprocessors.adapter import Adapted
from counteract.whole import Defended, whole_module

if TYPE_CHECKING:
    from art.estimators.classification import PyTorchClassifier


class Predictions(nn.Module):
    """A classifier's own `predict` as a network.

    It is for one that has another than ART's, and for defences that act on whatever its model returns. It has no
    gradient.

    Args:
        classifier: The classifier.
    """

    def __init__(self, classifier: PyTorchClassifier) -> None:
        super().__init__()
        self.network = classifier.model  # so that it is found, moved and borrowed with this
        self.classifier = classifier
        self.__name__ = type(classifier).__name__  # as reports call it
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        """Returns what `predict` returns for images in [0, 1]."""
        low, high = _range_of(self.classifier)
        pixels = (low + (high - low) * x.detach()).cpu().numpy()
        return torch.from_numpy(np.array(self.classifier.predict(pixels))).to(x)


def is_art(thing: object) -> bool:
    """Returns True for ART's PyTorch classifiers."""
    from art.estimators.classification import PyTorchClassifier

    return isinstance(thing, PyTorchClassifier)


def undefended_of(classifier: PyTorchClassifier) -> nn.Module:
    """The network of a classifier without any of its defences: images in [0, 1] to logits or log-probabilities.

    Raises:
        UserError: (a ValueError) it is no PyTorch classifier, or its model is no network for such images.
    """
    network = network_of(classifier)
    outputs = outputs_of(network, "of the classifier", probe(classifier.input_shape))
    return to_eval(LogProbabilities(network)) if are_probabilities(outputs) else network


def defended_of(classifier: PyTorchClassifier, network: nn.Module) -> Defended:
    """A classifier with its defences, of which those count that act when it predicts.

    Args:
        classifier: The classifier; a `DefendedClassifier` with its transforms.
        network: Its undefended network, by `undefended_of`.

    Raises:
        UserError: (a ValueError) a defence cannot be used with it.
    """
    after = [each for each in classifier.postprocessing_defences or () if each.apply_predict]
    if predicts_itself(classifier) or (after and not isinstance(network, LogProbabilities)):
        return whole_module(Predictions(classifier), probe(classifier.input_shape))
    pixels = _range_of(classifier)
    before = [_adapted(each, pixels) for each in classifier.preprocessing_defences or () if each.apply_predict]
    repeated = getattr(classifier, "transforms", None) or ()
    transforms = [_adapted(each, pixels) for each in repeated if each.apply_predict]
    return DefendedModule(
        network,
        preprocessing_defences=before,
        transforms=transforms,
        executions=getattr(classifier, "executions", 1) if transforms else 1,
        average=getattr(classifier, "average", "probabilities"),
        postprocessing_defences=after,
    )


def _adapted(defence: Any, pixels: tuple[float, float]) -> RandomPreprocessor[Any]:
    """A defence of a classifier, for images in [0, 1]."""
    if not isinstance(defence, RandomPreprocessor):
        return Adapted(defence, pixel_range=pixels)
    if pixels != (0.0, 1.0):
        name = type(defence).__name__
        raise UserError(f"clip_values of the classifier must be (0, 1) with {name} in it, found {pixels}")
    return defence


def _range_of(classifier: PyTorchClassifier) -> tuple[float, float]:
    """The pixel range of a classifier."""
    given = classifier.clip_values
    return (0.0, 1.0) if given is None else (float(np.min(given[0])), float(np.max(given[1])))
