"""Views: the networks that an attack asks, from the undefended one to surrogates of the defended one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from counteract._network import ask
from counteract.attacks import surrogates
from counteract.attacks.objective import Average, Scores
from counteract.attacks.preset import AttackPreset
from counteract.attacks.victim import Victim
from counteract.whole import Defended, Through

Networks = Callable[[Victim, AttackPreset, int], tuple[Scores, ...]]
"""The function that makes a view: from a victim, the effort and the number of draws to the networks that are asked."""


_POINTS = 4
"""The points of a neighbourhood over which a gradient is averaged, in units of a preset's draws."""


def no_obstacle(defended: Defended) -> None:
    """Returns None: this view is to be had of every network."""


@dataclass(frozen=True)
class View:
    """The networks that an attack asks, all at once; by the last of them it picks the best of its points.

    Attributes:
        networks: Makes them, with the executions of all draws.
        adaptive: True if the defence is among them.
        known: True if they are asked with the draws that judge.
        fits: The reason why they cannot be made of a defended network, or None.
    """

    networks: Networks
    adaptive: bool = True
    known: bool = False
    fits: Callable[[Defended], str | None] = no_obstacle

    def draws(self, victim: Victim, preset: AttackPreset, average: Average = "outputs") -> int:
        """The number of draws that a loss is averaged over; one of many executions where these alone are random."""
        if not (victim.random and self.adaptive):
            return 1
        return preset.draws if victim.once or self.known or average == "losses" else 1


def keyless(network: nn.Module) -> Scores:
    """A network without randomness as one that is given keys."""

    def scores(images: Tensor, keys: Tensor) -> Tensor:
        del keys
        return ask(network, images)

    return scores


def _undefended(victim: Victim, preset: AttackPreset, draws: int) -> tuple[Scores, ...]:
    del preset, draws
    return (keyless(victim.undefended),)


def _judged(victim: Victim, preset: AttackPreset, draws: int) -> tuple[Scores, ...]:
    del preset, draws
    return (victim.defended,)


def _defended(victim: Victim, preset: AttackPreset, draws: int) -> tuple[Scores, ...]:
    return (_averaging(victim, preset, draws),)


def _smooth(victim: Victim, preset: AttackPreset, draws: int) -> tuple[Scores, ...]:
    return (surrogates.smooth(_averaging(victim, preset, draws)),)


def _cheap(victim: Victim, preset: AttackPreset, draws: int) -> tuple[Scores, ...]:
    return (surrogates.cheap(_averaging(victim, preset, draws), preset.draws // draws * preset.cheap),)


def _joint(victim: Victim, preset: AttackPreset, draws: int) -> tuple[Scores, ...]:
    defended = _averaging(victim, preset, draws)
    other = surrogates.turned(defended)
    return (keyless(victim.undefended), *([other] if other else []), defended)


def _under(victim: Victim, preset: AttackPreset, draws: int) -> tuple[Scores, ...]:
    return (Through(_averaging(victim, preset, draws), victim.undefended),)


def _around(victim: Victim, preset: AttackPreset, draws: int) -> tuple[Scores, ...]:
    points = _POINTS * preset.draws
    return (surrogates.Around(_averaging(victim, preset, draws), victim.threat_model, points),)


def _averaging(victim: Victim, preset: AttackPreset, draws: int) -> Defended:
    """The defended network with as many executions as an attack computes in each of its draws."""
    return surrogates.rebuilt(victim.defended, preset.draws // draws * preset.executions)


UNDEFENDED = View(_undefended, adaptive=False)
"""The undefended network, once for all defences: oblivious."""

DEFENDED = View(_defended)
"""The defended network, with gradients through the defence (BPDA)."""

JUDGED = View(_judged, known=True)
"""The defended network with the draws by which it will be judged."""

SMOOTH = View(_smooth, fits=surrogates.no_smooth)
"""The surrogate that has derivatives where the defence takes signs."""

CHEAP = View(_cheap, fits=surrogates.no_cheap)
"""The surrogate with few executions."""

JOINT = View(_joint)
"""The undefended network, the defended one, and the one whose defence acts the other way round."""

UNDER = View(_under)
"""The defended network's answers with the gradient of the network under it."""

AROUND = View(_around)
"""The defended network with its gradient averaged over a neighbourhood."""
