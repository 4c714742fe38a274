"""Attacks along gradients: their runs, and the choice among the points that these end with."""

from __future__ import annotations

import pytest
import torch
from networks import TinyNet
from torch import Tensor, nn

from counteract import AntiAdversary, Counteraction, DefendedModule, RandomCropPad, _random
from counteract._network import borrowed
from counteract.attacks import AttackPreset, ThreatModel, Victim
from counteract.attacks.gradients import Gradients, Restarts, TowardsClasses, in_turn, order
from counteract.attacks.losses import cross_entropy, margin
from counteract.attacks.meter import metered
from counteract.attacks.objective import Objective
from counteract.attacks.views import DEFENDED, UNDEFENDED, View, keyless
from counteract.datasets import Dataset
from counteract.whole import WholeModule

EPS = 0.05
SMALL = AttackPreset.model_validate({"preset": "quick", "steps": 3, "restarts": 2, "targets": 2})
CROSS_ENTROPY, MARGIN = Gradients(DEFENDED, Restarts(cross_entropy)), Gradients(DEFENDED, Restarts(margin))


def of(
    net: nn.Module,
    defended: DefendedModule | None = None,
    *,
    eps: float = EPS,
    random: bool = False,
    once: bool = True,
) -> Victim:
    """A network with a defence, or without."""
    return Victim(net, defended or DefendedModule(net), random, once, ThreatModel(eps=eps), eps / 4, 10)


def predicted(net: nn.Module, x: Tensor) -> Tensor:
    with borrowed(net):
        return net(x).argmax(1)  # type: ignore[no-any-return]


def test_an_oblivious_attack_does_not_begin_twice(net: nn.Module, x: Tensor) -> None:
    """Beside its gradients it asks once to choose between each two points, and once for the likeliest classes."""
    labels = predicted(net, x)

    def passes(attack: Gradients) -> float:
        with metered(net) as meter:
            attack.run(of(net), x, labels, torch.arange(6), SMALL, None)
        return meter.passes / len(x)

    assert passes(Gradients(UNDEFENDED, Restarts(margin))) == 2 * 4 * 2 + 2
    assert passes(Gradients(UNDEFENDED, TowardsClasses())) == 2 * 4 * 2 + 2 + 1
    assert passes(Gradients(DEFENDED, Restarts(margin))) == 2 * 4 * (2 + 1) + 3
    assert passes(Gradients(DEFENDED, TowardsClasses())) == 2 * 4 * (2 + 2) + 4 + 2


def test_runs_towards_classes_have_steps_of_their_own(net: nn.Module, x: Tensor) -> None:
    preset, labels = SMALL.model_copy(update={"target_steps": 7}), predicted(net, x)
    with metered(net) as meter:
        Gradients(UNDEFENDED, TowardsClasses()).run(of(net), x, labels, torch.arange(6), preset, None)
    assert meter.passes / len(x) == 2 * (7 + 1) * 2 + 2 + 1


def test_two_orders_in_turn() -> None:
    first, second = torch.tensor([[1, 2, 3, 4], [0, 3, 2, 1]]), torch.tensor([[4, 1, 2, 3], [0, 3, 2, 1]])
    assert in_turn(first, second).tolist() == [[1, 4, 2, 3], [0, 3, 2, 1]]
    assert in_turn(second, first).tolist() == [[4, 1, 2, 3], [0, 3, 2, 1]]


class Hiding(TinyNet):
    """A defence of a network that moves the likeliest other class to the end, whatever the image is."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.net(x)
        second = scores.topk(2).indices[:, 1:]
        return scores.scatter_add(1, second, -scores.amax() * torch.ones_like(scores[:, :1]))


def test_a_class_that_a_defence_hides_is_reached_for(net: nn.Module, x: Tensor) -> None:
    labels = predicted(net, x)
    objective = Objective([keyless(Hiding(net))], margin, labels, torch.arange(6))
    preset = SMALL.model_copy(update={"targets": 2})
    with borrowed(net):
        near = net(x).topk(2).indices[:, 1]
        found = TowardsClasses().losses(objective, keyless(net), x, preset)
        alone = TowardsClasses().losses(objective, None, x, preset)
    assert torch.equal(found[1].targets, near)  # type: ignore[attr-defined]
    assert not any((loss.targets == near).any() for loss in alone)  # type: ignore[attr-defined]


class Coarse(nn.Module):
    """A network whose answers are rounded to so many levels: at few of them, classes have the same score."""

    def __init__(self, network: nn.Module, levels: float) -> None:
        super().__init__()
        self.network, self.levels = network, levels

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.network(x)
        return (scores * self.levels).round() / self.levels


@pytest.mark.parametrize("levels", [1e-3, 5.0])
def test_among_classes_of_one_score_the_undefended_network_decides(net: nn.Module, x: Tensor, levels: float) -> None:
    rows = torch.arange(6), predicted(net, x)
    alone, coarse = (each(x).detach().index_put(rows, torch.tensor(-torch.inf)) for each in (net, Coarse(net, levels)))
    found = order(coarse, order(alone))
    for row, label in enumerate(rows[1].tolist()):
        others = [each for each in range(10) if each != label]
        expected = sorted(others, key=lambda each: (-float(coarse[row, each]), -float(alone[row, each])))
        assert found[row].tolist() == expected


class Listening(TinyNet):
    """A random network that notes the draws that it is asked with: those of a search, and those of a choice."""

    def __init__(self) -> None:
        super().__init__()
        self.searched: set[int] = set()
        self.chosen: list[int] = []

    def forward(self, x: Tensor, keys: Tensor | None = None) -> Tensor:
        assert keys is not None
        if x.requires_grad:
            self.searched |= set(keys.tolist())
        else:
            self.chosen += keys.tolist()
        noise = _random.uniform(keys, 10).to(x.dtype)
        found: Tensor = super().forward(x) + noise
        return found


@pytest.mark.parametrize("runs", [Restarts(margin), TowardsClasses()])
def test_candidates_are_compared_on_draws_that_no_search_has_seen(runs: Restarts | TowardsClasses, x: Tensor) -> None:
    """The highest loss on a search's own draws is luck in part: see `Gradients`."""
    network = Listening().eval()
    victim = Victim(TinyNet().eval(), WholeModule(network), True, True, ThreatModel(eps=EPS), EPS / 4, 10)
    found = Gradients(DEFENDED, runs).run(victim, x, torch.arange(6), torch.arange(6), SMALL, None)
    assert len(network.searched) == 6 * SMALL.draws * 2 * 4
    assert not network.searched & set(network.chosen)
    candidates, draws = 4 if isinstance(runs, TowardsClasses) else 3, 4 * SMALL.draws
    looking = 6 if isinstance(runs, TowardsClasses) else 0
    assert len(network.chosen) == 6 * candidates * draws + looking
    assert len({*network.chosen[looking:]}) == 6 * draws  # the same for each of the candidates
    assert found.shape == x.shape


@pytest.mark.parametrize(
    ("view", "random", "certain"), [(DEFENDED, False, True), (DEFENDED, True, False), (UNDEFENDED, True, True)]
)
def test_wrong_answers_are_kept_where_what_is_attacked_draws_nothing(
    view: View, random: bool, certain: bool, net: nn.Module, x: Tensor
) -> None:
    seen = []

    def search(victim: Victim, objective: Objective, images: Tensor, starts: Tensor, preset: AttackPreset) -> Tensor:
        seen.append(objective.certain)
        return starts

    Gradients(view, Restarts(margin), search).run(
        of(net, random=random), x, torch.arange(6), torch.arange(6), SMALL, None
    )
    assert set(seen) == {certain}


def test_runs_towards_classes_are_no_more_than_there_are(digits_net: nn.Module, digits: Dataset) -> None:
    preset = SMALL.model_copy(update={"targets": 30})
    images, labels, keys = digits.images[:8], digits.labels[:8], torch.arange(8)
    found = Gradients(UNDEFENDED, TowardsClasses()).run(of(digits_net), images, labels, keys, preset, None)
    assert (margin(digits_net(found), labels) > margin(digits_net(images), labels)).all()


@pytest.mark.parametrize("random", [False, True])
def test_small_steps_at_the_end_go_on_from_the_best_point(random: bool, digits_net: nn.Module, digits: Dataset) -> None:
    """Through a random defence there are none."""
    images, labels, keys, eps = digits.images[:8], digits.labels[:8], torch.arange(8), 4 / 255

    def reached(finish: int) -> tuple[Tensor, Tensor, float]:
        attack = Gradients(DEFENDED, TowardsClasses(), finish=finish)
        with metered(digits_net) as meter:
            found = attack.run(of(digits_net, eps=eps, random=random), images, labels, keys, SMALL, None)
        return found, margin(digits_net(found), labels), meter.passes / 8

    without, before, passes = reached(0)
    found, after, more = reached(5)
    if random:
        assert torch.equal(found, without)
        assert more == passes
        return
    assert more == passes + 2 * (5 + 1)
    assert (after >= before).all()
    assert (after > before + 1e-3).any()
    assert float((found - without).abs().max()) <= 5 * eps / 16 + 1e-6
    assert float((found - images).abs().max()) <= eps + 1e-6


def test_more_restarts_are_no_worse(digits_net: nn.Module, digits: Dataset) -> None:
    images, labels = digits.images[:16], digits.labels[:16]

    def reached(restarts: int) -> Tensor:
        preset = SMALL.model_copy(update={"restarts": restarts})
        found = CROSS_ENTROPY.run(of(digits_net, eps=4 / 255), images, labels, torch.arange(16), preset, None)
        return margin(digits_net(found), labels)

    once, thrice = reached(1), reached(3)
    assert (thrice >= once - 1e-4).all()
    assert (thrice > once + 1e-3).any()


def test_the_executions_of_several_draws_share_what_runs_once_and_draws_nothing(net: TinyNet, x: Tensor) -> None:
    """Counteraction's own forward pass is made once a draw, or once for the crops of all draws."""
    asked = 0
    labels = predicted(net, x)

    def count(module: nn.Module, inputs: tuple[Tensor]) -> None:
        nonlocal asked
        asked += len(inputs[0])

    def passes(once: bool) -> float:
        nonlocal asked
        asked = 0
        defended = DefendedModule(
            net, preprocessing_defences=[Counteraction(net)], transforms=[RandomCropPad()], executions=9
        )
        MARGIN.run(of(net, defended, random=True, once=once), x, labels, torch.arange(6), preset, None)
        return asked // 6  # a single image more is that of a check

    preset = SMALL.model_copy(update={"draws": 3, "executions": 2, "restarts": 1})
    net.register_forward_pre_hook(count)
    gradients, judged, undefended = preset.steps + 1, 2, preset.steps + 1
    crops = preset.draws * preset.executions
    assert passes(True) == undefended + gradients * (3 + crops) + judged * 4 * (3 + crops)
    assert passes(False) == undefended + gradients * (1 + crops) + judged * 4 * (1 + crops)


def test_gradients_that_lead_nowhere_do_not_make_an_attack_worse_than_an_oblivious_one(
    digits_net: nn.Module, digits: Dataset
) -> None:
    """The anti-adversary's steps are so large that its gradients say little of what it does."""
    images, labels, keys = digits.images[:16], digits.labels[:16], torch.arange(16)
    defended = DefendedModule(digits_net, preprocessing_defences=[AntiAdversary(digits_net)])
    preset = SMALL.model_copy(update={"steps": 8, "restarts": 1})
    found = MARGIN.run(of(digits_net, defended, eps=12 / 255), images, labels, keys, preset, None)
    assert (defended(images).argmax(1) == labels).float().mean() > 0.5
    assert (defended(found).argmax(1) == labels).float().mean() < 0.2
