"""Networks of transformers as they were trained: whole, and without a word of the library's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from counteract._errors import UserError


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
