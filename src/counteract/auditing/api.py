"""`audit`: an audit of things in hand, without a spec file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy.typing as npt
import torch
from torch import Tensor, nn

from counteract._errors import UserError
from counteract.auditing.outcome import Audit
from counteract.auditing.runner import audit_spec
from counteract.auditing.spec import DEFAULTS, make_audit_spec
from counteract.datasets import Dataset, load_dataset
from counteract.defences.art import is_art
from counteract.evaluation.api import Images, check_more, in_hand, make_data, make_network
from counteract.evaluation.inputs import Network
from counteract.evaluation.options import RunOptions, checked

if TYPE_CHECKING:
    from art.estimators.classification import PyTorchClassifier

    from counteract.evaluation.api import Defence

_FIXED = frozenset({"alone", "attacks", "cascade", "dataset", "defences", "models", "sweep"})
"""Fields of a spec that an audit gives itself."""


@torch.inference_mode(False)
def audit(
    defence: Defence,
    network: nn.Module | PyTorchClassifier | str | None = None,
    images: Images | None = None,
    labels: Tensor | npt.NDArray[Any] | None = None,
    *,
    eps: float | str | None = None,
    norm: str | None = None,
    preset: str | Mapping[str, Any] = "quick",
    seeds: int = 2,
    draws: int = 5,
    pool: Dataset | None = None,
    surrogate: nn.Module | PyTorchClassifier | str | None = None,
    options: RunOptions | None = None,
    **more: Any,
) -> Audit:
    """Attacks a defence in every way there is and raises red flags where the accuracies cannot be what they seem.

    Args:
        defence: A name; a preprocessor or a postprocessor, of this package, of ART or your own; a list of such objects,
            which run one after the other; a whole defended network: a torch module from images in [0, 1] to logits,
            log-probabilities or probabilities; a factory of one of these, which is called with the network; or an ART
            `PyTorchClassifier` with its defences as they are.
        network: The undefended network: it maps images in [0, 1] to logits. A module, an ART `PyTorchClassifier`, whose
            defences are left out, or a name for `load_model`. None for that of the classifier that is audited.
        images: In [0, 1], shape (N, C, H, W): a tensor or an array; or what brings its labels: a dataset, torch's or
            ours, a `DataLoader`, or a pair. None takes the first 100 test images of the dataset that the card of a
            named network names.
        labels: The true labels, integers, shape (N,), or one-hot, shape (N, classes).
        eps: The size of the largest change, a number or a fraction such as `"8/255"`; None for what a network of the
            zoo is published for, else for 8/255 in Linf and 0.5 in L2.
        norm: The norm that it is measured in, `Linf` or `L2`; None for the one that a network of the zoo is published
            for, else for Linf.
        preset: The effort of the attacks: `quick`, `standard` or `full`, or fields of a preset.
        seeds: The number of seeds, from 1 to 10,000.
        draws: The number of draws of a random defence that judge each example, from 1 to 10,000.
        pool: The images that mixup inference mixes with; None, where there are no `images`, for the training split.
        surrogate: A network that oblivious attacks are made on in place of `network`, for one that is defended already.
        options: The device, the folder and whatever else does not change the results.
        **more: Other fields of a spec: `eps_step`, `parameters`, `limit`, ...

    Returns:
        The audit: `found.verdict` and `found.decision.reason`; `found.sound`; `found.checks`, which say what was found
        in words; and `found.run`, the accuracies.

    Raises:
        UserError: (a ValueError) an argument is not what it must be.

    Examples:
        >>> from counteract import Counteraction, audit, load_model
        >>> from counteract.datasets import load_dataset
        >>> network, data = load_model("digits-resnet-mixup"), load_dataset("digits").take(16)
        >>> found = audit(Counteraction(network), network, data.images, data.labels, eps=12 / 255, seeds=1, draws=1)
        >>> found.sound
        False
        >>> next(check.name for check in found.checks if check.flag)
        'clean images'
    """
    if refused := sorted(_FIXED & more.keys()):
        raise UserError(f"{', '.join(refused)}: an audit gives these itself; leave them out")
    check_more(more, ["own_network"], norm, eps)
    options = checked(options)
    loaded = make_network(_network_of(defence) if network is None else network, options)
    if images is None:
        data, train = _named_data(loaded, options)
        more = {"limit": DEFAULTS["limit"], **more}
    else:
        data, train = make_data(images, labels, loaded, options, more), None
    fields, inputs = in_hand(loaded, data, [defence], norm, eps, pool, surrogate, options)
    fields |= {"preset": preset, "seeds": seeds, "draws": draws}
    spec = make_audit_spec(fields | more, source="arguments")
    mixed = inputs.pool if train is None or pool is not None else train
    return audit_spec(spec, options, inputs=replace(inputs, data=data.take(spec.limit), pool=mixed))


def _network_of(defence: object) -> object:
    """Returns the classifier that is audited, which brings its network.

    Raises:
        UserError: (a ValueError) it is another kind of defence.
    """
    if not is_art(defence):
        raise UserError(
            "network is missing: pass the undefended network; of a whole module whose network nobody knows, pass the "
            'module as network and "undefended" as the defence, and if you have one like it, a surrogate'
        )
    return defence


def _named_data(network: Network, options: RunOptions) -> tuple[Dataset, Callable[[], Dataset]]:
    """Returns the test split of the dataset that a network's card names, and a function that loads its training split.

    Raises:
        UserError: (a ValueError) nobody knows its dataset.
    """
    name = network.about.dataset
    if name is None:
        raise UserError("images are missing: pass images and labels, or a dataset, for a network without a card")
    load = partial(load_dataset, name, data_dir=options.data_dir)
    return load("test"), lambda: load("train")
