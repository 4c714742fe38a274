"""Data beside a network or a pool: what does not go together is refused, or said in a sentence for reports."""

from __future__ import annotations

from collections.abc import Sequence

from counteract._errors import UserError, shown
from counteract.datasets import DATASETS, Dataset
from counteract.evaluation.inputs import IN_HAND
from counteract.models.about import About


def check_card(label: str, known: About, data: Dataset) -> str | None:
    """Returns what must be said of a network on other data than its card or its name names; None if there is nothing.

    Raises:
        UserError: (a ValueError) by its card it is of another dataset with a name of its own: this one was not meant;
            or the classes that both have stand in another order.
    """
    trained, classes = known.dataset, known.class_names
    _check_order(label, classes, data)
    if trained is None or data.name in (trained, IN_HAND) or classes == data.class_names:
        return None
    if classes and {trained, data.name} <= DATASETS.keys():
        raise UserError(
            f"model {label} was trained on {trained}, as its card says, and the dataset is {data.name}: name the right "
            f"one, --dataset {trained} or a file with its images"
        )
    if classes:
        return (
            f"its card names {trained} and the classes {_few(classes)}; the images are of {data.name}, with the "
            f"classes {_few(data.class_names)}"
        )
    if data.name in DATASETS:
        return f"it was published for {trained}, and the images are of {data.name}: its figures mean nothing here"
    return None


def check_pool(data: Dataset, pool: Dataset) -> None:
    """Raises UserError where a class of the pool is known to the data by the same name in another place."""
    if moved := _moved(pool.class_names, data.class_names):
        name, theirs, ours = moved
        raise UserError(
            f"pool {pool.name} has {shown(name)} as class {theirs}, dataset {data.name} as class {ours}: the classes "
            "must stand in one order, the network's; of a folder list them in classes.txt"
        )


def leak_of(data: Dataset, pool: Dataset) -> str | None:
    """Returns what must be said of a pool that the classified images are in, or some of them; None of others."""
    classified = set(data.hashes())
    count = sum(each in classified for each in pool.hashes())
    if not count:
        return None
    return f"mixup inference mixes with {count} of the images that are classified: a leak of their labels"


def few_classes(data: Dataset) -> str | None:
    """Returns what must be said of images of far fewer classes than as many drawn at random would be; None of others.

    Such are the first ones of data that are sorted by class.
    """
    count, classes = len(data), data.num_classes
    found = len(data.labels.unique())
    expected = classes * (1 - (1 - 1 / max(classes, 1)) ** count)
    if found >= expected / 2:
        return None
    return (
        f"its {count} images are of {found} of {classes} classes, which says little of the others: if they are the "
        "first of images that are sorted by class, shuffle these or take all"
    )


def _check_order(label: str, classes: Sequence[str], data: Dataset) -> None:
    """Raises UserError where a class of the data is known to the network by the same name in another place.

    A class may have several names, with commas between; one that several classes have tells nothing.
    """
    if moved := _moved(data.class_names, classes):
        name, ours, theirs = moved
        raise UserError(
            f"dataset {data.name} has {shown(name)} as class {ours}, model {label} as class {theirs}: "
            f"the classes must stand in the order of the network's {len(classes)}; of a folder list them in classes.txt"
        )


def _moved(one: Sequence[str], other: Sequence[str]) -> tuple[str, int, int] | None:
    """Returns the first name that two lists of classes have in different places, and these; None for none."""
    places, others = _places(one), _places(other)
    found = ((name, place, others[name]) for name, place in places.items() if others.get(name, place) != place)
    return next(found, None)


def _places(class_names: Sequence[str]) -> dict[str, int]:
    """Returns the numbers of classes by each name that only one of them has."""
    found: dict[str, set[int]] = {}
    for number, names in enumerate(class_names):
        for name in filter(None, (each.strip().casefold().replace("_", " ") for each in names.split(","))):
            found.setdefault(name, set()).add(number)
    return {name: numbers.pop() for name, numbers in found.items() if len(numbers) == 1}


def _few(names: Sequence[str]) -> str:
    return ", ".join([*names[:3], *(["..."] if len(names) > 3 else [])])
