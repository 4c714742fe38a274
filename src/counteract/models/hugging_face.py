"""Networks of Hugging Face's transformers: whole, without a word of the library's, and how they want their pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from counteract._errors import UserError
from counteract._preparation import Interpolation, Preparation

_FILTERS: Mapping[int, Interpolation] = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}
"""Pillow's filters by their numbers."""


def load_whole(kind: Any, place: str | Path, name: str, advice: str, **options: Any) -> Any:
    """Loads a pretrained network, none of whose weights may be missing: transformers would draw them at random.

    Args:
        kind: The class of transformers that has `from_pretrained`.
        place: The folder or name that it takes.
        name: The model's name, for the error.
        advice: The end of that error: what to name instead.
        **options: Those of `from_pretrained`.

    Raises:
        UserError: (a ValueError) weights are missing, or of another shape.
    """
    with silent():
        network, told = kind.from_pretrained(place, output_loading_info=True, **options)
    lacking = [*sorted(told.get("missing_keys", ())), *map(str, told.get("mismatched_keys", ()))]
    if lacking:
        raise UserError(f"model {name} lacks weights, {lacking[0]} first: they would be random; {advice}")
    return network


@contextmanager
def silent() -> Iterator[None]:
    """Lets transformers show neither bars nor reports of its own: what matters in them is said in a line."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def read_settings(place: str | Path, **options: Any) -> Mapping[str, Any]:
    """Returns what an image processor is set to; nothing where there is none."""
    from transformers import AutoImageProcessor

    try:
        with silent():
            settings: dict[str, Any] = AutoImageProcessor.from_pretrained(place, **options).to_dict()
    except (OSError, ValueError):
        return {}
    return settings


def normalisation_in(settings: Mapping[str, Any], name: str) -> tuple[list[float], list[float]]:
    """Returns mean and deviation for pixels in [0, 1] of what an image processor does to bytes.

    Raises:
        UserError: (a ValueError) it does something else, or the numbers are none.
    """
    scale = 255 * settings.get("rescale_factor", 1 / 255) if settings.get("do_rescale", True) else 255.0
    if settings.get("rescale_offset"):
        raise UserError(f"model {name}: its image processor shifts pixels, which is not supported")
    if not settings.get("do_normalize", True):
        return [0.0] * 3, [1 / scale] * 3
    mean, std = (_numbers(settings, key, name) for key in ("image_mean", "image_std"))
    return [value / scale for value in mean], [value / scale for value in std]


def _numbers(settings: Mapping[str, Any], key: str, name: str) -> list[float]:
    found = settings.get(key)
    if not isinstance(found, (list, tuple)) or not all(isinstance(value, (int, float)) for value in found):
        raise UserError(f"model {name}: its image processor must have an {key}, one number a channel; found {found!r}")
    return list(found)


def preparation_in(settings: Mapping[str, Any]) -> Preparation | None:
    """Returns the way from pictures to images of an image processor; None where it has none that is known."""
    size, crop = settings.get("size") or {}, settings.get("crop_size") or {}
    side, share = size.get("shortest_edge"), settings.get("crop_pct")
    resample = settings.get("resample")  # 0 is one of them
    kind = "bilinear" if resample is None else _FILTERS.get(int(resample), "bilinear")
    if side is not None and share is not None:  # ConvNeXt's
        return (
            Preparation(int(side / share), (side, side), kind) if side < 384 else Preparation((side, side), None, kind)
        )
    resize = side if side is not None else _pair(size)
    if not settings.get("do_resize", True) or resize is None:
        return None
    return Preparation(resize, _pair(crop) if settings.get("do_center_crop") else _pair(size), kind)


def _pair(size: Mapping[str, int]) -> tuple[int, int] | None:
    return (size["height"], size["width"]) if {"height", "width"} <= size.keys() else None
