"""The boundary check for images."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from counteract._errors import UserError
from counteract._images import check_clip_values, check_images, tensor_of


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.int64, torch.uint8, torch.bool])
def test_valid_images_of_any_dtype_become_float32(dtype: torch.dtype) -> None:
    x = torch.ones(2, 3, 4, 4).to(dtype)
    assert torch.equal(check_images(x), torch.ones(2, 3, 4, 4))


def test_round_off_passes_and_more_does_not() -> None:
    x = torch.full((1, 3, 4, 4), 1 + 1e-6)
    assert check_images(x) is x
    with pytest.raises(ValueError, match="outside clip_values"):
        check_images(x + 1e-3)
    with pytest.raises(ValueError, match="outside clip_values"):
        check_images(-x * 1e-3)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (float("nan"), r"images has NaN \(image 2 of 3"),
        (float("inf"), "infinite"),
        (255.0, r"image 2 of 3, from 0.5 to 255\); pixels must lie in \[0, 1\]"),
    ],
)
def test_the_error_says_which_image_and_why(bad: float, message: str) -> None:
    x = torch.full((3, 3, 4, 4), 0.5)
    x[2, 1, 0, 3] = bad
    with pytest.raises(ValueError, match=message):
        check_images(x, name="images")


def test_other_ranges() -> None:
    x = torch.full((1, 1, 2, 2), 200)
    assert check_images(x, clip_values=(0, 255)).max() == 200
    assert check_images(x, clip_values=None).max() == 200
    with pytest.raises(ValueError, match="NaN"):
        check_images(torch.full((1, 1, 2, 2), float("nan")), clip_values=None)


def test_shapes() -> None:
    assert check_images(torch.empty(0, 3, 4, 4)).shape == (0, 3, 4, 4)
    with pytest.raises(ValueError, match=r"3 dimensions: \(3, 4, 4\)"):
        check_images(torch.zeros(3, 4, 4))
    with pytest.raises(ValueError, match="real"):
        check_images(torch.zeros(1, 3, 4, 4, dtype=torch.complex64))


def test_arrays_of_any_layout_are_tensors_and_share_memory_where_they_can() -> None:
    x = np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2) / 24
    assert tensor_of(x).data_ptr() == x.ctypes.data
    for other in (x[:, ::-1], x.astype(">f4"), x.transpose(0, 2, 3, 1), x[::2]):
        assert torch.equal(tensor_of(other), torch.tensor(other.tolist()))
    with pytest.raises(UserError, match=r"^images must hold real pixels, found object$"):
        tensor_of(x.astype(object))
    with pytest.raises(ValueError, match=r"images must be a dense tensor that holds pixels, found torch\.sparse_coo"):
        tensor_of(torch.eye(2).to_sparse())
    with pytest.raises(ValueError, match="images must be a dense tensor that holds pixels, found one on the meta"):
        tensor_of(torch.eye(2, device="meta"))


def test_what_is_no_tensor_is_named() -> None:
    with pytest.raises(ValueError, match=r"x must be a tensor of images of shape \(N, C, H, W\), found ndarray"):
        check_images(np.zeros((1, 3, 4, 4)))  # type: ignore[arg-type]


def test_images_made_in_inference_mode_can_be_differentiated() -> None:
    with torch.inference_mode():
        x = torch.ones(1, 3, 4, 4)
    assert not check_images(x).is_inference()


@pytest.mark.parametrize(
    "pair",
    [
        (0, 255),
        [0.0, 255.0],
        np.array([0, 255], np.float32),
        (np.zeros((3, 2, 2)), np.full(1, 255)),
        (torch.tensor(0), np.uint8(255)),
    ],
)
def test_ranges_in_any_numbers_are_pythons_own(pair: object) -> None:
    found = check_clip_values(pair)
    assert found == (0.0, 255.0)
    assert [type(end) for end in found] == [float, float]
    assert check_clip_values(None) is None


@pytest.mark.parametrize("bad", [(np.zeros(2), np.arange(2) + 1), (torch.zeros(2), torch.arange(2) + 1)])
def test_a_range_for_each_pixel_is_named(bad: object) -> None:
    with pytest.raises(ValueError, match=r"for all pixels .*, found arrays with another range for each pixel"):
        check_clip_values(bad)


def test_a_long_range_is_cut() -> None:
    with pytest.raises(ValueError, match="clip_values must be") as error:
        check_clip_values(list(range(1000)))
    assert len(str(error.value)) <= 300


@pytest.mark.parametrize("bad", [(1, 0), (0, 0), (0, 1, 2), "01", 1, (0, float("inf")), (float("nan"), 1)])
def test_clip_values(bad: object) -> None:
    with pytest.raises(ValueError, match="clip_values must be"):
        check_clip_values(bad)
