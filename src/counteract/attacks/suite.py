"""Every attack by its name: what it differentiates, how it searches, and with which loss."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from counteract import _random
from counteract._network import borrowed
from counteract.attacks import losses
from counteract.attacks.apgd import apgd
from counteract.attacks.ascent import ascend
from counteract.attacks.budget import Budget
from counteract.attacks.objective import Objective, Scores
from counteract.attacks.pgd import draw_starts
from counteract.attacks.rays import rays
from counteract.attacks.square import square
from counteract.attacks.surrogates import cheap, rebuilt, smooth, turned
from counteract.defended import DefendedModule

_JUDGING = 4
"""How many times as many draws pick among the points that the runs end with as each step takes."""

_SELECT, _SQUARES = -1, -2
"""Streams of an attacker's keys beside its runs', which count from 0."""


@dataclass(frozen=True)
class Recipe:
    """What an attack is made of.

    Attributes:
        about: What it does, for whoever lists the attacks.
        view: What it attacks: the `bare` network (transfer), the `defended` one, with gradients through the defence
            (BPDA), the defence's `smooth` or `cheap` surrogate, or bare, defended and turned network `joint`ly.
        search: How it looks for the highest loss; `none` takes a random point.
        loss: What it maximises; `targeted` runs towards one class after the other.
        average: See `Objective`.
        known: Whether it knows the draws by which it will be judged.
    """

    about: str
    view: Literal["bare", "defended", "smooth", "cheap", "joint"] = "defended"
    search: Literal["none", "pgd", "apgd", "square", "rays"] = "apgd"
    loss: Literal["ce", "cw", "dlr", "targeted"] = "ce"
    average: Literal["outputs", "losses"] = "outputs"
    known: bool = False

    @property
    def adaptive(self) -> bool:
        """Whether it knows of the defence: then its examples are made for each defence anew."""
        return self.view != "bare"

    @property
    def gradients(self) -> bool:
        """Whether it uses gradients."""
        return self.search in ("pgd", "apgd")


RECIPES: dict[str, Recipe] = {
    "noise": Recipe("uniform noise", "bare", "none"),
    "apgd-ce": Recipe("transfer, APGD", "bare"),
    "apgd-dlr": Recipe("transfer, APGD on the DLR loss", "bare", loss="dlr"),
    "apgd-t": Recipe("transfer, APGD towards several classes", "bare", loss="targeted"),
    "bpda-pgd": Recipe("BPDA and EOT, PGD", search="pgd"),
    "bpda-pgd-cw": Recipe("BPDA and EOT, PGD on the margin", search="pgd", loss="cw"),
    "bpda-pgd-dlr": Recipe("BPDA and EOT, PGD on the DLR loss", search="pgd", loss="dlr"),
    "bpda-pgd-t": Recipe("BPDA and EOT, PGD towards several classes", search="pgd", loss="targeted"),
    "bpda-apgd-ce": Recipe("BPDA and EOT, APGD"),
    "bpda-apgd-cw": Recipe("BPDA and EOT, APGD on the margin", loss="cw"),
    "bpda-apgd-dlr": Recipe("BPDA and EOT, APGD on the DLR loss", loss="dlr"),
    "bpda-apgd-t": Recipe("BPDA and EOT, APGD towards several classes", loss="targeted"),
    "bpda-apgd-losses": Recipe("BPDA and EOT, APGD on the mean loss of the draws", average="losses"),
    "smooth": Recipe("signs differentiated as tanh, APGD on the margin", "smooth", loss="cw"),
    "fixed": Recipe("the draws are known, APGD on the margin", loss="cw", known=True),
    "joint": Recipe("bare, defended and turned network at once, APGD", "joint"),
    "cheap": Recipe("few executions, APGD on the margin", "cheap", loss="cw"),
    "square": Recipe("scores alone, Square", search="square", loss="cw"),
    "decision": Recipe("labels alone, RayS", search="rays"),
}
"""The attacks by name, beside `none` and `pgdK`, which the evaluation has of its own."""

_LOSSES: dict[str, losses.Loss] = {"ce": losses.cross_entropy, "cw": losses.margin, "dlr": losses.dlr}


@dataclass(frozen=True)
class Target:
    """What is attacked, and within which bounds.

    Attributes:
        bare: The network without a defence.
        defended: The network with it, as it will be judged; a transfer attack does not look at it.
        random: Whether the defended network's answers depend on its keys: if not, one draw is as good as many.
        once: Whether what runs once per input is among what depends on them. If not, the executions of several draws
            may as well be those of one, which then share what runs once.
        eps: The largest change of a pixel.
        eps_step: The step of PGD.
    """

    bare: nn.Module
    defended: DefendedModule
    random: bool
    eps: float
    eps_step: float
    once: bool = True


def run_attack(
    name: str,
    target: Target,
    images: Tensor,
    labels: Tensor,
    keys: Tensor,
    budget: Budget,
    known: Tensor | None = None,
) -> Tensor:
    """Attacks a batch.

    Of the points that its runs end with, for each example that one is kept which is misclassified most often on draws
    that none of them has seen: the highest loss on a few draws of its own is luck in part.

    Args:
        name: One of `RECIPES`.
        target: What is attacked.
        images: Clean images in [0, 1], shape (N, C, H, W).
        labels: Their true labels, int64, shape (N,).
        keys: The attacker's key of each image: every random choice is a function of it.
        budget: How hard to try.
        known: The keys of the draws that will judge the result, int64, shape (N, K): for attacks that know them.

    Returns:
        Images in [0, 1] within eps of the clean ones.
    """
    recipe = RECIPES[name]
    draws = eot_draws(recipe, budget, random=target.random, once=target.once)
    networks = _networks(recipe, target, budget, draws)
    objective = Objective(networks, _loss(recipe), labels, keys, draws, recipe.average, known if recipe.known else None)
    modules = [target.bare, target.defended]
    with ExitStack() as stack:
        for module in modules:
            stack.enter_context(borrowed(module))
        candidates = _candidates(recipe, objective, target, images, budget)
        many = _JUDGING * draws if target.random and recipe.adaptive else 1
        judge = replace(objective, networks=networks[-1:], loss=losses.odds, draws=many, average="losses")
        return _best(judge, candidates)


def eot_draws(recipe: Recipe, budget: Budget, *, random: bool, once: bool) -> int:
    """How many draws an attack averages over; one of many executions where these alone are random."""
    if not (random and recipe.adaptive):
        return 1
    return budget.draws if once or recipe.known or recipe.average == "losses" else 1


def attack_calls(name: str, budget: Budget, *, random: bool, once: bool, classes: int) -> int:
    """How many times an attack asks for the network's answer to an image, a gradient counting as two.

    Not counted is the choice among the points that its runs end with.
    """
    recipe = RECIPES[name]
    draws = eot_draws(recipe, budget, random=random, once=once)
    if recipe.search == "none":
        return 0
    if not recipe.gradients:
        return budget.queries * draws
    runs = min(budget.targets, classes - 1) if recipe.loss == "targeted" else budget.restarts
    on_bare = sum(_begins_on_bare(recipe, run) for run in range(runs))
    return 2 * (budget.steps + 1) * (on_bare + runs * draws * (3 if recipe.view == "joint" else 1))


def _networks(recipe: Recipe, target: Target, budget: Budget, draws: int) -> Sequence[Scores]:
    """What an attack asks, with the executions of all of its draws; the last one is that by which it picks its best."""
    if recipe.view == "bare":
        return [_without_keys(target.bare)]
    if recipe.known:
        return [target.defended]
    in_each = budget.draws // draws
    defended = rebuilt(target.defended, executions=in_each * budget.executions)
    if recipe.view == "smooth":
        return [smooth(defended)]
    if recipe.view == "cheap":
        return [cheap(defended, in_each * budget.cheap)]
    if recipe.view == "joint":
        other = turned(defended)
        return [_without_keys(target.bare), *([other] if other else []), defended]
    return [defended]


def _without_keys(network: nn.Module) -> Scores:
    def scores(images: Tensor, keys: Tensor) -> Tensor:
        del keys
        found: Tensor = network(images)
        return found

    return scores


def _loss(recipe: Recipe) -> losses.Loss:
    if recipe.search == "rays":
        return losses.wrong
    return _LOSSES.get(recipe.loss, losses.margin)


def _candidates(recipe: Recipe, objective: Objective, target: Target, images: Tensor, budget: Budget) -> list[Tensor]:
    """The points that an attack's runs end with, and those on the bare network that some begin with."""
    keys, eps = objective.keys, target.eps
    if recipe.search == "none":
        return [draw_starts(keys, images, eps)]
    if recipe.search == "square":
        return [square(objective, images, _random.fold(keys, _SQUARES), eps=eps, queries=budget.queries)[0]]
    if recipe.search == "rays":
        return [rays(replace(objective, average="losses"), images, eps=eps, queries=budget.queries)]
    found = []
    for run, loss in enumerate(_runs(recipe, objective, images, budget)):
        stream = _random.fold(keys, run)
        starts, given = draw_starts(stream, images, eps), replace(objective, loss=loss, keys=stream)
        if _begins_on_bare(recipe, run):
            bare = replace(given, networks=[_without_keys(target.bare)], draws=1, known=None)
            starts = _search(recipe, bare, images, starts, target, budget)
            found.append(starts)
        found.append(_search(recipe, given, images, starts, target, budget))
    return found


def _begins_on_bare(recipe: Recipe, run: int) -> bool:
    """Whether a run starts where the same search ends on the bare network.

    Gradients through a defence may lead nowhere: an attack that knows of it should do no worse than one that does not.
    Of several restarts the first begins so, of runs towards several classes each.
    """
    return recipe.adaptive and (run == 0 or recipe.loss == "targeted")


def _search(
    recipe: Recipe, objective: Objective, images: Tensor, starts: Tensor, target: Target, budget: Budget
) -> Tensor:
    """The point of the highest loss that a search along gradients finds."""
    if recipe.search == "pgd":
        size = target.eps_step
        return ascend(objective, images, starts, eps=target.eps, step_size=size, steps=budget.steps)[0]
    return apgd(objective, images, starts, eps=target.eps, steps=budget.steps)[0]


def _runs(recipe: Recipe, objective: Objective, images: Tensor, budget: Budget) -> list[losses.Loss]:
    """The loss of each run: the same for each restart, or one towards each of the likeliest other classes."""
    if recipe.loss != "targeted":
        return [objective.loss] * budget.restarts
    likely = _likely(objective, images)
    return [losses.targeted_dlr(column) for column in likely[:, : budget.targets].unbind(1)]


def _likely(objective: Objective, images: Tensor) -> Tensor:
    """The classes other than the true one, for each clean image the likeliest first: int64, shape (N, classes - 1)."""
    with torch.no_grad():
        scores = objective.networks[-1](images, _random.fold(objective.keys, _SELECT))
    others = scores.scatter(1, objective.labels.unsqueeze(1), -torch.inf)
    return others.argsort(dim=1, descending=True, stable=True)[:, :-1]


def _best(judge: Objective, candidates: Sequence[Tensor]) -> Tensor:
    """For each example the candidate that the judge gives the highest value, on draws that no run has seen."""
    if len(candidates) == 1:
        return candidates[0]
    values = torch.stack([judge.value(points, _SELECT) for points in candidates])
    winner = values.argmax(0)
    return torch.stack(list(candidates))[winner, torch.arange(len(winner), device=winner.device)]
