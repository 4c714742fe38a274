"""Audits of whatever network and defence there is: none stops midway, and all say what they know as they go."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from art.defences.preprocessor import JpegCompression
from effort import TINY
from networks import TinyNet
from torch import Tensor, nn
from watching import Watcher

from counteract import AntiAdversary, DefendedModule, GaussianNoise, attack, audit, load_model
from counteract._errors import StrangersError
from counteract.attacks import Attack, find_attack
from counteract.auditing import Audit, distilled, runner
from counteract.auditing.spec import UNDER, stages
from counteract.datasets import ArrayDataset, Dataset
from counteract.evaluation import Run, RunOptions

FAST: dict[str, Any] = {"preset": TINY | {"steps": 2}, "seeds": 1, "draws": 2}

STAGES = stages(2)
EVERY = [name for stage in STAGES for name in stage]
WITHOUT_DEFENCE = {
    name for name in EVERY if name == "bpda-apgd-cw" or not (find_attack(name).adaptive and find_attack(name).gradients)
}
"""Those that are made of a network without a defence, which there is nothing to know of."""


def run(defence: Any, network: nn.Module, data: Dataset, classes: int = 10, **more: Any) -> Audit:
    rows = (data.labels < classes).nonzero()[:9, 0]
    return audit(defence, network, data.read(rows), data.labels[rows], **(FAST | more))


class Through(nn.Module):
    """A small network whose images go through a function first, and its answers through another."""

    def __init__(self, before: Any = None, after: Any = None) -> None:
        super().__init__()
        self.net = TinyNet().eval()
        self.before, self.after = before or (lambda x: x), after or (lambda y: y)

    def forward(self, x: Tensor) -> Tensor:
        answers: Tensor = self.after(self.net(self.before(x)))
        return answers


class Blunt(Through):
    """The same without gradients."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            return super().forward(x)


def test_what_is_known_is_told_as_it_comes(digits: Dataset) -> None:
    watcher = Watcher()
    found = run("undefended", TinyNet().eval(), digits, options=RunOptions(watcher=watcher))
    assert watcher.done == watcher.begun > 0
    assert {row.attack for row in found.run.rows} == WITHOUT_DEFENCE
    (why,) = set(found.run.obstacles.values())
    assert why == "there is no defence that it could know of: it would be the same attack without"
    assert found.skipped == ()
    assert found.probes is not None
    told = (
        "backward pass: along random directions", "after 6 attacks, apgd-t the last: undefended ",
        "after 7 attacks, bpda-apgd-cw the last", "after 8 attacks", "after 19 attacks", "planted example: of ",
        "again", "with twice the steps", "with twice the eps", "with an eps of 0.5", "images have no gradient",
    )  # fmt: skip
    lines = [line for line in watcher.told if not line.startswith("network: at most ")]  # what each stage costs
    for line, words in zip(lines, told, strict=False):
        assert words in line
    assert f"leaves {100 * float(found.probes.longer.mean()):.1f}%" in lines[7]
    assert "so far: sound" in lines[1]


class Anothers(nn.Module):
    """The answers of one network with the gradient of another."""

    def __init__(self, net: nn.Module, other: nn.Module) -> None:
        super().__init__()
        self.net, self.other = net, other

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.other(x)
        answers: Tensor = self.net(x).detach() + out - out.detach()
        return answers


def another() -> nn.Module:
    net, generator = TinyNet().eval(), torch.Generator().manual_seed(2)
    for parameter in net.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.5
    return net


def right(net: nn.Module, data: Dataset, count: int = 9) -> Dataset:
    """Images whose labels are what a network says."""
    with torch.no_grad():
        labels = net(data.images[:count]).argmax(1)
    return ArrayDataset("own", data.images[:count], labels, tuple(map(str, range(10))))


def test_an_audit_stops_where_a_flag_is_up_and_its_verdict_stands(digits: Dataset) -> None:
    """Nothing is right, with the defence and without: there is nothing left to gain or to lose."""
    watcher, net = Watcher(), TinyNet().eval()
    few = right(net, digits, 40)
    labels = (few.labels + 1) % 10
    found = audit(Anothers(net, another()), net, few.images, labels, **FAST, options=RunOptions(watcher=watcher))
    assert found.run.complete
    assert {row.attack for row in found.run.rows} == set(STAGES[0])
    assert found.skipped == (*STAGES[1], *STAGES[2], *UNDER, *STAGES[3], "the tests of the attack")
    assert found.probes is None
    assert "whatever else is tried; left out: bpda-apgd-cw, " in watcher.told[-1]
    left_out = {check.name for check in found.checks if check.words.startswith("not made: ")}
    assert left_out >= {"convergence", "large eps", "planted example"}


def test_a_wrong_backward_pass_is_flagged_and_the_network_under_it_is_attacked(digits: Dataset) -> None:
    net = TinyNet().eval()
    found = audit(Anothers(net, another()), net, right(net, digits), **FAST)
    (check,) = [check for check in found.checks if check.name == "backward pass"]
    assert check.flag
    tried = "with gradients of the network under it were tried, too" in check.words
    assert tried == (set(UNDER) < {row.attack for row in found.run.rows}) == (found.skipped == ())
    assert not found.sound
    cells = {cell.attack: cell for cell in found.run.measured if cell.defence == "Anothers"}
    if found.skipped == ():
        assert set(UNDER) < cells.keys()
    (worst,) = [case for case in found.run.worst_cases if case.defence == "Anothers"]
    assert worst.accuracy <= min(100 * float(cell.correct[0].mean()) for cell in cells.values())


class Rounded(nn.Module):
    """A network behind few grey levels, which let no gradient through."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        answers: Tensor = self.net((5 * x).round() / 5)
        return answers


def test_anothers_gradient_is_averaged_over_a_neighbourhood_too(digits: Dataset) -> None:
    net = TinyNet().eval()
    rounded, plain = (audit(made, net, right(net, digits), **FAST) for made in (Rounded(net), another()))
    of_its_other_reasons = ("larger eps", "large eps", "planted example")
    assert not any(check.flag for check in rounded.checks if check.name in of_its_other_reasons)
    assert "around" in {row.attack for row in rounded.run.rows}
    assert not set(UNDER) & {row.attack for row in rounded.run.rows}
    assert "around" not in {row.attack for row in plain.run.rows}


def test_a_network_whose_gradients_mislead_is_attacked_by_those_of_the_network_inside_it(digits: Dataset) -> None:
    net = TinyNet().eval()
    alone = audit("undefended", Anothers(net, another()), right(net, digits), **FAST)
    assert alone.run.spec.surrogate == "the network at net inside of it"
    named = audit("undefended", Anothers(net, another()), right(net, digits), surrogate=net, **FAST)
    for found in (alone, named):
        assert (found.verdict, found.sound, found.flagged) == ("cannot tell", False, True)
        (check,) = [check for check in found.checks if check.name == "backward pass"]
        assert check.flag
        assert "with gradients of the network under it were tried" in check.words
        assert set(UNDER) < {row.attack for row in found.run.rows}
    assert [row.accuracy for row in alone.run.rows] == [row.accuracy for row in named.run.rows]


class Rippled(nn.Module):
    """A network behind ripples, whose gradients are exact and lead nowhere."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        answers: Tensor = self.net(x + 0.02 * (1000 * x).sin())
        return answers


def test_a_network_whose_gradients_are_masked_is_attacked_by_those_of_the_network_inside_it(digits: Dataset) -> None:
    net = load_model("digits-resnet-iat").eval()
    found = audit("undefended", Rippled(net), digits.take(8), **FAST)
    assert found.run.spec.surrogate == "the network at net inside of it"
    assert found.verdict == "cannot tell"
    assert set(UNDER) < {row.attack for row in found.run.rows}
    (check,) = [check for check in found.checks if check.name == "backward pass"]
    assert (check.flag, "they are masked" in check.words) == (True, True)


class Sure(nn.Module):
    """The logarithm of the mean of large logits' softmaxes, which has no gradient where one of them is zero."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        answers: Tensor = torch.stack([(16 * self.net(x.roll(by, -1))).softmax(1) for by in (0, 1)]).mean(0).log()
        return answers


def test_a_network_without_gradients_at_some_images_takes_those_of_the_network_inside_it(
    digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, watcher = load_model("digits-resnet-iat").eval(), Watcher()
    options = RunOptions(watcher=watcher)
    found = audit("undefended", Sure(net), digits.take(8), **FAST, options=options)
    assert found.run.spec.surrogate == "the network at net inside of it"
    told = "its own gradients are of no use at some images: attacks take those of the network at net inside of it"
    assert told in watcher.told
    (check,) = [check for check in found.checks if check.name == "zero gradients"]
    assert check.flag is False
    monkeypatch.setattr(runner, "inner_network", lambda *_: None)
    assert audit("undefended", Sure(net), digits.take(8), **FAST).run.spec.surrogate is None


class Closed(nn.Module):
    """A network of whose inside nothing is known, with answers of which there is no gradient."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.asked = net.forward

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            answers: Tensor = self.asked(x)
        return answers


def test_a_surrogate_is_distilled_where_there_is_no_other(digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pool of images in hand is none: those that are attacked must do."""
    monkeypatch.setattr(distilled, "_EPOCHS", 2)
    net, watcher = TinyNet().eval(), Watcher()
    found = audit("undefended", Closed(net), right(net, digits), **FAST, options=RunOptions(watcher=watcher))
    assert found.run.spec.surrogate == "a network distilled from its answers"
    assert {"apgd-ce", "bpda-apgd-cw", "bpda-apgd-t"} < {row.attack for row in found.run.rows}
    told = "its own gradients are of no use: attacks take those of a network distilled from its answers"
    assert told in watcher.told
    (check,) = [check for check in found.checks if check.name == "backward pass"]
    assert (check.flag, found.sound) == (True, False)
    assert check.words.endswith("a network distilled from the answers, which is a guess")
    again = audit("undefended", Closed(net), right(net, digits), **FAST)
    assert [row.accuracy for row in again.run.rows] == [row.accuracy for row in found.run.rows]
    behind = audit("rotation", Closed(net), right(net, digits), **FAST, parameters={"rotation": {"executions": 2}})
    assert behind.run.spec.surrogate == found.run.spec.surrogate
    assert "bpda-apgd-cw" in {row.attack for row in behind.run.rows if row.defence == "rotation"}


def test_where_a_network_is_named_or_under_a_defence_none_is_distilled(
    digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: object) -> None:
        raise AssertionError(given)

    monkeypatch.setattr(runner, "distil", fail)
    monkeypatch.setattr(runner, "inner_network", fail)
    net = TinyNet().eval()
    assert audit("undefended", Closed(net), right(net, digits), surrogate=net, **FAST).run.spec.surrogate == "TinyNet"
    assert audit(Anothers(net, another()), net, right(net, digits), **FAST).run.spec.surrogate is None
    assert audit("undefended", net, right(net, digits), **FAST).run.spec.surrogate is None


def test_three_classes(digits: Dataset) -> None:
    found = run("undefended", TinyNet(3).eval(), digits, classes=3)
    assert {attack for _, attack, _ in found.run.obstacles} >= {"apgd-t", "bpda-apgd-t"}
    assert found.probes is not None
    assert all(check.flag is not None for check in found.checks if "seeds" not in check.name)
    assert next(check for check in found.checks if check.name == "large eps").words.endswith("33.3%")


def test_a_network_without_gradients_is_flagged(digits: Dataset) -> None:
    """The surrogate that is named has none either."""
    found = run("rotation", Blunt(), digits, surrogate=Blunt(), parameters={"rotation": {"executions": 2}})
    assert found.probes is None
    assert {row.attack for row in found.run.rows} == {"clean", "noise", "square", "decision"}
    assert not found.sound
    (flag,) = [check for check in found.checks if check.flag]
    assert flag.name == "zero gradients"
    assert flag.words.endswith("it needs gradients, and the network gives none that are of use")
    assert found.notes == ("AutoAttack's own checks were not run: they need gradients",)


def test_answers_that_are_not_finite_are_wrong(digits: Dataset) -> None:
    scores = TinyNet().eval()(digits.images[:9])[:, 0]
    bound = scores[:2].max() + 1e-3  # the first two images are asked about before work begins
    found = run("undefended", Through(after=lambda y: torch.where(y[:, :1] > bound, torch.nan, y)), digits, draws=1)
    (clean,) = [cell for cell in found.run.cells if cell.attack == "clean"]
    assert clean.unusable == (scores > bound).sum() > 0
    assert not clean.correct[0][scores > bound].any()
    assert found.probes is not None
    assert found.probes.fall.isfinite().all()


def test_randomness_without_keys_is_repeated(digits: Dataset) -> None:
    network = Through(before=lambda x: F.dropout(x, 0.3))
    torch.manual_seed(1)
    first = run("undefended", network, digits)
    torch.manual_seed(2)
    second = run("undefended", network, digits)
    assert first.checks == second.checks
    assert first.notes == second.notes
    assert any("randomized" in note for note in first.notes)
    assert first.run.networks["network"].random


FEW = {"gaussian-noise": {"executions": 2, "std": 0.3}}


def test_nothing_depends_on_the_batch_size(net: TinyNet, digits: Dataset) -> None:
    first, second = (
        run("gaussian-noise", net, digits, options=RunOptions(batch_size=size), parameters=FEW) for size in (100, 8)
    )
    assert first.checks == second.checks
    assert first.probes is not None
    assert second.probes is not None
    assert torch.equal(first.probes.fall, second.probes.fall)


def test_a_whole_defended_network(net: TinyNet, digits: Dataset) -> None:
    found = run(Through(before=lambda x: (x + 0.01).clamp(0, 1)), net, digits)
    assert found.defence == "Through"
    met = {made: why for (_, made, name), why in found.run.obstacles.items() if name == "Through"}
    assert {made for made, why in met.items() if "has no method" in why} == {"smooth", "cheap"}
    assert met.keys() - {"smooth", "cheap"} == ONCE_MORE
    assert found.probes is not None


ONCE_MORE = {"fixed", "bpda-apgd-losses", "bpda-pgd-losses"}


@pytest.mark.parametrize(
    ("defence", "repeated"),
    [
        ("art:JpegCompression", {"smooth", "cheap", *ONCE_MORE}),
        ("total-variation", {"smooth", *ONCE_MORE}),
        ("anti-adversary", {"cheap", *ONCE_MORE}),
        ("hedge(steps=2)", set()),
        ("gaussian-noise", {"smooth"}),
    ],
)
def test_attacks_that_would_be_others_once_more_are_left_out(
    net: TinyNet, digits: Dataset, defence: str, repeated: set[str]
) -> None:
    others = {"smooth": "bpda-apgd-cw", "cheap": "bpda-apgd-cw", "fixed": "bpda-apgd-cw"}
    others |= {"bpda-apgd-losses": "bpda-apgd-ce", "bpda-pgd-losses": "bpda-pgd"}
    found = run(defence, net, digits, parameters=FEW)
    met = {made: why for (_, made, name), why in found.run.obstacles.items() if name == defence}
    assert {made: why for made, why in met.items() if "once more" in why} == {
        name: f"on this defence it would be {others[name]} once more" for name in repeated
    }


def test_a_defence_that_does_nothing_loses_nothing_to_attacks_that_go_on(net: TinyNet, digits: Dataset) -> None:
    """One that begins where an oblivious one ends is made on the undefended network, too."""
    found = run(nn.Sequential(nn.Identity(), net), net, digits)
    left = {row.defence: row.accuracy for row in found.run.rows if row.attack == "bpda-apgd-t"}
    assert len(left) == 2
    assert left["undefended"] == left["Sequential"]


def test_those_make_the_very_examples_of_the_others(net: TinyNet, digits: Dataset) -> None:
    steady = DefendedModule(net, preprocessing_defences=[AntiAdversary(net)])
    noise = DefendedModule(net, transforms=[GaussianNoise()], executions=2)
    plain = DefendedModule(net, preprocessing_defences=[JpegCompression((0, 1), channels_first=True)])
    pairs = [(steady, "fixed", "bpda-apgd-cw"), (steady, "bpda-apgd-losses", "bpda-apgd-ce")]
    pairs += [
        (steady, "bpda-pgd-losses", "bpda-pgd"),
        (noise, "smooth", "bpda-apgd-cw"),
        (plain, "cheap", "bpda-apgd-cw"),
    ]
    for module, *names in pairs:
        one, other = (attack(name, module, digits.images[:4], digits.labels[:4], preset="quick") for name in names)
        assert torch.equal(one, other)


class Later(TinyNet):
    """A network that fails when the attacks are over, and the probes begin."""

    fails = False

    def forward(self, x: Tensor) -> Tensor:
        if self.fails:
            raise KeyError("layer")
        return super().forward(x)


def test_a_network_that_fails_in_the_probes_is_named(digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    network = Later().eval()

    def fail(run: Run) -> Attack | None:
        monkeypatch.setattr(Later, "fails", True)
        return find_attack("bpda-apgd-cw")

    monkeypatch.setattr("counteract.auditing.runner._strongest", fail)
    with pytest.raises(StrangersError, match=r"^model Later failed with KeyError: 'layer'$"):
        audit("undefended", network, digits.take(4), seeds=1, draws=1)
