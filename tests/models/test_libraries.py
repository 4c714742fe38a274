"""Networks of torchvision, timm and transformers by name, with what they want their images to be."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from counteract import load_model
from counteract._errors import UserError
from counteract._network import ask
from counteract._preparation import Preparation
from counteract.evaluation import RunOptions, load_inputs, make_spec
from counteract.models import PreparedNetwork, is_factory, is_library
from counteract.models.about import About, about
from counteract.models.loading import is_named

SMALL = "torchvision:shufflenet_v2_x0_5"


def loaded(name: str, **options: Any) -> PreparedNetwork:
    found = load_model(name, **options)
    assert isinstance(found, PreparedNetwork)
    assert not found.training
    return found


def test_names() -> None:
    for name in ("torchvision:resnet18", "timm:resnet10t(num_classes=7)", "hf:folder/with(brackets"):
        assert is_library(name)
        assert is_named(name)
        assert not is_factory(name)
    for name in ("timm", "robustbench:cifar10/Linf/x", "timms:make"):
        assert not is_library(name)


def test_torchvisions_networks_are_those_of_their_own_transforms(tmp_path: Path) -> None:
    from torchvision.models import ShuffleNet_V2_X0_5_Weights as Weights

    network = loaded(SMALL, untrained=True)
    transform = Weights.DEFAULT.transforms()
    picture = Image.fromarray(torch.randint(0, 256, (300, 260, 3), dtype=torch.uint8).numpy())
    assert network.preparation == Preparation(256, (224, 224))
    image = torch.from_numpy(np.array(network.preparation(picture))).permute(2, 0, 1) / 255
    torch.testing.assert_close(network.normalize(image), transform(picture), rtol=0, atol=1e-5)
    assert network.class_names[:2] == ("tench", "goldfish")
    assert network.notes == ("it is untrained: its figures mean nothing",)
    again = loaded(SMALL, untrained=True)
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), again.parameters(), strict=True))
    network.model.fc.bias.data += 1  # type: ignore[union-attr, operator]
    torch.save(network.model.state_dict(), tmp_path / "mine.pt")
    mine = loaded(SMALL, weights=tmp_path / "mine.pt")
    assert torch.equal(mine.state_dict()["model.fc.bias"], network.state_dict()["model.fc.bias"])
    assert (mine.class_names, mine.notes) == ((), ())
    assert about(SMALL, mine) == About(source=(SMALL,))


def test_weights_from_a_file_do_not_say_how_they_were_normalised(tmp_path: Path) -> None:
    from torchvision.models import googlenet

    source = googlenet(init_weights=False, transform_input=True).eval()
    torch.save(source.state_dict(), tmp_path / "net.pt")
    with pytest.raises(UserError, match=r"give googlenet\(transform_input=True\) for torchvision's own"):
        load_model("torchvision:googlenet", weights=tmp_path / "net.pt")
    network = loaded("torchvision:googlenet(transform_input=True)", weights=tmp_path / "net.pt")
    images = torch.rand(2, 3, 96, 96)
    torch.testing.assert_close(network.model(images), source(images))


def test_arguments_and_ones_own_normalisation() -> None:
    network = loaded(f"{SMALL}(num_classes=7)", untrained=True, mean=(0.1, 0.2, 0.3), std=(1, 1, 1))
    assert network(torch.zeros(2, 3, 224, 224)).shape == (2, 7)
    assert network.class_names == ()
    assert network.normalize.mean.flatten().tolist() == pytest.approx([0.1, 0.2, 0.3])


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("torchvision:resnt18", {}, "torchvision's 'resnt18' is not known; did you mean resnet18"),
        (SMALL, {"weights": "IMAGENET1K_V9"}, "weights 'IMAGENET1K_V9' is not known; did you mean IMAGENET1K_V1"),
        (SMALL, {"weights": "x.pt", "untrained": True}, "weights and untrained exclude each other"),
        (f"{SMALL}(bogus=1)", {"untrained": True}, "failed with TypeError: .*bogus"),
        (f"{SMALL}(3)", {}, "arguments need their names"),
        ("digits-resnet-mixup", {"untrained": True}, "untrained goes with torchvision:, timm: and hf:"),
    ],
)
def test_mistakes_are_one_line(name: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        load_model(name, **options)


def test_weights_that_cannot_be_got_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:

    def offline(*args: object, **options: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    with pytest.raises(UserError, match=r"cannot be had \(OSError: no route to host\); go online once, .*--untrained"):
        load_model(SMALL)


@pytest.mark.parametrize(("library", "package"), [("timm", "timm"), ("hf", "transformers")])
def test_a_library_that_is_not_installed_is_one_line(
    library: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        UserError, match=rf"model {library}:x: .*{package} is not installed: it comes with the extra '{library}'"
    ):
        load_model(f"{library}:x")


def test_timms_networks_are_those_of_its_own_evaluation() -> None:
    timm = pytest.importorskip("timm")
    name = "timm:lcnet_035"
    network = loaded(name, untrained=True)
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(network.model), is_training=False)
    picture = Image.fromarray(torch.randint(0, 256, (300, 260, 3), dtype=torch.uint8).numpy())
    assert network.preparation is not None
    image = torch.from_numpy(np.array(network.preparation(picture))).permute(2, 0, 1) / 255
    torch.testing.assert_close(network.normalize(image), transform(picture), rtol=0, atol=1e-5)
    assert network.class_names[0] == "n01440764, tench, Tinca tinca"
    with pytest.raises(UserError, match="timm's 'lcnet_035x' is not known; did you mean lcnet_035"):
        load_model("timm:lcnet_035x")
    assert loaded(f"{name}(num_classes=3)", untrained=True).class_names == ()


def test_a_last_layer_of_timms_that_nobody_trained_is_refused(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    weights = tmp_path / "theirs.pth"
    torch.save(timm.create_model("lcnet_035").state_dict(), weights)
    pretrained = f"pretrained_cfg_overlay={{'file': '{weights}'}}"
    assert loaded(f"timm:lcnet_035({pretrained})").class_names
    with pytest.raises(UserError, match="was trained for 1000 classes, not 7: its last layer would be random; leave"):
        load_model(f"timm:lcnet_035(num_classes=7, {pretrained})")
    with pytest.raises(UserError, match="has no classes: its answers are features"):
        load_model("timm:lcnet_035(num_classes=0)", untrained=True)


@pytest.fixture
def vit(tmp_path: Path) -> Path:
    """A folder of a small ViT, as transformers saves it."""
    transformers = pytest.importorskip("transformers")
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=32, patch_size=8,
        id2label={0: "cat", 1: "dog", 2: "bird"},
    )  # fmt: skip
    torch.manual_seed(0)
    transformers.ViTForImageClassification(config).save_pretrained(tmp_path)
    size = {"height": 32, "width": 32}
    transformers.ViTImageProcessor(size=size, image_mean=[0.4] * 3, image_std=[0.2] * 3).save_pretrained(tmp_path)
    return tmp_path


def test_a_folder_of_hugging_faces_is_what_transformers_makes_of_it(vit: Path) -> None:
    transformers = pytest.importorskip("transformers")
    network = loaded(f"hf:{vit}")
    theirs = transformers.AutoModelForImageClassification.from_pretrained(vit).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(vit)
    picture = Image.fromarray(torch.randint(0, 256, (40, 50, 3), dtype=torch.uint8).numpy())
    assert network.preparation == Preparation((32, 32), (32, 32))
    image = torch.from_numpy(np.array(network.preparation(picture))).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        expected = theirs(**processor(picture, return_tensors="pt")).logits
        torch.testing.assert_close(ask(network, image), expected, rtol=0, atol=0.02)
    assert network.class_names == ("cat", "dog", "bird")
    assert loaded(f"hf:{vit}", untrained=True).notes


def test_what_is_no_classifier_or_not_normalised_is_refused(vit: Path, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    (vit / "preprocessor_config.json").unlink()
    with pytest.raises(UserError, match="nobody says how its images are normalised: give --mean and --std"):
        load_model(f"hf:{vit}")
    assert loaded(f"hf:{vit}", mean=(0.5,) * 3, std=(0.5,) * 3).preparation is None
    transformers.ViTModel(transformers.AutoConfig.from_pretrained(vit)).save_pretrained(tmp_path / "bare")
    with pytest.raises(UserError, match=r"lacks weights, classifier.bias first: .* trained to classify images"):
        load_model(f"hf:{tmp_path / 'bare'}")
    with pytest.raises(UserError, match="brings its weights"):
        load_model(f"hf:{vit}", weights="x.pt")


def test_pictures_are_prepared_as_the_network_wants_them(vit: Path, tmp_path: Path) -> None:
    for number, name in enumerate(("cat", "dog", "bird")):
        place = tmp_path / "pictures" / name
        place.mkdir(parents=True)
        Image.new("RGB", (50 + number, 40), (number * 90, 90, 30)).save(place / "0.png")
    folder = tmp_path / "pictures"
    fields = {"dataset": f"folder:{folder}", "models": [f"hf:{vit}"], "attacks": ["clean"], "defences": ["undefended"]}
    inputs = load_inputs(make_spec(fields, "test"), RunOptions())
    assert inputs.data.image_shape == (3, 32, 32)
    assert inputs.data.notes == ("pictures were resized to 32 x 32 (bilinear), cropped to 32 x 32",)
    (network,) = inputs.networks.values()
    assert network.about.class_names == ("cat", "dog", "bird")
    asked = load_inputs(make_spec(fields | {"pictures": {"crop": 40}}, "test"), RunOptions())
    assert asked.data.image_shape == (3, 40, 40)
    (folder / "classes.txt").write_text("cat\ndog\nbird\n")
    assert load_inputs(make_spec(fields, "test"), RunOptions()).data.labels.tolist() == [2, 0, 1]
    two = fields | {"models": [f"hf:{vit}", SMALL], "own_network": {"untrained": True}}
    with pytest.raises(
        UserError, match=f"model {SMALL} wants its pictures resized to 256 .*, another one resized to 32"
    ):
        load_inputs(make_spec(two, "test"), RunOptions())


def test_a_transform_is_no_matter_where_there_are_no_pictures(vit: Path, digits: Any) -> None:
    two: dict[str, Any] = {"models": [f"hf:{vit}", SMALL], "own_network": {"untrained": True}}
    fields = {"dataset": "digits", "attacks": ["clean"], "defences": ["undefended"], "limit": 2}
    found = load_inputs(make_spec(fields | two, "test"), RunOptions())
    images: Tensor = found.data.images
    assert torch.equal(images, digits.images[:2])
