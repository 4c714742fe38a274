"""Networks of transformers whose weights are not all there, and what transformers says meanwhile."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from counteract._errors import UserError
from counteract._preparation import Preparation
from counteract.models.hugging_face import load_whole, preparation_in, silent

transformers = pytest.importorskip("transformers")


class Kind:
    """A class as transformers' are: says what it did not find."""

    found: ClassVar[dict[str, Any]] = {}

    @classmethod
    def from_pretrained(cls, place: str, **options: Any) -> tuple[str, dict[str, Any]]:
        assert options == {"output_loading_info": True, "local_files_only": True}
        transformers.utils.logging.get_logger("transformers").warning("a report")
        return f"the network of {place}", cls.found


def test_a_whole_network_is_loaded_without_a_word(capfd: pytest.CaptureFixture[str]) -> None:
    assert load_whole(Kind, "there", "hf:there", "", local_files_only=True) == "the network of there"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("found", "first"),
    [
        ({"missing_keys": {"z.bias", "a.weight"}}, "a.weight"),
        ({"mismatched_keys": ["head.weight"]}, "head.weight"),
    ],
)
def test_weights_that_would_be_random_are_refused(
    found: dict[str, Any], first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Kind, "found", found)
    with pytest.raises(UserError, match=rf"^model hf:x lacks weights, {first} first: .* random; name another$"):
        load_whole(Kind, "x", "hf:x", "name another", local_files_only=True)


def test_its_own_settings_are_put_back() -> None:
    logging = transformers.utils.logging
    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    with silent():
        assert not logging.is_progress_bar_enabled()
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before


def test_filters_go_by_pillows_numbers_of_which_none_is_bilinear() -> None:
    size = {"size": {"height": 16, "width": 16}}
    assert preparation_in(size) == Preparation((16, 16), (16, 16), "bilinear")
    assert preparation_in(size | {"resample": 0}) == Preparation((16, 16), (16, 16), "nearest")
    assert preparation_in(size | {"resample": 3}) == Preparation((16, 16), (16, 16), "bicubic")
