"""`DefendedClassifier`: ART's `PyTorchClassifier`, averaged over randomised executions."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from art.defences.preprocessor.preprocessor import Preprocessor, PreprocessorPyTorch
from art.estimators.classification import PyTorchClassifier
from art.estimators.estimator import NeuralNetworkMixin
from art.preprocessing.standardisation_mean_std.pytorch import StandardisationMeanStdPyTorch
from torch import Tensor, nn

from counteract import _random
from counteract._errors import UserError
from counteract._images import check_images
from counteract._network import answer_of, ask, check_model, device_of, dtype_of, evaluating, is_training
from counteract.defended import Average, DefendedModule
from counteract.preprocessors import RandomPreprocessor
from counteract.preprocessors.adapter import adapt_all

_CLOSE = 1e-3
"""The share of the largest score by which round-off may change an answer."""

_CHECKED = frozenset({"preprocessing", "preprocessing_defences", "transforms", "channels_first", "clip_values"})
"""The parameters that decide, besides the network, if a defence can do its work."""


class DefendedClassifier(PyTorchClassifier):
    """An ART classifier whose every output and gradient is that of the averaged, defended network.

    `preprocessing_defences` are ART's own: they run once per input. `transforms` are redrawn for each of the
    `executions`, whose outputs are averaged (see `DefendedModule`): `predict`, `loss_gradient`, `class_gradient`,
    `compute_loss` and so every attack of ART see log-probabilities of the average. Without `transforms` this is
    `PyTorchClassifier`, exactly.

    `model` is the network with its transforms, so that whoever builds a classifier of it, as ART's AutoPGD does, has
    the defended one; `undefended` is the network without. The layers, parameters and buffers of both go by the same
    names: what is saved and loaded is the network.

    `get_activations` returns arrays of the undefended network's activations, as without `transforms`; but tensors, with
    `framework=True`, which attacks differentiate, are means over the executions.

    `fit` and `fit_generator` train the undefended network through those transforms alone that have `apply_fit=True`,
    one draw each. ART's trainers with loops of their own (`AdversarialTrainerTRADES` and others) train `model`.
    `clone_for_refitting` copies the network and shares the defences: a defence that holds the old network still uses
    it, so give a refitted clone defences of its own.

    Args:
        model: The undefended network: images in `clip_values` to logits, normalisation inside.
        loss: As in ART; it is given log-probabilities where there are transforms.
        input_shape: The shape of one image.
        nb_classes: The number of classes.
        preprocessing_defences: As in ART; in NumPy and PyTorch, mixed as you like, which ART itself does not take.
        transforms: Preprocessors of this package, of ART or a stranger's, that are redrawn for each execution.
        executions: The number of executions, 1 or more.
        average: `"probabilities"` or `"logits"`.
        executions_per_pass: See `DefendedModule`.
        **kwargs: The rest of `PyTorchClassifier`'s arguments.

    Raises:
        UserError: (a ValueError) an argument is out of its range; `preprocessing` is combined with transforms, or with
            a defence whose network does not standardise as it does; or images with channels last with a defence that
            moves pixels.

    Examples:
        >>> import torch
        >>> from art.attacks.evasion import FastGradientMethod
        >>> from counteract import DefendedClassifier, RandomCropPad, load_model
        >>> from counteract.datasets import load_dataset
        >>> data = load_dataset("digits").take(8)
        >>> classifier = DefendedClassifier(
        ...     load_model("digits-resnet-mixup"),
        ...     loss=torch.nn.CrossEntropyLoss(),
        ...     input_shape=(3, 32, 32),
        ...     nb_classes=10,
        ...     clip_values=(0, 1),
        ...     transforms=[RandomCropPad(size=(24, 30))],
        ...     executions=20,
        ... )
        >>> adversarial = FastGradientMethod(classifier, eps=12 / 255).generate(data.images.numpy())
        >>> classifier.predict(adversarial).shape
        (8, 10)
    """

    estimator_params = (
        *PyTorchClassifier.estimator_params, "transforms", "executions", "average", "executions_per_pass",
    )  # fmt: skip

    def __init__(
        self,
        model: nn.Module,
        loss: nn.modules.loss._Loss,
        input_shape: tuple[int, ...],
        nb_classes: int,
        *,
        preprocessing_defences: Any = None,
        transforms: Sequence[RandomPreprocessor[Any]] | None = None,
        executions: int = 1,
        average: Average = "probabilities",
        executions_per_pass: int | None = None,
        **kwargs: Any,
    ) -> None:
        check_model(model)
        defences = _alike(preprocessing_defences)
        super().__init__(model, loss, input_shape, nb_classes, preprocessing_defences=defences, **kwargs)
        self._undefended = model
        self._transforms = transforms
        self._executions = executions
        self._average = average
        self._executions_per_pass = executions_per_pass
        self._defend()
        self._check_defences()

    @property
    def undefended(self) -> nn.Module:
        """The network without transforms."""
        return self._undefended

    @property
    def transforms(self) -> Sequence[RandomPreprocessor[Any]] | None:
        """The defences that are redrawn for each execution."""
        return self._transforms

    @property
    def executions(self) -> int:
        """The number of executions that are averaged."""
        return self._executions

    @property
    def average(self) -> Average:
        """The answers that are averaged: `probabilities` or `logits`."""
        return self._average

    @property
    def executions_per_pass(self) -> int | None:
        """The number of executions that go through the network together; see `DefendedModule`."""
        return self._executions_per_pass

    def get_params(self) -> dict[str, Any]:
        """Returns the parameters as the constructor takes them: `model` is the undefended network."""
        parameters: dict[str, Any] = super().get_params()
        return parameters | {"model": self._undefended}

    def set_params(self, **kwargs: Any) -> None:
        """Changes parameters, as in ART, and builds the defended network anew; on an error nothing is changed.

        Raises:
            UserError: (a ValueError) see the class.
        """
        before = self.__dict__ | {"preprocessing_operations": list(self.preprocessing_operations)}
        wrapper, model = self._model, self.model
        try:
            network = kwargs.pop("model", self._undefended)
            if isinstance(preprocessing := kwargs.get("preprocessing"), tuple):
                kwargs["preprocessing"] = StandardisationMeanStdPyTorch(*preprocessing, device_type=self.device_type)
            if "preprocessing_defences" in kwargs:
                kwargs["preprocessing_defences"] = _alike(kwargs["preprocessing_defences"])
            super().set_params(**kwargs)
            self._replace(network)
            self._defend()
            if self._undefended is not before["_undefended"] or kwargs.keys() & _CHECKED:
                self._check_defences()
        except Exception:
            self.__dict__, wrapper._model = before, model
            raise

    def reduce_labels(self, y: Any) -> Any:
        """Returns labels as the loss wants them: as in ART, or int64 of integers of any kind."""
        if y.ndim == 1 and self._reduce_labels and self._int_labels:
            return y.long() if isinstance(y, Tensor) else y.astype(np.int64)
        return super().reduce_labels(y)

    def compute_loss(self, x: Any, y: Any, reduction: str = "none", **kwargs: Any) -> Any:
        """Computes the loss as in ART, which changes the loss meanwhile: here a copy, not that of other threads."""
        twin = self._twin(_loss=copy.copy(self._loss))
        if isinstance(y, Tensor) and y.ndim == 1:
            y = nn.functional.one_hot(y.long(), self.nb_classes)  # of which ART would make an array
        return super(DefendedClassifier, twin).compute_loss(x, y, reduction, **kwargs)

    @torch.inference_mode(False)
    @torch.enable_grad()
    def loss_gradient(self, *args: Any, **kwargs: Any) -> Any:
        """Computes the gradient of the loss as in ART, also where a caller has turned gradients off."""
        return super().loss_gradient(*args, **kwargs)

    @torch.inference_mode(False)
    @torch.enable_grad()
    def class_gradient(self, *args: Any, **kwargs: Any) -> Any:
        """Computes the gradients of classes as in ART, also where a caller has turned gradients off."""
        return super().class_gradient(*args, **kwargs)

    def fit(self, *args: Any, **kwargs: Any) -> None:
        """Trains the undefended network as in ART, through the transforms with `apply_fit=True`."""
        super(DefendedClassifier, self._twin(self._made("apply_fit", 1))).fit(*args, **kwargs)

    def fit_generator(self, generator: Any, nb_epochs: int = 20, **kwargs: Any) -> None:
        """Trains the undefended network as in ART, through all defences with `apply_fit=True`."""
        if any(defence.apply_fit for defence in self.preprocessing_defences or ()):
            NeuralNetworkMixin.fit_generator(self, generator, nb_epochs=nb_epochs)  # ART's own would leave them out
            return
        twin = self._twin(self._made("apply_fit", 1))
        super(DefendedClassifier, twin).fit_generator(generator, nb_epochs=nb_epochs, **kwargs)

    def clone_for_refitting(self) -> DefendedClassifier:
        """Returns a classifier with a copy of the undefended network, without its weights, and the same defences."""
        clone: DefendedClassifier = super(DefendedClassifier, self._twin(self._undefended)).clone_for_refitting()
        return clone

    def get_activations(
        self, x: Any, layer: int | str | None = None, batch_size: int = 128, framework: bool = False
    ) -> Any:
        """Returns a layer's activations: an array, of the undefended network; or a tensor, the mean over executions."""
        self._model.eval()
        activations, defended = _Activations(self._undefended, self._layer_name(layer)), self.model
        preprocessed, _ = self._apply_preprocessing(x, None, fit=False, no_grad=not framework)
        pixels = torch.as_tensor(preprocessed, device=self._device)
        if framework:
            rows = _mean(activations, defended, pixels) if isinstance(defended, _Defended) else activations(pixels)
            return rows.view(len(pixels), *activations.shape)
        with torch.no_grad():
            rows = torch.cat([activations(part) for part in pixels.split(batch_size)])
        return rows.view(len(pixels), *activations.shape).cpu().numpy()

    def _layer_name(self, layer: int | str | None) -> str:
        """A layer's name, of its name or its index."""
        if isinstance(layer, str) and layer in self._layer_names:
            return layer
        if isinstance(layer, int) and -len(self._layer_names) <= layer < len(self._layer_names):
            name: str = self._layer_names[layer]
            return name
        raise UserError(f"layer must be one of {', '.join(self._layer_names)}, or its index, found {layer!r}")

    def _apply_preprocessing(self, x: Any, y: Any, fit: bool = False, no_grad: bool = True) -> tuple[Any, Any]:
        """Applies ART's own defences, to images that transforms can take."""
        if isinstance(self.model, _Defended):
            check_images(torch.as_tensor(x).detach(), clip_values=self._range(), name="x")
        done: tuple[Any, Any] = super()._apply_preprocessing(x, y, fit=fit, no_grad=no_grad)
        return done

    def _replace(self, network: nn.Module) -> None:
        """Takes another undefended network, as the constructor does."""
        check_model(network)
        if network is not self._undefended:
            self._undefended = network.to(self._device)
            self._model = self._make_model_wrapper(network)
            self._layer_names = self._model.get_layers

    def _make_model_wrapper(self, model: nn.Module) -> Any:
        """ART's wrapper of a network, which gets copies of what ART passes it."""
        wrapper = super()._make_model_wrapper(model)
        wrapper.register_forward_pre_hook(_copied)
        return wrapper

    def _defend(self) -> None:
        """Puts the network, averaged over the transforms that apply, where ART looks for its model."""
        if self._transforms is not None:
            self._transforms = list(adapt_all(self._transforms, "transforms"))
        self._model._model = self._made("apply_predict", self._executions)

    def _made(self, applies: str, executions: int) -> nn.Module:
        """The network, averaged over the transforms that apply; the undefended one where none does."""
        transforms = [transform for transform in self._transforms or () if getattr(transform, applies)]
        defended = _Defended(
            self._undefended,
            transforms=transforms,
            executions=executions,
            average=self._average,
            executions_per_pass=self._executions_per_pass,
            # After ART's own defences any: they may leave the range.
            clip_values=None if self.preprocessing_defences else self._range(),
        )
        return defended if transforms else self._undefended

    def _twin(self, network: nn.Module | None = None, **changes: Any) -> DefendedClassifier:
        """The same classifier with another network or other changes, while other threads may be using this one."""
        if network is not None:
            changes["_model"] = copy.copy(self._model)  # ART's wrapper, with whatever hooks it has
            changes["_model"].__dict__["_modules"] = {"_model": network}
        twin = object.__new__(type(self))
        twin.__dict__ = self.__dict__ | changes
        return twin

    def _range(self) -> tuple[float, float] | None:
        """Returns the range that all pixels lie in, if that is known."""
        if self.clip_values is None:
            return None
        return float(np.min(self.clip_values[0])), float(np.max(self.clip_values[1]))

    def _check_defences(self) -> None:
        """Raises UserError where a defence cannot do its work on such images, or on such a network."""
        transforms = [each for each in self._transforms or () if each.apply_predict or each.apply_fit]
        own = [d for d in (*(self.preprocessing_defences or ()), *transforms) if isinstance(d, RandomPreprocessor)]
        if moving := [type(defence).__name__ for defence in own if defence.spatial and not self.channels_first]:
            raise UserError(
                f"channels_first is False, but {moving[0]} moves pixels in images of shape (N, C, H, W):"
                " transpose the images, set channels_first=True, and let the network transpose them back if it must"
            )
        self._check_standardisation(transforms, own)

    def _check_standardisation(self, transforms: Sequence[Any], own: Sequence[RandomPreprocessor[Any]]) -> None:
        """Raises UserError where ART standardises images after defences that need the network to do it."""
        if self.preprocessing is None or _is_identity(self.preprocessing):
            return
        if transforms:
            raise UserError(
                "preprocessing cannot be combined with transforms, which need pixels in clip_values:"
                " normalise inside the network (counteract.models.Normalize)"
            )
        for defence in own:
            network = getattr(defence, "model", None)
            if isinstance(network, nn.Module) and not self._standardises(network):
                raise UserError(
                    f"preprocessing cannot be combined with {type(defence).__name__}, whose network gets pixels in"
                    " clip_values and does not standardise them alike: normalise inside the network"
                    " (counteract.models.Normalize), or give the defence from_art(classifier)"
                )

    def _standardises(self, network: nn.Module) -> bool:
        """Asks a defence's network, which gets images as they are, for what this one answers to standardised images."""
        keys = _random.fold(_random.key(0), torch.arange(4))
        low, high = self._range() or (0.0, 1.0)
        images = low + (high - low) * _random.uniform(keys, math.prod(self.input_shape)).float()
        images = images.view(len(keys), *self.input_shape)
        standardised = torch.as_tensor(self.preprocessing(images.numpy())[0])
        try:
            found, expected = _answers(network, images), _answers(self._undefended, standardised)
        except (RuntimeError, ValueError, TypeError, IndexError):  # one that does not take such images
            return False
        close = _CLOSE * float(expected.abs().max())
        return found.shape == expected.shape and torch.allclose(found, expected, rtol=_CLOSE, atol=close)


class _Defended(DefendedModule):
    """A defended network whose layers, parameters and buffers go by the names that they have in the undefended one.

    It has that network's own containers of them, and answers for it wherever ART trains, reads or changes a network.
    """

    def __init__(self, model: nn.Module, **options: Any) -> None:
        super().__init__(model, **options)
        names = ("_modules", "_parameters", "_buffers", "_non_persistent_buffers_set")
        self.__dict__ |= {"model": model} | {name: getattr(model, name) for name in names}

    @property
    def training(self) -> bool:
        """The mode of the network."""
        return self.model.training

    @training.setter
    def training(self, mode: bool) -> None:
        if "model" in self.__dict__:  # not so while torch sets up an empty module
            self.model.training = mode

    def train(self, mode: bool = True) -> _Defended:
        """Puts the network into a mode."""
        self.model.train(mode)
        return self

    def apply(self, fn: Any) -> _Defended:
        """Applies a function to the network's modules."""
        self.model.apply(fn)
        return self

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Returns the network's parameters and buffers."""
        return self.model.state_dict(*args, **kwargs)

    def load_state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Loads the network's parameters and buffers."""
        return self.model.load_state_dict(*args, **kwargs)


class _Activations(nn.Module):
    """A network that returns what one of its layers does, a row an image.

    Attributes:
        shape: The shape that a row was of.
    """

    def __init__(self, network: nn.Module, layer: str) -> None:
        super().__init__()
        self.network, self.layer, self.shape = network, layer, torch.Size()
        self.training = is_training(network)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the layer's activations."""
        seen: list[Tensor] = []
        hook = self.network.get_submodule(self.layer).register_forward_hook(lambda *call: seen.append(call[2]))
        try:
            answer_of(self.network, x)
        finally:
            hook.remove()
        if not seen:
            raise UserError(f"layer {self.layer} is not reached by images: choose another")
        self.shape = seen[-1].shape[1:]
        return seen[-1].flatten(1)


def _mean(activations: _Activations, defended: DefendedModule, x: Tensor) -> Tensor:
    """The mean of a layer's activations over the executions of a defended network."""
    averaged = DefendedModule(
        activations,
        transforms=defended.transforms,
        executions=defended.executions,
        average="logits",
        executions_per_pass=defended.executions_per_pass,
    )
    return averaged.mean(x, _random.fresh_keys(len(x), x.device))


def _answers(network: nn.Module, images: Tensor) -> Tensor:
    """A network's answers to images, in double precision."""
    with evaluating(network), torch.no_grad():
        return ask(network, images.to(device_of(network), dtype_of(network))).cpu().double()


def _alike(defences: Any) -> Any:
    """Returns ART's defences such that it takes them: of several, those in NumPy are adapted.

    ART runs one in NumPy, or several in PyTorch; of others it says that their combination is not supported.
    """
    several = [defences] if isinstance(defences, Preprocessor) else list(defences or ())
    if len(several) < 2 or all(isinstance(each, PreprocessorPyTorch) for each in several):
        return defences
    return list(adapt_all(several, "preprocessing_defences"))


def _copied(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """Gives the network a copy of what ART passes it, which may be the caller's array: it may write into it."""
    del module
    return tuple(each.clone() if isinstance(each, torch.Tensor) else each for each in inputs)


def _is_identity(standardisation: Any) -> bool:
    """Returns whether ART's standardisation subtracts zero and divides by one."""
    mean, std = getattr(standardisation, "mean", None), getattr(standardisation, "std", None)
    return mean is not None and not np.any(torch.as_tensor(mean).cpu().numpy()) and bool(np.all(np.asarray(std) == 1))
