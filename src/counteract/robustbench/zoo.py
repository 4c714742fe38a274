"""RobustBench's zoo: its names and published accuracies, its networks from their checkpoints, and ours among them."""

from __future__ import annotations

import contextlib
import copy
import io
import re
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from counteract._errors import UserError, unknown_name
from counteract._files import write_atomically
from counteract.models.checkpoints import State, check_complete, fit_names, is_constant, read_checkpoint, state_in
from counteract.models.checks import LogProbabilities, are_probabilities, one_line, outputs_of, probe
from counteract.robustbench.download import download
from counteract.robustbench.published import published
from counteract.robustbench.shims import import_robustbench

__all__ = [
    "PREFIX",
    "PUBLISHED_EPS",
    "Entry",
    "import_robustbench",
    "load_robustbench",
    "parse_name",
    "register",
    "zoo",
]

PREFIX = "robustbench:"
"""The beginning of its networks' names."""

MODEL_DIR = Path("models")
"""The folder where RobustBench keeps checkpoints, unless it is told otherwise."""

_DRIVE = "https://drive.usercontent.google.com/download?id={}&export=download&confirm=t"
_SIDES = {"cifar10": 32, "cifar100": 32, "imagenet": 224}
_CLASSES = {"cifar10": 10, "cifar100": 100, "imagenet": 1000}
_FOLDERS = {"corruptions_3d": "corruptions"}
"""Threat models that share another one's networks."""

PUBLISHED_EPS = {
    ("cifar10", "Linf"): 8 / 255,
    ("cifar10", "L2"): 0.5,
    ("cifar100", "Linf"): 8 / 255,
    ("imagenet", "Linf"): 4 / 255,
}
"""The leaderboards' eps by dataset and norm; there is none for corruptions."""


@dataclass(frozen=True)
class Name:
    """A network's place in the zoo.

    Attributes:
        dataset: `cifar10`, `cifar100` or `imagenet`.
        threat_model: `Linf`, `L2` or `corruptions`.
        name: RobustBench's name for it.
    """

    dataset: str
    threat_model: str
    name: str

    @property
    def full_name(self) -> str:
        """The name that `load_model` and `--model` take."""
        return f"{PREFIX}{self.dataset}/{self.threat_model}/{self.name}"


@dataclass(frozen=True)
class Entry(Name):
    """A network of the zoo with what was published on it.

    Attributes:
        architecture: Its kind.
        clean: The clean accuracy in percent.
        robust: The accuracy under the threat model in percent.
    """

    architecture: str
    clean: float
    robust: float


def zoo(dataset: str | None = None, threat_model: str | None = None) -> list[Entry]:
    """The zoo's networks as published, the best first; those of a dataset or a threat model alone if one is named.

    Raises:
        UserError: (a ValueError) RobustBench is not installed, or has no such dataset or threat model.
    """
    every = [Entry(*key, *values) for key, values in published().items()]
    known: dict[str, dict[str, Any]] = {}
    for entry in every:
        known.setdefault(entry.dataset, {})[entry.threat_model] = entry
    _check_names(known, dataset, threat_model)
    wanted = _FOLDERS.get(str(threat_model), threat_model)
    return [entry for entry in every if dataset in (None, entry.dataset) and wanted in (None, entry.threat_model)]


def load_robustbench(name: str, *, model_dir: Path = MODEL_DIR, trust: bool = False) -> nn.Module:
    """Loads a network of the zoo, in eval mode, on the CPU; it maps images in [0, 1] to logits.

    A file in RobustBench's layout (`MODEL_DIR/cifar10/Linf/NAME.pt`, or `NAME.pt_m0.pt` and so on for ensembles) is
    used; otherwise it is downloaded to there. The few networks that return probabilities are made to return their
    logarithms.

    Args:
        name: `robustbench:DATASET/THREAT_MODEL/NAME`; the prefix may be left out.
        model_dir: The folder where the checkpoints are, or go.
        trust: See `read_checkpoint`.

    Raises:
        UserError: (a ValueError) the name is unknown, or its checkpoint cannot be got, read or loaded.
    """
    entry = _find(name)
    definition = _definition(entry)
    network = _build(entry, definition)
    if _is_standard(entry):  # torchvision has loaded it
        return network.eval()
    folder = Path(model_dir) / entry.dataset / entry.threat_model
    identifiers = definition["gdrive_id"]
    paths = (
        [folder / f"{entry.name}.pt_m{index}.pt" for index in range(len(identifiers))]
        if isinstance(identifiers, list)
        else [folder / f"{entry.name}.pt"]
    )
    for index, path in enumerate(paths):
        if not path.is_file():
            download(_address(entry, definition, network, index), path)
        checkpoint = read_checkpoint(path, trust=trust)
        for part, key in _parts(network, index, len(paths)):
            _load(part, _state_of(key, checkpoint, path), path, entry)
    return _with_logits(network.eval(), entry)


def register(
    network: nn.Module,
    name: str,
    *,
    dataset: str = "cifar10",
    threat_model: str = "Linf",
    model_dir: Path = MODEL_DIR,
) -> Path:
    """Makes RobustBench's own `load_model` find a network, in this process, under this name; returns its checkpoint.

    The weights are saved in RobustBench's layout. Another process calls this again, with the same network.

    Args:
        network: The network; later changes to it do not change what is registered.
        name: Its name; one of the zoo's own is refused.
        dataset: The dataset whose images it takes.
        threat_model: `Linf`, `L2` or `corruptions`.
        model_dir: RobustBench's `model_dir`.

    Raises:
        UserError: (a ValueError) the dataset or threat model is unknown, the name is taken or unusable, or `model_dir`
            cannot be written.
    """
    every = _dictionaries()
    _check_names(every, dataset, threat_model)
    models = every[dataset][_FOLDERS.get(threat_model, threat_model)]
    if name in models and "counteract" not in models[name]:
        raise UserError(f"name {name!r} is taken by a network of RobustBench's zoo")
    if not re.fullmatch(r"[\w.-]+", name):
        raise UserError(f"name must be letters, digits, '_', '.' and '-', found {name!r}")
    path = Path(model_dir) / dataset / _FOLDERS.get(threat_model, threat_model) / f"{name}.pt"
    content = io.BytesIO()
    torch.save({_wrapped(key): value.cpu() for key, value in network.state_dict().items()}, content)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, content.getvalue())
    kept = copy.deepcopy(network).cpu()
    models[name] = {"model": lambda: copy.deepcopy(kept), "gdrive_id": "registered", "counteract": True}
    return path


def _dictionaries() -> dict[str, dict[str, dict[str, Any]]]:
    """RobustBench's definitions by dataset, threat model and name."""
    import_robustbench()
    from robustbench.model_zoo import model_dicts

    return {
        dataset.value: {threat.value: models for threat, models in threats.items()}
        for dataset, threats in model_dicts.items()
    }


def _check_names(every: dict[str, dict[str, Any]], dataset: str | None, threat_model: str | None) -> None:
    if dataset is not None and dataset not in every:
        raise unknown_name("RobustBench dataset", dataset, every)
    threats = dict.fromkeys(threat for name, found in every.items() if dataset in (None, name) for threat in found)
    if threat_model is not None and _FOLDERS.get(threat_model, threat_model) not in threats:
        raise unknown_name("RobustBench threat model", threat_model, threats)


def _find(name: str) -> Name:
    """The place that a full name means."""
    place = parse_name(name)
    every = _dictionaries()
    _check_names(every, place.dataset, place.threat_model)
    known = every[place.dataset][place.threat_model]
    if place.name not in known:
        raise unknown_name(f"RobustBench network for {place.dataset}/{place.threat_model}", place.name, known)
    return place


def parse_name(name: str) -> Name:
    """Splits a full name into its parts, whose existence is not looked up; the prefix may be left out.

    Raises:
        UserError: (a ValueError) it has another number of parts.
    """
    parts = name.removeprefix(PREFIX).split("/")
    if len(parts) != 3:
        raise UserError(f"model {name!r} must be {PREFIX}DATASET/THREAT_MODEL/NAME, as in cifar10/Linf/Wong2020Fast")
    dataset, threat_model, short = parts
    return Name(dataset, _FOLDERS.get(threat_model, threat_model), short)


def _definition(entry: Name) -> dict[str, Any]:
    found: dict[str, Any] = _dictionaries()[entry.dataset][entry.threat_model][entry.name]
    return found


def _build(entry: Name, definition: dict[str, Any]) -> nn.Module:
    """The entry's network with the weights of its constructor, free of what would tie it to a GPU."""
    import timm

    timm_name = f"{entry.name}_{entry.dataset}_{entry.threat_model}".lower().replace("-", "_")
    with _quietly(), mock.patch.object(Tensor, "cuda", lambda tensor, *_, **__: tensor):
        try:
            if timm.is_model(timm_name):
                network = timm.create_model(timm_name, pretrained=False, num_classes=_CLASSES[entry.dataset])
            else:
                network = definition["model"]()
        except OSError as error:  # torchvision downloads what it calls pretrained
            raise UserError(f"{entry.full_name}: torchvision's weights could not be downloaded ({error})") from error
    assert isinstance(network, nn.Module)
    for module in network.modules():
        _adopt_tensors(module)
    return network


def _adopt_tensors(module: nn.Module) -> None:
    """Makes buffers of the tensors that a module holds as plain attributes, so that they follow it to a device."""
    for name, value in list(vars(module).items()):
        if isinstance(value, Tensor):
            delattr(module, name)
            module.register_buffer(name, value, persistent=False)


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Building RobustBench's networks prints their parameter counts and warns of old names."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _is_standard(entry: Name) -> bool:
    """Returns whether RobustBench takes the weights from torchvision, when the network is built."""
    return entry.dataset == "imagenet" and entry.name.startswith("Standard")


def _address(entry: Name, definition: dict[str, Any], network: nn.Module, index: int) -> str:
    """Returns the address of the checkpoint with this number: on Google Drive, or where timm knows it to be."""
    identifiers = definition["gdrive_id"]
    if identifiers is not None:
        return _DRIVE.format(identifiers[index] if isinstance(identifiers, list) else identifiers)
    address = getattr(getattr(network, "model", network), "default_cfg", {}).get("url")
    if not address:
        raise UserError(f"{entry.full_name}: RobustBench does not say where its checkpoint is")
    return str(address)


def _parts(network: Any, index: int, count: int) -> list[tuple[nn.Module, str | None]]:
    """Returns the modules that the checkpoint with this number is loaded into, with their keys in the checkpoint."""
    if count == 1:
        return [(network, None)]
    if hasattr(network, "comp_model"):  # Bai2023Improving: two networks and what mixes them
        composite = network.comp_model
        if index < 2:
            return [(composite.models[index], None)]
        return [(composite.policy_net, "model"), (composite.bn, "bn")]
    if hasattr(network, "std_model"):  # Bai2024MixedNUTS
        return [((network.std_model, network.rob_model)[index], None)]
    return [(network.models[index], None)]


def _state_of(key: str | None, checkpoint: Any, path: Path) -> State:
    """The weights in a checkpoint, or those under a key of it."""
    if key is None or not isinstance(checkpoint, dict):
        return state_in(checkpoint, path)
    return state_in(checkpoint.get("state_dict", checkpoint).get(key), path)


def _load(part: nn.Module, state: State, path: Path, entry: Name) -> None:
    """Loads a state, as tolerant of superfluous names as RobustBench is; none but constants may be missing."""
    import robustbench.utils
    from robustbench.model_zoo.enums import BenchmarkDataset

    fitted = _fitted(part, state)
    check_complete(part, fitted, path)
    own = {name: value for name, value in part.state_dict().items() if is_constant(name)}
    try:
        try:
            robustbench.utils._safe_load_state_dict(part, entry.name, fitted, BenchmarkDataset(entry.dataset))
        except RuntimeError:  # perhaps only for want of constants that RobustBench does not know to be missing
            part.load_state_dict(own | fitted)
    except RuntimeError as error:
        raise UserError(f"weights {path} do not fit {entry.full_name}: {one_line(error)}") from error


def _fitted(part: nn.Module, state: State) -> dict[str, Tensor]:
    """The state under the network's names; if they do not match, converted as timm converts what was published."""
    fitted = fit_names(state, part)
    inner = getattr(part, "model", part)
    home = sys.modules[type(inner).__module__]
    convert = getattr(home, "checkpoint_filter_fn", None)
    if convert is None or not home.__name__.startswith("timm.") or fitted.keys() == part.state_dict().keys():
        return fitted
    bare = {re.sub(r"^(module\.)?(model\.)?", "", name): value for name, value in state.items()}
    return fit_names(convert(bare, inner), part)


def _with_logits(network: nn.Module, entry: Name) -> nn.Module:
    """The network, or the logarithm of what it returns if those are probabilities."""
    side = _SIDES[entry.dataset]
    outputs = outputs_of(network, entry.full_name, probe((3, side, side)))
    return LogProbabilities(network) if are_probabilities(outputs) else network


def _wrapped(name: str) -> str:
    """A weight's name such that RobustBench's loader, which cuts prefixes wherever it sees them, restores it."""
    return f"module.{'model.' if 'model.' in name else ''}{name}"
