"""Controls that must not be reported broken: harmless transforms, and randomised smoothing with its certificate.

Two robust networks belong to them, each without a defence: the shipped IAT network and `pgd-at` of `weights/`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

_NORMAL = torch.distributions.Normal(0.0, 1.0)


class Averaged(nn.Module):
    """The logarithm of the mean probability of an image and its copies, shifted or mirrored."""

    def __init__(self, network: nn.Module, shift: int, flip: bool) -> None:
        super().__init__()
        self.network = network
        self.shift = shift
        self.flip = flip

    def forward(self, x: Tensor) -> Tensor:
        """Log-probabilities."""
        views = [x.roll(by, -1) for by in range(-self.shift, self.shift + 1)]
        views += [view.flip(-1) for view in views] if self.flip else []
        return torch.stack([self.network(view) for view in views]).log_softmax(-1).logsumexp(0) - math.log(len(views))


class Smoothed(nn.Module):
    """The logarithm of the mean probability of noisy copies of an image (Cohen et al. 2019; Salman et al. 2019)."""

    def __init__(self, network: nn.Module, sigma: float, executions: int, scale: float) -> None:
        super().__init__()
        self.network = network
        self.sigma = sigma
        self.executions = executions
        self.scale = scale

    def forward(self, x: Tensor, keys: Tensor | None = None) -> Tensor:
        """Log-probabilities; an image's key makes its noise, and without one it is drawn afresh."""
        keys = torch.randint(2**62, (len(x),)) if keys is None else keys
        noise = torch.stack([self._noise(image, int(key)) for image, key in zip(x, keys, strict=True)])
        logits: Tensor = self.scale * self.network((x.unsqueeze(1) + self.sigma * noise).flatten(0, 1))
        several = logits.log_softmax(1).view(len(x), self.executions, -1)
        return several.logsumexp(1) - math.log(self.executions)

    def _noise(self, image: Tensor, key: int) -> Tensor:
        generator = torch.Generator().manual_seed(key & 0x7FFF_FFFF_FFFF_FFFF)
        return torch.randn((self.executions, *image.shape), generator=generator).to(image)


def identity(network: nn.Module) -> nn.Module:
    """The network as it is."""
    return Averaged(network, 0, False)


def shifted(network: nn.Module, pixels: int = 1) -> nn.Module:
    """The mean over small shifts, to which a network that was trained on shifts is indifferent."""
    return Averaged(network, pixels, False)


def flipped(network: nn.Module) -> nn.Module:
    """The mean over the image and its mirror image; not for digits."""
    return Averaged(network, 0, True)


def smoothed(network: nn.Module, sigma: float = 0.25, executions: int = 16, scale: float = 4.0) -> nn.Module:
    """Randomised smoothing of a network whose logits are multiplied by `scale`, so that it is sure of what it says."""
    return Smoothed(network, sigma, executions, scale)


def certified(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    radius: float,
    *,
    sigma: float = 0.25,
    executions: int = 16,
    scale: float = 4.0,
    samples: int = 1000,
    alpha: float = 0.001,
    answers: float = 0.01,
    seed: int = 0,
) -> Tensor:
    """Says of which images a smoothed network is right wherever they may be moved to within a radius.

    The mean probability p of the true class is, but for a chance of `alpha`, at least its mean over samples less the
    empirical Bernstein bound (Maurer and Pontil 2009); at a distance r in the L2 norm it is then at least
    Phi(Phi^-1(p) - r / sigma). An answer is the mean of no more than `executions` draws, so that is to exceed one half
    by Hoeffding's bound for these, which lets one answer in 1 / `answers` be wrong.

    A bound of eps in the max norm lies within a radius of eps * sqrt(D), D pixels times channels: see `radius_of`.

    Args:
        network: The network under the smoothing.
        images: Clean images in [0, 1], shape (N, C, H, W).
        labels: Their labels.
        radius: The distance in the L2 norm.
        sigma: The standard deviation of the noise.
        executions: The number of draws of an answer; 0 for the smoothed network itself, the mean of them all.
        scale: The factor of the logits.
        samples: The number of draws that p is measured on.
        alpha: The chance of a certificate that does not hold.
        answers: The chance of an answer that is wrong all the same.
        seed: Of the draws.

    Returns:
        True where the certificate holds: shape (N,).
    """
    generator, found = torch.Generator().manual_seed(seed), []
    with torch.no_grad():
        for _ in range(samples):
            noise = torch.randn(images.shape, generator=generator).to(images)
            chances = (scale * network(images + sigma * noise)).softmax(1)
            found.append(chances.gather(1, labels.unsqueeze(1))[:, 0].double().cpu())
    mean, variance, logarithm = torch.stack(found).mean(0), torch.stack(found).var(0), math.log(2 / alpha)
    least = mean - (2 * variance * logarithm / samples).sqrt() - 7 * logarithm / (3 * (samples - 1))
    moved: Tensor = _NORMAL.cdf(_NORMAL.icdf(least.clamp(1e-9, 1 - 1e-9)) - radius / sigma)
    return moved > 0.5 + (math.sqrt(math.log(1 / answers) / (2 * executions)) if executions else 0.0)


def radius_of(eps: float, images: Tensor) -> float:
    """The L2 radius that holds the ball of the max norm."""
    return eps * math.sqrt(images[0].numel())
