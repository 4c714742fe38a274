"""Recipes: the shipped ones, users' own, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from counteract._errors import UserError
from counteract.training import METHODS, load_recipe, recipe_names


@pytest.mark.parametrize("name", recipe_names())
@pytest.mark.parametrize("method", METHODS)
def test_every_shipped_recipe_is_valid_for_every_method(name: str, method: str) -> None:
    assert method in METHODS
    load_recipe(name, method)


def test_paper_is_the_papers() -> None:
    recipe = load_recipe("paper", "iat")
    assert (recipe.epochs, recipe.batch_size, recipe.momentum, recipe.weight_decay) == (200, 64, 0.9, 0)
    assert (recipe.attack_eps, recipe.attack_step, recipe.attack_steps) == (8, 2, 10)
    rates = [recipe.learning_rate(epoch) for epoch in (0, 99.9, 100, 149.9, 150, 199)]
    assert rates == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001])


def test_pang_is_the_codes_where_that_differs_from_the_paper() -> None:
    paper, pang = (load_recipe(name, "iat") for name in ("paper", "pang"))
    differing = {name for name, value in paper.model_dump().items() if pang.model_dump()[name] != value}
    assert differing == {"validation", "attack_labels", "drops"}
    assert (pang.validation, pang.attack_labels) == (0, "predicted")
    assert (load_recipe("paper", "mixup").lr, load_recipe("pang", "mixup").lr) == (0.1, 0.01)


def test_one_cycle_goes_up_and_down_to_zero() -> None:
    recipe = load_recipe("fast", "mixup", epochs=20)
    peak = recipe.warmup * 20
    assert recipe.learning_rate(0) == 0
    assert recipe.learning_rate(peak / 2) == pytest.approx(recipe.lr / 2)
    assert recipe.learning_rate(peak) == pytest.approx(recipe.lr)
    assert recipe.learning_rate((peak + 20) / 2) == pytest.approx(recipe.lr / 2)
    assert recipe.learning_rate(20) == pytest.approx(0)


def test_a_users_file_with_tables_and_changes(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'epochs = 3\nbatch_size = 8\nlr = 0.1\nschedule = "one-cycle"\n[iat]\nlr = 0.05\n', encoding="utf-8"
    )
    assert load_recipe(str(path), "iat").lr == 0.05
    assert load_recipe(str(path), "mixup", epochs=7, precision=None).epochs == 7
    assert load_recipe(str(path), "mixup").lr == 0.1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs = 3", "batch_size: Field required"),
        (
            'epochs = 0\nbatch_size = 8\nlr = 0.1\nschedule = "steps"',
            r"epochs: .*greater than or equal to 1, found 0",
        ),
        (
            'epochs = 1\nbatch_size = 8\nlr = 0.1\nschedule = "steps"\nepoch = 2',
            "epoch: Extra inputs are not permitted",
        ),
        ('epochs = 1\nbatch_size = 8\nlr = 0.1\nschedule = "one-cycle"\ndrops = [1]', "drops belong to"),
        ("epochs = ", "not valid TOML"),
        ("mixup = 3", r"mixup must be a table"),
    ],
)
def test_a_bad_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=message):
        load_recipe(str(path), "mixup")


def test_unknown_names_are_refused() -> None:
    with pytest.raises(UserError, match="did you mean fast"):
        load_recipe("fats", "mixup")
    with pytest.raises(UserError, match="cannot be read: No such file"):
        load_recipe("missing.toml", "mixup")


@pytest.mark.parametrize("key", ["lr", "weight_decay", "alpha"])
def test_numbers_are_finite(key: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        f'epochs = 1\nbatch_size = 2\nschedule = "steps"\n{"" if key == "lr" else "lr = 1.0"}\n{key} = inf\n'
    )
    with pytest.raises(UserError, match=f"{key}: Input should be a finite number"):
        load_recipe(str(path), "standard")
