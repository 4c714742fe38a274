"""Training: standard, Mixup and interpolated adversarial training, one loop on Lightning Fabric."""

from counteract._extras import needing

with needing("train"):
    from counteract.training.loop import Run, train
    from counteract.training.recipe import METHODS, Method, Recipe, load_recipe, recipe_names

__all__ = ["METHODS", "Method", "Recipe", "Run", "load_recipe", "recipe_names", "train"]
