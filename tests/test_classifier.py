"""DefendedClassifier: ART's classifier where nothing is averaged, and the average everywhere else."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import torch
from art.attacks.evasion import AutoProjectedGradientDescent, FastGradientMethod, ProjectedGradientDescentPyTorch
from art.estimators.classification import PyTorchClassifier
from networks import Shifted, TinyNet
from torch import Tensor, nn

from counteract import Counteraction, DefendedClassifier, DefendedModule, GaussianNoise, RandomCropPad, RandomCropResize
from counteract.datasets import Dataset

ONE_HOT = np.eye(10)[np.arange(6)]


def make(net: nn.Module, kind: Any = DefendedClassifier, **options: Any) -> Any:
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    return kind(net, nn.CrossEntropyLoss(), (3, 32, 32), 10, optimizer=optimizer, clip_values=(0, 1), **options)


@pytest.fixture
def images(x: Tensor) -> Any:
    return x.numpy()


def test_without_transforms_it_is_arts_own_exactly(net: nn.Module, images: Any) -> None:
    pair = [
        make(net, kind, preprocessing_defences=[Counteraction(net, seed=1)], preprocessing=(0.5, 0.25))
        for kind in (DefendedClassifier, PyTorchClassifier)
    ]
    for name, arguments in (
        ("predict", ()),
        ("loss_gradient", (ONE_HOT,)),
        ("class_gradient", ()),
        ("class_gradient", (2,)),
        ("compute_loss", (ONE_HOT,)),
    ):
        for classifier in pair:
            classifier.preprocessing_defences[0].set_params(seed=1)
        mine, arts = (getattr(classifier, name)(images, *arguments) for classifier in pair)
        np.testing.assert_array_equal(mine, arts)
    torch.manual_seed(0)
    mine, arts = (ProjectedGradientDescentPyTorch(c, eps=0.1, max_iter=3, verbose=False).generate(images) for c in pair)
    np.testing.assert_array_equal(mine, arts)


def test_everything_averages(net: nn.Module, images: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = torch.arange(6)
    monkeypatch.setattr("counteract._random.fresh_keys", lambda count, device=None: keys[:count])
    classifier = make(net, transforms=[RandomCropResize()], executions=5, device_type="cpu")
    module = DefendedModule(net, transforms=[RandomCropResize()], executions=5)
    x = torch.from_numpy(images).requires_grad_()
    output = module(x, keys)
    np.testing.assert_allclose(classifier.predict(images), output.detach(), atol=1e-6)
    labels = torch.arange(6)
    losses = nn.functional.nll_loss(output, labels, reduction="none")
    np.testing.assert_allclose(classifier.compute_loss(images, ONE_HOT, reduction="none"), losses.detach(), atol=1e-5)
    (gradient,) = torch.autograd.grad(losses.mean(), x, retain_graph=True)
    np.testing.assert_allclose(classifier.loss_gradient(images, ONE_HOT), gradient, atol=1e-6)
    (gradient,) = torch.autograd.grad(output[:, 4].sum(), x)
    np.testing.assert_allclose(classifier.class_gradient(images, label=4)[:, 0], gradient, atol=1e-6)


@pytest.mark.parametrize(
    ("attack", "options"),
    [
        (ProjectedGradientDescentPyTorch, {"max_iter": 3, "eps_step": 0.1, "verbose": False}),
        (FastGradientMethod, {}),
        (AutoProjectedGradientDescent, {"max_iter": 3, "nb_random_init": 1, "verbose": False}),
    ],
)
def test_arts_attacks_run_on_it(digits_net: nn.Module, digits: Dataset, attack: Any, options: dict[str, Any]) -> None:
    classifier = make(digits_net, transforms=[RandomCropPad()], executions=4)
    x, labels = digits.images[:12].numpy(), np.eye(10)[digits.labels[:12]]
    adversarial = attack(classifier, eps=0.2, **options).generate(x, labels)
    assert np.abs(adversarial - x).max() <= 0.2 + 1e-6
    assert classifier.compute_loss(adversarial, labels).mean() > classifier.compute_loss(x, labels).mean() + 0.1


def test_unclipped_noise_before_transforms(net: nn.Module, images: Any) -> None:
    classifier = make(net, preprocessing_defences=GaussianNoise(0.5), transforms=[RandomCropPad()], executions=2)
    assert np.isfinite(classifier.predict(images)).all()
    with pytest.raises(ValueError, match="outside clip_values"):
        make(net, transforms=[RandomCropPad()]).predict(images * 255)


def test_standardisation_with_transforms_is_refused(net: nn.Module) -> None:
    with pytest.raises(ValueError, match=r"preprocessing cannot be combined with transforms.*Normalize"):
        make(net, transforms=[RandomCropPad()], preprocessing=(0.5, 0.25))
    make(net, transforms=[RandomCropPad()], preprocessing=(0.0, 1.0))


def test_fit_trains_the_bare_network(images: Any) -> None:
    nets = [TinyNet().eval() for _ in range(2)]
    classifiers = [make(nets[0], transforms=[RandomCropPad()], executions=3), make(nets[1], PyTorchClassifier)]
    for classifier in classifiers:
        torch.manual_seed(0)
        classifier.fit(images, ONE_HOT, batch_size=3, nb_epochs=2)
    for mine, arts in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        assert torch.equal(mine, arts)
    assert not torch.equal(nets[0].head.weight, TinyNet().head.weight)
    assert isinstance(classifiers[0]._model._model, DefendedModule)


def test_fit_goes_through_transforms_that_ask_for_it(images: Any) -> None:
    classifier = make(TinyNet().eval(), transforms=[RandomCropPad(apply_fit=True)], executions=3)
    darkest: list[float] = []
    classifier.model.register_forward_hook(lambda module, inputs, output: darkest.append(float(inputs[0].min())))
    classifier.fit(images, ONE_HOT, nb_epochs=1)
    assert darkest == [0.0]  # the images have no black, but the padding is


def test_transforms_that_do_not_apply_in_prediction_do_not(net: nn.Module, images: Any) -> None:
    classifier = make(net, transforms=[RandomCropPad(apply_predict=False)], executions=3)
    np.testing.assert_array_equal(classifier.predict(images), make(net, PyTorchClassifier).predict(images))


def test_params_and_clones(net: TinyNet, images: Any) -> None:
    crop = RandomCropPad()
    classifier = make(net, transforms=[crop], executions=3)
    assert classifier.model is net
    assert classifier.get_params()["executions"] == 3
    classifier.set_params(executions=4, average="logits")
    assert (classifier._model._model.executions, classifier._model._model.average) == (4, "logits")
    clone = classifier.clone_for_refitting()
    assert isinstance(clone, DefendedClassifier)
    assert (clone.executions, clone.average, clone.transforms) == (4, "logits", [crop])
    assert clone.model is not net
    assert not np.allclose(clone.predict(images), classifier.predict(images), atol=0.1)
    clone.fit(images, ONE_HOT, nb_epochs=1)


def test_a_pickled_classifier_predicts_alike(net: nn.Module, images: Any, monkeypatch: Any, tmp_path: Any) -> None:
    monkeypatch.setattr("art.config.ART_DATA_PATH", str(tmp_path))
    classifier = make(net, transforms=[RandomCropPad()], executions=3)
    twin = pickle.loads(pickle.dumps(classifier))
    torch.manual_seed(0)
    mine = classifier.predict(images)
    torch.manual_seed(0)
    np.testing.assert_array_equal(twin.predict(images), mine)


@pytest.mark.parametrize(
    "options", [{}, {"preprocessing": None}, {"transforms": [GaussianNoise(0.01)], "executions": 3}]
)
def test_a_network_may_write_into_what_it_gets(images: Any, options: dict[str, Any]) -> None:
    before = images.copy()
    for name, arguments in (
        ("predict", ()),
        ("loss_gradient", (ONE_HOT,)),
        ("class_gradient", ()),
        ("compute_loss", (ONE_HOT,)),
    ):
        found = []
        for in_place in (False, True):
            torch.manual_seed(0)
            found.append(getattr(make(Shifted(in_place=in_place), **options), name)(images, *arguments))
        np.testing.assert_allclose(found[0], found[1], rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(images, before)


def test_activations_of_a_network_that_writes(images: Any) -> None:
    before = images.copy()
    make(Shifted(in_place=True), preprocessing=None).get_activations(images, 0, batch_size=6)
    np.testing.assert_array_equal(images, before)
