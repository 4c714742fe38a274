"""DefendedClassifier: ART's classifier where nothing is averaged, and the average everywhere else."""

from __future__ import annotations

import copy
import pickle
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import evasion
import numpy as np
import pytest
import torch
from art.attacks.evasion import AutoProjectedGradientDescent, FastGradientMethod, ProjectedGradientDescentPyTorch
from art.data_generators import PyTorchDataGenerator
from art.defences.preprocessor import JpegCompression, SpatialSmoothing
from art.defences.trainer import AdversarialTrainerAWPPyTorch
from art.estimators.classification import PyTorchClassifier
from networks import Shifted, TinyNet
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from counteract import (
    AntiAdversary,
    Counteraction,
    DefendedClassifier,
    DefendedModule,
    EnergyDescent,
    GaussianNoise,
    Hedge,
    MixupInference,
    RandomCropPad,
    RandomCropResize,
    RandomRotation,
    from_art,
)
from counteract._errors import UserError
from counteract.datasets import Dataset
from counteract.preprocessors import RandomPreprocessor

ONE_HOT = np.eye(10)[np.arange(6)]


def make(net: nn.Module, kind: Any = DefendedClassifier, **options: Any) -> Any:
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    return kind(net, nn.CrossEntropyLoss(), (3, 32, 32), 10, optimizer=optimizer, clip_values=(0, 1), **options)


@pytest.fixture
def images(x: Tensor) -> Any:
    return x.numpy()


def test_without_transforms_it_is_arts_own_exactly(net: nn.Module, images: Any) -> None:
    standardising = from_art(make(net, PyTorchClassifier, preprocessing=(0.5, 0.25)))
    pair = [
        make(net, kind, preprocessing_defences=[Counteraction(standardising, seed=1)], preprocessing=(0.5, 0.25))
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
    assert isinstance(classifiers[0].model, DefendedModule)


def test_fit_goes_through_transforms_that_ask_for_it(images: Any) -> None:
    classifier = make(TinyNet().eval(), transforms=[RandomCropPad(apply_fit=True)], executions=3)
    darkest: list[float] = []
    classifier.undefended.register_forward_hook(lambda module, inputs, output: darkest.append(float(inputs[0].min())))
    classifier.fit(images, ONE_HOT, nb_epochs=1)
    assert darkest == [0.0]  # the images have no black, but the padding is


def test_transforms_that_do_not_apply_in_prediction_do_not(net: nn.Module, images: Any) -> None:
    classifier = make(net, transforms=[RandomCropPad(apply_predict=False)], executions=3)
    np.testing.assert_array_equal(classifier.predict(images), make(net, PyTorchClassifier).predict(images))


def test_params_and_clones(net: TinyNet, images: Any) -> None:
    crop = RandomCropPad()
    classifier = make(net, transforms=[crop], executions=3)
    assert classifier.undefended is classifier.get_params()["model"] is net
    assert classifier.get_params()["executions"] == 3
    classifier.set_params(executions=4, average="logits")
    assert (classifier.model.executions, classifier.model.average) == (4, "logits")
    clone = classifier.clone_for_refitting()
    assert isinstance(clone, DefendedClassifier)
    assert (clone.executions, clone.average, clone.transforms) == (4, "logits", [crop])
    assert clone.undefended is not net
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
    assert twin.undefended is twin.model.model


MARK = 0.123


class Marking(RandomPreprocessor[None]):
    """A transform that marks the images that went through it."""

    def draw(self, keys: Tensor, x: Tensor, prepared: Tensor | None) -> None:
        """Draws nothing."""

    def apply(self, x: Tensor, parameters: None) -> Tensor:
        """Overwrites the first pixel."""
        first = torch.zeros_like(x)
        first[:, 0, 0, 0] = 1
        return torch.where(first == 1, MARK, x)


def watched() -> tuple[DefendedClassifier, list[bool]]:
    """A classifier of tiny images, and a list that says of each pass of its network if it is one of the defence's."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.Tanh(), nn.Flatten(), nn.Linear(36, 4)).eval()
    defended: list[bool] = []
    network[0].register_forward_hook(
        lambda module, inputs, output: defended.append(bool((inputs[0][:, 0, 0, 0] == torch.tensor(MARK)).all()))
    )
    classifier = DefendedClassifier(
        network,
        nn.CrossEntropyLoss(),
        (3, 8, 8),
        4,
        clip_values=(0, 1),
        optimizer=torch.optim.SGD(network.parameters(), lr=0.01),
        transforms=[Marking()],
        executions=2,
    )
    return classifier, defended


TINY = np.random.default_rng(0).uniform(0.1, 0.9, (2, 3, 8, 8)).astype(np.float32)


def right_labels(classifier: DefendedClassifier) -> Any:
    """The labels of the tiny images that the classifier gives them: an attack has nothing to do on others."""
    return np.eye(4)[classifier.predict(TINY).argmax(1)]


def test_every_evasion_attack_of_art_is_tried_or_said_not_to_run() -> None:
    known = {*evasion.ATTACKS, *evasion.OUT_OF_RANGE, *evasion.OTHERS}
    assert evasion.names() - known == set()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", evasion.ATTACKS)
def test_no_pass_of_an_evasion_attack_gets_around_the_defence(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    classifier, defended = watched()
    torch.manual_seed(0)
    np.random.seed(0)
    try:
        evasion.ATTACKS[name](evasion.find(name), classifier, TINY, right_labels(classifier))
    except ModuleNotFoundError as error:
        pytest.skip(f"needs {error.name}")
    assert defended
    assert all(defended)


@pytest.mark.parametrize("name", evasion.OUT_OF_RANGE)
def test_an_attack_that_leaves_the_range_is_told_so(name: str) -> None:
    classifier, _ = watched()
    labels = right_labels(classifier)
    with pytest.raises(UserError, match="x has pixels outside clip_values"):
        evasion.OUT_OF_RANGE[name](evasion.find(name), classifier, TINY, labels)


def test_arts_autopgd_breaks_the_defence_as_it_does_the_module(digits_net: nn.Module, digits: Dataset) -> None:
    x, labels = digits.images[:16].numpy(), digits.labels[:16].numpy()
    transforms = [RandomCropPad()]
    module = DefendedModule(digits_net, transforms=transforms, executions=4)
    pair = [make(digits_net, transforms=transforms, executions=4), make(module, PyTorchClassifier)]
    found = []
    for classifier in pair:
        torch.manual_seed(0)
        np.random.seed(0)
        attack = AutoProjectedGradientDescent(
            classifier,
            eps=12 / 255,
            eps_step=3 / 255,
            max_iter=5,
            nb_random_init=1,
            loss_type="difference_logits_ratio",
            verbose=False,
        )
        found.append(attack.generate(x, labels))
    np.testing.assert_array_equal(*found)


@pytest.fixture
def saved(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder that ART saves in."""
    monkeypatch.setattr("art.config.ART_DATA_PATH", str(tmp_path))
    return tmp_path


def layered() -> nn.Module:
    """A network that is a sequence of layers, which ART runs one by one."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(3600, 10)).eval()


class Named(TinyNet):
    """A network with layers of the names that a defended one has for its parts."""

    def __init__(self) -> None:
        super().__init__()
        self.model, self.transforms, self.average = nn.Identity(), nn.Flatten(), nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.transforms(self.model(super().forward(x)))
        return logits


@pytest.mark.parametrize("kind", [TinyNet, layered, Named])
def test_layers_and_weights_are_those_of_the_network(
    kind: Callable[[], nn.Module], images: Any, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = kind().eval()
    classifier, plain = (
        make(net, transforms=[RandomCropPad()], executions=3),
        make(copy.deepcopy(net), PyTorchClassifier),
    )
    assert classifier.layer_names == plain.layer_names
    for layer in (0, 1, -2, plain.layer_names[0]):
        mine, arts = (each.get_activations(images, layer, batch_size=4) for each in (classifier, plain))
        np.testing.assert_array_equal(mine, arts)
    classifier.save("weights", str(saved))
    weights = torch.load(saved / "weights.model")
    assert list(weights) == list(net.state_dict()) == list(classifier.model.state_dict())
    assert [name for name, _ in classifier.model.named_parameters()] == [name for name, _ in net.named_parameters()]
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
    classifier.model.load_state_dict(weights)
    assert all(torch.equal(value, weights[name]) for name, value in net.state_dict().items())
    with pytest.raises(UserError, match=r"layer must be one of .*, or its index, found 'none'"):
        classifier.get_activations(images, "none")
    if isinstance(net, Named):
        with pytest.raises(UserError, match="layer average is not reached by images"):
            classifier.get_activations(images, "average")


def test_activations_for_attacks_are_means_over_the_executions(net: TinyNet, images: Any) -> None:
    for executions_per_pass in (None, 1):
        classifier = make(
            net,
            transforms=[RandomCropResize()],
            executions=5,
            executions_per_pass=executions_per_pass,
            device_type="cpu",
        )
        x = torch.from_numpy(images).requires_grad_()
        torch.manual_seed(0)
        found = classifier.get_activations(x, "head", framework=True)
        torch.manual_seed(0)
        logits = DefendedModule(net, transforms=[RandomCropResize()], executions=5, average="logits")(x)
        torch.testing.assert_close(found.log_softmax(1), logits)
        (gradient,) = torch.autograd.grad(found.square().sum(), x)
        assert gradient.abs().max() > 0
        assert classifier.get_activations(x, "conv", framework=True).shape == (6, 6, 16, 16)
    assert not net.head._forward_hooks


def test_a_mode_that_art_sets_is_the_networks() -> None:
    net = TinyNet().train()
    model = make(net, transforms=[RandomCropPad()], executions=3).model
    assert model.training
    model.eval()
    assert not any(module.training for module in net.modules())
    model.train()
    assert all(module.training for module in net.modules())
    seen: list[nn.Module] = []
    model.apply(seen.append)
    assert seen == [net.conv, net.norm, net.head, net]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))])
def test_copies_are_whole(copied: Callable[[Any], Any], net: TinyNet, images: Any, saved: Path) -> None:
    classifier = make(net, transforms=[RandomCropPad()], executions=3)
    classifier.get_activations(images, "conv")
    for twin in (copied(classifier).model, copied(classifier.model)):
        assert isinstance(twin, DefendedModule)
        assert twin.model is not net
        twin.get_parameter("head.bias").data.fill_(9)
        assert (twin.model.get_parameter("head.bias") == 9).all()
        assert not (net.head.bias == 9).any()
        torch.manual_seed(0)
        shifted = twin(torch.from_numpy(images))
        torch.manual_seed(0)
        assert not torch.allclose(shifted, classifier.model(torch.from_numpy(images)), atol=0.1)


def test_a_trainer_with_a_loop_of_its_own_trains_the_defended_network(images: Any) -> None:
    pair = [make(TinyNet().eval(), transforms=[RandomCropPad()], executions=2) for _ in range(2)]
    before = pair[0].undefended.head.weight.clone()
    attack = ProjectedGradientDescentPyTorch(pair[0], eps=0.1, max_iter=1, verbose=False)
    AdversarialTrainerAWPPyTorch(*pair, attack, mode="PGD", gamma=0.01, beta=6.0, warmup=0).fit(
        images, ONE_HOT, batch_size=3, nb_epochs=1
    )
    assert not torch.equal(pair[0].undefended.head.weight, before)


@pytest.mark.parametrize(
    "change",
    [
        {"executions": 0},
        {"executions": 2, "average": "votes"},
        {"average": "logits", "executions_per_pass": -1},
        {"executions": 2, "preprocessing": (0.5, 0.25)},
        {"executions": 2, "transforms": [nn.Identity()]},
        {"executions": 2, "preprocessing_defences": [None]},
        {"executions": 2, "clip_values": (1, 0)},
        {"executions": 2, "model": "net"},
        {"executions": 2, "no_such": 1},
        {"model": TinyNet().eval(), "executions": "2"},
        {"executions": 2, "channels_first": False, "transforms": [RandomRotation()]},
    ],
)
def test_a_refused_change_changes_nothing(net: TinyNet, images: Any, change: dict[str, Any]) -> None:
    classifier = make(net, transforms=[RandomCropPad()], executions=3, preprocessing_defences=[RandomRotation()])
    before, model = classifier.get_params(), classifier.model
    with pytest.raises(ValueError):  # noqa: PT011
        classifier.set_params(**change)
    after = classifier.get_params()
    assert {name: str(value) for name, value in after.items()} == {name: str(value) for name, value in before.items()}
    assert after["model"] is classifier.undefended is net
    assert classifier.model is model
    assert len(classifier.preprocessing_operations) == 2
    assert classifier.predict(images).shape == (6, 10)


def test_another_network_takes_the_place_of_the_old_one(images: Any) -> None:
    classifier, other = make(TinyNet().eval(), transforms=[RandomCropPad()], executions=3), layered()
    classifier.set_params(model=other)
    assert classifier.undefended is classifier.model.model is other
    assert classifier.layer_names == ["0", "1", "2"]
    assert classifier.predict(images).shape == (6, 10)
    same = make(other, **{name: getattr(classifier, name) for name in ("transforms", "executions")})
    same.set_params(**classifier.get_params())
    assert same.undefended is other


@pytest.mark.parametrize("holding", [Counteraction, Hedge, AntiAdversary, EnergyDescent, MixupInference])
def test_a_defence_whose_network_does_not_standardise_is_refused_beside_standardisation(
    holding: Callable[..., Any], net: TinyNet, pool: tuple[Tensor, Tensor]
) -> None:
    more = pool if holding is MixupInference else ()
    options: dict[str, Any] = {"preprocessing": (np.full((3, 1, 1), 0.4), np.full((3, 1, 1), 0.25))}
    right = from_art(make(net, PyTorchClassifier, **options))
    for network in (net, copy.deepcopy(net), nn.Sequential(net), TinyNet(10).double(), from_art(make(net))):
        with pytest.raises(UserError, match=rf"preprocessing cannot be combined with {holding.__name__}.*from_art"):
            make(net, preprocessing_defences=[holding(network, *more)], **options)
    make(net, preprocessing_defences=[holding(net, *more)], preprocessing=(0.0, 1.0))
    classifier = make(net, preprocessing_defences=[holding(right, *more)], **options)
    with pytest.raises(UserError, match="preprocessing cannot be combined"):
        classifier.set_params(preprocessing_defences=[holding(net, *more)])
    assert classifier.preprocessing_defences[0].model is right


def test_images_are_checked_before_arts_own_defences_too(images: Any) -> None:
    """In fit, where those do not apply, and in predict, where noise takes any images."""
    options: dict[str, Any] = {"transforms": [RandomCropPad(apply_fit=True)], "executions": 2}
    for defences in (None, [RandomRotation()], [GaussianNoise()]):
        classifier = make(TinyNet().eval(), preprocessing_defences=defences, **options)
        for call in (classifier.fit, classifier.compute_loss, classifier.loss_gradient):
            with pytest.raises(UserError, match="x has pixels outside clip_values"):
                call(images * 255, ONE_HOT)
    ranges = np.zeros((3, 32, 32)), np.full((3, 32, 32), 255.0)
    wide = DefendedClassifier(TinyNet().eval(), nn.CrossEntropyLoss(), (3, 32, 32), 10, clip_values=ranges, **options)
    assert np.isfinite(wide.predict(images * 255)).all()
    with pytest.raises(UserError, match="outside clip_values"):
        wide.predict(images * 256 + 60)


def test_a_generator_trains_through_all_defences_that_ask_for_it(images: Any) -> None:
    seen: list[float] = []

    class Watching(RandomRotation):
        def apply(self, x: Tensor, parameters: Tensor) -> Tensor:
            seen.append(len(x))
            return super().apply(x, parameters)

    data = TensorDataset(torch.from_numpy(images), torch.eye(10)[:6])
    generator = PyTorchDataGenerator(DataLoader(data, batch_size=3), 6, 3)
    classifier = make(TinyNet().eval(), preprocessing_defences=[Watching(apply_fit=True)])
    classifier.fit_generator(generator, nb_epochs=2)
    assert seen == [3, 3, 3, 3]
    make(TinyNet().eval(), preprocessing_defences=[Watching()]).fit_generator(generator, nb_epochs=2)
    assert len(seen) == 4


@pytest.mark.parametrize("framework", [False, True])
@pytest.mark.parametrize(
    "labels", [np.arange(6, dtype=np.int32), np.arange(6, dtype=np.uint8), np.eye(10, dtype=np.int32)[:6]]
)
def test_labels_of_any_integers_and_one_hot_ones_are_the_same(
    framework: bool, labels: Any, net: TinyNet, images: Any
) -> None:
    classifier = make(net, transforms=[RandomCropPad()], executions=3, device_type="cpu")
    x, y = (torch.from_numpy(images), torch.from_numpy(labels)) if framework else (images, labels)
    for name in ("compute_loss", "loss_gradient"):
        found = []
        for given in (y, ONE_HOT.astype(np.float32)):
            torch.manual_seed(0)
            fit = torch.as_tensor(given) if framework else given
            found.append(torch.as_tensor(getattr(classifier, name)(x, fit)).detach().numpy())
        np.testing.assert_allclose(found[0], found[1], rtol=1e-5)
    assert classifier.loss.reduction == "mean"


@pytest.mark.parametrize("where", ["transforms", "preprocessing_defences"])
@pytest.mark.parametrize("moving", [RandomRotation, RandomCropPad, RandomCropResize])
def test_channels_last_are_refused_by_what_moves_pixels(where: str, moving: Any, net: TinyNet) -> None:
    with pytest.raises(UserError, match=f"channels_first is False, but {moving.__name__} moves pixels"):
        make(net, channels_first=False, **{where: [moving()]})
    make(net, channels_first=False, **{where: [GaussianNoise()]})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"transforms": [None]}, "transforms must be preprocessors of this package or of ART, found NoneType"),
        ({"transforms": 5}, "transforms must be preprocessors of this package or of ART, found int"),
        ({"transforms": "crop-pad"}, "transforms must be preprocessors of this package or of ART, found str"),
        ({"transforms": [RandomCropPad]}, "found the class RandomCropPad itself"),
        ({"executions": 2.5}, "executions must be an integer of at least 1, found 2.5"),
    ],
)
def test_wrong_arguments(net: TinyNet, change: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        make(net, **change)


def test_a_network_that_is_something_else_is_named(net: TinyNet) -> None:
    plain = make(net, PyTorchClassifier)
    with pytest.raises(UserError, match=r"model must be a torch.nn.Module .*found PyTorchClassifier .*from_art"):
        DefendedClassifier(plain, nn.CrossEntropyLoss(), (3, 32, 32), 10)
    with pytest.raises(UserError, match="model is defended already, by RandomCropPad"):
        make(make(net, transforms=[RandomCropPad()]).model)
    assert make(net, transforms=(transform for transform in [RandomCropPad()])).predict(np.zeros((1, 3, 32, 32))).size


@pytest.mark.parametrize("off", [torch.no_grad, torch.inference_mode])
def test_gradients_are_there_where_a_caller_has_turned_them_off(off: Any, net: TinyNet, images: Any) -> None:
    classifier = make(net, preprocessing_defences=[Counteraction(net)], transforms=[RandomRotation(0.0)], executions=2)

    def everything() -> list[Any]:
        attack = ProjectedGradientDescentPyTorch(classifier, eps=0.1, max_iter=2, verbose=False)
        return [
            classifier.predict(images),
            classifier.loss_gradient(images, ONE_HOT),
            classifier.class_gradient(images, 3),
            attack.generate(images, ONE_HOT),
        ]

    expected = everything()
    with off():
        found = everything()
    for mine, right in zip(found, expected, strict=True):
        np.testing.assert_array_equal(mine, right)


def test_training_and_copying_leave_the_classifier_in_use(net: TinyNet, images: Any) -> None:
    classifier = make(net, transforms=[RandomCropPad()], executions=3)
    seen: list[nn.Module] = []
    net.register_forward_hook(lambda *call: seen.append(classifier.model))
    model = classifier.model
    classifier.fit(images, ONE_HOT, nb_epochs=1)
    classifier.get_activations(images, "conv")
    classifier.clone_for_refitting()
    assert seen
    assert all(each is model for each in seen)


def test_threads_get_the_answers_of_one(net: TinyNet, images: Any) -> None:
    class Slow(nn.CrossEntropyLoss):
        def forward(self, *arguments: Tensor) -> Tensor:
            time.sleep(0.002)
            return super().forward(*arguments)

    classifier = make(
        net,
        preprocessing_defences=[Counteraction(net)],
        transforms=[RandomRotation(0.0)],
        executions=4,
        executions_per_pass=1,
    )
    classifier.set_params(loss=Slow())
    jobs: list[Callable[[], Any]] = [
        lambda: classifier.predict(images),
        lambda: classifier.loss_gradient(images, ONE_HOT),
        lambda: classifier.compute_loss(images, ONE_HOT),
    ]
    alone = [job() for job in jobs]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda number: jobs[number % 3](), range(60)))
    for number, each in enumerate(found):
        np.testing.assert_array_equal(each, alone[number % 3])


def test_defences_in_numpy_and_pytorch_are_mixed_as_one_likes(net: nn.Module, images: Any) -> None:
    jpeg = JpegCompression((0, 1), quality=30, channels_first=True)
    smoothing = SpatialSmoothing(3, channels_first=True)
    wanted = make(net).predict(smoothing(jpeg(images)[0])[0])
    for stack in ([jpeg, smoothing], [jpeg, GaussianNoise(0.0), smoothing]):
        with pytest.raises(NotImplementedError):
            make(net, PyTorchClassifier, preprocessing_defences=stack).predict(images)
        mixed = make(net, preprocessing_defences=stack)
        np.testing.assert_allclose(mixed.predict(images), wanted, rtol=1e-4, atol=1e-4)
        assert np.abs(mixed.loss_gradient(images, ONE_HOT)).max() > 0
        later = make(net)
        later.set_params(preprocessing_defences=stack)
        np.testing.assert_allclose(later.predict(images), wanted, rtol=1e-4, atol=1e-4)


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
