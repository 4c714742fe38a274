"""Finding specs: the paper's experiments by name, files by path, and each dataset's own."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from counteract._data import data_folder
from counteract._errors import UserError, unknown_name
from counteract._toml import read_toml
from counteract.datasets import find_source
from counteract.datasets.corrupted import read_name
from counteract.evaluation.spec import merged
from counteract.evaluation.upgrade import upgrade_spec

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

_FOLLOWING = ("size", "num_labels")
"""Parameters that follow the images or the network where nobody gives them."""

_MIXING = "mixup-inference"
"""The defence that needs training images."""

_PRESETS = files("counteract.evaluation") / "presets"


def experiment_names() -> list[str]:
    """Returns the names of the experiments that come with the package."""
    return _names(data_folder("experiments"))


def read_spec(name: str) -> dict[str, Any]:
    """Reads a spec: an experiment or a dataset's own by its name, or any TOML file by its path.

    Where a spec says `extends = "NAME"`, the keys that it lacks are those of that experiment, or that dataset's, and so
    are the parameters that it lacks.

    Raises:
        UserError: (a ValueError) there is no such experiment or file, or it is not TOML.
    """
    if name.endswith(".toml"):
        return _extended(read_toml(Path(name), f"spec {name}"), name)
    if name in _names(_PRESETS):
        return spec_for_dataset(name)
    known = experiment_names()
    if name not in known:
        raise unknown_name("experiment", name, known, "the name of a dataset, a path ending in .toml")
    return _extended(read_toml(data_folder("experiments") / f"{name}.toml", f"experiment {name}"), name)


def spec_for_dataset(dataset: str, pool: str | None = None) -> dict[str, Any]:
    """Returns the spec to start from for a dataset; it may lack networks.

    For a dataset without one of its own, a file of yours say, it is CIFAR-10's, without networks, with sizes of crops
    that follow the images', and with numbers of labels that follow the network's; where it has no training split, mixup
    inference is left out, unless there is a pool.

    For corrupted images it is that of the clean ones.

    Args:
        dataset: The dataset's name.
        pool: The images that mixup inference mixes with, where somebody names some.

    Raises:
        UserError: (a ValueError) the dataset is not known.
    """
    if corrupted := read_name(dataset):
        return spec_for_dataset(corrupted[0], pool) | {"dataset": dataset}
    if dataset in _names(_PRESETS):
        return _extended(read_toml(_PRESETS / f"{dataset}.toml", f"preset {dataset}"), dataset)
    mixing = find_source(dataset).splits or pool is not None
    data = with_models(spec_for_dataset("cifar10"), []) | {"dataset": dataset}
    values = data["parameters"].items()
    return data | {
        "defences": [name for name in data["defences"] if mixing or _MIXING not in name.split("+")],
        "parameters": {name: {k: v for k, v in each.items() if k not in _FOLLOWING} for name, each in values},
    }


def with_models(data: dict[str, Any], models: Sequence[str]) -> dict[str, Any]:
    """Returns a spec's data with other networks.

    Settings for a label that is gone go with it. Without networks the spec has none.

    Args:
        data: The spec's data.
        models: Each as `label=name`; as one of the spec's labels; or as a name, which is then its own label.
    """
    own = data.get("models", {})
    known = own if isinstance(own, dict) else {}
    labelled = {}
    for model in models:
        label, separator, name = _labelled(model)
        if not label or label in labelled:
            raise UserError(f"--model {model}: each network needs a label of its own; write label=name")
        labelled[label] = name if separator else known.get(label, label)
    changed = {key: value for key, value in data.items() if key != "models"}
    changed |= {"models": labelled} if labelled else {}
    settings = data.get("settings")
    if isinstance(settings, list) and all(isinstance(each, dict) for each in settings):  # others are refused later
        changed["settings"] = [setting for setting in settings if setting.get("model") in (None, *labelled)]
    return changed


def _labelled(model: str) -> tuple[str, str, str]:
    """Returns label, separator and name of `label=name`; of a name alone, path and arguments included, itself."""
    label, separator, name = model.partition("=")
    library, bracket, _ = label.partition("(")
    path = "/" in label or (bracket and ":" in library)
    return (model, "", "") if path else (label, separator, name)


def _extended(data: dict[str, Any], name: str) -> dict[str, Any]:
    """Returns a spec in today's words, with the keys of the one that it extends, and with its parameters one by one."""
    data = upgrade_spec(data)
    if "extends" not in data:
        return data
    base = data.pop("extends")
    if base not in (*experiment_names(), *_names(_PRESETS)):
        raise UserError(f"{name}: extends: {unknown_name('experiment', str(base), experiment_names())}")
    found = read_spec(base)
    values, changes = found.get("parameters", {}), data.get("parameters", {})
    if _is_of_tables(values) and _is_of_tables(changes):  # what is none is refused later
        data |= {"parameters": merged(values, changes)}
    return found | data


def _is_of_tables(given: object) -> bool:
    """Returns True for a table of tables."""
    return isinstance(given, dict) and all(isinstance(each, dict) for each in given.values())


def _names(folder: Path | Traversable) -> list[str]:
    return sorted(item.name.removesuffix(".toml") for item in folder.iterdir() if item.name.endswith(".toml"))
