"""Views: the networks that an attack asks, and the draws that it averages over."""

from __future__ import annotations

import pytest
import torch
from networks import TinyNet
from torch import Tensor

from counteract import Counteraction, DefendedModule, RandomCropPad
from counteract.attacks import AttackPreset, ThreatModel, Victim
from counteract.attacks.views import CHEAP, DEFENDED, JOINT, JUDGED, SMOOTH, UNDEFENDED, UNDER, View

PRESET = AttackPreset.model_validate({"preset": "quick", "draws": 5, "executions": 3, "cheap": 2})


def victim(net: TinyNet, *, random: bool = True, once: bool = True) -> Victim:
    defended = DefendedModule(
        net, preprocessing_defences=[Counteraction(net)], transforms=[RandomCropPad()], executions=50
    )
    return Victim(net, defended, random, once, ThreatModel(), 0.01, 10)


@pytest.mark.parametrize(
    ("view", "draws", "shared"), [(UNDEFENDED, 1, 1), (DEFENDED, 5, 1), (JUDGED, 5, 5), (SMOOTH, 5, 1), (JOINT, 5, 1)]
)
def test_draws(view: View, draws: int, shared: int, net: TinyNet) -> None:
    assert view.draws(victim(net), PRESET) == draws
    assert view.draws(victim(net, once=False), PRESET) == shared
    assert view.draws(victim(net, once=False), PRESET, "losses") == draws
    assert view.draws(victim(net, random=False), PRESET) == 1


@pytest.mark.parametrize(
    ("view", "draws", "executions"),
    [
        (DEFENDED, 5, 3),
        (DEFENDED, 1, 15),
        (JUDGED, 5, 50),
        (SMOOTH, 5, 3),
        (CHEAP, 5, 2),
        (CHEAP, 1, 10),
        (JOINT, 5, 3),
    ],
)
def test_executions_of_each_draw(view: View, draws: int, executions: int, net: TinyNet) -> None:
    last = view.networks(victim(net), PRESET, draws)[-1]
    assert isinstance(last, DefendedModule)
    assert last.executions == executions


def test_the_joint_view_has_three_networks_where_there_is_counteraction_to_turn(net: TinyNet, x: Tensor) -> None:
    undefended, turned, _ = JOINT.networks(victim(net), PRESET, 1)
    assert torch.equal(undefended(x, torch.arange(6)), net(x))
    assert isinstance(turned, DefendedModule)
    (part,) = turned.preprocessing_defences
    assert isinstance(part, Counteraction)
    assert not part.targeted
    without = Victim(net, DefendedModule(net), False, False, ThreatModel(), 0.01, 10)
    assert len(JOINT.networks(without, PRESET, 1)) == 2


def test_under_has_the_answers_of_the_defence_and_the_gradient_of_the_network(net: TinyNet, x: Tensor) -> None:
    given, keys = victim(net), torch.arange(6)
    (network,) = UNDER.networks(given, PRESET, 5)
    points = x.clone().requires_grad_()
    answers, alone = network(points, keys), net(points).log_softmax(1)
    (defended,) = DEFENDED.networks(given, PRESET, 5)
    torch.testing.assert_close(answers, defended(x, keys))
    found, expected = (torch.autograd.grad(each[:, 0].sum(), points)[0] for each in (answers, alone))
    torch.testing.assert_close(found, expected)
