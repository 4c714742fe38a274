"""Images that are cropped and mirrored once and for all."""

from __future__ import annotations

import torch

from counteract.datasets import ArrayDataset, Augmented


def test_every_image_is_a_crop_of_its_own_that_never_changes() -> None:
    pixels = torch.randint(1, 256, (200, 6, 6, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    whole = ArrayDataset("mine", pixels, torch.arange(200) % 2, ("a", "b"))
    data = Augmented(whole, padding=1)
    assert (data.name, data.class_names, data.image_shape) == ("mine", ("a", "b"), (3, 6, 6))
    assert torch.equal(data.labels, whole.labels)
    found = data.images
    padded = torch.nn.functional.pad(whole.images, (1, 1, 1, 1))
    crops = [padded[:, :, top : top + 6, left : left + 6] for top in range(3) for left in range(3)]
    crops += [crop.flip(3) for crop in crops]
    matches = torch.stack([(found == crop).flatten(1).all(1) for crop in crops])
    assert (matches.sum(0) == 1).all()
    assert (matches.sum(1) > 0).all()
    rows = torch.tensor([150, 3, 150])
    assert torch.equal(data.read(rows), found[rows])
    assert data.digest(0, 10) == Augmented(whole, padding=1).digest(0, 10) != whole.digest(0, 10)
    floats = Augmented(ArrayDataset("mine", whole.images, whole.labels, ("a", "b")), padding=1)
    assert torch.equal(floats.images, found)
