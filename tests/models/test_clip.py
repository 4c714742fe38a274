"""CLIP as a classifier, with random weights, beside what transformers' own CLIP answers."""

from __future__ import annotations

import json
import shutil
import string
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

from counteract import EnergyDescent, load_model
from counteract import TestTimeCounterattack as Counterattack
from counteract._errors import UserError
from counteract._preparation import Preparation
from counteract.cli import main
from counteract.evaluation import RunOptions, load_inputs, make_spec
from counteract.models.clip import PROMPT, load_clip, read_classes

transformers = pytest.importorskip("transformers")
AutoTokenizer, CLIPModel = transformers.AutoTokenizer, transformers.CLIPModel

NAMES = [f"digit {word}" for word in ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CLIP for images of 16 x 16 that spells words letter by letter."""
    made = tmp_path_factory.mktemp("clip")
    letters = [*string.ascii_letters, *string.digits]
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    (made / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}))
    (made / "merges.txt").write_text("#version: 0.2\n")
    transformers.CLIPTokenizer(str(made / "vocab.json"), str(made / "merges.txt")).save_pretrained(made)
    width = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = {"vocab_size": len(words), "bos_token_id": len(words) - 2, "eos_token_id": len(words) - 1}
    vision = {"image_size": 16, "patch_size": 8}
    torch.manual_seed(0)
    config = transformers.CLIPConfig(text_config=width | text, vision_config=width | vision, projection_dim=12)
    CLIPModel(config).save_pretrained(made)
    (made / "classes.txt").write_text("\n".join(NAMES) + "\n\n")
    return made


def test_logits_are_those_of_transformers(folder: Path) -> None:
    images = torch.rand(3, 3, 16, 16)
    network = load_model(f"clip:{folder}", classes=folder / "classes.txt", input_shape=(3, 16, 16))
    clip = CLIPModel.from_pretrained(folder).eval()
    given = AutoTokenizer.from_pretrained(folder)(
        [PROMPT.format(name) for name in NAMES], padding=True, return_tensors="pt"
    )
    mean, std = torch.tensor([0.48145466, 0.4578275, 0.40821073]), torch.tensor([0.26862954, 0.26130258, 0.27577711])
    pixels = (images - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    with torch.no_grad():
        expected = clip(**given, pixel_values=pixels).logits_per_image
        torch.testing.assert_close(network(images), expected, rtol=1e-4, atol=1e-4)
    assert not network.training
    assert network(torch.rand(2, 3, 32, 32)).shape == (2, 10)


def test_a_folder_may_say_its_own_normalisation(folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "preprocessor_config.json").write_text('{"image_mean": [0.1, 0.2, 0.3], "image_std": [0.5, 0.5, 0.5]}')
    network = load_clip(tmp_path, folder / "classes.txt")
    assert network.normalize.mean.flatten().tolist() == pytest.approx([0.1, 0.2, 0.3])
    for content, match in (
        ('{"image_mean": 3}', "must have an image_mean, one .*; found 3"),
        ("{", "json is not what"),
    ):
        (tmp_path / "preprocessor_config.json").write_text(content)
        with pytest.raises(UserError, match=match):
            load_clip(tmp_path, folder / "classes.txt")


def test_pictures_are_prepared_as_its_processor_does_it(folder: Path, tmp_path: Path) -> None:
    assert load_clip(folder, folder / "classes.txt").preparation == Preparation(16, (16, 16), "bicubic")
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    size = {"size": {"shortest_edge": 20}, "crop_size": {"height": 16, "width": 16}}
    processor = transformers.CLIPImageProcessor(**size, image_std=[0.5, 0.6, 0.7])
    processor.save_pretrained(tmp_path)
    network = load_clip(tmp_path, folder / "classes.txt")
    picture = Image.fromarray(torch.randint(0, 256, (40, 50, 3), dtype=torch.uint8).numpy())
    assert network.preparation == Preparation(20, (16, 16), "bicubic")
    found = torch.from_numpy(np.array(network.preparation(picture))).permute(2, 0, 1) / 255
    expected = processor(picture, return_tensors="pt")["pixel_values"][0]
    torch.testing.assert_close(network.normalize(found), expected, rtol=0, atol=0.05)
    for number, name in enumerate(NAMES):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        Image.new("RGB", (50, 40 + number)).save(tmp_path / "pictures" / name / "0.png")
    fields: dict[str, object] = {"attacks": ["clean"], "defences": ["undefended"], "models": [f"clip:{tmp_path}"]}
    fields |= {"dataset": f"folder:{tmp_path / 'pictures'}", "own_network": {"classes": str(folder / "classes.txt")}}
    (tmp_path / "pictures" / "classes.txt").write_text("\n".join(NAMES))
    data = load_inputs(make_spec(fields, "test"), RunOptions()).data
    assert data.image_shape == (3, 16, 16)
    assert data.notes == ("pictures were resized to 20 on the shorter side (bicubic), cropped to 16 x 16",)


def test_classes_in_another_order_than_the_datas_are_refused(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "classes.txt").write_text("\n".join("1023456789"))
    with pytest.raises(SystemExit) as stopped:
        main(["evaluate", "--model", f"clip:{folder}", "--classes", str(tmp_path / "classes.txt"), "--limit", "2"])
    assert stopped.value.code == 2
    assert "dataset digits has '0' as class 0, model clip:" in capsys.readouterr().err


def test_the_counterattack_moves_clips_own_embedding(folder: Path) -> None:
    """The features are what `get_image_features` returns: projected, and not yet of length one."""
    network = load_clip(folder, folder / "classes.txt")
    images, clip = torch.rand(2, 3, 16, 16), CLIPModel.from_pretrained(folder).eval()
    with torch.no_grad():
        pooled = clip.vision_model(pixel_values=network.normalize(images)).pooler_output
        expected: Tensor = clip.visual_projection(pooled)
        found = Counterattack(network)._encode(network, images)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("make", [Counterattack, EnergyDescent])
def test_attackers_can_differentiate_it_twice(make: type[Counterattack] | type[EnergyDescent], folder: Path) -> None:
    surrogate = make(load_clip(folder, folder / "classes.txt")).smooth()
    assert surrogate is not None
    images = torch.rand(2, 3, 16, 16).requires_grad_()
    moved = surrogate.sample(images, torch.arange(2))
    (gradient,) = torch.autograd.grad((moved * torch.rand_like(moved)).sum(), images)
    assert gradient.isfinite().all()


def test_it_is_judged_by_its_name(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = ["--model", f"clip:{folder}", "--classes", str(folder / "classes.txt"), "--eps", "1/255", "--limit", "2"]
    what = ["--defence", "test-time-counterattack", "--attack", "clean", "--attack", "pgd1"]
    with pytest.raises(SystemExit) as stopped:
        main(["evaluate", *names, *what, "--preset", "quick", "--seeds", "1", "--draws", "1"])
    assert not stopped.value.code
    assert "test-time-counterattack" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "match"),
    [(b"cat\n", "two lines at least"), (b"cat\n\ndog\n", "on each line"), (b"\xff\xfe\n\xff", "UTF-8")],
)
def test_classes_that_are_none(content: bytes, match: str, tmp_path: Path) -> None:
    path = tmp_path / "classes.txt"
    path.write_bytes(content)
    with pytest.raises(UserError, match=match):
        read_classes(path)


def test_the_mark_of_utf_8_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    path = tmp_path / "classes.txt"
    path.write_bytes(b"\xef\xbb\xbfcat\r\ndog\r\n")  # as editors on Windows write it
    assert read_classes(path) == ["cat", "dog"]


def test_names_that_are_one_to_the_network_are_refused(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "classes.txt"
    path.write_text("crane\nheron\nCrane\n")
    with pytest.raises(UserError, match="'crane' in line 1 and 'Crane' in line 3 are the same to CLIP"):
        load_model(f"clip:{folder}", classes=path)


def test_a_folder_without_all_of_its_weights_is_refused(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Transformers would draw them at random, and say so in a report that is easily missed."""
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    weights = load_file(tmp_path / "model.safetensors")
    del weights["visual_projection.weight"]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"lacks weights, visual_projection.weight first: .*; name a folder that"):
        load_clip(tmp_path, folder / "classes.txt")
    assert capfd.readouterr() == ("", "")


def test_another_kind_of_network_is_refused_by_its_name(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    width = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = transformers.CLIPVisionConfig(**width, image_size=16, patch_size=8)
    transformers.CLIPVisionModel(config).save_pretrained(tmp_path)
    with pytest.raises(UserError, match="is a clip_vision_model, not a CLIP; name a folder that save_pretrained of"):
        load_clip(tmp_path, folder / "classes.txt")


def test_what_is_missing_is_said(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"needs classes, .*--classes FILE"):
        load_model(f"clip:{folder}")
    with pytest.raises(UserError, match="no such folder"):
        load_model(f"clip:{tmp_path / 'none'}", classes=folder / "classes.txt")
    with pytest.raises(UserError, match="cannot be loaded"):
        load_model(f"clip:{tmp_path}", classes=folder / "classes.txt")
    with pytest.raises(UserError, match="classes"):
        load_model("digits-resnet-mixup", classes=folder / "classes.txt")
    with pytest.raises(UserError, match="weights"):
        load_model(f"clip:{folder}", classes=folder / "classes.txt", weights="net.pt")
