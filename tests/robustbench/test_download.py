"""Downloads against a server that serves good and bad files; nothing leaves this machine."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
import torch
from zoo import Host

from counteract._errors import UserError
from counteract.robustbench import download as module
from counteract.robustbench.download import download


@pytest.fixture
def good() -> bytes:
    """A checkpoint of some size, as torch saves it."""
    content = io.BytesIO()
    torch.save({"weight": torch.arange(4000.0)}, content)
    return content.getvalue()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "cifar10" / "Linf" / "Some2020Net.pt"


def assert_nothing_left(target: Path) -> None:
    assert [path for path in target.parent.parent.rglob("*") if path.is_file()] == []


def test_a_good_file_arrives_whole(host: Host, good: bytes, target: Path) -> None:
    host.pages["/file"] = good
    download(f"{host.address}/file", target)
    assert target.read_bytes() == good
    assert list(target.parent.iterdir()) == [target]


def test_a_file_in_the_old_format_arrives(host: Host, target: Path) -> None:
    content = io.BytesIO()
    torch.save({"weight": torch.ones(3)}, content, _use_new_zipfile_serialization=False)
    host.pages["/file"] = content.getvalue()
    download(f"{host.address}/file", target)
    assert torch.equal(torch.load(target)["weight"], torch.ones(3))


def test_a_web_page_is_refused_by_its_title(host: Host, target: Path) -> None:
    pytest.importorskip("gdown", reason="needs pip install '.[robustbench]'")
    host.pages["/file"] = b"\n<!DOCTYPE html><html><head><title>Quota exceeded</title></head></html>"
    with pytest.raises(UserError, match=r"a web page \(Quota exceeded\)") as failure:
        download(f"{host.address}/file", target)
    assert f"{host.address}/file" in str(failure.value)
    assert f"save it as {target}" in str(failure.value)
    assert_nothing_left(target)


@pytest.mark.filterwarnings("ignore:Call to deprecated method:DeprecationWarning")  # gdown's use of beautifulsoup4
def test_a_page_that_asks_for_a_confirmation_is_answered(host: Host, good: bytes, target: Path) -> None:
    pytest.importorskip("gdown", reason="needs pip install '.[robustbench]'")
    host.pages["/file"] = (
        f'<html><form id="download-form" action="{host.address}/sure" method="get">'
        '<input type="hidden" name="confirm" value="t"></form></html>'
    ).encode()
    host.pages["/sure?confirm=t"] = good
    download(f"{host.address}/file", target)
    assert target.read_bytes() == good


def test_a_connection_that_ends_early_is_noticed(host: Host, good: bytes, target: Path) -> None:
    host.pages["/file"] = good
    host.missing_bytes = 100
    with pytest.raises(UserError, match=rf"ended after {len(good) - 100} of {len(good)} bytes"):
        download(f"{host.address}/file", target)
    assert_nothing_left(target)


def test_a_file_cut_short_on_the_server_is_noticed(host: Host, good: bytes, target: Path) -> None:
    host.pages["/file"] = good[:-100]
    with pytest.raises(UserError, match="cut short or damaged"):
        download(f"{host.address}/file", target)
    assert_nothing_left(target)


def test_a_flipped_bit_is_noticed(host: Host, good: bytes, target: Path) -> None:
    middle = len(good) // 2
    host.pages["/file"] = good[:middle] + bytes([good[middle] ^ 1]) + good[middle + 1 :]
    with pytest.raises(UserError, match="damaged"):
        download(f"{host.address}/file", target)
    assert_nothing_left(target)


@pytest.mark.timeout(10)
def test_a_stall_ends(host: Host, good: bytes, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIMEOUT", 0.3)
    host.pages["/file"] = good
    host.missing_bytes, host.stalls = 100, True
    with pytest.raises(UserError, match="timed out"):
        download(f"{host.address}/file", target)
    assert_nothing_left(target)


def test_a_missing_file_and_a_dead_host_say_what_to_do(host: Host, target: Path) -> None:
    with pytest.raises(UserError, match="404"):
        download(f"{host.address}/nothing", target)
    with pytest.raises(UserError, match=f"save it as {re.escape(str(target))}"):
        download("http://127.0.0.1:9/file", target)
    assert_nothing_left(target)


def test_a_failed_download_leaves_the_old_file(host: Host, good: bytes, target: Path) -> None:
    target.parent.mkdir(parents=True)
    target.write_bytes(good)
    host.pages["/file"] = b"nonsense"
    with pytest.raises(UserError, match="begins with b'nons'"):
        download(f"{host.address}/file", target)
    assert target.read_bytes() == good
