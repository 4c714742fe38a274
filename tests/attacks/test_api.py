"""`attack`: on modules in hand, whatever the batch size, with one line for every mistake."""

from __future__ import annotations

import doctest
import sys
from typing import Any

import numpy as np
import pytest
import torch
from art.estimators.classification import PyTorchClassifier
from networks import Averaging, Dark, FailingBackward, Returning, Shifted, TinyNet
from networks import Keyed as Batched
from torch import Tensor, nn

from counteract import (
    Counteraction,
    DefendedClassifier,
    DefendedModule,
    GaussianNoise,
    RandomCropPad,
    _random,
    evaluate,
)
from counteract._errors import StrangersError, UserError
from counteract.attacks import (
    AttackPreset,
    ThreatModel,
    Victim,
    attack,
    attack_keys,
    defence_keys,
    example_keys,
    find_attack,
    registry,
)
from counteract.attacks.api import _OneDraw
from counteract.attacks.libraries import registered
from counteract.attacks.norms import NORMS
from counteract.attacks.registry import register_attack
from counteract.datasets import Dataset
from counteract.whole import WholeModule

EPS = 8 / 255
SMALL = {"preset": "quick", "steps": 3, "queries": 10}
LABELS = torch.arange(6)


class Keyed(nn.Module):
    """Noise of keys, which it cannot do without."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor, keys: Tensor) -> Tensor:
        out: Tensor = self.net((x + 0.1 * _random.normal(keys, x.shape[1:])).clamp(0, 1))
        return out


class Noisy(nn.Module):
    """Noise of torch's own generator."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.net(x + 0.1 * torch.randn_like(x))
        return out


def defended(net: nn.Module) -> DefendedModule:
    before = [Counteraction(net, num_labels=2)]
    return DefendedModule(net, preprocessing_defences=before, transforms=[RandomCropPad()], executions=3)


def modules(net: nn.Module) -> dict[str, nn.Module]:
    return {
        "plain": net,
        "defended": defended(net),
        "probabilities": nn.Sequential(net, nn.Softmax(1)).eval(),
        "keyed": Keyed(net).eval(),
        "noisy": Noisy(net).eval(),
    }


def test_the_documented_example() -> None:
    tests = doctest.DocTestFinder().find(attack, "attack", globs={})
    assert sum(len(test.examples) for test in tests) > 3
    results = [doctest.DocTestRunner().run(test) for test in tests]
    assert sum(result.failed for result in results) == 0


@pytest.mark.parametrize("name", ["clean", "pgd3", "pgd3-targeted", "apgd-t", "bpda-apgd-cw", "fixed", "square"])
@pytest.mark.parametrize("kind", ["plain", "defended", "probabilities", "keyed", "noisy"])
def test_images_within_the_bounds_again_and_again(name: str, kind: str, net: TinyNet, x: Tensor) -> None:
    module, before = modules(net)[kind], x.clone()
    found = attack(name, module, x, LABELS, eps=EPS, preset=SMALL)
    assert torch.equal(x, before)
    assert found.dtype == x.dtype
    assert (found - x).abs().max() <= EPS + 1e-6
    assert found.min() >= 0
    assert found.max() <= 1
    assert torch.equal(found, x) == (name == "clean")
    torch.rand(3)
    assert torch.equal(attack(name, module, x, LABELS, eps="8/255", preset=SMALL), found)
    if name != "clean":
        other = attack(name, module, x, LABELS, eps=EPS, preset=SMALL, seed=1)
        assert not torch.equal(other, found)


@pytest.mark.parametrize(
    "name", ["noise", "pgd3", "apgd-t", "bpda-pgd", "smooth", "joint", "cheap", "square", "decision"]
)
def test_images_within_l2_whatever_the_batch_size(name: str, net: TinyNet, digits: Dataset) -> None:
    images, labels, module = digits.images[:24], digits.labels[:24], defended(net)
    found = attack(name, module, images, labels, norm="L2", eps=1.5, preset=SMALL)
    sizes = NORMS["L2"].size(found - images)
    assert sizes.max() <= 1.5 * (1 + 1e-6)
    assert sizes.max() > 0.5
    assert found.min() >= 0
    assert found.max() <= 1
    assert torch.equal(attack(name, module, images, labels, norm="L2", eps=1.5, preset=SMALL, batch_size=8), found)


def test_each_norm_has_its_own_range_and_attacks(net: TinyNet, x: Tensor) -> None:
    noise = attack("noise", net, x, LABELS, norm="L1", preset=SMALL)
    assert 1 < float(NORMS["L1"].size(noise - x).max()) <= 12 * (1 + 1e-6)
    half = attack("noise", net, x, LABELS, norm="L2", preset=SMALL)
    assert 0.2 < float(NORMS["L2"].size(half - x).max()) <= 0.5 * (1 + 1e-6)
    attack("pgd1", net, x, LABELS, norm="L2", eps=2, eps_step=1.5)
    for arguments, message in (
        ({"norm": "L1"}, "attack pgd1 cannot run on this module: it knows the norms Linf and L2 only"),
        ({"norm": "L2", "eps": 128}, "eps must be at most .* in L2, .* found 128"),
        ({"norm": "Linf", "eps": 2}, "eps: did you mean 2/255"),
        ({"eps_step": 2}, "eps_step: did you mean 2/255"),
    ):
        with pytest.raises(ValueError, match=message):
            attack("pgd1", net, x, LABELS, **arguments)


def test_l2_on_a_real_network_is_as_strong_as_the_libraries(digits_net: nn.Module, digits: Dataset) -> None:
    """AutoAttack without FAB and Square, which take minutes and find one of 48 more at this bound."""
    images, labels = digits.images[:48], digits.labels[:48]

    def left(name: str) -> int:
        found = attack(name, digits_net, images, labels, norm="L2", eps=0.5, preset={"preset": "quick", "steps": 20})
        assert NORMS["L2"].size(found - images).max() <= 0.5 * (1 + 1e-5)
        return int((digits_net(found).argmax(1) == labels).sum())

    pgd, theirs = left("pgd20"), left("torchattacks:PGDL2(steps=20)")
    assert abs(pgd - theirs) <= 2
    official = left("autoattack(version='custom', attacks_to_run=['apgd-ce'])")
    assert abs(left("apgd-ce") - official) <= 4
    assert abs(left("apgd-t") - official) <= 4
    assert official < 30
    assert left("noise") == left("clean") == 48


@pytest.mark.parametrize("name", ["pgd3-targeted", "bpda-apgd-cw", "fixed", "square"])
@pytest.mark.parametrize("kind", ["plain", "defended", "keyed"])
def test_the_batch_size_does_not_show(name: str, kind: str, net: TinyNet, digits: Dataset) -> None:
    images, labels, module = digits.images[:40], digits.labels[:40], modules(net)[kind]
    whole = attack(name, module, images, labels, preset=SMALL)
    assert torch.equal(attack(name, module, images, labels, preset=SMALL, batch_size=8), whole)


def test_oblivious_attacks_are_made_on_the_network_alone_and_adaptive_ones_on_all_of_it(
    net: TinyNet, x: Tensor
) -> None:
    on_all, on_net = (
        [attack(name, module, x, LABELS, preset=SMALL) for name in ("pgd3", "apgd-ce", "bpda-apgd-ce")]
        for module in (defended(net), net)
    )
    assert [torch.equal(*pair) for pair in zip(on_all, on_net, strict=True)] == [True, True, False]


def test_the_known_draw_is_the_first_that_judges_in_an_evaluation(net: TinyNet, x: Tensor) -> None:
    module, keys = defended(net), example_keys(3, torch.arange(6))
    preset = AttackPreset.model_validate(SMALL)
    victim = Victim(net, module, True, True, ThreatModel(), 2 / 255, 10)
    known = defence_keys(keys, 0).unsqueeze(1)
    expected = find_attack("fixed").run(victim, x, LABELS, attack_keys(keys), preset, known)
    assert torch.allclose(attack("fixed", module, x, LABELS, preset=SMALL, seed=3), expected, atol=1e-6)


def test_eps_and_its_step(net: TinyNet, x: Tensor) -> None:
    one = attack("pgd1", net, x, LABELS, eps=0.04, eps_step=1e-3)
    start = attack("pgd1", net, x, LABELS, eps=0.04, eps_step=1e-9)
    assert (one - start).abs().max() == pytest.approx(1e-3, rel=1e-2)
    quarter = attack("pgd1", net, x, LABELS, eps=0.04)
    assert torch.equal(quarter, attack("pgd1", net, x, LABELS, eps=0.04, eps_step=0.01))


def test_arrays_come_back_as_arrays(net: TinyNet, x: Tensor) -> None:
    expected = attack("pgd3", net, x, LABELS)
    for dtype in (np.float32, np.float64):
        found = attack("pgd3", net, x.numpy().astype(dtype), LABELS.tolist())
        assert isinstance(found, np.ndarray)
        assert found.dtype == dtype
        assert np.array_equal(found.astype(np.float32), expected.numpy())


def test_images_of_another_precision_and_none(net: TinyNet, x: Tensor) -> None:
    assert attack("pgd3", net.double(), x, LABELS).dtype == torch.float32
    assert attack("pgd3", net, x[:0], []).shape == x[:0].shape


def test_the_module_is_left_as_it_was(x: Tensor) -> None:
    net = TinyNet().train()
    net.norm.eval()
    attack("bpda-apgd-cw", net, x, LABELS, preset=SMALL)
    assert net.training
    assert not net.norm.training
    assert all(p.requires_grad and p.grad is None for p in net.parameters())


def classifier(net: nn.Module, kind: type[PyTorchClassifier] = PyTorchClassifier, **options: Any) -> PyTorchClassifier:
    return kind(net, nn.CrossEntropyLoss(), input_shape=(3, 32, 32), nb_classes=10, clip_values=(0, 1), **options)


def test_arts_classifier_is_the_network_in_it(net: TinyNet, x: Tensor) -> None:
    assert torch.equal(attack("pgd3", classifier(net), x, LABELS), attack("pgd3", net, x, LABELS))
    with pytest.raises(ValueError, match="classifier has defences"):
        attack("pgd3", classifier(net, DefendedClassifier, transforms=[RandomCropPad()]), x, LABELS)


class Few(nn.Module):
    """Three classes."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)[:, :3]  # type: ignore[no-any-return]


class Rounded(Few):
    """No gradient."""

    def forward(self, x: Tensor) -> Tensor:
        return self.net((255 * x).round() / 255)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "apgd-tt"}, "attack 'apgd-tt' is not known; did you mean apgd-t"),
        ({"norm": "L3"}, "attack: norm: Input should be 'Linf', 'L2' or 'L1', found 'L3'"),
        ({"eps": 0}, "attack: eps: .*greater than 0, found 0"),
        ({"eps": 8}, "attack: eps: .*less than or equal to 1, found 8"),
        ({"eps": "8/0"}, r'attack: eps: .*fraction such as "8/255", found .8/0.'),
        ({"eps": "8"}, r"attack: eps: did you mean 8/255\? .*, found '8'"),
        ({"eps": 300}, "attack: eps: Pixels have a range of 1"),
        ({"eps_step": 0}, "attack: eps_step: .*greater than 0"),
        ({"eps_step": 2}, r"attack: eps_step: did you mean 2/255\?"),
        ({"preset": "quik"}, "preset 'quik' is not known; did you mean quick"),
        ({"preset": {"stpes": 1}}, "attack: preset.stpes: Extra"),
        ({"preset": {"precision": "bf16"}}, "preset: precision must be float32"),
        ({"name": 3}, "attack must be a name, found 3"),
        ({"bpda_at": 3}, "bpda_at must be the name of a module, or several, found 3"),
        ({"bpda_at": ["head", 3]}, "bpda_at must be the name of a module, or several, found 3"),
        ({"seed": "2"}, "seed must be an integer, found '2'"),
        ({"batch_size": 0}, "batch_size must be an integer of at least 1, found 0"),
        ({"module": "net"}, "module must be a torch.nn.Module .*found str"),
        ({"module": nn.Conv2d(5, 1, 1)}, r"model Conv2d does not take images of shape \(3, 32, 32\)"),
        ({"module": nn.Identity()}, r"model Identity must return logits of shape \(2, classes\)"),
        ({"images": torch.full((6, 3, 32, 32), 2.0)}, "images has pixels outside clip_values"),
        ({"images": torch.full((6, 3, 32, 32), torch.nan)}, "images has NaN"),
        ({"images": torch.rand(3, 32, 32)}, r"images must be images of shape \(N, C, H, W\)"),
        ({"images": np.full((6, 3, 32, 32), 200, np.uint8)}, "images has pixels outside clip_values"),
        ({"images": np.array([["a"]])}, "images must hold real pixels, found <U1"),
        ({"images": [[0.5]]}, "images must be a tensor or an array, found list"),
        ({"labels": torch.arange(5)}, r"labels must be 6 integers, one for each of images; found torch.int64, \(5,\)"),
        ({"labels": torch.eye(6)}, r"labels must be 6 integers.*torch.float32, \(6, 6\)"),
        ({"labels": torch.arange(6).bool()}, "labels must be 6 integers.*torch.bool"),
        ({"labels": torch.arange(6) + 5}, "labels run from 5 to 10, but the module has 10 classes"),
        ({"labels": torch.arange(6) - 1}, "labels run from -1 to 4"),
        ({"labels": ["a"] * 6}, "labels must be 6 integers, found list"),
    ],
)
def test_mistakes(changes: dict[str, Any], message: str, net: TinyNet, x: Tensor) -> None:
    given: dict[str, Any] = {"name": "pgd3", "module": net, "images": x, "labels": LABELS} | changes
    with pytest.raises(ValueError, match=message) as error:
        attack(**given)
    assert "\n" not in str(error.value)


def test_attacks_that_cannot_run(net: TinyNet, x: Tensor) -> None:
    labels = LABELS % 3
    with pytest.raises(ValueError, match=r"attack apgd-t cannot run on this module: it needs 4 classes.* has 3"):
        attack("apgd-t", Few(net), x, labels)
    with pytest.raises(ValueError, match="attack pgd3 cannot run on this module: it needs gradients"):
        attack("pgd3", Rounded(net), x, LABELS)
    assert not torch.equal(attack("square", Rounded(net), x, LABELS, preset=SMALL), x)
    with pytest.raises(ValueError, match=r"attack smooth cannot run .*the module has no method smooth"):
        attack("smooth", Keyed(net), x, LABELS)
    with pytest.raises(ValueError, match=r"module must take pixels in \[0, 1\], found clip_values \(0, 255\)"):
        attack("pgd3", DefendedModule(net, clip_values=(0, 255)), x, LABELS)


def test_less_memory_is_said_once(net: TinyNet, x: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    class Large(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            if len(x) > 8:
                raise torch.OutOfMemoryError("out of memory")
            return net(x)  # type: ignore[no-any-return]

    images, labels = x.repeat(4, 1, 1, 1), LABELS.repeat(4)
    with pytest.warns(UserWarning, match="going on with 8 images per batch"):
        found = attack("pgd3", Large(), images, labels, batch_size=16)
    assert torch.equal(found, attack("pgd3", net, images, labels, batch_size=8))


@pytest.mark.parametrize("name", ["pgd3", "apgd-ce", "apgd-t", "bpda-apgd-cw", "smooth", "fixed", "square", "decision"])
def test_a_module_that_writes_into_its_images_is_attacked_as_one_that_does_not(name: str, x: Tensor) -> None:
    before, pixels = x.clone(), x.numpy().copy()
    for wrap in (lambda net: net, defended, Noisy):
        if name == "smooth" and wrap is Noisy:  # which cannot be taken apart
            continue
        plain, writing = (
            attack(name, wrap(Shifted(in_place=in_place)).eval(), pixels, LABELS, preset=SMALL)
            for in_place in (False, True)
        )
        np.testing.assert_array_equal(plain, writing)
    np.testing.assert_array_equal(pixels, before.numpy())


@pytest.mark.parametrize("name", ["pgd3", "apgd-ce", "apgd-t", "bpda-apgd-cw", "smooth", "fixed", "square", "decision"])
def test_answers_that_are_no_numbers_are_what_an_attack_looks_for(name: str) -> None:
    """A dark image whose class is that of a maximum over NaN: it is wrong where it is dark, and stays or becomes so."""
    images = torch.full((3, 3, 32, 32), 0.3)
    images[0], images[1] = 0.15, 0.22
    labels = torch.zeros(3, dtype=torch.int64)
    preset = {"preset": "quick", "steps": 4, "restarts": 1, "queries": 60}
    for module in (Dark().eval(), DefendedModule(Dark().eval(), preprocessing_defences=[Counteraction(Dark().eval())])):
        found = attack(name, module, images, labels, eps=0.04, preset=preset)
        assert found.isfinite().all()
        assert DefendedModule(Dark().eval()).classify(found)[0][0] == -1 or name in ("decision", "square")


def test_a_start_from_which_nothing_can_be_seen_is_left(x: Tensor) -> None:
    """Good candidates are not lost to NaN: the gradient of a bright image leads where that of its copy does."""
    images = torch.cat([x, torch.full((2, 3, 32, 32), 0.1)])
    labels = torch.arange(8)
    for name in ("pgd3", "apgd-ce", "bpda-apgd-cw"):
        found = attack(name, Dark().eval(), images, labels, preset=SMALL)
        alone = attack(name, TinyNet().eval(), images, labels, preset=SMALL)
        assert torch.equal(found[:6], alone[:6])


@pytest.mark.parametrize(
    "module",
    [
        Averaging(),
        DefendedModule(Averaging()),
        DefendedModule(TinyNet(), preprocessing_defences=[Counteraction(Averaging())]),
        nn.Sequential(Averaging(), nn.Softmax(1)),
        Batched(),
    ],
    ids=["plain", "defended", "its defence", "probabilities", "keyed"],
)
def test_a_module_whose_answers_follow_the_batch_is_refused(module: nn.Module, x: Tensor) -> None:
    with pytest.raises(ValueError, match=r"answers otherwise when .*: the accuracy follows the batch size"):
        attack("pgd3", module.eval(), x, LABELS)


@pytest.mark.parametrize("kind", ["tuple", "dict", "squeezed"])
def test_logits_are_found_in_whatever_a_module_returns(net: TinyNet, x: Tensor, kind: str) -> None:
    for name in ("pgd3", "bpda-apgd-cw", "square"):
        for wrap in (lambda inner: inner, defended):
            found = attack(name, wrap(Returning(kind)).eval(), x, LABELS, preset=SMALL)
            assert torch.equal(found, attack(name, wrap(net).eval(), x, LABELS, preset=SMALL))
    with pytest.raises(ValueError, match="model Returning returns one number for each image"):
        attack("pgd3", Returning("column").eval(), x, LABELS)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_module_of_half_precision_is_attacked_in_float32(x: Tensor, dtype: torch.dtype) -> None:
    for name in ("pgd3", "bpda-apgd-cw", "square"):
        found = attack(name, TinyNet().eval().to(dtype), x, LABELS, eps=EPS, preset=SMALL)
        assert found.dtype == torch.float32
        assert EPS / 2 < (found - x).abs().max() <= EPS + 1e-6


def test_a_gradient_that_some_images_lack_is_said() -> None:
    class Blind(TinyNet):
        def forward(self, x: Tensor) -> Tensor:
            bright = x.mean((1, 2, 3), keepdim=True) > 0.5
            return super().forward(torch.where(bright, x, x.detach()))

    images = torch.rand(8, 3, 32, 32) * torch.linspace(0.2, 1, 8).view(-1, 1, 1, 1)
    images[7] = 0.8
    with pytest.warns(UserWarning, match="module: its gradient is zero on 7 of the 8 images"):
        attack("pgd1", Blind().eval(), images, torch.arange(8))


def test_probabilities_in_a_defended_module_are_refused(net: TinyNet, x: Tensor) -> None:
    with pytest.raises(ValueError, match="model Sequential returns probabilities, not logits"):
        attack("pgd1", DefendedModule(nn.Sequential(net, nn.Softmax(1)).eval()), x, LABELS)


def test_labels_of_any_integers_and_one_hot_ones_are_the_same(net: TinyNet, x: Tensor) -> None:
    expected = attack("pgd3", net, x, LABELS)
    for labels in (LABELS.int(), np.arange(6, dtype=np.uint8), torch.eye(10)[:6], np.eye(10, dtype=np.int32)[:6]):
        assert torch.equal(attack("pgd3", net, x, labels), expected)


@pytest.mark.parametrize("name", ["pgd3", "bpda-pgd", "smooth", "square"])
def test_it_works_in_inference_mode(name: str, net: TinyNet, x: Tensor) -> None:
    expected = attack(name, defended(net), x, LABELS, preset=SMALL)
    with torch.inference_mode():
        found = attack(name, defended(net), x.clone(), LABELS.clone(), preset=SMALL)
        assert torch.is_inference_mode_enabled()
    assert torch.equal(found, expected)
    assert not found.is_inference()


def test_a_frozen_layer_of_a_network_in_training_stays_as_it_was(net: TinyNet, x: Tensor) -> None:
    net.train()
    net.norm.eval()
    for name in ("pgd3", "bpda-pgd", "smooth", "square"):
        attack(name, defended(net), x, LABELS, preset=SMALL)
        assert [module.training for module in net.modules()] == [True, True, False, True]
        assert all(parameter.requires_grad and parameter.grad is None for parameter in net.parameters())


def test_a_module_that_holds_a_defended_one_is_told_to_pass_that(net: TinyNet, x: Tensor) -> None:
    classifier = PyTorchClassifier(defended(net), nn.CrossEntropyLoss(), (3, 32, 32), 10, clip_values=(0, 1))
    for module in (nn.Sequential(defended(net)), classifier):
        with pytest.raises(ValueError, match=r"defended already, by Counteraction\+RandomCropPad: pass the Defended"):
            attack("pgd3", module, x, LABELS)
    own = DefendedClassifier(net, nn.CrossEntropyLoss(), (3, 32, 32), 10, transforms=[RandomCropPad()], executions=2)
    assert torch.equal(
        attack("bpda-pgd", own.model, x, LABELS, preset=SMALL),
        attack("bpda-pgd", DefendedModule(net, transforms=[RandomCropPad()], executions=2), x, LABELS, preset=SMALL),
    )


class NoBackward(TinyNet):
    """A network whose backward pass fails."""

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = FailingBackward.apply(super().forward(x), "gradient")
        return found


def test_a_module_that_fails_is_named(x: Tensor) -> None:
    with pytest.raises(StrangersError, match=r"^module NoBackward failed with KeyError: 'gradient'$"):
        attack("pgd3", NoBackward().eval(), x, LABELS)


class Misleading(nn.Module):
    """Images as they are, with a gradient that leads away."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * x.detach() - x


class Levels(nn.Module):
    """Few grey levels."""

    def forward(self, x: Tensor) -> Tensor:
        return (20 * x).round() / 20


@pytest.mark.parametrize("name", ["apgd-ce", "bpda-apgd-ce"])
def test_a_module_inside_is_taken_for_the_identity(name: str, digits_net: nn.Module, digits: Dataset) -> None:
    """Then the examples are those of the network without it; a rounding is found without being named."""
    images, labels = digits.images[:8], digits.labels[:8]

    def made(network: nn.Module, defended: bool, **more: Any) -> Tensor:
        if defended:
            network = DefendedModule(network, transforms=[GaussianNoise(0.01)], executions=2)
        return attack(name, network, images, labels, eps=8 / 255, preset=SMALL, **more)

    network = nn.Sequential(Misleading(), digits_net).eval()
    for defended in (False, True):
        expected = made(digits_net, defended)
        torch.testing.assert_close(made(network, defended, bpda_at=["Misleading"]), expected, atol=1e-6, rtol=0)
        torch.testing.assert_close(made(network, defended, bpda_at="Misleading"), expected, atol=1e-6, rtol=0)
        assert not torch.allclose(made(network, defended), expected, atol=1e-3)
    rounded = made(nn.Sequential(Levels(), digits_net).eval(), False)
    assert (digits_net(Levels()(rounded)).argmax(1) == labels).float().mean() < 0.8
    with pytest.raises(UserError, match="bpda_at 'act': no module"):
        made(network, False, bpda_at=["act"])


def test_black_and_white_pixels_of_a_module_that_draws_have_a_gradient(net: TinyNet, x: Tensor) -> None:
    whole, ends = WholeModule(net), x.round().requires_grad_()
    (expected,) = torch.autograd.grad(whole(ends).square().sum(), ends)
    (found,) = torch.autograd.grad(_OneDraw(whole)(ends).square().sum(), ends)
    assert (expected != 0).all()
    torch.testing.assert_close(found, expected)


def test_an_attack_that_changes_the_module_is_refused_and_undone(
    net: TinyNet, x: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make(network: nn.Module) -> Any:
        def run(images: Tensor, labels: Tensor) -> Tensor:
            for parameter in network.parameters():
                parameter.data.mul_(0)
            return images

        return run

    def leave(network: nn.Module) -> Any:
        return lambda images, labels: sys.exit(3)

    monkeypatch.setattr(registered, "REGISTERED", {})
    monkeypatch.setattr(registry, "REGISTERED", registered.REGISTERED)
    register_attack("ruining", make)
    register_attack("leaving", leave)
    expected = net(x)
    with pytest.raises(UserError, match=r"attack ruining changed the module's weights, .* they are put back"):
        attack("ruining", net, x, torch.zeros(len(x), dtype=torch.int64), eps=8 / 255)
    with pytest.raises(UserError, match="changed the network"):
        evaluate(net, x, torch.zeros(len(x), dtype=torch.int64), attacks=["ruining"])
    assert torch.equal(net(x), expected)
    with pytest.raises(UserError, match="attack leaving failed: SystemExit: 3"):
        attack("leaving", net, x, torch.zeros(len(x), dtype=torch.int64), eps=8 / 255)
    with pytest.raises(UserError, match="seed must be an integer of 64 bits"):
        attack("pgd2", net, x, torch.zeros(len(x), dtype=torch.int64), eps=8 / 255, seed=2**70)
