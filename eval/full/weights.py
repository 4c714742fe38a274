"""Copies of weight files that are small enough to carry home: bfloat16, in parts of at most 16 MB, with checksums.

    python eval/full/weights.py FOLDER MODEL.safetensors...    each model is named after the folder that it is in
    cat mixup.safetensors.* > mixup.safetensors                in FOLDER, puts the parts together
    sha256sum --check SHA256SUMS                               checks the parts, and what they make

What `cat` makes is a weight file like any other: `load_model("mixup.safetensors")`. Matrices and kernels are rounded,
so it is not quite the network that was evaluated; biases and what belongs to BatchNorm stay as they are.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save

LARGEST = 16_000_000


def rounded(path: Path) -> bytes:
    """The content of a weight file with its matrices and kernels in bfloat16, and the same card."""
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata = file.metadata()
    heavy = {name for name, tensor in tensors.items() if name.endswith(".weight") and tensor.ndim > 1}
    return save({name: t.to(torch.bfloat16) if name in heavy else t for name, t in tensors.items()}, metadata=metadata)


def write_parts(content: bytes, path: Path, largest: int) -> list[tuple[str, str]]:
    """Writes `path`.00, .01, ...; returns checksums and names, of the whole first, which is not written."""
    found = [(hashlib.sha256(content).hexdigest(), path.name)]
    for number, start in enumerate(range(0, len(content), largest)):
        part = path.with_name(f"{path.name}.{number:02d}")
        part.write_bytes(content[start : start + largest])
        found.append((hashlib.sha256(part.read_bytes()).hexdigest(), part.name))
    return found


def main() -> None:
    """Writes the parts of every model, and SHA256SUMS."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--largest", type=int, default=LARGEST, help="bytes of a part")
    options = parser.parse_args()
    options.folder.mkdir(exist_ok=True)
    sums = [
        line
        for model in options.models
        for line in write_parts(
            rounded(model), options.folder / f"{model.resolve().parent.name}.safetensors", options.largest
        )
    ]
    text = "".join(f"{checksum}  {name}\n" for checksum, name in sums)
    (options.folder / "SHA256SUMS").write_text(text, encoding="utf-8")
    print(text, end="")


if __name__ == "__main__":
    main()
