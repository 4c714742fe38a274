"""The promises of every preprocessor, each held to them: alone, stacked, and in ART's hands."""

from __future__ import annotations

import copy
import pickle
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from art.attacks.evasion import ProjectedGradientDescentPyTorch
from art.defences.preprocessor.preprocessor import PreprocessorPyTorch
from art.estimators.classification import PyTorchClassifier
from networks import Dark, Returning, Shifted, TinyNet
from torch import Tensor, nn

from counteract import (
    Counteraction,
    GaussianNoise,
    Hedge,
    MixupInference,
    RandomCropPad,
    RandomCropResize,
    RandomResizePad,
    RandomRotation,
)
from counteract._errors import UserError
from counteract.preprocessors import RandomPreprocessor

Maker = Callable[..., RandomPreprocessor[Any]]

MAKERS: dict[str, Callable[[nn.Module, tuple[Tensor, Tensor]], Maker]] = {
    # Three of the nine other labels: with all nine there would be nothing random about it.
    "counteraction": lambda net, _: lambda **options: Counteraction(net, **({"num_labels": 3} | options)),
    "hedge": lambda net, _: lambda **options: Hedge(net, **({"steps": 2} | options)),
    "mixup-inference": lambda net, pool: lambda **options: MixupInference(net, *pool, **options),
    "resize-pad": lambda *_: RandomResizePad,
    "crop-resize": lambda *_: RandomCropResize,
    "crop-pad": lambda *_: RandomCropPad,
    "gaussian-noise": lambda *_: GaussianNoise,
    "rotation": lambda *_: RandomRotation,
}


@pytest.fixture(params=MAKERS)
def make(request: pytest.FixtureRequest, net: nn.Module, pool: tuple[Tensor, Tensor]) -> Maker:
    return MAKERS[request.param](net, pool)


def classifier(net: nn.Module, *defences: RandomPreprocessor[Any]) -> PyTorchClassifier:
    return PyTorchClassifier(
        net,
        nn.CrossEntropyLoss(),
        (3, 32, 32),
        10,
        optimizer=torch.optim.SGD(net.parameters(), lr=0.1),
        clip_values=(0, 1),
        preprocessing_defences=list(defences),
    )


def test_it_is_arts_preprocessor_and_changes_every_image(make: Maker, x: Tensor) -> None:
    defence = make(seed=0)
    assert isinstance(defence, PreprocessorPyTorch)
    assert (defence.is_fitted, defence.apply_fit, defence.apply_predict) == (True, False, True)
    labels = np.arange(6)
    images, same = defence(x.numpy(), labels)
    assert (images.shape, images.dtype) == (x.shape, np.float32)
    assert np.array_equal(same, labels)
    assert (np.abs(images - x.numpy()).max((1, 2, 3)) > 0.01).all()


def test_labels_pass_as_they_are(make: Maker, x: Tensor) -> None:
    marker = object()
    assert make().forward(x, marker)[1] is marker
    assert make().forward(x)[1] is None


def test_each_image_has_a_draw_of_its_own(make: Maker, x: Tensor) -> None:
    images, _ = make(seed=0).forward(x[:1].expand(8, -1, -1, -1).clone())
    assert len({tuple(image.flatten().tolist()) for image in images}) > 4


def test_each_call_draws_anew(make: Maker, x: Tensor) -> None:
    defence = make(seed=0)
    assert not torch.equal(defence.forward(x)[0], defence.forward(x)[0])


def test_a_seed_makes_it_reproducible_call_by_call(make: Maker, x: Tensor) -> None:
    first, second = make(seed=7), make(seed=7)
    for _ in range(2):
        assert torch.equal(first.forward(x)[0], second.forward(x)[0])
    assert not torch.equal(make(seed=7).forward(x)[0], make(seed=8).forward(x)[0])


def test_without_a_seed_it_follows_torch(make: Maker, x: Tensor) -> None:
    torch.manual_seed(3)
    first, _ = make().forward(x)
    torch.manual_seed(3)
    assert torch.equal(make().forward(x)[0], first)
    assert not torch.equal(make().forward(x)[0], first)


def test_chunks_do_not_show(make: Maker, x: Tensor) -> None:
    whole, _ = make(seed=1).forward(x)
    for batch_size in (1, 4, 6):
        torch.testing.assert_close(make(seed=1, batch_size=batch_size).forward(x)[0], whole)


def test_no_chunk_exceeds_batch_size(make: Maker, x: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    defence = make(batch_size=4)
    seen: list[int] = []
    apply = defence.apply

    def counted(x: Tensor, parameters: Any) -> Tensor:
        seen.append(len(x))
        return apply(x, parameters)

    monkeypatch.setattr(defence, "apply", counted)
    defence.forward(x)
    assert seen == [4, 2]


def test_a_draw_is_a_function_of_its_key(make: Maker, x: Tensor) -> None:
    keys = torch.tensor([5, 17, 17, -3, 2**62, 0])
    defence = make()
    whole = defence.sample(x, keys)
    order = torch.tensor([4, 0, 2])
    torch.testing.assert_close(defence.sample(x[order], keys[order]), whole[order])


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int64, np.bool_])
def test_other_dtypes_that_hold_valid_images_are_converted(make: Maker, x: Tensor, dtype: type) -> None:
    valid: Any = (x > 0.5).numpy().astype(dtype)
    images, _ = make(seed=0)(valid)
    assert images.dtype == np.float32
    np.testing.assert_array_equal(images, make(seed=0)(valid.astype(np.float32))[0])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda x: x * 255, "outside clip_values"),
        (lambda x: x * 2 - 1, "outside clip_values"),
        (lambda x: torch.where(x > 0.79, torch.nan, x), "x has NaN"),
        (lambda x: x[0], r"\(N, C, H, W\), found 3 dimensions"),
    ],
)
def test_wrong_images(make: Maker, x: Tensor, spoil: Callable[[Tensor], Tensor], message: str) -> None:
    defence = make(clip_values=(0.0, 1.0))  # noise has none by default
    with pytest.raises(ValueError, match=message):
        defence.forward(spoil(x))
    with pytest.raises(ValueError, match=message):
        defence(spoil(x).numpy())


def test_round_off_passes(make: Maker, x: Tensor) -> None:
    make(clip_values=(0.0, 1.0)).forward((x - 0.2) / 0.6 * (1 + 3e-7) - 1e-7)


def test_an_empty_batch_comes_back_empty(make: Maker, x: Tensor) -> None:
    assert make().forward(x[:0])[0].shape == (0, 3, 32, 32)
    assert make()(x[:0].numpy())[0].shape == (0, 3, 32, 32)


def test_autocast_stays_inside_of_networks(make: Maker, net: nn.Module, x: Tensor) -> None:
    seen: list[torch.dtype] = []
    net.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    plain, keys = make().sample(x, torch.arange(6)), torch.arange(6)
    asks, seen[:] = bool(seen), []
    with torch.autocast("cpu", torch.bfloat16):
        whole, parts = make().sample(x, keys), make(batch_size=4).sample(x, keys)
        assert torch.is_autocast_enabled("cpu")
        assert (x.flatten(1) @ x.flatten(1).T).dtype == torch.bfloat16
    assert (whole.dtype, parts.dtype) == (torch.float32, torch.float32)
    assert {*seen} == ({torch.bfloat16} if asks else set())
    if not asks:
        assert torch.equal(whole, plain)
        assert torch.equal(parts, plain)
    assert (whole - plain).abs().mean() < 0.02  # a sign that follows from bfloat16 is another here and there


def test_it_works_in_inference_mode(make: Maker, x: Tensor) -> None:
    expected, _ = make(seed=0).forward(x)
    with torch.inference_mode():
        assert torch.equal(make(seed=0).forward(x.clone())[0], expected)


def test_without_gradients_no_graph_is_made(make: Maker, x: Tensor) -> None:
    points = x.clone().requires_grad_()
    assert make(seed=0).forward(points)[0].requires_grad
    with torch.no_grad():
        assert not make(seed=0).forward(points)[0].requires_grad


def test_threads_draw_what_one_does(make: Maker, net: nn.Module, x: Tensor) -> None:
    defence, keys = make(batch_size=2), torch.arange(6)
    net.train()
    expected = defence.sample(x, keys)
    net.register_forward_hook(lambda *call: time.sleep(0.001))
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: defence.sample(x, keys), range(20)))
    assert all(torch.equal(each, expected) for each in found)
    assert all(module.training for module in net.modules())
    assert all(parameter.requires_grad for parameter in net.parameters())


def test_threads_never_share_a_call(x: Tensor) -> None:
    class Slow(GaussianNoise):
        @property
        def _calls(self) -> int:
            number: int = self.__dict__["number"]
            time.sleep(0.001)
            return number

        @_calls.setter
        def _calls(self, number: int) -> None:
            self.__dict__["number"] = number

    noise = Slow(seed=0)
    with ThreadPoolExecutor(8) as threads:
        images = list(threads.map(lambda _: noise.forward(x[:1])[0], range(100)))
    assert len({float(image[0, 0, 0, 0]) for image in images}) == 100


def test_numpys_numbers_are_numbers(make: Maker, x: Tensor) -> None:
    options = {"batch_size": np.int64(4), "seed": np.int32(0), "clip_values": np.array([0, 1], np.float32)}
    defence = make(**options)
    assert [type(value) for value in (defence.batch_size, defence.seed)] == [int, int]
    assert defence.clip_values == (0.0, 1.0)
    plain = make(batch_size=4, seed=0, clip_values=(0, 1))
    assert torch.equal(defence.forward(x)[0], plain.forward(x)[0])
    defence.set_params(clip_values=(torch.zeros(3, 1, 1), np.ones((3, 1, 1))))
    assert defence.clip_values == (0.0, 1.0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("eps", np.float32(0.05)),
        ("eps_step", np.float16(0.05)),
        ("num_labels", np.int64(3)),
        ("steps", np.uint8(2)),
        ("targeted", np.bool_(False)),
    ],
)
def test_numpys_numbers_are_kept_as_pythons_own(name: str, value: Any, net: nn.Module, x: Tensor) -> None:
    defence, plain = (Counteraction(net, seed=0, **{name: given}) for given in (value, value.item()))
    assert type(getattr(defence, name)) in (bool, int, float)
    assert torch.equal(defence.forward(x)[0], plain.forward(x)[0])


@pytest.mark.parametrize("change", ["eps", "eps_step"])
@pytest.mark.parametrize("defence", [Counteraction, Hedge])
def test_a_change_beyond_the_range_is_refused(defence: Any, change: str, net: nn.Module) -> None:
    with pytest.raises(
        ValueError, match=rf"{change} must be a number from 0 to 1, .*\(8 of 255 .* are 8/255\), found 8"
    ):
        defence(net, **{change: 8})
    with pytest.raises(
        ValueError, match=rf"{change} must be a number from 0 to 1, the width of clip_values, found 1.5"
    ):
        defence(net, **{change: 1.5})
    with pytest.raises(ValueError, match=rf"{change} must be a number from 0 to 0.5"):
        defence(net, clip_values=(0.5, 1), **{change: 0.6})
    kept = defence(net, clip_values=(0, 255), **{change: 8})
    with pytest.raises(ValueError, match="the width of clip_values"):
        kept.set_params(clip_values=(0, 1))
    assert kept.clip_values == (0, 255)
    defence(net, clip_values=None, **{change: 8})


@pytest.mark.parametrize("layout", [(32, 32, 3), (28, 28, 1), (64, 48, 4)])
@pytest.mark.parametrize("moving", [RandomRotation, RandomCropPad, RandomCropResize, RandomResizePad])
def test_channels_last_are_refused_by_what_moves_pixels(moving: Any, layout: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"x must be images of shape \(N, C, H, W\), found .*like channels last"):
        moving()(np.zeros((2, *layout), np.float32))
    GaussianNoise()(np.zeros((2, *layout), np.float32))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size must be an integer of at least 1, found 0"),
        ({"seed": 1.5}, "seed must be an integer or None, found 1.5"),
        ({"seed": True}, "seed must be an integer or None, found True"),
        ({"clip_values": (1, 0)}, "clip_values must be"),
        ({"clip_values": (np.zeros(3), np.arange(3) + 1)}, "arrays with another range for each pixel"),
    ],
)
def test_wrong_options(make: Maker, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(**options)


def test_set_params(make: Maker, x: Tensor) -> None:
    defence = make(seed=0)
    first, _ = defence.forward(x)
    defence.set_params(seed=0, batch_size=2)
    assert defence.batch_size == 2
    torch.testing.assert_close(defence.forward(x)[0], first)
    with pytest.raises(ValueError, match=r"has no parameter epz; it has clip_values, batch_size, seed"):
        defence.set_params(epz=1)
    with pytest.raises(ValueError, match="batch_size"):
        defence.set_params(seed=5, batch_size=-1)
    assert (defence.seed, defence.batch_size) == (0, 2)
    assert set(defence.params) <= set(vars(defence))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda defence: pickle.loads(pickle.dumps(defence))])
def test_copies_draw_alike_and_share_nothing(
    make: Maker, x: Tensor, copied: Callable[[RandomPreprocessor[Any]], RandomPreprocessor[Any]]
) -> None:
    defence = make(seed=4)
    defence.forward(x)
    twin = copied(defence)
    assert torch.equal(twin.forward(x)[0], defence.forward(x)[0])
    if isinstance(defence, Counteraction | Hedge | MixupInference):
        assert twin.model is not defence.model


def test_a_clone_for_refitting_shares_the_defence(make: Maker, net: nn.Module, x: Tensor) -> None:
    defence = make()
    clone = classifier(net, defence).clone_for_refitting()
    assert clone.preprocessing_defences == [defence]
    assert clone.model is not net
    assert clone.predict(x.numpy()).shape == (6, 10)


def test_art_predicts_differentiates_and_attacks_through_it(make: Maker, net: nn.Module, x: Tensor) -> None:
    art = classifier(net, make(seed=0))
    images, labels = x.numpy(), np.eye(10)[np.arange(6)]
    bare = classifier(net)
    assert not np.allclose(art.predict(images), bare.predict(images))
    gradient = art.loss_gradient(images, labels)
    assert gradient.shape == images.shape
    assert (np.abs(gradient).max((1, 2, 3)) > 0).all()
    assert art.class_gradient(images).shape == (6, 10, 3, 32, 32)
    assert art.class_gradient(images, label=3).shape == (6, 1, 3, 32, 32)
    assert np.isfinite(art.compute_loss(images, labels)).all()
    attack = ProjectedGradientDescentPyTorch(art, eps=0.05, eps_step=0.02, max_iter=4, verbose=False)
    adversarial = attack.generate(images, labels)
    assert 0.01 < np.abs(adversarial - images).max() <= 0.05 + 1e-6
    losses = []
    for batch in (images, adversarial):
        art.preprocessing_defences[0].set_params(seed=1)  # the same draws for both
        losses.append(art.compute_loss(batch, labels).mean())
    assert losses[0] < losses[1]


@pytest.mark.parametrize("name", sorted(MAKERS.keys() - {"counteraction", "hedge"}))  # theirs is the identity
def test_the_gradient_is_that_of_finite_differences(
    name: str, net: nn.Module, pool: tuple[Tensor, Tensor], x: Tensor
) -> None:
    defence = MAKERS[name](net, pool)()
    exact = x[:2].double().requires_grad_()
    parameters = defence.draw(torch.tensor([1, 2]), exact, defence.prepare(x[:2]))
    out = defence.apply(exact, parameters)
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(out.shape, generator=generator, dtype=torch.float64)
    (gradient,) = torch.autograd.grad((out * weights).sum(), exact)
    for _ in range(5):
        direction = torch.randn(exact.shape, generator=generator, dtype=torch.float64)
        step = 1e-4 * direction
        plus, minus = (defence.apply((exact + s).detach(), parameters) for s in (step, -step))
        slope = ((plus - minus) * weights).sum() / 2e-4
        torch.testing.assert_close((gradient * direction).sum(), slope, rtol=1e-6, atol=1e-6)


def test_forward_is_differentiable_across_chunks(make: Maker, x: Tensor) -> None:
    whole, parts = (x.clone().requires_grad_() for _ in range(2))
    make(seed=0).forward(whole)[0].square().sum().backward()
    make(seed=0, batch_size=4).forward(parts)[0].square().sum().backward()
    torch.testing.assert_close(parts.grad, whole.grad)


def test_all_of_them_stacked(net: nn.Module, pool: tuple[Tensor, Tensor], x: Tensor) -> None:
    defences = [maker(net, pool)(seed=0) for maker in MAKERS.values()]
    art = classifier(net, *defences)
    labels = np.eye(10)[np.arange(6)]
    assert np.isfinite(art.predict(x.numpy())).all()
    assert np.abs(art.loss_gradient(x.numpy(), labels)).max() > 0
    assert art.class_gradient(x.numpy()).shape == (6, 10, 3, 32, 32)
    attack = ProjectedGradientDescentPyTorch(art, eps=0.05, eps_step=0.02, max_iter=2, verbose=False)
    assert np.abs(attack.generate(x.numpy(), labels) - x.numpy()).max() > 0.01


@pytest.mark.parametrize("between", [[], ["rotation"]])
def test_after_unclipped_noise_a_stack_goes_on(
    net: nn.Module, pool: tuple[Tensor, Tensor], x: Tensor, between: list[str]
) -> None:
    stack = [GaussianNoise(0.3), *(MAKERS[name](net, pool)() for name in between), Counteraction(net), RandomCropPad()]
    classifier(net, *stack).predict(x.numpy())
    images, _ = stack[0].forward(x)
    assert images.min() < 0
    for defence in stack[1:]:
        images, _ = defence.forward(images)
    assert images.min() >= 0
    with pytest.raises(ValueError, match="outside clip_values"):  # counteraction clamps: from there on it is checked
        RandomCropPad().forward(images + 0.5)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's count of peak memory")
def test_peak_memory_is_one_chunk_and_the_arrays(make: Maker) -> None:
    x = torch.rand(10_000, 3, 32, 32)
    defence = make(seed=0)
    defence.forward(x[:256])
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    before = _memory("VmRSS")
    defence.forward(x)
    grown = _memory("VmHWM") - before
    assert grown < x.nbytes + 100e6  # the result, and a chunk of 128 with whatever it needs


def _memory(field: str) -> float:
    """A field of this process's status, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return float(next(line for line in lines if line.startswith(field)).split()[1]) * 1024


@pytest.mark.parametrize("name", MAKERS)
def test_a_network_may_write_into_what_it_gets(name: str, x: Tensor, pool: tuple[Tensor, Tensor]) -> None:
    before, stored = x.clone(), pool[0].clone()
    found = [MAKERS[name](Shifted(in_place=in_place).eval(), pool)(seed=0)(x.numpy())[0] for in_place in (False, True)]
    np.testing.assert_array_equal(*found)
    assert torch.equal(x, before)
    assert torch.equal(pool[0], stored)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", MAKERS)
def test_a_network_of_half_precision_works(
    name: str, dtype: torch.dtype, x: Tensor, pool: tuple[Tensor, Tensor]
) -> None:
    """The images around it stay float32."""
    found = MAKERS[name](TinyNet().eval().to(dtype), pool)(seed=0).forward(x)[0]
    exact = MAKERS[name](TinyNet().eval(), pool)(seed=0).forward(x)[0]
    assert found.dtype == torch.float32
    assert (found - exact).abs().mean() < 0.01


@pytest.mark.parametrize("name", ["counteraction", "hedge", "mixup-inference"])
@pytest.mark.parametrize("kind", ["tuple", "dict", "squeezed"])
def test_logits_are_found_in_whatever_a_network_returns(
    name: str, kind: str, x: Tensor, pool: tuple[Tensor, Tensor]
) -> None:
    for images in (x, x[:1]):
        found, _ = MAKERS[name](Returning(kind).eval(), pool)(seed=0).forward(images)
        assert torch.equal(found, MAKERS[name](TinyNet().eval(), pool)(seed=0).forward(images)[0])
    with pytest.raises(UserError, match="model returns one number for each image"):
        MAKERS[name](Returning("column").eval(), pool)(seed=0).forward(x)


@pytest.mark.parametrize("name", ["counteraction", "hedge", "mixup-inference"])
def test_answers_that_are_no_numbers_harm_no_other_image(name: str, x: Tensor, pool: tuple[Tensor, Tensor]) -> None:
    """And what comes out is images, whose pixels are numbers."""
    dark = torch.cat([x[:3], torch.full((1, 3, 32, 32), 0.1), x[3:]])
    keys, rows = torch.arange(7), torch.tensor([0, 1, 2, 4, 5, 6])
    defence = MAKERS[name](Dark().eval(), pool)(seed=0)
    found = defence.sample(dark, keys)
    assert found.isfinite().all()
    assert torch.equal(found[rows], MAKERS[name](TinyNet().eval(), pool)(seed=0).sample(x, keys[rows]))
