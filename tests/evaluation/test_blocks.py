"""Blocks: every example is in one, and each block is known by its content."""

from __future__ import annotations

import torch

from counteract.datasets import Dataset
from counteract.evaluation.blocks import BLOCK, cut, read, rows_of


def test_blocks_cover_the_data_once(digits: Dataset) -> None:
    blocks = cut(digits)
    assert [len(block) for block in blocks] == [BLOCK, len(digits) - BLOCK]
    samples = [read(digits, block, torch.device("cpu")) for block in blocks]
    assert torch.equal(torch.cat([sample.images for sample in samples]), digits.images)
    assert torch.equal(torch.cat([sample.labels for sample in samples]), digits.labels)
    assert torch.equal(torch.cat([sample.index for sample in samples]), torch.arange(len(digits)))
    assert len({block.digest for block in blocks}) == 2
    assert cut(digits.take(BLOCK))[0] == blocks[0]
    assert cut(digits.take(BLOCK - 1))[0].digest != blocks[0].digest
    assert cut(digits.take(0)) == []


def test_rows_are_copied_unless_they_are_all() -> None:
    images = torch.arange(4.0)
    assert rows_of(images, torch.arange(4)) is images
    assert rows_of(images, torch.tensor([1, 3])).tolist() == [1, 3]
    assert rows_of(images, torch.tensor([], dtype=torch.int64)).tolist() == []
