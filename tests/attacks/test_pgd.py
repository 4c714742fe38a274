"""Our PGD against torchattacks', bit for bit from the same start; and its keyed draws."""

from __future__ import annotations

import pytest
import torch
import torchattacks
from networks import Returning, Shifted, TinyNet
from torch import Tensor, nn

from counteract import DefendedModule
from counteract.attacks import PGD, Path, ThreatModel, Victim, draw_starts, draw_targets
from counteract.attacks.norms import NORMS, Name
from counteract.datasets import Dataset
from counteract.models import load_model

EPS, ALPHA = 0.1, 0.03
WIDE = 1.5


def theirs(net: nn.Module, images: Tensor, labels: Tensor, steps: int, targeted: bool) -> Tensor:
    torch.manual_seed(0)
    attack = torchattacks.PGD(net, eps=EPS, alpha=ALPHA, steps=steps)
    if targeted:
        attack.set_mode_targeted_by_label(quiet=True)
    adversarial: Tensor = attack(images, labels)
    return adversarial


@pytest.mark.parametrize("targeted", [True, False])
def test_snapshots_are_torchattacks_separate_runs_bit_for_bit(
    digits_net: nn.Module, digits: Dataset, targeted: bool
) -> None:
    images, labels = digits.images[:16], digits.labels[:16]
    torch.manual_seed(0)
    starts = (images + torch.empty_like(images).uniform_(-EPS, EPS)).clamp(0, 1)
    attack = PGD(digits_net, eps=EPS, alpha=ALPHA, steps=[1, 12, 5], targeted=targeted)
    found = attack(images, labels, starts=starts)
    assert sorted(found) == [1, 5, 12]
    for steps, adversarial in found.items():
        assert torch.equal(adversarial, theirs(digits_net, images, labels, steps, targeted))
    assert not torch.equal(found[1], found[12])


def test_it_leaves_network_and_arguments_alone_and_works_without_grad(x: Tensor) -> None:
    net = TinyNet().train()
    before = x.clone()
    with torch.no_grad():
        found = PGD(net, steps=[2])(x, torch.arange(6), starts=x)[2]
    assert torch.equal(x, before)
    assert not found.requires_grad
    assert net.training
    assert net.norm.training
    assert all(p.requires_grad and p.grad is None for p in net.parameters())


def test_an_example_does_not_depend_on_its_batch(digits_net: nn.Module, digits: Dataset) -> None:
    images, labels = digits.images[:24], digits.labels[:24]
    attack = PGD(digits_net, eps=EPS, alpha=ALPHA, steps=[8])
    whole = attack(images, labels, starts=images)[8]
    part = attack(images[8:16], labels[8:16], starts=images[8:16])[8]
    torch.testing.assert_close(part, whole[8:16])


def test_starts_are_uniform_in_the_ball_and_the_pixel_range(digits: Dataset) -> None:
    images = digits.images[:32]
    starts = draw_starts(torch.arange(32), images, 0.1)
    change = starts - images
    assert change.abs().max() <= 0.1 + 1e-6
    assert [starts.min(), starts.max()] == [0, 1]
    inner = change[(images > 0.1) & (images < 0.9)]
    assert (torch.histc(inner, 10, -0.1, 0.1) / len(inner) - 0.1).abs().max() < 0.02
    assert torch.equal(draw_starts(torch.arange(32)[5:7], images[5:7], 0.1), starts[5:7])


def test_targets_are_uniform_over_the_other_labels() -> None:
    labels = torch.arange(9000) % 3
    targets = draw_targets(torch.arange(9000), labels, 3)
    assert not (targets == labels).any()
    assert ((targets - labels) % 3 == 1).float().mean() == pytest.approx(0.5, abs=0.03)
    assert set(targets.tolist()) == {0, 1, 2}


def their_l2(net: nn.Module, images: Tensor, labels: Tensor, steps: int, *, targeted: bool) -> Tensor:
    """Torchattacks' PGDL2 with a start of its own; it cannot read gradients of another layout than the images'."""
    torch.manual_seed(0)
    attack = torchattacks.PGDL2(net, eps=WIDE, alpha=WIDE / 4, steps=steps)
    if targeted:
        attack.set_mode_targeted_by_label(quiet=True)
    adversarial: Tensor = attack(images, labels)
    return adversarial


@pytest.mark.parametrize("targeted", [True, False])
def test_snapshots_in_l2_are_torchattacks_bit_for_bit(digits: Dataset, targeted: bool) -> None:
    """Of sixteen images: torchattacks takes the gradient of their mean, and a power of two leaves the bits alone."""
    digits_net = load_model("digits-resnet-mixup")
    images, labels = digits.images[:16], (digits.labels[:16] + targeted) % 10
    starts = their_l2(digits_net, images, labels, 0, targeted=targeted)
    assert not torch.equal(starts, images)
    attack = PGD(digits_net, eps=WIDE, alpha=WIDE / 4, steps=[1, 12, 5], targeted=targeted, norm="L2")
    found = attack(images, labels, starts=starts)
    for steps, adversarial in found.items():
        assert torch.equal(adversarial, their_l2(digits_net, images, labels, steps, targeted=targeted))
    assert not torch.equal(found[1], found[12])


def test_steps_in_l2_along_tiny_gradients_are_torchattacks_too(digits: Dataset) -> None:
    """Towards labels that the network is sure of already, one image at a time."""
    digits_net = load_model("digits-resnet-mixup")
    for row in range(3):
        images, labels = digits.images[row : row + 1], digits.labels[row : row + 1]
        starts = their_l2(digits_net, images, labels, 0, targeted=True)
        found = PGD(digits_net, eps=WIDE, alpha=WIDE / 4, steps=[6], targeted=True, norm="L2")(
            images, labels, starts=starts
        )
        assert torch.equal(found[6], their_l2(digits_net, images, labels, 6, targeted=True))


def test_starts_in_l2_fill_the_ball(digits: Dataset) -> None:
    grey = torch.full_like(digits.images[:32], 0.5)
    starts = draw_starts(torch.arange(32), grey, 0.1, NORMS["L2"])
    sizes = NORMS["L2"].size(starts - grey)
    assert sizes.max() <= 0.1 + 1e-6
    assert sizes.min() > 0.09
    assert torch.equal(draw_starts(torch.arange(32)[5:7], grey[5:7], 0.1, NORMS["L2"]), starts[5:7])


@pytest.mark.parametrize("norm", ["Linf", "L2"])
@pytest.mark.parametrize("targeted", [True, False])
def test_a_path_attacks_the_undefended_network_with_keyed_starts_and_targets(
    digits_net: nn.Module, digits: Dataset, targeted: bool, norm: Name
) -> None:
    images, labels, keys = digits.images[:16], digits.labels[:16], torch.arange(16) + 30
    victim = Victim(digits_net, DefendedModule(TinyNet()), False, False, ThreatModel(norm=norm, eps=EPS), ALPHA, 10)
    found = Path(targeted).run(victim, images, labels, keys, [1, 4])
    given = draw_targets(keys, labels, 10) if targeted else labels
    attack = PGD(digits_net, eps=EPS, alpha=ALPHA, steps=[1, 4], targeted=targeted, norm=norm)
    expected = attack(images, given, starts=draw_starts(keys, images, EPS, NORMS[norm]))
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[steps], expected[steps]) for steps in found)


@pytest.mark.parametrize("kind", ["tuple", "squeezed"])
def test_a_network_gets_copies_and_may_return_what_it_likes(x: Tensor, kind: str) -> None:
    before, labels = x.clone(), torch.arange(6)
    plain = PGD(Shifted(in_place=False).eval(), steps=[3])(x, labels, starts=x)[3]
    assert torch.equal(PGD(Shifted(in_place=True).eval(), steps=[3])(x, labels, starts=x)[3], plain)
    assert torch.equal(x, before)
    expected = PGD(TinyNet().eval(), steps=[3])(x[:1], labels[:1], starts=x[:1])[3]
    assert torch.equal(PGD(Returning(kind).eval(), steps=[3])(x[:1], labels[:1], starts=x[:1])[3], expected)
    assert PGD(TinyNet().eval().half(), steps=[3])(x, labels, starts=x)[3].dtype == torch.float32


def test_sizes_in_grey_levels_are_refused(net: nn.Module) -> None:
    with pytest.raises(ValueError, match=r"eps: did you mean 8/255\? .*, found 8"):
        PGD(net, eps=8)
    with pytest.raises(ValueError, match=r"alpha: did you mean 2/255\? .*, found 2"):
        PGD(net, alpha=2)
    assert PGD(net, eps=8, alpha=2, norm="L2").eps == 8
    with pytest.raises(ValueError, match="norm must be Linf or L2, found 'L1'"):
        PGD(net, norm="L1")
