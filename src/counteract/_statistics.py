"""Intervals for proportions and their differences, and worst cases over random draws."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

import torch
from torch import Tensor

Z95 = 1.959963984540054
"""The 97.5% quantile of the standard normal distribution."""


def wilson(successes: float, n: int) -> tuple[float, float]:
    """Returns the Wilson 95% interval of a proportion, as fractions.

    Args:
        successes: The number of those of the `n` that succeeded; a mean over seeds may be fractional.
        n: The number of trials, at least one.

    Source: Wilson, "Probable inference, the law of succession, and statistical inference", JASA 1927.
    """
    p, z = successes / n, Z95
    centre = p + z * z / (2 * n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def paired_difference(better: Sequence[Tensor], worse: Sequence[Tensor]) -> tuple[float, tuple[float, float]]:
    """Returns the difference of two accuracies on the same examples and its 95% interval, in points.

    Args:
        better: For each seed, the examples that were classified correctly: bool, shape (N,), or shares of draws.
        worse: Likewise for the same seeds.

    Source: Bonett and Price, "Adjusted Wald confidence interval for a difference of binomial proportions based on
    paired data", JEBS 2012; for several seeds the discordant counts are means over seeds. Where examples count by
    shares of draws, the interval is wider than need be, because a difference of d then varies by less than sqrt(d).
    """
    changes = [a.double() - b.double() for a, b in zip(better, worse, strict=True)]
    n = len(better[0])
    gained = statistics.fmean(float(change.clamp(min=0).sum()) for change in changes)
    lost = statistics.fmean(float((-change).clamp(min=0).sum()) for change in changes)
    up, down = (gained + 1) / (n + 2), (lost + 1) / (n + 2)
    half = Z95 * math.sqrt(max(0.0, up + down - (up - down) ** 2) / (n + 2))
    bounds = max(-1.0, up - down - half), min(1.0, up - down + half)
    return 100 * (gained - lost) / n, (100 * bounds[0], 100 * bounds[1])


def among(comparisons: int, bounds: tuple[float, float]) -> tuple[float, float]:
    """Returns a 95% interval as wide as it must be where it is one of several that shall hold all together.

    Args:
        comparisons: Their number.
        bounds: The interval for itself.

    Source: Bonferroni's inequality, for estimates that are nearly normal.
    """
    low, high = bounds
    centre, half = (low + high) / 2, (high - low) / 2
    wider = half * statistics.NormalDist().inv_cdf(1 - 0.025 / comparisons) / Z95
    return centre - wider, centre + wider


def worst_over_draws(right: Sequence[Tensor]) -> Tensor:
    """Returns the share of right draws of each example under the attack that is worst for it, chosen by other draws.

    The least share under many attacks is that of the unluckiest draws, however weak the attacks are. So each draw is
    judged under the attack that leaves the fewest of the example's other draws right, of several the one that is
    strongest on the other half of the examples, every second one: the least of many means is luck in part, too.

    Args:
        right: For each attack what was classified correctly: bool, shape (draws, N).

    Returns:
        float64, shape (N,).
    """
    given = torch.stack(list(right)).to(torch.int16)
    others = given.sum(1, keepdim=True, dtype=torch.int16) - given
    found = torch.empty(given.shape[2], dtype=torch.float64)
    for half in (slice(0, None, 2), slice(1, None, 2)):
        other = slice(1 - half.start, None, 2) if given.shape[2] > 1 else half
        strongest_first = given[:, :, other].double().mean((1, 2)).argsort(stable=True)
        mine, left = given[strongest_first][:, :, half], others[strongest_first][:, :, half]
        found[half] = mine.gather(0, left.argmin(0, keepdim=True))[0].double().mean(0)
    return found
