"""Order, augmentation and the validation split are functions of keys."""

from __future__ import annotations

import pytest
import torch

from counteract._errors import UserError
from counteract._random import fold, key
from counteract.datasets import ArrayDataset, Dataset
from counteract.datasets.augmented import augment
from counteract.training.data import Batches, check_splits, split_validation


def make_dataset(count: int) -> Dataset:
    """Images that are all different and never black."""
    images = torch.linspace(0.1, 1, count * 3 * 6 * 6).view(count, 3, 6, 6)
    return ArrayDataset("made-up", images, torch.arange(count) % 3, ("a", "b", "c"))


def batches(dataset: Dataset, *, seed: int = 0, padding: int = 2) -> Batches:
    return Batches(dataset, batch_size=4, seed=seed, padding=padding, flip=True, device=torch.device("cpu"))


def test_without_padding_or_flip_images_are_as_they_were() -> None:
    x = make_dataset(5).images
    assert augment(x.permute(0, 2, 3, 1), torch.arange(5), padding=0, flip=False).equal(x)


def test_flip_mirrors_about_half() -> None:
    x = make_dataset(1).images.expand(400, -1, -1, -1)
    found = augment(x.permute(0, 2, 3, 1), fold(key(0), torch.arange(400)), padding=0, flip=True)
    mirrored = (found == x.flip(3)).flatten(1).all(1)
    assert ((found == x).flatten(1).all(1) ^ mirrored).all()
    assert 160 < int(mirrored.sum()) < 240


def test_crops_cover_every_offset_and_pad_with_black() -> None:
    x = make_dataset(1).images.expand(500, -1, -1, -1)
    found = augment(x.permute(0, 2, 3, 1), fold(key(0), torch.arange(500)), padding=2, flip=False)
    padded = torch.nn.functional.pad(x[0], (2, 2, 2, 2))
    crops = [padded[:, top : top + 6, left : left + 6] for top in range(5) for left in range(5)]
    counts = torch.stack([(found == crop).flatten(1).all(1).sum() for crop in crops])
    assert int(counts.sum()) == 500
    assert int(counts.min()) > 0


def test_images_come_in_channels_last_layout() -> None:
    batch = batches(make_dataset(8)).batch(torch.arange(8), 0, 0)
    assert batch.images.is_contiguous(memory_format=torch.channels_last)


def test_an_epoch_visits_examples_once_and_drops_the_rest() -> None:
    data = batches(make_dataset(11))
    assert len(data) == 2
    assert data.order(0).sort().values.equal(torch.arange(11))
    assert not data.order(0).equal(data.order(1))
    assert not data.order(0).equal(batches(make_dataset(11), seed=1).order(0))


def test_what_is_drawn_for_an_example_does_not_depend_on_its_place_in_the_batch() -> None:
    data = batches(make_dataset(8))
    one, other = data.batch(torch.arange(8), 3, 0), data.batch(torch.arange(8).roll(1), 3, 0)
    assert one.images[:3].equal(other.images[1:])
    assert one.labels[:3].equal(other.labels[1:])
    assert one.keys[:3].equal(other.keys[1:])
    assert not one.images.equal(data.batch(torch.arange(8), 4, 0).images)


def test_the_validation_split_is_a_part_that_is_not_trained_on() -> None:
    dataset = make_dataset(45)
    training, validation = split_validation(dataset, 1000, seed=0)
    assert (len(training), len(validation)) == (41, 4)
    assert len({float(image[0, 0, 0]) for image in torch.cat([training.images, validation.images])}) == 45
    assert len(split_validation(dataset, 2, seed=0)[1]) == 2
    assert not split_validation(dataset, 4, seed=1)[1].images.equal(validation.images)


def test_all_images_may_be_trained_on() -> None:
    dataset = make_dataset(9)
    training, validation = split_validation(dataset, 0, seed=0)
    assert torch.equal(training.images, dataset.images)
    assert len(validation) == 0


def test_too_few_images_are_refused() -> None:
    with pytest.raises(UserError, match="at least 10"):
        split_validation(make_dataset(9), 5, seed=0)
    with pytest.raises(UserError, match="3 training images are left"):
        batches(make_dataset(3))


def test_splits_that_cannot_test_each_other_are_refused() -> None:
    dataset = make_dataset(12)
    training, test = dataset.select(torch.arange(8)), dataset.select(torch.arange(6, 12))
    one_class = ArrayDataset("alike", test.images, torch.zeros(6, dtype=torch.int64), ("a",))
    assert check_splits(training, test) == 2
    assert check_splits(training, dataset.select(torch.arange(8, 12))) == 0
    for train_set, test_set, message in (
        (dataset.take(0), test, "--dataset holds no images: made-up"),
        (one_class, one_class, "--dataset alike has one class, 'a': there is nothing to learn"),
        (training, dataset.take(0), "--test holds no images: made-up"),
        (training, training.take(3), "--test: all of its 3 images are training images, too"),
        (
            training,
            ArrayDataset("smaller", test.images[..., :5], test.labels, "abc"),
            "--test has images of 3 x 6 x 5, -",
        ),
    ):
        with pytest.raises(UserError, match=message):
            check_splits(train_set, test_set)
