"""CLIP as a zero-shot classifier: images in [0, 1] to a logit for each class, whose names are put into a sentence."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from counteract._errors import UserError, describe
from counteract._files import read_file
from counteract.models.normalize import Normalize
from counteract.models.pretrained import load_whole, silent

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
        mean: The mean of each channel that is subtracted.
        std: The deviation of each channel that is divided by.
    """

    def __init__(
        self, clip: CLIPModel, directions: Tensor, mean: Sequence[float] = _MEAN, std: Sequence[float] = _STD
    ) -> None:
        super().__init__()
        self.normalize = Normalize(mean, std)
        self.vision = clip.vision_model
        self.projection = clip.visual_projection
        self.head = nn.Linear(directions.shape[1], len(directions), bias=False)
        self.head.weight.data = directions.clone()
        self.scale = float(clip.logit_scale.detach().exp())
        self.size = int(clip.config.vision_config.image_size)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the logits of images in [0, 1]: scaled cosines."""
        if x.shape[2:] != (self.size, self.size):
            x = F.interpolate(x, (self.size, self.size), mode="bicubic", align_corners=False, antialias=True)
        embedding = self.projection(self.vision(pixel_values=self.normalize(x)).pooler_output)
        length = torch.linalg.vector_norm(embedding, dim=1, keepdim=True)
        logits: Tensor = self.scale * self.head(embedding) / length
        return logits


def load_clip(folder: Path, classes: Path | None, prompt: str = PROMPT) -> ZeroShotCLIP:
    """Loads a CLIP of Hugging Face's transformers from a folder, as a classifier in eval mode.

    Args:
        folder: The folder, as `save_pretrained` of the model and the tokenizer leaves it; nothing is downloaded.
        classes: A text file with the name of one class a line, in the order of the labels.
        prompt: The sentence that each name is put into, in place of `{}`.

    Raises:
        UserError: (a ValueError) a file is missing or no such thing, two classes are one to the network, or
            transformers is not installed.
    """
    if classes is None:
        raise UserError(f"{PREFIX}{folder} needs classes, a file with the name of one class a line: --classes FILE")
    names = read_classes(classes)
    if not folder.is_dir():
        raise UserError(
            f"{PREFIX}{folder}: there is no such folder; it is one that transformers' save_pretrained wrote"
        )
    try:
        from transformers import AutoConfig, AutoTokenizer, CLIPModel
    except ImportError as error:
        raise UserError(f"{PREFIX}{folder} needs transformers: pip install transformers ({error})") from error
    try:
        with silent():
            if (kind := AutoConfig.from_pretrained(folder, local_files_only=True).model_type) != "clip":
                raise UserError(f"{PREFIX}{folder} is a {kind}, not a CLIP; {_ADVICE}")
            # Attention in plain steps: the fused kernels cannot be differentiated twice, as attackers do.
            options = {"local_files_only": True, "attn_implementation": "eager"}
            clip = load_whole(CLIPModel, folder, f"{PREFIX}{folder}", _ADVICE, **options).float().eval()
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            directions = _directions(clip, tokenizer, [prompt.format(name) for name in names])
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{PREFIX}{folder} cannot be loaded: {describe(error)}") from error
    _check_apart(names, directions, classes)
    return ZeroShotCLIP(clip, directions, *_normalisation(folder)).eval()


def read_classes(path: Path) -> list[str]:
    """Reads the names of classes, one a line; empty lines at the end do not count.

    Raises:
        UserError: (a ValueError) the file cannot be read, or does not hold at least two names.
    """
    try:
        lines = read_file(path, f"classes {path}", _LONGEST).decode().rstrip().splitlines()
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


def _normalisation(folder: Path) -> tuple[Sequence[float], Sequence[float]]:
    """The mean and the deviation that a folder's `preprocessor_config.json` says, or CLIP's own."""
    path = folder / "preprocessor_config.json"
    if not path.is_file():
        return _MEAN, _STD
    try:
        said = json.loads(read_file(path, str(path), _LONGEST))
        return [float(value) for value in said["image_mean"]], [float(value) for value in said["image_std"]]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} must have an image_mean and an image_std: {describe(error)}") from error
