"""CLIP as a zero-shot classifier: images in [0, 1] to a logit for each class, whose names are put into a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from counteract._errors import UserError, describe
from counteract._extras import how_to_install
from counteract._files import read_file
from counteract._preparation import Preparation
from counteract.models.hugging_face import load_whole, normalisation_in, preparation_in, read_settings, silent
from counteract.models.prepared import PreparedNetwork

if TYPE_CHECKING:
    from transformers import CLIPModel

PREFIX = "clip:"
"""The prefix of the names of such networks: `clip:FOLDER`."""

PROMPT = "This is a photo of a {}"
"""The sentence that names of classes are put into, as in the code of Mao et al. 2023 and of those after them."""

_MEAN, _STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""CLIP's own normalisation, for folders that do not say theirs."""

_ADVICE = "name a folder that save_pretrained of a CLIPModel wrote"

_LONGEST = 10_000_000

_ROUND_OFF = 1e-5
"""The distance of two directions of length one up to which they are the same."""


class ZeroShotCLIP(nn.Module):
    """A CLIP whose text encoder has done its work: classes are the directions of their sentences' embeddings.

    Its last linear layer reads the embedding of the image as CLIP projects it, before it is normalised. Images of
    another size are resized, bicubically; whatever bounds their pixels is about the images that come in.

    Args:
        clip: The CLIP.
        directions: An embedding for each class, of length one: shape (classes, D).
    """

    def __init__(self, clip: CLIPModel, directions: Tensor) -> None:
        super().__init__()
        self.vision = clip.vision_model
        self.projection = clip.visual_projection
        self.head = nn.Linear(directions.shape[1], len(directions), bias=False)
        self.head.weight.data = directions.clone()
        self.scale = float(clip.logit_scale.detach().exp())
        self.size = int(clip.config.vision_config.image_size)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the logits of normalised images: scaled cosines."""
        if x.shape[2:] != (self.size, self.size):
            x = F.interpolate(x, (self.size, self.size), mode="bicubic", align_corners=False, antialias=True)
        embedding = self.projection(self.vision(pixel_values=x).pooler_output)
        length = torch.linalg.vector_norm(embedding, dim=1, keepdim=True)
        logits: Tensor = self.scale * self.head(embedding) / length
        return logits


def load_clip(folder: Path, classes: Path | None, prompt: str = PROMPT) -> PreparedNetwork:
    """Loads a CLIP of Hugging Face's transformers from a folder, as a classifier in eval mode; it normalises inside.

    Args:
        folder: The folder, as `save_pretrained` of the model and the tokenizer leaves it; nothing is downloaded. That
            of the processor says how pictures are prepared, if it is there; else they are as OpenAI's CLIP wants them.
        classes: A text file with the name of one class a line, in the order of the labels.
        prompt: The sentence that each name is put into, in place of `{}`.

    Raises:
        UserError: (a ValueError) a file is missing or no such thing, weights are missing, two classes are one to the
            network, or transformers is not installed.
    """
    name = f"{PREFIX}{folder}"
    if classes is None:
        raise UserError(f"{name} needs classes, a file with the name of one class a line: --classes FILE")
    names = read_classes(classes)
    if not folder.is_dir():
        raise UserError(f"{name}: there is no such folder; it is one that transformers' save_pretrained wrote")
    try:
        clip, tokenizer = _load(folder, name)
        directions = _directions(clip, tokenizer, [prompt.format(each) for each in names])
        mean, std, way = _pictures(folder, name, int(clip.config.vision_config.image_size))
    except UserError:
        raise
    except ImportError as error:
        raise UserError(f"{name} needs transformers: {how_to_install('hf')} ({error})") from error
    except Exception as error:
        raise UserError(f"{name} cannot be loaded: {describe(error)}") from error
    _check_apart(names, directions, classes)
    return PreparedNetwork(ZeroShotCLIP(clip, directions), mean, std, preparation=way, class_names=names).eval()


def _load(folder: Path, name: str) -> tuple[CLIPModel, Any]:
    """The CLIP in a folder, and its tokenizer."""
    from transformers import AutoConfig, AutoTokenizer, CLIPModel

    with silent():
        kind = AutoConfig.from_pretrained(folder, local_files_only=True).model_type
        if kind != "clip":
            raise UserError(f"{name} is a {kind}, not a CLIP; {_ADVICE}")
        # Attention in plain steps: the fused kernels cannot be differentiated twice, as attackers do.
        options = {"local_files_only": True, "attn_implementation": "eager"}
        clip = load_whole(CLIPModel, folder, name, _ADVICE, **options).float().eval()
        return clip, AutoTokenizer.from_pretrained(folder, local_files_only=True)


def _pictures(folder: Path, name: str, size: int) -> tuple[list[float], list[float], Preparation | None]:
    """The mean and the deviation of a folder's images, and the way to them from pictures; CLIP's own by default."""
    settings = read_settings(folder, local_files_only=True)
    if settings:
        return *normalisation_in(settings, name), preparation_in(settings)
    for file in ("preprocessor_config.json", "processor_config.json"):
        if (folder / file).exists():
            raise UserError(f"{name}: {file} is not what save_pretrained of a CLIPImageProcessor writes")
    return list(_MEAN), list(_STD), Preparation(size, (size, size), "bicubic")


def read_classes(path: Path) -> list[str]:
    """Reads the names of classes, one a line; empty lines at the end do not count.

    Raises:
        UserError: (a ValueError) the file cannot be read, or does not hold at least two names.
    """
    try:
        lines = read_file(path, f"classes {path}", _LONGEST).decode("utf-8-sig").rstrip().splitlines()
    except UnicodeDecodeError as error:
        raise UserError(f"classes {path} must be a text file in UTF-8, with the name of one class a line") from error
    names = [line.strip() for line in lines]
    if len(names) < 2 or not all(names):
        raise UserError(f"classes {path} must have the name of one class on each line, two lines at least")
    return names


def _check_apart(names: Sequence[str], directions: Tensor, path: Path) -> None:
    """Raises UserError where two classes are one and the same to the network, which reads no capitals, for one."""
    apart = torch.cdist(directions, directions, compute_mode="donot_use_mm_for_euclid_dist")
    for first, second in (apart < _ROUND_OFF).triu(1).nonzero().tolist()[:1]:
        raise UserError(
            f"classes {path}: {names[first]!r} in line {first + 1} and {names[second]!r} in line {second + 1} are the "
            "same to CLIP; give them names that differ, 'crane (bird)' and 'crane (machine)'"
        )


def _directions(clip: CLIPModel, tokenizer: Any, sentences: list[str]) -> Tensor:
    """The embeddings of sentences, of length one."""
    longest = int(clip.config.text_config.max_position_embeddings)
    given = tokenizer(sentences, padding=True, truncation=True, max_length=longest, return_tensors="pt")
    with torch.no_grad():
        pooled = clip.text_model(input_ids=given["input_ids"], attention_mask=given["attention_mask"]).pooler_output
        return F.normalize(clip.text_projection(pooled), dim=1)
