"""`WholeModule`: a stranger's whole defended network, which is asked and not taken apart."""

from __future__ import annotations

import inspect
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from counteract import _random
from counteract._answers import labels_of
from counteract._images import check_images
from counteract._network import ask, check_model, dtype_of, is_training, of_use, with_graph
from counteract._seeding import seeded
from counteract._softmax import log_probabilities
from counteract.defended import DefendedModule, keep_winner
from counteract.models.checks import are_probabilities, outputs_of


class WholeModule(nn.Module):
    """A whole defended network as evaluations and attacks use one: images and keys in, log-probabilities out.

    A network whose `forward` takes a parameter `keys` is passed one key per image, from which it is to make all of its
    draws. Any other network draws from the generators that it knows of, and whoever wants its answers again seeds them.

    Args:
        model: Maps images in [0, 1] to logits, log-probabilities or probabilities of shape (N, classes).
        probabilities: True if its answers are probabilities; `whole_module` finds it out.
    """

    executions = 1

    def __init__(self, model: nn.Module, *, probabilities: bool = False) -> None:
        super().__init__()
        check_model(model)
        self.answers = Answers(model)
        self.probabilities = probabilities
        self.training = is_training(model)

    @property
    def model(self) -> nn.Module:
        """The network."""
        return self.answers.model

    @property
    def keyed(self) -> bool:
        """True if the network is passed keys."""
        return self.answers.keyed

    def forward(self, x: Tensor, keys: Tensor | None = None) -> Tensor:
        """Classifies a batch.

        Args:
            x: Images of shape (N, C, H, W), pixels in [0, 1].
            keys: One int64 key per image, shape (N,), for a network that takes them; None draws afresh.

        Returns:
            Log-probabilities, float, shape (N, classes).

        Raises:
            UserError: (a ValueError) `x` does not hold such images.
        """
        if self.probabilities:
            return keep_winner(*log_probabilities(lambda: self.answers(x, keys)))
        answers = self.answers(x, keys)
        return keep_winner(answers.log_softmax(dim=1), answers)

    def classify(self, x: Tensor, keys: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The labels that the network's own answers favour; -1 where an answer is not finite.

        Args:
            x: As in `forward`.
            keys: As in `forward`.

        Returns:
            The labels, and how many executions each took, which is one: both int64, shape (N,).
        """
        with torch.no_grad():
            labels = labels_of(self.answers(x, keys))
        return labels, torch.ones_like(labels)

    def preprocess(self, x: Tensor, keys: Tensor) -> Tensor:
        """The images as they are: nothing is known of what such a network does to them first."""
        del keys
        return x


class Answers(nn.Module):
    """A stranger's network, which is given copies of images that it may write into, and keys if it takes them.

    Args:
        model: The network.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.keyed = _takes_keys(model)
        self.training = is_training(model)

    def forward(self, x: Tensor, keys: Tensor | None = None) -> Tensor:
        """The network's own answers."""
        x = check_images(x, dtype=dtype_of(self.model))
        if self.keyed and keys is None:
            keys = _random.fresh_keys(len(x), x.device)
        return ask(self.model, x, keys if self.keyed else None, name=f"model {type(self.model).__name__}")


class _Lent(nn.Module):
    """A defended network's answers with a gradient that another network lends.

    Args:
        defended: The network whose answers they are.
        network: Maps the same images to logits.
    """

    def __init__(self, defended: Defended, network: nn.Module) -> None:
        super().__init__()
        self.defended = defended
        self.network = network
        self.training = is_training(network)


class Through(_Lent):
    """A defended network's answers with the gradient of another network: of the one without the defence, say."""

    def forward(self, x: Tensor, keys: Tensor) -> Tensor:
        """The defended network's log-probabilities."""
        with torch.no_grad():
            exact: Tensor = self.defended(x, keys)
        if not (torch.is_grad_enabled() and x.requires_grad):
            return exact
        scores = ask(self.network, x).log_softmax(dim=1).to(exact.dtype)
        return exact + (scores - scores.detach())


class Patched(_Lent):
    """A defended network's answers with its own gradient, and another network's at the images where it has none.

    None is one that is finite nowhere but where it is zero, such as that of the logarithm of zero.
    """

    def forward(self, x: Tensor, keys: Tensor) -> Tensor:
        """The defended network's log-probabilities."""
        if not (torch.is_grad_enabled() and x.requires_grad):
            answers: Tensor = self.defended(x, keys)
            return answers
        patched: Tensor = _Patch.apply(x, keys, self.defended, self.network)
        return patched


class _Patch(torch.autograd.Function):
    """The answers of one network, with its own gradient or another's, image by image."""

    @staticmethod
    def forward(context: Any, x: Tensor, keys: Tensor, defended: Defended, network: nn.Module) -> Tensor:
        with torch.enable_grad():
            points = x.detach().requires_grad_()
            answers = with_graph(defended(points, keys), points)
        context.points, context.answers, context.network = points, answers, network
        return answers.detach()

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Any:
        points, (gradient,) = context.points, gradients
        (found,) = torch.autograd.grad(context.answers, points, gradient, retain_graph=True)
        none = ~of_use(found)
        if none.any():
            with torch.enable_grad():
                others = points.detach()[none].requires_grad_()
                scores = ask(context.network, others).log_softmax(dim=1).to(gradient.dtype)
                (found[none],) = torch.autograd.grad(scores, others, gradient[none])
        return found, None, None, None


Defended: TypeAlias = DefendedModule | WholeModule
"""A network with its defence, as it is judged and attacked."""


def whole_module(model: nn.Module, images: Tensor) -> WholeModule:
    """Makes a whole defended network, whose answers to a few images show if they are probabilities.

    Args:
        model: The network; it is left as it was found.
        images: A few images in [0, 1], shape (N, C, H, W).

    Raises:
        UserError: (a ValueError) it is no network, does not take such images, or returns something else.
    """
    check_model(model)
    with seeded(0):
        answers = outputs_of(Answers(model), type(model).__name__, images)
    return WholeModule(model, probabilities=are_probabilities(answers))


def _takes_keys(model: nn.Module) -> bool:
    """Returns True where a network's `forward` has a parameter `keys`."""
    try:
        return "keys" in inspect.signature(model.forward).parameters
    except (TypeError, ValueError):  # of a forward without a signature, such as a compiled one
        return False
