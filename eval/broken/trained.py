"""Networks that were trained for a defence: the layers they are made of, and their weights beside this file."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from broken.surgery import with_layers
from counteract.models import Card, read_card

WEIGHTS = Path(__file__).parent / "weights"


class KWinners(nn.Module):
    """Keeps the largest activations of an image in a layer, a fixed share of them, and sets the others to zero."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        """The winners."""
        flat = x.flatten(1)
        kept = max(1, int(self.share * flat.shape[1]))
        least = flat.topk(kept, dim=1, sorted=False).values.amin(1, keepdim=True)
        return torch.where(flat >= least, flat, 0.0).view_as(x)


class Thermometer(nn.Module):
    """Writes each pixel as a column of thresholds: 1 for each of 1/levels, 2/levels, ..., 1 that it reaches.

    With a `slope` each step is a sigmoid instead, which has a derivative: an attacker's stand-in.
    """

    def __init__(self, levels: int, slope: float | None = None) -> None:
        super().__init__()
        self.levels = levels
        self.slope = slope

    def forward(self, x: Tensor) -> Tensor:
        """The code: shape (N, C * levels, H, W)."""
        at = torch.arange(1, self.levels + 1, device=x.device, dtype=x.dtype).view(1, 1, -1, 1, 1) / self.levels
        above = x.unsqueeze(2) - at
        code = (above >= 0).to(x.dtype) if self.slope is None else (self.slope * above).sigmoid()
        return code.flatten(1, 2)


class Ensemble(nn.Module):
    """The logarithm of the mean probability of several networks."""

    def __init__(self, members: list[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, x: Tensor) -> Tensor:
        """Log-probabilities."""
        return (
            torch.stack([member(x) for member in self.members])
            .log_softmax(-1)
            .logsumexp(0)
            .sub(torch.tensor(float(len(self.members))).log().item())
        )


def plain(card: Card) -> nn.Module:
    """The network that a card names."""
    return card.build()


def k_winners(card: Card) -> nn.Module:
    """The same with winners in place of ReLU: a fifth of each layer."""
    return with_layers(card.build(), nn.ReLU, lambda _: KWinners(0.2))


def thermometer(card: Card, levels: int = 16) -> nn.Module:
    """The same on thermometer codes, which take the place of its normalisation."""
    network = card.build()
    network.normalize = Thermometer(levels)  # type: ignore[assignment]
    stem = network.stem[0]
    assert isinstance(stem, nn.Conv2d)
    network.stem[0] = nn.Conv2d(3 * levels, stem.out_channels, stem.kernel_size, padding=stem.padding, bias=False)  # type: ignore[arg-type]
    return network


def ensemble(card: Card) -> nn.Module:
    """Three of them."""
    return Ensemble([card.build() for _ in range(3)])


BUILDERS = {"pgd-at": plain, "k-wta": k_winners, "thermometer": thermometer, "adp": ensemble}
"""The networks by name."""


def weights_of(name: str, dataset: str) -> Path:
    """The place of a network's weights."""
    return WEIGHTS / f"{dataset}-{name}.safetensors"


def load(name: str, dataset: str) -> nn.Module:
    """Loads a trained network, in eval mode.

    Raises:
        ValueError: it has not been trained on that dataset.
    """
    path = weights_of(name, dataset)
    if not path.is_file():
        raise ValueError(f"{path.name} is not there: cd eval && python -m broken.train {name} --dataset {dataset}")
    network = BUILDERS[name](read_card(path))
    network.load_state_dict(load_file(path))
    return network.eval()
