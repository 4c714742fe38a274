"""`evaluate`: tensors, arrays, networks and defences in hand, and mistakes in them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from art.estimators.classification import PyTorchClassifier
from networks import Averaging, Dark, Detached, Keyed, Returning, Rounding, Shifted, TinyNet
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.data import Dataset as TorchDataset
from watching import Watcher

from counteract import Counteraction, DefendedModule, GaussianNoise, RandomRotation, evaluate, load_model
from counteract._errors import UserError
from counteract.datasets import ArrayDataset, Dataset
from counteract.evaluation import Run, RunOptions
from counteract.evaluation.api import name_defences
from counteract.reporting.remarks import remarks

FEW: dict[str, Any] = {"attacks": ["clean", "pgd3"], "eps": 12 / 255}


def run(network: Any, *data: Any, **changes: Any) -> Run:
    return evaluate(network, *data, options=RunOptions(watcher=Watcher()), **FEW | changes)


def accuracies(found: Run) -> dict[tuple[str, str], float]:
    return {(row.defence, row.attack): row.accuracy for row in found.rows}


def test_tensors_arrays_datasets_and_art_classifiers_are_the_same(digits_net: nn.Module, digits: Dataset) -> None:
    images, labels = digits.images[:20], digits.labels[:20]
    classifier = PyTorchClassifier(digits_net, nn.CrossEntropyLoss(), (3, 32, 32), 10, clip_values=(0, 1))
    first = accuracies(run(digits_net, images, labels))
    assert first["undefended", "clean"] > first["undefended", "pgd3"]
    assert accuracies(run(digits_net, images.numpy().astype(np.float64), labels.numpy().astype(np.int32))) == first
    assert accuracies(run(digits_net, images, np.eye(10)[labels])) == first
    assert accuracies(run(digits_net, ArrayDataset("d", images, labels, digits.class_names))) == first
    with torch.inference_mode():
        assert accuracies(run(digits_net, images.clone(), labels.clone())) == first
    assert accuracies(run(classifier, images, labels)) == first
    assert accuracies(run("digits-resnet-mixup", images, labels)) == first


def hooked(network: Any) -> nn.Module:
    """A defence that changes the network that it is given."""
    network.stages[0].register_forward_hook(lambda module, given, made: 0 * made)
    return nn.Sequential(network)


def renormalising(network: nn.Module) -> nn.Module:
    """A defence that normalises with the statistics of the batch."""
    found = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for module in found:
        module.track_running_stats, module.running_mean, module.running_var = False, None, None
    assert found
    return nn.Sequential(network)


class Spoiling(nn.Module):
    """A defence that changes the network when it is asked."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        for parameter in self.network.parameters():
            parameter.data.zero_()
        logits: Tensor = self.network(x)
        return logits


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_a_defence_that_changes_the_network_changes_no_other_row(
    precision: str, digits_net: nn.Module, digits: Dataset
) -> None:
    names = ["undefended", "anti-adversary"]
    alone = run(digits_net, digits.take(8), defences=names, precision=precision)
    found = run(digits_net, digits.take(8), defences=[hooked, *names], precision=precision)
    other = {place: accuracy for place, accuracy in accuracies(found).items() if place[0] != "hooked"}
    assert other == accuracies(alone)
    assert accuracies(found)["hooked", "clean"] < 50 < other["undefended", "clean"]


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_a_defence_finds_all_layers_of_the_network(precision: str, digits_net: nn.Module, digits: Dataset) -> None:
    """It is not given the faster form, in which batch normalisation is folded into convolutions."""
    with pytest.raises(UserError, match="answers otherwise when an image is in other company"):
        run(digits_net, digits.take(8), defences=["undefended", renormalising], precision=precision)
    assert run(digits_net, digits.take(8), defences=["undefended"], precision=precision).complete


class Repeating(nn.Module):
    """A defence that asks the network several times."""

    def __init__(self, network: nn.Module, times: int) -> None:
        super().__init__()
        self.network, self.times = network, times

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([self.network(x) for _ in range(self.times)]).sum(0)


def once(network: nn.Module) -> nn.Module:
    return Repeating(network, 1)


def twice(network: nn.Module) -> nn.Module:
    return Repeating(network, 2)


def thrice(network: nn.Module) -> nn.Module:
    return Repeating(network, 3)


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_the_passes_of_the_network_in_a_strangers_defence_are_counted(
    precision: str, digits_net: nn.Module, digits: Dataset
) -> None:
    options: dict[str, Any] = {"attacks": ["bpda-pgd"], "preset": "quick", "precision": precision, "eps": 1e-4}
    found = run(digits_net, digits.take(4), defences=[once, twice, thrice], **options)
    first, second, third = (row.attack_passes or 0 for row in found.rows)
    assert 0 < second - first == third - second


def test_hooks_of_a_defence_in_hand_on_the_undefended_network_are_said(digits: Dataset) -> None:
    """It is defended before the evaluation knows of it."""
    network = load_model("digits-resnet-iat")

    def said(*defences: object) -> list[str]:
        notes = run(network, digits.take(8), defences=defences, attacks=["clean"]).networks["network"].notes
        return [note for note in notes if "hooks" in note]

    assert not said(nn.Sequential(network))
    (note,) = said(hooked(network))
    assert note.startswith("with Sequential: the undefended network inside of it has forward hooks (stages.0 first)")
    assert not said("rotation")


def test_a_defence_that_changes_the_network_later_ends_the_run(digits: Dataset) -> None:
    with pytest.raises(UserError, match=r"^defence Spoiling changed the network, which answers otherwise than before"):
        run(load_model("digits-resnet-iat"), digits.take(8), defences=["undefended", Spoiling])


class Whole(nn.Module):
    """A whole defended network, that answers with probabilities."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.net((4 * x).round() / 4).softmax(1)
        return out


def test_defences_in_hand(digits_net: nn.Module, digits: Dataset) -> None:
    data = digits.take(20)
    counteraction = Counteraction(digits_net, eps=12 / 255, eps_step=6 / 255)
    averaged = DefendedModule(digits_net, transforms=[GaussianNoise(0.1)], executions=3)
    defences = ["undefended", counteraction, [counteraction, RandomRotation()], averaged, Whole(digits_net), averaged]
    found = run(digits_net, data, defences=defences)
    names = [
        "undefended",
        "Counteraction",
        "Counteraction+RandomRotation",
        "DefendedModule",
        "Whole",
        "DefendedModule#2",
    ]
    assert list(found.spec.defences) == names
    given = {"counteraction": {"eps": 12 / 255, "eps_step": 6 / 255}}
    named = accuracies(run(digits_net, data, defences=["counteraction"], parameters=given))
    accuracy = accuracies(found)
    assert accuracy["Counteraction", "pgd3"] == named["counteraction", "pgd3"]
    with torch.no_grad():
        answers = Whole(digits_net)(data.images).argmax(1)
    assert accuracy["Whole", "clean"] == pytest.approx(100 * float((answers == data.labels).double().mean()))
    assert accuracy["DefendedModule", "clean"] > 80
    assert found.parameters("network", "Whole") == [
        (
            "every attack",
            "Whole: a whole network, without a useful gradient: attacks take that of the undefended network (BPDA)",
        )
    ]


def test_functions_in_hand_take_no_name_from_others() -> None:
    def undefended(network: nn.Module) -> nn.Module:
        return network

    def hedge(network: nn.Module) -> nn.Module:
        return network

    assert list(name_defences([undefended, hedge, hedge, "hedge"])) == ["undefended#2", "hedge#2", "hedge#3", "hedge"]


def test_attacks_that_cannot_run_are_said_and_the_others_run(digits_net: nn.Module, digits: Dataset) -> None:
    attacks = ["clean", "noise", "bpda-apgd-ce", "smooth"]
    found = run(digits_net, digits.take(8), defences=["undefended", Whole(digits_net)], attacks=attacks, preset="quick")
    assert {place[1:] for place in found.obstacles} == {("smooth", "Whole")}
    assert found.complete
    assert {row.attack for row in found.rows if row.defence == "Whole"} == {"clean", "noise", "bpda-apgd-ce"}


def test_few_classes_have_fewer_attacks(digits_net: nn.Module, digits: Dataset) -> None:
    class Three(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = digits_net(x)[:, :3]
            return out

    rows = (digits.labels < 3).nonzero()[:8, 0]
    attacks = ["clean", "apgd-ce", "apgd-dlr", "apgd-t"]
    found = run(Three().eval(), digits.images[rows], digits.labels[rows], attacks=attacks, preset="quick")
    assert found.obstacles == {
        ("network", "apgd-t", "undefended"): "it needs 4 classes, and the network has 3",
    }
    assert len(found.rows) == 3


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_network_that_is_defended_already_is_said(wrapped: bool, net: nn.Module) -> None:
    defended: Any = DefendedModule(net, transforms=[GaussianNoise()], executions=3)
    if wrapped:
        defended = PyTorchClassifier(defended, nn.CrossEntropyLoss(), (3, 32, 32), 10, clip_values=(0, 1))
    with pytest.raises(ValueError, match="network is defended already, by GaussianNoise: pass the undefended network"):
        run(defended, IMAGES, LABELS)


IMAGES, LABELS = torch.rand(4, 3, 32, 32), torch.arange(4)


@pytest.mark.parametrize(
    ("data", "changes", "message"),
    [
        ((IMAGES,), {}, "labels are missing: pass one integer for each of images"),
        ((IMAGES * 255, LABELS), {}, "images has pixels outside"),
        ((IMAGES[0], LABELS), {}, r"images must be images of shape \(N, C, H, W\)"),
        ((IMAGES, LABELS[:3]), {}, "labels must be 4 integers, one for each of images; found"),
        ((IMAGES, LABELS.float()), {}, "labels must be 4 integers"),
        ((IMAGES, LABELS + 9), {}, "labels run from 9 to 12, but the network has 10 outputs"),
        ((IMAGES, LABELS), {"defences": [3]}, "defences must be names, ART preprocessors, .*found int"),
        ((IMAGES, LABELS), {"defences": [["hedge", "crop-pad"]]}, r"found str in a list: names are joined by \+"),
        ((IMAGES, LABELS), {"defences": ["counterattack"]}, "defence 'counterattack' is not known"),
        ((IMAGES, LABELS), {"attacks": ["pdg10"]}, "attack 'pdg10' is not known; did you mean pgd10"),
        ((IMAGES, LABELS), {"norm": "L0"}, "norm"),
        ((IMAGES, LABELS), {"eps": -1}, "eps"),
        ((IMAGES, LABELS), {"preset": "quik"}, "'quik' is not known; did you mean quick"),
        ((IMAGES, LABELS), {"defences": ["mixup-inference"]}, "mixup-inference needs images to mix with: pass pool="),
        ((IMAGES, LABELS), {"limt": 3}, "limt"),
        (("digits",), {}, "images must be a tensor, an array or a dataset, found 'digits': load a dataset by its name"),
        ((3, LABELS), {}, "images must be a tensor, an array or a dataset, found 3$"),
        ((IMAGES, LABELS), {"surrogate": 3}, "surrogate must be a torch.nn.Module"),
    ],
)
def test_mistakes(net: nn.Module, data: tuple[Any, ...], changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run(net, *data, **changes)


def test_other_options_are_refused(net: nn.Module) -> None:
    with pytest.raises(ValueError, match=r"options must be counteract\.evaluation\.RunOptions, found \{"):
        evaluate(net, IMAGES, LABELS, options={"folder": "run"})  # type: ignore[arg-type]


def test_one_attack_may_stand_by_itself(net: nn.Module) -> None:
    assert run(net, IMAGES, LABELS, attacks="clean").spec.attacks == ("clean",)


EVERY: dict[str, Any] = {
    "attacks": ["clean", "pgd2", "apgd-ce", "bpda-apgd-cw", "smooth", "square", "decision"],
    "defences": ["undefended", "counteraction", "crop-pad"],
    "parameters": {"crop-pad": {"executions": 2}},
    "preset": {"preset": "quick", "steps": 2, "restarts": 1, "draws": 1, "executions": 2, "queries": 4},
}


def hits(found: Run) -> list[list[float]]:
    return [cell.correct[0].tolist() for cell in found.cells]


def test_a_network_that_writes_into_its_images_gets_the_rows_of_one_that_does_not(digits: Dataset) -> None:
    images, labels = digits.images[:20], digits.labels[:20]
    before, pixels = images.clone(), images.numpy()
    plain, writing = (run(Shifted(in_place=each), pixels, labels, **EVERY) for each in (False, True))
    assert hits(plain) == hits(writing)
    assert np.array_equal(pixels, before.numpy())
    assert run(Shifted(in_place=True), images, labels).complete
    assert torch.equal(images, before)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_networks_of_any_precision_are_evaluated(digits: Dataset, dtype: torch.dtype) -> None:
    found = run(TinyNet().to(dtype), digits.images[:8], digits.labels[:8], **EVERY)
    assert found.complete
    assert not found.obstacles
    half = dtype != torch.float64
    assert any("it computes in " in note for note in found.networks["network"].notes) == half


@pytest.mark.parametrize("kind", ["tuple", "dict", "squeezed"])
def test_logits_are_found_in_whatever_a_network_returns_and_it_is_said(digits: Dataset, kind: str) -> None:
    images, labels = digits.images[:9], digits.labels[:9]
    found = run(Returning(kind), images, labels, **EVERY)
    assert hits(found) == hits(run(TinyNet(), images, labels, **EVERY))
    assert [note[:14] for note in found.networks["network"].notes] == [
        "it leaves out " if kind == "squeezed" else "it returns a " + kind[0]
    ]


def test_what_is_found_of_defences_in_hand_is_said_of_them(net: nn.Module, digits: Dataset) -> None:
    half = DefendedModule(TinyNet().half())
    found = run(net, digits.take(8), defences=["undefended", Returning("dict"), half], attacks=["clean"])
    assert found.networks["network"].notes == (
        "with Returning: it returns a dict, of which 'logits' is taken",
        "with DefendedModule: it computes in float16, to which its images are rounded",
    )


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (Returning("column"), r"model Returning returns one number for each image, found \(2, 1\)"),
        (Returning("several"), "model Returning must return a tensor of logits, found a tuple of"),
        (Averaging(), "model Averaging answers otherwise when .*: the accuracy follows the batch size"),
        (TinyNet().double().half().conv, r"model Conv2d must return logits of shape \(2, classes\)"),
    ],
)
def test_a_network_that_cannot_be_evaluated_is_one_sentence(network: nn.Module, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        run(network, IMAGES, LABELS)
    assert len(str(error.value)) <= 300


@pytest.mark.parametrize(
    "defence",
    [
        DefendedModule(Averaging()),
        DefendedModule(TinyNet(), preprocessing_defences=[Counteraction(Averaging())]),
        Counteraction(Averaging()),
        Averaging(),
        Keyed(),
    ],
    ids=["module", "its defence", "preprocessor", "whole", "keyed"],
)
def test_a_defence_whose_network_follows_the_batch_is_refused(net: nn.Module, defence: Any) -> None:
    with pytest.raises(UserError, match=r"model \w+ answers otherwise .*: the accuracy follows the batch size"):
        run(net, IMAGES, LABELS, defences=[defence])


def test_answers_that_are_no_numbers_count_as_wrong_and_are_counted(digits: Dataset) -> None:
    """Also where they are what an attack looks for: of dark images it finds some."""
    images = digits.images[:12] * 0.5 + 0.2
    images[::4] = 0.15
    labels = torch.zeros(12, dtype=torch.int64)  # the class of a maximum over NaN
    changes = EVERY | {"attacks": ["clean", "pgd2", "bpda-apgd-cw", "square"], "eps": 0.15}
    found = run(Dark(), images, labels, **changes)
    for cell in found.cells:
        assert cell.correct[0][::4].sum() == 0
    rows = {(row.defence, row.attack): row for row in found.rows}
    assert rows["undefended", "clean"].unusable == 3
    assert rows["undefended", "square"].unusable >= 3
    assert any("answers with undefended named no class" in line for line in remarks(found))


def test_a_network_without_gradients_is_said_in_every_report(digits: Dataset) -> None:
    changes = EVERY | {"defences": ["undefended", "crop-pad"]}
    for network, why in ((Rounding(), "zero on 8 of the 8"), (Detached(), "none at all")):
        found = run(network, digits.take(8), **changes)
        assert f"it has no useful gradient ({why}" in found.networks["network"].notes[0]
        assert {row.attack for row in found.rows} == {"clean", "square", "decision"}
    with pytest.raises(UserError, match=r"defence counteraction moves .*, and model network has none"):
        run(Detached(), digits.take(8), attacks=["clean"], defences=["undefended", "counteraction"])


class First(nn.Module):
    """The first classes of a network."""

    def __init__(self, net: nn.Module, count: int) -> None:
        super().__init__()
        self.net, self.count = net, count

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.net(x)[:, : self.count]
        return out


@pytest.mark.parametrize("classes", [2, 3, 4])
def test_few_classes_have_fewer_labels_to_counteract(digits_net: nn.Module, digits: Dataset, classes: int) -> None:
    rows = (digits.labels < classes).nonzero()[:8, 0]
    images, labels = digits.images[rows], digits.labels[rows]
    changes = EVERY | {"attacks": [*EVERY["attacks"], "apgd-dlr", "apgd-t", "bpda-apgd-dlr", "bpda-apgd-t"]}
    found = run(First(digits_net, classes).eval(), images, labels, **changes)
    assert found.complete
    assert {attack for _, attack, _ in found.obstacles} == (
        {2: {"apgd-dlr", "bpda-apgd-dlr", "apgd-t", "bpda-apgd-t"}, 3: {"apgd-t", "bpda-apgd-t"}, 4: set()}[classes]
    )
    ((_, words),) = found.parameters("network", "counteraction")
    assert f"N = {classes - 1}, " in words


def test_more_labels_than_there_are_is_one_line_before_any_work(digits_net: nn.Module, digits: Dataset) -> None:
    rows = (digits.labels < 3).nonzero()[:8, 0]
    images, labels = digits.images[rows], digits.labels[rows]
    network = First(digits_net, 3).eval()
    watcher = Watcher()
    for defence, message in (
        ("counteraction", "counteraction: num_labels is 5, but labels='non-predicted' leaves only 2 to draw from"),
        (Counteraction(network), "num_labels is 9, but labels='non-predicted' leaves only 2 to draw from"),
    ):
        given = {"counteraction": {"num_labels": 5}} if isinstance(defence, str) else {}
        with pytest.raises(UserError, match=message):
            evaluate(
                network, images, labels, defences=["undefended", defence], parameters=given,
                attacks=["clean"], options=RunOptions(watcher=watcher),
            )  # fmt: skip
    assert not watcher.begun
    every = {"counteraction": {"labels": "all"}}
    found = run(network, images, labels, defences=["counteraction"], parameters=every)
    assert "N = 3, " in found.parameters("network", "counteraction")[0][1]


def test_a_network_on_other_data_than_its_card_names(digits: Dataset) -> None:
    with pytest.raises(UserError, match="was trained on cifar10, as its card says, and the dataset is digits"):
        run("cifar10-resnet18w16-iat", digits.take(4))
    other = ArrayDataset("letters", digits.images[:4], digits.labels[:4], tuple("abcdefghij"))
    found = run("digits-resnet-mixup", other)
    assert (
        "its card names digits and the classes 0, 1, 2, ...; the images are of letters, with the classes a, b, c"
        in (found.networks["network"].notes[0])
    )
    for same in (ArrayDataset("mine", digits.images[:4], digits.labels[:4], digits.class_names), digits.take(4)):
        assert not run("digits-resnet-mixup", same).networks["network"].notes
    assert not run("digits-resnet-mixup", digits.images[:4], digits.labels[:4]).networks["network"].notes


class Hidden(nn.Module):
    """A network whose defence nobody can take off, and that answers with rounded probabilities."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.net((7 * x).round() / 7) * 4
        return found.round()


def test_oblivious_attacks_are_made_on_a_surrogate(digits_net: nn.Module, digits: Dataset) -> None:
    data, network = digits.take(12), Hidden(digits_net).eval()
    given: dict[str, Any] = {"attacks": ["clean", "apgd-ce", "bpda-apgd-ce"], "preset": "quick", "eps": 40 / 255}
    without = evaluate(network, data, **given)
    assert {row.attack for row in without.rows} == {"clean"}
    found = evaluate(network, data, surrogate=digits_net, **given)
    accuracy = {row.attack: row.accuracy for row in found.rows}
    assert accuracy["clean"] == 100
    assert max(accuracy["apgd-ce"], accuracy["bpda-apgd-ce"]) < 80
    assert found.spec.surrogate == type(digits_net).__name__
    ((_, words),) = found.parameters("network", "undefended")
    assert words == "without a useful gradient: attacks take that of the surrogate (BPDA)"
    assert not found.networks["network"].notes


class Pictures(TorchDataset[Any]):
    """Pictures of digits, as torchvision's datasets return them, in a size that is not the network's."""

    def __init__(self, digits: Dataset) -> None:
        self.digits = digits

    def __len__(self) -> int:
        return 20

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        levels = (self.digits.images[index].mean(0) * 255).round().to(torch.uint8)
        return Image.fromarray(levels.numpy()).resize((40, 40)), int(self.digits.labels[index])


def test_torchs_datasets_loaders_and_pairs_are_data(digits_net: nn.Module, digits: Dataset) -> None:
    images, labels = digits.images[:20], digits.labels[:20]
    expected = accuracies(run(digits_net, images, labels))
    assert accuracies(run(digits_net, (images, labels))) == expected
    assert accuracies(run(digits_net, DataLoader(TensorDataset(images, labels), 7, shuffle=True))) == expected
    found = run(digits_net, Pictures(digits), pictures={"resize": 32})
    assert accuracies(found)["undefended", "clean"] > 80
    assert "network: 20 of 20 images were greyscale, and made RGB" in remarks(found)
    with pytest.raises(UserError, match="labels are given twice: images are a TensorDataset"):
        run(digits_net, TensorDataset(images, labels), labels)


KINDS: dict[str, Callable[[nn.Module], Any]] = {
    "traced": lambda net: torch.jit.trace(net, torch.rand(2, 3, 32, 32)),
    "scripted": torch.jit.script,
    "frozen": lambda net: torch.jit.freeze(torch.jit.script(net)),
    "parallel": nn.DataParallel,
    "compiled": lambda net: torch.compile(net, backend="eager"),
    "compiled with its gradients": lambda net: torch.compile(net, backend="aot_eager"),
    "half": lambda net: copy.deepcopy(net).half(),
    "bfloat16": lambda net: copy.deepcopy(net).bfloat16(),
    "double": lambda net: copy.deepcopy(net).double(),
}


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning:torch.*")
@pytest.mark.parametrize("kind", KINDS)
def test_networks_of_every_kind_are_evaluated_and_left_as_they_were(kind: str, digits: Dataset) -> None:
    net = TinyNet().eval()
    data, defences = (
        digits.take(16),
        ["undefended", "counteraction", lambda net: nn.Sequential(nn.AvgPool2d(3, 1, 1), net)],
    )
    more = {"attacks": ["clean", "pgd2", "bpda-apgd-ce"], "defences": defences, "preset": "quick"}
    expected = accuracies(run(net, data, **more))
    given = KINDS[kind](net)
    found = run(given, data, **more)
    assert all(each.requires_grad for each in [*given.parameters(), *net.parameters()])
    if kind in ("half", "bfloat16"):
        assert f"it computes in {'float16' if kind == 'half' else kind}" in " ".join(remarks(found))
    else:
        assert accuracies(found) == expected


class Training(TinyNet):
    """A network that notes when it is asked in training mode."""

    asked = 0

    def forward(self, x: Tensor) -> Tensor:
        Training.asked += self.training
        return super().forward(x)


class Around(nn.Module):
    """A whole defended network, a factory's, in training mode as a new module is."""

    def __init__(self) -> None:
        super().__init__()
        self.net = Training()

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)  # type: ignore[no-any-return]


def test_networks_in_training_are_evaluated_in_eval_mode_and_put_back(digits: Dataset) -> None:
    data, net = digits.take(16), Training().train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    whole = Around().train()
    several = ["undefended", "counteraction", whole, lambda network, num_classes, input_shape: Around()]
    more: dict[str, Any] = {"defences": several, "attacks": ["clean", "bpda-apgd-ce"]}
    found = run(net, data, **more, preset={"preset": "quick", "steps": 2})
    assert Training.asked == 0
    assert all(module.training for module in [*net.modules(), *whole.modules()])
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    expected = run(Training().eval(), data, **more, preset={"preset": "quick", "steps": 2})
    assert list(accuracies(found).values()) == list(accuracies(expected).values())


def test_fields_of_a_spec_are_kept_or_refused(net: nn.Module, digits: Dataset) -> None:
    found = run(net, digits.take(16), limit=6)
    assert (found.examples, {row.n for row in found.rows}) == (6, {6})
    assert run(net, digits.take(4), pictures={}).examples == 4
    for more, words in (
        ({"dataset": "cifar10"}, "dataset: what is in hand says this itself"),
        ({"models": {"a": "digits-resnet-iat"}, "own_network": {}}, "models, own_network: what is in hand"),
        ({"eps": 0.1, "threat_model": {"norm": "L2", "eps": 2}}, "threat_model has a norm and an eps of its own"),
        ({"pictures": None}, "pictures"),
        ({"pictures": 3}, "pictures"),
        ({"pictures": {"resize": 8}}, "resize and crop are for pictures"),
        ({"pictures": {"crop": 8, "interpolation": "bicubic"}}, "interpolation is that of resize, which is missing"),
        ({"limit": 0}, "limit must be"),
    ):
        for data in ((digits.take(4),), (digits.take(4).images, digits.labels[:4])):
            with pytest.raises(UserError, match=words):
                evaluate(net, *data, attacks=["clean"], **more)


def test_images_of_few_classes_are_said(net: nn.Module, digits: Dataset) -> None:
    images = digits.select(digits.labels.argsort(stable=True)).take(40)
    said = " ".join(remarks(run(net, images)))
    assert f"its 40 images are of {len(images.labels.unique())} of 10 classes" in said
    for data in (digits.take(40), digits.take(1)):
        assert "classes, which says little" not in " ".join(remarks(run(net, data)))


def test_a_pool_that_leaks_is_said_and_what_is_no_pool_refused(net: nn.Module, digits: Dataset) -> None:
    data, mixing = digits.take(8), {"defences": ["undefended", "mixup-inference"]}
    found = run(net, data, pool=digits.take(20), **mixing)
    assert "mixup inference mixes with 8 of the images that are classified: a leak" in " ".join(remarks(found))
    assert found.spec.pool == "images in hand"
    others = digits.select(torch.arange(20, 40))
    for pool in (others, (others.images, others.labels)):
        assert "a leak" not in " ".join(remarks(run(net, data, pool=pool, **mixing)))
    with pytest.raises(UserError, match=r"pool must be a dataset, .*found"):
        run(net, data, pool=others.images, **mixing)


def test_no_images_are_refused(net: nn.Module, digits: Dataset) -> None:
    for data in ((digits.take(0),), (digits.images[:0], digits.labels[:0])):
        with pytest.raises(UserError, match="holds no images"):
            run(net, *data)


def test_no_more_items_are_read_than_are_evaluated(net: nn.Module, digits: Dataset) -> None:
    read: list[int] = []

    class Counted(torch.utils.data.Dataset[tuple[Tensor, int]]):
        def __len__(self) -> int:
            return 200

        def __getitem__(self, index: int) -> tuple[Tensor, int]:
            read.append(index)
            return digits.images[index], int(digits.labels[index])

    found = run(net, Counted(), limit=8, pool=Counted(), defences=["undefended"], attacks=["clean"])
    assert found.rows[0].n == 8
    assert set(read) == set(range(8))


def test_names_are_looked_for_where_the_options_say(digits: Dataset, tmp_path: Path) -> None:
    names, options = ["digits-resnet-iat", "digits-resnet-mixup"], RunOptions(model_dir=tmp_path, trust=True)
    with mock.patch("counteract.evaluation.api.load_model", wraps=load_model) as load:
        evaluate(names[0], digits.take(2), attacks=["clean"], surrogate=names[1], options=options)
    assert [call.args for call in load.call_args_list] == [(name,) for name in names]
    assert all(call.kwargs == {"model_dir": tmp_path, "trust": True} for call in load.call_args_list)
