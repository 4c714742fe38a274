"""Anyone's network: `package.module:factory`, and ART's PyTorch classifiers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from counteract._calls import parse_call
from counteract._errors import UserError
from counteract._factories import call_factory, find_factory, in_words
from counteract._network import to_eval
from counteract._strangers import strangers_code
from counteract.models.checks import check_network, probe
from counteract.models.normalize import Normalize

if TYPE_CHECKING:
    from art.estimators.classification import PyTorchClassifier


_PREDICTING = ("predict", "_apply_preprocessing", "_apply_postprocessing")
"""The methods of ART's classifiers by which they predict."""


def make_network(name: str) -> nn.Module:
    """Calls a factory, or takes a network that a module holds.

    Args:
        name: `package.module:factory`, the factory's arguments in brackets; see `_factories.find_factory`.

    Raises:
        UserError: (a ValueError) there is no such module or factory, or the factory fails or makes no network.
    """
    call = parse_call(name, "model")
    _, factory = find_factory(call.name, "model")
    if isinstance(factory, nn.Module) and not call.arguments:
        return factory
    if not callable(factory) or isinstance(factory, nn.Module):
        raise UserError(f"model {name} must name a function that makes a network, found {type(factory).__name__}")
    with strangers_code(f"model {name}"):
        network = call_factory(factory, call, "model")
    if not isinstance(network, nn.Module):
        raise UserError(f"model {name}: {in_words(call)} must return a torch.nn.Module, found {type(network).__name__}")
    return network


def from_art(classifier: PyTorchClassifier) -> nn.Module:
    """The network inside an ART classifier, in eval mode: it takes pixels in [0, 1], whatever the classifier takes.

    The classifier's `clip_values` and its `preprocessing` (mean and standard deviation) become layers in front of the
    network, which is shared with the classifier and put into eval mode.

    Args:
        classifier: A `PyTorchClassifier`, without defences of its own.

    Raises:
        UserError: (a ValueError) it is another kind of classifier, has defences or a `predict` of its own, takes images
            with channels last, or its network returns no logits.

    Examples:
        >>> import torch
        >>> from art.estimators.classification import PyTorchClassifier
        >>> from counteract import from_art, load_model
        >>> network = load_model("digits-resnet-mixup")
        >>> loss = torch.nn.CrossEntropyLoss()
        >>> classifier = PyTorchClassifier(network, loss, (3, 32, 32), 10, clip_values=(0, 1))
        >>> from_art(classifier)(torch.rand(2, 3, 32, 32)).shape
        torch.Size([2, 10])
    """
    from art.estimators.classification import PyTorchClassifier

    if not isinstance(classifier, PyTorchClassifier):
        raise UserError(f"classifier must be ART's PyTorchClassifier, found {type(classifier).__name__}")
    if classifier.preprocessing_defences or classifier.postprocessing_defences or _has_transforms(classifier):
        raise UserError(
            "classifier has defences, which its network alone would lose: "
            "pass one without, and give the defences to DefendedModule"
        )
    if predicts_itself(classifier):
        raise UserError(
            f"classifier is a {type(classifier).__name__}, whose predict is its own, which its network lacks: pass it "
            "as a defence"
        )
    network = network_of(classifier)
    check_network(network, "of the classifier", probe(classifier.input_shape), classifier.nb_classes)
    return network


def network_of(classifier: PyTorchClassifier) -> nn.Module:
    """The network of an ART classifier without any of its defences, which takes pixels in [0, 1]: see `from_art`."""
    if not classifier.channels_first:
        raise UserError("classifier takes images with channels last: make its network take (N, C, H, W)")
    channels = classifier.input_shape[0]
    layers: list[nn.Module] = []
    low, high = (0.0, 1.0) if classifier.clip_values is None else (float(v) for v in _ends(classifier.clip_values))
    if (low, high) != (0.0, 1.0):
        scale = 1 / (high - low)  # low + (high - low) * x, as a normalisation
        layers.append(Normalize([-low * scale] * channels, [scale] * channels))
    if (preprocessing := classifier.preprocessing) is not None:
        mean, std = (_per_channel(getattr(preprocessing, name, ()), channels) for name in ("mean", "std"))
        layers.append(Normalize(mean, std))
    return to_eval(nn.Sequential(*layers, getattr(classifier, "undefended", classifier.model)))


def predicts_itself(classifier: PyTorchClassifier) -> bool:
    """Returns True for a classifier with a `predict`, or a part of it, of its own: randomized smoothing's, say.

    A `DefendedClassifier` has ART's, which checks its images first.
    """
    from art.estimators.classification import PyTorchClassifier

    kinds, art = type(classifier).__mro__, PyTorchClassifier.__mro__
    owners = [next(kind for kind in kinds if method in vars(kind)) for method in _PREDICTING]
    return any(kind not in art and kind.__module__.partition(".")[0] != "counteract" for kind in owners)


def _has_transforms(classifier: Any) -> bool:
    """Returns whether this is a `DefendedClassifier` that defends."""
    return bool(getattr(classifier, "transforms", None))


def _ends(clip_values: Any) -> Sequence[float]:
    low, high = (torch.as_tensor(end).double().unique() for end in clip_values)
    if len(low) != 1 or len(high) != 1:
        raise UserError("clip_values of the classifier must be one pair for all pixels")
    return low.item(), high.item()


def _per_channel(values: Any, channels: int) -> list[float]:
    """ART's mean or standard deviation, a number or an array, as one number per channel."""
    found: Tensor = torch.as_tensor(values).double().flatten()
    if len(found) not in (1, channels):
        raise UserError(f"preprocessing of the classifier must be one number per channel, found {len(found)}")
    return found.expand(channels).tolist()
