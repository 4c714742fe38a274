"""Rows of the board: each defence with the network that it stands on and the bound that it is tried at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from broken.about import names
from broken.trained import weights_of

ROBUST = {"digits": "digits-resnet-iat", "cifar10": "cifar10-resnet18w16-iat"}
"""The shipped robust networks."""

PLAIN = {"digits": "digits-resnet-mixup", "cifar10": "cifar10-resnet18w16-mixup"}
"""The shipped networks that are not."""

EPS = {"digits": 40 / 255, "cifar10": 8 / 255}
"""The bounds: of one third, the robust networks keep a good part."""


@dataclass(frozen=True)
class Row:
    """A defence as the board tries it.

    Attributes:
        name: Its name in the table.
        module: The module of this package with its factory.
        factory: The factory.
        arguments: Its arguments.
        network: The network without it: a name.
        eps: The bound of the max norm.
        control: True if it must not be reported broken.
        trained: The networks of `train.py` that it takes.
    """

    name: str
    module: str
    network: str
    eps: float
    factory: str = "make"
    arguments: Mapping[str, Any] = field(default_factory=dict)
    control: bool = False
    trained: tuple[str, ...] = ()

    @property
    def defence(self) -> str:
        """The defence as a user names it."""
        if not self.factory:
            return "undefended"
        given = ", ".join(f"{name}={value!r}" for name, value in self.arguments.items())
        return f"broken.{self.module}:{self.factory}" + (f"({given})" if given else "")


def rows(dataset: str) -> list[Row]:
    """The board of a dataset: every broken defence, and the controls."""
    robust, plain, eps = ROBUST[dataset], PLAIN[dataset], EPS[dataset]
    its, other = {"dataset": dataset}, str(weights_of("pgd-at", dataset))
    of_their_own = {
        "adp": Row("adp", "adp", plain, eps / 4, arguments=its, trained=("adp",)),
        "kwta": Row("kwta", "kwta", other, eps, arguments=its, trained=("k-wta", "pgd-at")),
        "thermometer": Row("thermometer", "thermometer", plain, eps / 4, arguments=its, trained=("thermometer",)),
    }
    broken = [of_their_own.get(name, Row(name, name, robust, eps)) for name in names()]
    misled = Row("wrong_gradient (trained)", "wrong_gradient", robust, eps, arguments={"other": plain})
    smooth = Row("smoothed", "controls", robust, eps / 80, "smoothed", control=True)
    harmless = Row("shifted", "controls", robust, eps, "shifted", control=True)
    if dataset != "digits":
        harmless = replace(harmless, name="flipped", factory="flipped")
    controls = [
        Row("undefended, IAT", "controls", robust, eps, "", control=True),
        Row("undefended, PGD-AT", "controls", other, eps, "", control=True, trained=("pgd-at",)),
        Row("identity", "controls", robust, eps, "identity", control=True),
        harmless,
        smooth,
    ]
    return [*broken, misled, *controls]
