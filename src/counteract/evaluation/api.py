"""`evaluate`: an evaluation of things in hand, without a spec file."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from art.defences.postprocessor.postprocessor import Postprocessor
from art.defences.preprocessor.preprocessor import Preprocessor
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from counteract._arguments import check_count
from counteract._errors import UserError, shown
from counteract._images import check_images, tensor_of
from counteract._labels import class_labels
from counteract._network import check_model
from counteract._seeding import seeded
from counteract._toml import validate
from counteract._values import Strict
from counteract.attacks import CLEAN
from counteract.datasets import ArrayDataset, Dataset
from counteract.datasets.items import Reading
from counteract.datasets.registry import ready
from counteract.datasets.strangers import adopt, is_data
from counteract.defences import UNDEFENDED
from counteract.defences.art import is_art, undefended_of
from counteract.defences.build import name_of
from counteract.defended import check_undefended
from counteract.evaluation.inputs import IN_HAND, Inputs, Network, make_reading, preparation_of, with_class_names
from counteract.evaluation.options import RunOptions, checked
from counteract.evaluation.results import Run
from counteract.evaluation.runner import evaluate_spec
from counteract.evaluation.spec import Pictures, make_spec
from counteract.evaluation.threats import CORRUPTIONS
from counteract.models import PreparedNetwork, load_model
from counteract.models.about import About, about
from counteract.models.checks import outputs_of
from counteract.models.factory import predicts_itself

if TYPE_CHECKING:
    from art.estimators.classification import PyTorchClassifier

    Part: TypeAlias = Preprocessor | Postprocessor
    Defence: TypeAlias = str | nn.Module | Part | Sequence[Part] | Callable[..., object]

_FIXED = frozenset({"dataset", "models", "own_network"})
"""Fields of a spec that a network and images in hand stand for."""

Images = Tensor | npt.NDArray[Any] | Dataset | TorchDataset[Any] | DataLoader[Any] | tuple[Any, Any]


class _Ways(Strict):
    """The argument `pictures`."""

    pictures: Pictures


@torch.inference_mode(False)
def evaluate(
    network: nn.Module | PyTorchClassifier | str,
    images: Images,
    labels: Tensor | npt.NDArray[Any] | None = None,
    *,
    defences: Iterable[Defence] = ("undefended",),
    attacks: Iterable[str] | None = None,
    eps: float | str | None = None,
    norm: str | None = None,
    preset: str | Mapping[str, Any] = "standard",
    seeds: int = 1,
    draws: int = 1,
    pool: Dataset | None = None,
    surrogate: nn.Module | PyTorchClassifier | str | None = None,
    options: RunOptions | None = None,
    **more: Any,
) -> Run:
    """Measures defences of a network against attacks, on images in hand.

    Args:
        network: Maps images in [0, 1] to logits; ART's `PyTorchClassifier`, which must be among the `defences`, too, if
            it has any of its own; or a name.
        images: In [0, 1], shape (N, C, H, W); a tensor or an array. Or what brings its labels, and may be uint8: a
            dataset, a map-style `torch.utils.data.Dataset` of (image, label), a `DataLoader` of one, or a pair.
        labels: The true labels, integers, shape (N,), or one-hot, shape (N, classes).
        defences: Names, several joined by `+`; preprocessors and postprocessors, of this package, of ART or your own;
            lists of such objects, run one after the other; whole defended networks; or factories, which are called with
            the network.
        attacks: Names of attacks: `counteract attacks` lists them. None for `clean`, `pgd50` and `apgd-t`, or for
            `clean` alone where a network of RobustBench's zoo is published for corruptions and no norm is named.
        eps: The size of the largest change, above 0, a number or a fraction such as `"8/255"`; None for what a network
            of the zoo is published for, else for 8/255 in Linf, 0.5 in L2 and 12 in L1.
        norm: The norm that it is measured in: `Linf`, `L2`, or `L1`, in which this package's own attacks do not climb.
            None for the one that a network of the zoo is published for, else for Linf.
        preset: The effort of the attacks: `quick`, `standard` or `full`, or fields of a preset.
        seeds: The number of seeds, from 1 to 10,000.
        draws: The number of draws of a random defence that judge each example, from 1 to 10,000.
        pool: The images that mixup inference mixes with.
        surrogate: A network that oblivious attacks are made on in place of `network`, for one that is defended already.
        options: The device, the folder and whatever else does not change the results.
        **more: Other fields of a spec: `eps_step`, `parameters`, `limit`, `cascade`, `pictures`, ...

    Returns:
        The run: `run.rows`, `run.worst_cases`, `run.summaries`; `counteract.reporting` prints it.

    Raises:
        UserError: (a ValueError) an argument is not what it must be.

    Examples:
        >>> from counteract import evaluate, load_model
        >>> from counteract.datasets import load_dataset
        >>> network, data = load_model("digits-resnet-mixup"), load_dataset("digits").take(8)
        >>> defences, attacks = ["undefended", "counteraction"], ["clean", "pgd10"]
        >>> run = evaluate(network, data, defences=defences, attacks=attacks, eps=12 / 255)
        >>> [(row.attack, row.accuracy) for row in run.rows if row.defence == "undefended"]
        [('clean', 100.0), ('pgd10', 0.0)]
    """
    options, defences = checked(options), list(_several(defences))
    check_more(more, _FIXED, norm, eps)
    _check_own_defences(network, defences)
    loaded = make_network(network, options)
    data = make_data(images, labels, loaded, options, more)
    if isinstance(attacks, str):
        attacks = (attacks,)
    if attacks is None:
        unattacked = norm is None and loaded.about.norm == CORRUPTIONS
        attacks = (CLEAN,) if unattacked else (CLEAN, "pgd50", "apgd-t")
    fields, inputs = in_hand(loaded, data, defences, norm, eps, pool, surrogate, options)
    fields |= {"attacks": attacks, "preset": preset, "seeds": seeds, "draws": draws}
    return evaluate_spec(make_spec(fields | more, "arguments"), options, inputs=inputs)


def in_hand(
    network: Network,
    data: Dataset,
    defences: Iterable[Defence],
    norm: str | None,
    eps: float | str | None,
    pool: object,
    surrogate: object,
    options: RunOptions,
) -> tuple[dict[str, Any], Inputs]:
    """Returns the fields of a spec that things in hand stand for, and the things as inputs: see `evaluate`."""
    named = name_defences(defences)
    other = None if surrogate is None else make_network(surrogate, options, "surrogate")
    threat = {name: value for name, value in (("norm", norm), ("eps", eps)) if value is not None}
    fields = {
        "dataset": data.name,
        "models": {"network": network.name},
        "defences": list(named),
        "threat_model": threat,
    }
    fields |= {} if other is None else {"surrogate": other.name}
    fields |= {} if pool is None else {"pool": IN_HAND}
    objects = {name: defence for name, defence in named.items() if not isinstance(defence, str)}
    return fields, Inputs(data, {"network": network}, make_pool(pool), objects, other)


def check_more(more: Mapping[str, Any], fixed: Iterable[str], norm: object, eps: object) -> None:
    """Raises UserError for fields of a spec that what is in hand gives itself, or that say a thing twice.

    Args:
        more: The fields.
        fixed: The names of those that are given.
        norm: The norm that was given by itself; None for none.
        eps: The eps, likewise.
    """
    if refused := sorted(more.keys() & set(fixed)):
        raise UserError(f"{', '.join(refused)}: what is in hand says this itself; leave it out")
    if "threat_model" in more and (norm, eps) != (None, None):
        raise UserError("threat_model has a norm and an eps of its own: give these alone, or it alone")


def make_data(
    images: Images,
    labels: Tensor | npt.NDArray[Any] | None,
    network: Network,
    options: RunOptions,
    more: Mapping[str, Any],
) -> Dataset:
    """Returns a dataset of images and labels in hand, whose classes are as many as the network has outputs.

    Args:
        images: See `evaluate`.
        labels: Likewise.
        network: The network.
        options: The number of worker processes, for items that are read one by one.
        more: Other fields of a spec, of which `pictures` says how pictures become images, `limit` how many are read.

    Raises:
        UserError: (a ValueError) they are no images in [0, 1], or the labels do not fit.
    """
    limit = None if more.get("limit") is None else check_count("limit", more["limit"])
    asked = validate(_Ways, {"pictures": more.get("pictures", Pictures())}, "arguments").pictures
    reading = make_reading(asked, options, preparation_of(network.module))
    if labels is None and is_data(images):
        return with_class_names(ready(adopt(images, IN_HAND), reading, limit), network)
    if is_data(images):
        raise UserError(f"labels are given twice: images are a {type(images).__name__}, which brings its own")
    if not isinstance(images, (Tensor, np.ndarray)):
        hint = ": load a dataset by its name with counteract.datasets.load_dataset" if isinstance(images, str) else ""
        raise UserError(f"images must be a tensor, an array or a dataset, found {shown(images)}{hint}")
    pixels = check_images(tensor_of(images), name="images")
    if labels is None:
        raise UserError("labels are missing: pass one integer for each of images, or a dataset as images")
    with seeded(0):
        classes = outputs_of(network.module, network.name, pixels[:2]).shape[1]
    given = class_labels(labels, len(pixels), classes)
    if len(given) and not 0 <= int(given.min()) <= int(given.max()) < classes:
        raise UserError(
            f"labels run from {int(given.min())} to {int(given.max())}, but the network has {classes} outputs"
        )
    return ready(ArrayDataset(IN_HAND, pixels, given, tuple(map(str, range(classes)))), reading, limit)


def name_defences(defences: Iterable[Defence]) -> dict[str, Defence]:
    """Returns defences by names for the tables: a name its own, anything else that of its class, numbered if taken.

    Raises:
        UserError: (a ValueError) one is no defence.
    """
    given = list(_several(defences))
    named: dict[str, Defence] = {}
    taken = {UNDEFENDED, "none", *(each for each in given if isinstance(each, str))}
    for defence in given:
        _check_defence(defence)
        name = defence if isinstance(defence, str) else _free(name_of(defence), taken)
        taken.add(name)
        named[name] = defence
    return named


def _free(name: str, taken: Collection[str]) -> str:
    """Returns a name, with the next number behind it where it is taken."""
    numbered = (f"{name}#{number}" for number in itertools.count(2))
    return next(each for each in itertools.chain([name], numbered) if each not in taken)


def _several(defences: Iterable[Defence]) -> Iterable[Defence]:
    """Returns defences as several, of which one by itself is the only one."""
    single = isinstance(defences, (str, nn.Module, Preprocessor, Postprocessor)) or not isinstance(defences, Iterable)
    return [defences] if single else defences


def _check_own_defences(network: object, defences: Sequence[Defence]) -> None:
    """Raises UserError where ART's classifier has defences that nobody asked for, or is one: they would be left out."""
    if not is_art(network) or any(each is network for each in defences):
        return
    own = [*(getattr(network, "preprocessing_defences", None) or ()), *(getattr(network, "transforms", None) or ())]
    own += getattr(network, "postprocessing_defences", None) or ()
    if own or predicts_itself(network):
        raise UserError(
            "network has defences or a predict of its own, which only the classifier as a defence has: pass it among "
            'the defences, defences=["undefended", classifier], too'
        )


def _check_defence(defence: object) -> None:
    """Raises UserError for what is no defence."""
    parts = defence if isinstance(defence, (list, tuple)) and defence else [defence]
    for part in parts:
        if not (isinstance(part, (str, Preprocessor, Postprocessor)) or callable(part) or is_art(part)) or (
            isinstance(part, str) and part is not defence
        ):
            inside = " in a list: names are joined by +" if isinstance(part, str) else ""
            raise UserError(
                "defences must be names, ART preprocessors, postprocessors or classifiers, torch modules, lists of "
                f"these but names, or factories; found {type(part).__name__}{inside}"
            )


def make_network(network: object, options: RunOptions, argument: str = "network") -> Network:
    """Returns a network that is evaluated: one by its name, a module, or that of an ART classifier."""
    if isinstance(network, (str, PathLike)):
        name = fspath(network)
        loaded = load_model(name, model_dir=options.model_dir, trust=options.trust)
        return Network(name, loaded, about(name, loaded))
    module = undefended_of(network) if is_art(network) else network
    check_model(module, argument)
    assert isinstance(module, nn.Module)
    check_undefended(module, argument, "pass the undefended network, its .model, and the DefendedModule as a defence")
    return Network(type(module).__name__, module, about("", module) if isinstance(module, PreparedNetwork) else About())


def make_pool(pool: object) -> Callable[[], Dataset]:
    """Returns a function that returns the pool, or says that it is missing.

    Raises:
        UserError: (a ValueError) it is no dataset.
    """
    if pool is not None and not is_data(pool):
        raise UserError(
            "pool must be a dataset, torch's or counteract's (load_dataset), or a pair of images and labels; found "
            f"{shown(pool)}"
        )
    given = None if pool is None else adopt(pool, "pool")

    @functools.cache
    def found() -> Dataset:
        if given is None:
            raise UserError("mixup-inference needs images to mix with: pass pool=, a dataset of training images")
        return ready(given, Reading())

    return found
