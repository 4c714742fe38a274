"""The place of the data of `eval/`: beside the code in an installed package, in the repository in a clone."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from counteract._errors import UserError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable


def data_folder(name: Literal["experiments", "paper"]) -> Traversable:
    """The folder of the experiments' specs or of the paper's published figures.

    Raises:
        UserError: (a ValueError) it is in neither place: the installation is broken.
    """
    places = [files("counteract") / "_data" / name, Path(__file__).parents[2] / "eval" / name]
    for place in places:
        if place.is_dir():
            return place
    raise UserError(f"the {name} data are missing: neither {places[0]} nor {places[1]} is a folder; install again")
