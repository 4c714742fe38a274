"""The ensemble of augmentations against a loop over images and views."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from networks import TinyNet
from torch import Tensor, nn

from counteract import AugmentationEnsemble, DefendedModule, RandomRotation
from counteract.defences import Ingredients, build_defence

KEYS = torch.arange(6)


def view_by_hand(image: Tensor, view: tuple[int, int, int], padding: int) -> Tensor:
    """One view of one image: flipped or not, and the row and column where its window begins."""
    flipped, row, column = view
    given = image.numpy()[:, :, ::-1] if flipped else image.numpy()
    canvas = np.zeros((given.shape[0], given.shape[1] + 2 * padding, given.shape[2] + 2 * padding))
    canvas[:, padding : padding + given.shape[1], padding : padding + given.shape[2]] = given
    return torch.tensor(canvas[:, row : row + given.shape[1], column : column + given.shape[2]])


def views_drawn(defence: AugmentationEnsemble, key: int, executions: int) -> list[tuple[int, ...]]:
    """The views of one input, in the order of its executions."""
    keys = defence.execution_keys(torch.tensor([key]), torch.arange(executions), 0)
    return [tuple(view) for view in defence.draw(keys, torch.zeros(executions, 3, 8, 8), None).tolist()]


@pytest.mark.parametrize("shape", [(6, 3, 32, 32), (6, 1, 9, 5)])
def test_a_view_is_cut_out_of_the_padded_image(shape: tuple[int, ...]) -> None:
    x = torch.rand(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    parameters = torch.tensor([[0, 3, 3], [1, 3, 3], [0, 0, 5], [1, 0, 5], [0, 5, 0], [1, 4, 1]])
    found = AugmentationEnsemble(padding=3).apply(x, parameters)
    expected = [
        view_by_hand(image, (view[0], view[1], view[2]), 3) for image, view in zip(x, parameters.tolist(), strict=True)
    ]
    assert torch.equal(found, torch.stack(expected))
    assert torch.equal(found[0], x[0])
    assert torch.equal(found[1], x[1].flip(2))


@pytest.mark.parametrize(("flip", "crops"), [(True, 4), (False, 3), (True, 0)])
def test_each_round_shows_every_view_once_with_the_same_crops_of_both(flip: bool, crops: int) -> None:
    defence = AugmentationEnsemble(flip=flip, crops=crops)
    assert defence.views == (1 + flip) * (1 + crops)
    drawn = views_drawn(defence, 5, 2 * defence.views)
    rounds = drawn[: defence.views], drawn[defence.views :]
    for views in rounds:
        upright, mirrored = ({view[1:] for view in views if view[0] == side} for side in (0, 1))
        assert (4, 4) in upright
        assert len([view for view in views if view[0] == 0]) == 1 + crops
        assert mirrored == (upright if flip else set())
    assert crops == 0 or set(rounds[0]) != set(rounds[1])


def test_an_ensemble_averages_the_networks_answers_to_all_views(net: TinyNet, x: Tensor) -> None:
    net, x = net.double(), x.double()
    defence = AugmentationEnsemble(crops=2, padding=2)
    stream = [DefendedModule(net, transforms=[defence], executions=6, average="logits", executions_per_pass=count)
              for count in (1, 4, 6)]  # fmt: skip
    seen: list[Tensor] = []
    handle = net.register_forward_hook(lambda module, given, made: seen.append(given[0].detach()))
    answers = [module(x, KEYS) for module in stream]
    handle.remove()
    expected = []
    for row, image in enumerate(x):
        views = seen[-1].view(6, 6, 3, 32, 32)[row]
        windows = {
            window: view_by_hand(image, window, 2) for window in product((0, 1), range(4), range(4))
        }  # every one that there can be
        found = {next(name for name, each in windows.items() if torch.equal(each, view)) for view in views}
        assert {(0, 2, 2), (1, 2, 2)} <= found
        logits = torch.stack([net(view[None])[0] for view in views])
        expected.append(logits.mean(0).log_softmax(0))
    for answer in answers:
        torch.testing.assert_close(answer, torch.stack(expected), rtol=0, atol=1e-10)


def test_fewer_executions_show_different_views_and_all_views_come_in_turn() -> None:
    defence = AugmentationEnsemble()
    shown = [views_drawn(defence, key, 3) for key in range(200)]
    assert all(len({tuple(view) for view in views}) == 3 for views in shown[:20])
    originals = sum((0, 4, 4) in views for views in shown)
    assert 35 <= originals <= 95  # three in ten, and a crop that lies there


def test_windows_are_uniform_and_never_the_last() -> None:
    defence = AugmentationEnsemble(flip=False, crops=1)
    keys = defence.execution_keys(torch.arange(4000), torch.arange(2), 0)
    counts = defence.draw(keys, torch.zeros(8000, 3, 8, 8), None)[:, 1:].flatten().bincount()
    assert len(counts) == 8
    assert counts.min() > 850  # of 8000, beside the inputs themselves
    assert counts.max() == counts[4] > 8000


def test_draws_are_an_images_own_and_differ_by_the_place_in_a_stack(net: nn.Module, x: Tensor) -> None:
    module = DefendedModule(net, transforms=[RandomRotation(), AugmentationEnsemble()], executions=10)
    together = module(x, KEYS)
    alone = torch.cat([module(x[row : row + 1], KEYS[row : row + 1]) for row in range(6)])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)
    assert not torch.allclose(module(x, KEYS + 1), together)
    numbers = torch.arange(3)
    first, second = (AugmentationEnsemble().execution_keys(KEYS, numbers, place) for place in (0, 1))
    assert not (first == second).any()


def test_once_per_input_it_is_one_view_at_random(net: nn.Module, x: Tensor) -> None:
    defence = AugmentationEnsemble(seed=0)
    found = [defence.forward(x)[0] for _ in range(2)]
    assert found[0].shape == x.shape
    assert not torch.equal(*found)


def test_by_name_it_has_as_many_executions_as_views(net: nn.Module, x: Tensor) -> None:
    built = build_defence("augmentation-ensemble", Ingredients(net, x, 10, lambda: None), {})  # type: ignore[arg-type,return-value]
    assert built.words == "augmentation-ensemble: flip True, crops 4, padding 4, 10 views, 10 executions"


@pytest.mark.parametrize("options", [{"flip": 1}, {"crops": -1}, {"padding": 0}])
def test_wrong_arguments(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=f"^{next(iter(options))} must be"):
        AugmentationEnsemble(**options)  # type: ignore[arg-type]
