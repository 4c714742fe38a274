"""`WholeModule`: a stranger's whole defended network, which is asked and not taken apart."""

from __future__ import annotations

import inspect
from typing import TypeAlias

import torch
from torch import Tensor, nn

from counteract._images import check_images
from counteract._network import check_model, dtype_of
from counteract.defended import DefendedModule, keep_winner, labels_of


class WholeModule(nn.Module):
    """A whole defended network as evaluations and attacks use one: images and keys in, log-probabilities out.

    A network whose `forward` takes a parameter `keys` is passed one key per image, from which it is to make all of its
    draws. Any other network draws from the generators that it knows of, and whoever wants its answers again seeds them.

    Args:
        model: Maps images in [0, 1] to logits, log-probabilities or probabilities of shape (N, classes).
        probabilities: Whether its answers are probabilities.
    """

    executions = 1

    def __init__(self, model: nn.Module, *, probabilities: bool = False) -> None:
        super().__init__()
        check_model(model)
        self.model = model
        self.probabilities = probabilities
        self.keyed = takes_keys(model)
        self.training = model.training

    def forward(self, x: Tensor, keys: Tensor | None = None) -> Tensor:
        """Classifies a batch.

        Args:
            x: Images of shape (N, C, H, W), pixels in [0, 1].
            keys: One int64 key per image, shape (N,), for a network that takes them; None lets it draw afresh.

        Returns:
            Log-probabilities, float, shape (N, classes).

        Raises:
            UserError: (a ValueError) `x` does not hold such images.
        """
        answers = self._ask(x, keys)
        if self.probabilities:
            scores = answers.clamp(min=torch.finfo(answers.dtype).tiny).log()
        else:
            scores = answers.log_softmax(dim=1)
        return keep_winner(scores, answers)

    def classify(self, x: Tensor, keys: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The labels that the network's own answers favour; -1 where an answer is not finite.

        Args:
            x: As in `forward`.
            keys: As in `forward`.

        Returns:
            The labels, and how many executions each took, which is one: both int64, shape (N,).
        """
        with torch.no_grad():
            labels = labels_of(self._ask(x, keys))
        return labels, torch.ones_like(labels)

    def preprocess(self, x: Tensor, keys: Tensor) -> Tensor:
        """The images as they are: nothing is known of what such a network does to them first."""
        del keys
        return x

    def _ask(self, x: Tensor, keys: Tensor | None) -> Tensor:
        """The network's own answers; it is given a copy, which it may write into."""
        x = check_images(x, dtype=dtype_of(self.model)).clone()
        answers: Tensor = self.model(x, keys=keys) if self.keyed and keys is not None else self.model(x)
        return answers


Defended: TypeAlias = DefendedModule | WholeModule
"""A network with its defence, as it is judged and attacked."""


def takes_keys(model: nn.Module) -> bool:
    """Whether a network's `forward` has a parameter `keys`."""
    try:
        return "keys" in inspect.signature(model.forward).parameters
    except (TypeError, ValueError):  # of a forward without a signature, such as a compiled one
        return False
