"""ART's preprocessors and strangers' as defences: their answers, their gradients, and draws by keys."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from art.defences.preprocessor import (
    Cutout,
    FeatureSqueezing,
    GaussianAugmentation,
    JpegCompression,
    SpatialSmoothing,
    ThermometerEncoding,
    TotalVarMin,
)
from art.defences.preprocessor.preprocessor import Preprocessor, PreprocessorPyTorch
from torch import Tensor

from counteract import GaussianNoise
from counteract._errors import UserError
from counteract.preprocessors.adapter import Adapted, adapt, adapt_all

KEYS = torch.arange(6)
Array = npt.NDArray[Any]


class Plain(Preprocessor):  # type: ignore[misc]
    """A stranger's in NumPy, of whatever function."""

    def __init__(self, function: Any = lambda x: 0.5 * x, **attributes: Any) -> None:
        super().__init__(is_fitted=True, apply_fit=False, apply_predict=True)
        self.function = function
        for name, value in attributes.items():
            setattr(self, name, value)

    def __call__(self, x: Array, y: Any = None) -> tuple[Array, Any]:
        return self.function(x), y


class InTorch(PreprocessorPyTorch):  # type: ignore[misc]
    """A stranger's in PyTorch, of whatever function."""

    def __init__(self, function: Any) -> None:
        super().__init__(is_fitted=True, apply_fit=False, apply_predict=True)
        self.function = function

    def forward(self, x: Tensor, y: Any = None) -> tuple[Tensor, Any]:
        return self.function(x), y


def gradient(part: Adapted, x: Tensor) -> Tensor:
    points = x.clone().requires_grad_()
    weights = torch.linspace(-1, 1, x.numel()).view_as(x)
    return torch.autograd.grad((part.apply(points, KEYS) * weights).sum(), points)[0]


@pytest.mark.parametrize(
    "made",
    [
        JpegCompression((0, 1), quality=50, channels_first=True),
        JpegCompression((0, 1), quality=50),
        JpegCompression((0, 255), quality=50, channels_first=True),
        SpatialSmoothing(3, channels_first=True),
        SpatialSmoothing(3),
        FeatureSqueezing((0, 1), bit_depth=3),
    ],
)
def test_answers_are_arts_own_whatever_order_and_range_it_wants(made: Any, x: Tensor) -> None:
    part = Adapted(made)
    array, scale = x.numpy(), 255 if made.clip_values and made.clip_values[1] == 255 else 1
    last = getattr(made, "channels_first", True) is False
    own, _ = made((array.transpose(0, 2, 3, 1) if last else array) * np.float32(scale))
    wanted = torch.from_numpy(own.transpose(0, 3, 1, 2) if last else own).float() / scale
    torch.testing.assert_close(part.apply(x, KEYS), wanted)
    assert part.apply(x.double(), KEYS).dtype == torch.float64
    weights = torch.linspace(-1, 1, x.numel()).view_as(x)
    torch.testing.assert_close(gradient(part, x), weights)
    assert "the identity for a gradient (BPDA)" in part.describe()


@pytest.mark.parametrize(
    "made",
    [
        GaussianAugmentation(0.1, augmentation=False, apply_predict=True),
        TotalVarMin(max_iter=1),
        Cutout(8, channels_first=True, apply_predict=True),
        Plain(lambda x: x + 0.1 * torch.randn(x.shape).numpy()),
    ],
)
def test_what_draws_is_asked_one_image_at_a_time(made: Preprocessor, x: Tensor) -> None:
    part = Adapted(made)
    whole = part.apply(x, KEYS)
    assert "one image at a time with seeded generators" in part.describe()
    torch.testing.assert_close(part.apply(x[2:4], KEYS[2:4]), whole[2:4])
    torch.testing.assert_close(part.apply(x, KEYS), whole)
    assert not torch.equal(part.apply(x, KEYS + 6), whole)


def test_generators_of_its_own_are_seeded(x: Tensor) -> None:
    class Own(Plain):
        def __call__(self, x: Array, y: Any = None) -> tuple[Array, Any]:
            return x + self.generator.normal(size=x.shape), y

    for generator in (np.random.default_rng(0), np.random.RandomState(0)):
        part = Adapted(Own(generator=generator))
        torch.testing.assert_close(part.apply(x, KEYS)[3:], part.apply(x[3:], KEYS[3:]))


class Keeping(Plain):
    """A defence that keeps images, makes something of an image and those, and draws from a generator of its own."""

    def __call__(self, x: Array, y: Any = None) -> tuple[Array, Any]:
        self.kept.extend(x)
        return self.function(x, self.kept) + self.generator.normal(size=x.shape), y


def like_the_first(x: Array, kept: list[Array]) -> Array:
    return np.stack([next(each for each in kept if np.abs(each - image).max() < 0.05) for image in x])


def test_a_defence_that_remembers_is_refused_and_one_that_keeps_a_log_is_not(x: Tensor) -> None:
    Adapted(Keeping(lambda x, kept: x, kept=[], generator=np.random.default_rng(0))).look(x)
    remembering = Adapted(Keeping(like_the_first, kept=[], generator=np.random.default_rng(0)))
    with pytest.raises(UserError, match=r"once it was asked .*, of which it keeps something \(kept\)"):
        remembering.look(x)


def test_global_generators_are_left_as_they_were(x: Tensor) -> None:
    part = Adapted(GaussianAugmentation(0.1, augmentation=False, apply_predict=True))
    np.random.seed(3)
    torch.manual_seed(3)
    part.apply(x, KEYS)
    assert np.random.random() == np.random.RandomState(3).random_sample()
    assert torch.equal(torch.rand(1), torch.rand(1, generator=torch.Generator().manual_seed(3)))


def test_an_image_does_not_depend_on_its_company(x: Tensor) -> None:
    part = Adapted(Plain(lambda batch: batch - batch.mean(0, keepdims=True)))
    torch.testing.assert_close(part.apply(x, KEYS), torch.zeros_like(x))


def test_gradients_in_numpy_are_its_own_estimate(x: Tensor) -> None:
    class Estimated(Plain):
        def estimate_gradient(self, x: Array, grad: Array) -> Array:
            assert x.shape == grad.shape
            return 3 * grad * x

    for attributes in ({}, {"channels_first": False}, {"clip_values": (0, 255)}):
        part = Adapted(Estimated(**attributes))
        scale = 255 if "clip_values" in attributes else 1
        weights = torch.linspace(-1, 1, x.numel()).view_as(x)
        torch.testing.assert_close(gradient(part, x), 3 * weights * x * scale)
        assert "its own estimate for a gradient" in part.describe()


def test_a_change_of_shape_passes_arts_own_estimate_back(x: Tensor) -> None:
    part = Adapted(ThermometerEncoding((0, 1), num_space=4, channels_first=True))
    points = x.clone().requires_grad_()
    made = part.apply(points, KEYS)
    assert made.shape == (6, 12, 32, 32)
    (found,) = torch.autograd.grad(made.sum(), points)
    assert found.shape == x.shape


def test_gradients_in_pytorch_are_exact_and_the_identity_where_there_are_none(x: Tensor) -> None:
    weights = torch.linspace(-1, 1, x.numel()).view_as(x)
    exact = Adapted(InTorch(torch.square))
    torch.testing.assert_close(gradient(exact, x), 2 * weights * x)
    assert exact.describe() == ""
    functions: list[Any] = [lambda x: (7 * x).round() / 7, lambda x: x.detach() * 0.5]
    for flat in functions:
        part = Adapted(InTorch(flat))
        torch.testing.assert_close(gradient(part, x), weights)
        torch.testing.assert_close(part.apply(x.clone().requires_grad_(), KEYS).detach(), flat(x))
        assert part.describe() == "the identity for a gradient (BPDA)"


def test_an_estimate_in_pytorch_is_differentiated_in_place_of_the_defence(x: Tensor) -> None:
    class Estimated(InTorch):
        def estimate_forward(self, x: Tensor, y: Any = None) -> Tensor:
            return 5 * x

    part = Adapted(Estimated(lambda x: (7 * x).round() / 7))
    torch.testing.assert_close(gradient(part, x), 5 * torch.linspace(-1, 1, x.numel()).view_as(x))
    torch.testing.assert_close(part.apply(x.clone().requires_grad_(), KEYS).detach(), (7 * x).round() / 7)


def test_images_alone_are_as_good_as_images_with_labels(x: Tensor) -> None:
    class Alone(InTorch):
        def forward(self, x: Tensor, y: Any = None) -> Any:
            return self.function(x)

    part = Adapted(Alone(torch.square))
    part.look(x)
    assert torch.equal(part.apply(x, KEYS), x.square())
    assert part.gradient == "exact"


def test_surrogates_are_those_that_it_offers(x: Tensor) -> None:
    class Offers(Plain):
        def with_fewer_steps(self, steps: int) -> Preprocessor:
            return Plain(lambda x: steps * x)

    found = Adapted(Offers()).with_fewer_steps(3)
    assert found is not None
    torch.testing.assert_close(found.sample(x, KEYS), 3 * x)
    assert Adapted(Plain()).smooth() is None
    assert Adapted(Plain()).reversed() is None


def test_the_callers_images_are_not_written_into(x: Tensor) -> None:
    def in_place(images: Array) -> Array:
        images -= 0.5
        return images

    before = x.clone()
    Adapted(Plain(in_place)).apply(x, KEYS)
    Adapted(InTorch(lambda images: images.sub_(0.5))).apply(x, KEYS)
    assert torch.equal(x, before)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: Plain(lambda x: x[:1]), "must return 3 images, found float32"),
        (lambda: Plain(lambda x: "images"), "must return 3 images"),
        (lambda: Plain(lambda x: 1 / 0), r"does not take images of shape \(3, 32, 32\): ZeroDivisionError"),
        (lambda: InTorch(lambda x: x.numpy()), "must return 3 images, found ndarray"),
    ],
)
def test_what_it_returns_is_checked_before_any_work(made: Any, message: str, x: Tensor) -> None:
    with pytest.raises(ValueError, match=message):
        Adapted(made()).look(x)


def test_what_is_no_preprocessor_or_acts_in_training_only_is_refused() -> None:
    with pytest.raises(ValueError, match=r"defence JpegCompression acts in training only"):
        adapt(JpegCompression((0, 1), apply_predict=False))
    with pytest.raises(ValueError, match=r"defence Plain is not made: let its __init__ call super\(\).__init__\("):
        adapt(Plain.__new__(Plain))
    for wrong in ([3], 3):
        with pytest.raises(ValueError, match="transforms must be preprocessors of this package or of ART, found int"):
            adapt_all(wrong, "transforms")
    own = GaussianNoise()
    assert adapt_all(own, "transforms") == (own,)
    assert [type(part) for part in adapt_all([Plain(), own], "transforms")] == [Adapted, GaussianNoise]


def test_black_and_white_pixels_have_a_gradient(x: Tensor) -> None:
    made = InTorch(lambda own: 0.5 * own)
    made.clip_values = (0.0, 1.0)
    mixed = x.clone()
    mixed[..., ::2] = x[..., ::2].round()
    assert (gradient(Adapted(made), mixed)[1:] != 0).all()


@pytest.mark.parametrize("layer", [torch.nn.BatchNorm2d(3), torch.nn.Dropout(0.5)])
def test_a_network_in_it_is_in_eval_mode_and_left_as_it_was(layer: torch.nn.Module, x: Tensor) -> None:
    network = torch.nn.Sequential(layer).train()
    buffers = [each.clone() for each in network.buffers()]
    for made in (InTorch(network), Plain(lambda own: network(torch.from_numpy(own)).detach().numpy())):
        torch.testing.assert_close(Adapted(made).sample(x, KEYS), x, atol=1e-4, rtol=0)
    assert layer.training
    assert all(torch.equal(old, new) for old, new in zip(buffers, network.buffers(), strict=True))


def test_an_estimate_that_draws_is_seeded_by_keys(x: Tensor) -> None:
    class Estimating(Plain):
        def estimate_gradient(self, x: Array, grad: Array) -> Array:
            return grad * np.random.rand(*x.shape)

    part = Adapted(Estimating())
    together = gradient(part, x)
    assert torch.equal(gradient(part, x), together)
    points, weights = x[2:4].clone().requires_grad_(), torch.linspace(-1, 1, x.numel()).view_as(x)[2:4]
    (alone,) = torch.autograd.grad((part.apply(points, KEYS[2:4]) * weights).sum(), points)
    assert torch.equal(alone, together[2:4])


def test_an_estimate_that_fails_says_so_once_it_is_needed(x: Tensor) -> None:
    class Failing(Plain):
        def estimate_gradient(self, x: Array, grad: Array) -> Array:
            raise NotImplementedError

    part = Adapted(Failing())
    torch.testing.assert_close(part.apply(x, KEYS), 0.5 * x)
    with pytest.raises(NotImplementedError):
        gradient(part, x)
