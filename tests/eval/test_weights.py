"""`eval/full/weights.py`: parts that fit, and that make the network again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from scripts import load_script

import counteract.models
from counteract.models.files import load_network


def test_weights_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Path(counteract.models.__file__).parent / "weights" / "digits-resnet-iat.safetensors"
    (tmp_path / "iat").mkdir()
    (tmp_path / "iat" / "model.safetensors").write_bytes(source.read_bytes())
    home = tmp_path / "home"
    words = ["weights.py", str(home), str(tmp_path / "iat" / "model.safetensors"), "--largest", "20000"]
    monkeypatch.setattr(sys, "argv", words)
    load_script("full/weights.py").main()
    parts = sorted(home.glob("iat.safetensors.*"))
    assert len(parts) > 1
    assert all(part.stat().st_size <= 20000 for part in parts)
    subprocess.run("cat iat.safetensors.* > iat.safetensors", shell=True, check=True, cwd=home)
    subprocess.run(["sha256sum", "--check", "SHA256SUMS"], check=True, cwd=home, stdout=subprocess.DEVNULL)
    assert (home / "iat.safetensors").stat().st_size < 0.6 * source.stat().st_size
    original, carried = load_network(source), load_network(home / "iat.safetensors")
    for name, tensor in carried.state_dict().items():
        rounding = 2**-8 if name.endswith(".weight") and tensor.ndim > 1 else 0.0
        torch.testing.assert_close(tensor, original.state_dict()[name], rtol=rounding, atol=0.0)
