"""`Adapted`: any of ART's preprocessors, or a stranger's, as a defence like those of this package."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch
from art.defences.preprocessor.preprocessor import Preprocessor, PreprocessorPyTorch
from torch import Tensor
from typing_extensions import Unpack

from counteract._batches import out_of_memory
from counteract._clamp import clamp
from counteract._errors import StrangersError, UserError, describe
from counteract._keeping import check_memory
from counteract._network import evaluating
from counteract._seeding import OneByOne, global_state, own_generators, seeded
from counteract._strangers import offered, strangers_code
from counteract.preprocessors.base import Options, RandomPreprocessor, number_in_words

Gradient = Literal["exact", "estimate", "identity", "none"]
"""The gradient that passes back: autograd's, the preprocessor's own estimate, the identity (BPDA), or none at all."""

_GRADIENTS = {
    "exact": "",
    "estimate": "its own estimate for a gradient",
    "identity": "the identity for a gradient (BPDA)",
    "none": "no gradient",
}

_CHANNELS_LAST = ("TotalVarMin",)
"""Preprocessors of ART that want channels last and have no `channels_first` to say so."""

_NOT_SAID = ("apply_fit", "apply_predict", "_apply_fit", "_apply_predict", "channels_first", "clip_values", "verbose")
"""Parameters that reports leave out."""

Part = RandomPreprocessor[Any]


class Adapted(RandomPreprocessor[Tensor]):
    """An ART preprocessor as a defence that draws from keys and passes gradients back.

    Images go in with pixels in [0, 1] and channels first; the preprocessor gets them in its own `clip_values`, in the
    order of channels that its `channels_first` says, and without labels. One in PyTorch is differentiated exactly, by
    its `estimate_forward` where it has one; one in NumPy by its `estimate_gradient`, which is the identity unless it
    says otherwise: BPDA (Athalye et al. 2018). One in PyTorch whose gradient is none or zero throughout gets the
    identity, too.

    What draws random numbers, or treats an image otherwise in other company, is given one image at a time, with the
    generators of PyTorch, NumPy and Python and those that it holds seeded by the image's key: nothing depends on the
    batch. Networks that it holds are in eval mode meanwhile, and left as they were found.

    Args:
        preprocessor: The preprocessor.
        name: Its name in errors and reports; None for that of its class.
        pixel_range: The range of its pixels where it has no `clip_values`; None for [0, 1].
        **options: Those of `RandomPreprocessor`; `clip_values` are those of the images that go in.

    Raises:
        UserError: (a ValueError) it is no preprocessor, or one that acts in training only.
    """

    params: ClassVar[list[str]] = [*RandomPreprocessor.params, "preprocessor"]

    def __init__(
        self,
        preprocessor: Preprocessor,
        *,
        name: str | None = None,
        pixel_range: tuple[float, float] | None = None,
        **options: Unpack[Options],
    ) -> None:
        options.setdefault("clip_values", None)
        super().__init__(**options)
        self.preprocessor = preprocessor
        self.name = name or type(preprocessor).__name__
        self.pixel_range = pixel_range
        self._check_params()
        self._one_by_one = OneByOne(preprocessor)
        self._alone: bool | None = None
        self._gradient: Gradient | None = None

    def draw(self, keys: Tensor, x: Tensor, prepared: Tensor | None) -> Tensor:
        """Returns the keys: the preprocessor draws from generators that they seed."""
        del x, prepared
        return keys

    def apply(self, x: Tensor, parameters: Tensor) -> Tensor:
        """Applies the preprocessor, to one image at a time where it must."""
        return self._differentiable(x, parameters if self._stands_alone(x) else None)

    def look(self, x: Tensor) -> None:
        """Finds out, by a few images, if they must go one at a time, and what gradient there is.

        Raises:
            UserError: (a ValueError) it does not take such images, or returns something else.
        """
        try:
            with strangers_code(f"defence {self.name}"):
                self._stands_alone(x)
                self._find_gradient(x)
                self._check_memory(x)
        except StrangersError as error:
            shape, cause = tuple(x.shape[1:]), error.__cause__
            what = describe(cause) if cause is not None else str(error)
            raise StrangersError(f"it does not take images of shape {shape}: {what}") from cause

    def describe(self) -> str:
        """Returns the preprocessor's parameters in words, and what is to be known of its gradient and its draws."""
        names = [name for name in getattr(self.preprocessor, "params", ()) if name not in _NOT_SAID]
        given = {each: value for each in names if isinstance(value := self._value(each), (bool, int, float, str))}
        values = [f"{each} {number_in_words(each, value)}" for each, value in given.items()]
        found = [_GRADIENTS[self._gradient]] if self._gradient else []
        found += ["one image at a time with seeded generators"] * bool(self._alone)
        return ", ".join(filter(None, [*values, *found]))

    @property
    def gradient(self) -> Gradient | None:
        """The gradient that passes back; None until images were looked at."""
        return self._gradient

    def smooth(self) -> Part | None:
        """The surrogate that the preprocessor offers by a method of this name."""
        return self._offered("smooth")

    def reversed(self) -> Part | None:
        """The surrogate that the preprocessor offers by a method of this name."""
        return self._offered("reversed")

    def with_fewer_steps(self, steps: int) -> Part | None:
        """The surrogate that the preprocessor offers by a method of this name."""
        return self._offered("with_fewer_steps", steps)

    def _offered(self, offer: str, *arguments: int) -> Part | None:
        made = offered(self.preprocessor, offer, *arguments)
        return None if made is None else adapt(made, self.name)

    def _differentiable(self, x: Tensor, keys: Tensor | None = None) -> Tensor:
        """Applies the preprocessor with the gradient that was found for it, one by one if there are keys."""
        if not (torch.is_grad_enabled() and x.requires_grad):
            return self._made(x.detach(), keys)
        gradient = self._gradient or self._find_gradient(x.detach())
        if gradient == "estimate":
            estimated: Tensor = _Estimated.apply(x, self, keys)
            return estimated
        made = self._made(x if gradient == "exact" else x.detach(), keys)
        return made + (x - x.detach()) if gradient == "identity" else made

    def _made(self, x: Tensor, keys: Tensor | None) -> Tensor:
        """Applies the preprocessor, its networks in eval mode, with the gradient that it has by itself."""
        with evaluating(self.preprocessor):
            return self._from_own(self._call(self._to_own(x), keys), x)

    def _call(self, own: Tensor, keys: Tensor | None) -> Tensor:
        """Calls the preprocessor with images in its own form, one by one if there are keys."""
        if isinstance(self.preprocessor, PreprocessorPyTorch):
            each = own.split(1)
            return self._forward(own) if keys is None else torch.cat(self._one_by_one(self._forward, each, keys))
        images = own.detach().cpu().numpy()
        if keys is None:
            made = self._called(images)
        else:
            made = np.concatenate(self._one_by_one(self._called, np.split(images, len(images)), keys))
        return torch.from_numpy(made).to(own.device)

    def _forward(self, own: Tensor) -> Tensor:
        """Calls a preprocessor in PyTorch, with the gradient of its estimate where it has one."""
        assert isinstance(self.preprocessor, PreprocessorPyTorch)
        exact = self._checked(_images_in(self.preprocessor.forward(own.clone())), own)
        overridden = type(self.preprocessor).estimate_forward is not PreprocessorPyTorch.estimate_forward
        if not (overridden and torch.is_grad_enabled() and own.requires_grad):
            return exact
        estimate = self._checked(_images_in(self.preprocessor.estimate_forward(own.clone())), own)
        return exact.detach() + (estimate - estimate.detach())

    def _called(self, own: npt.NDArray[Any]) -> npt.NDArray[Any]:
        made = np.asarray(_images_in(self.preprocessor(own.copy())))
        if made.dtype.kind not in "buif" or made.ndim < 2 or len(made) != len(own):
            raise UserError(f"defence {self.name} must return {len(own)} images, found {made.dtype}, {made.shape}")
        return made.astype(own.dtype)

    def _checked(self, made: object, own: Tensor) -> Tensor:
        if not isinstance(made, Tensor) or made.ndim < 2 or len(made) != len(own):
            found = tuple(made.shape) if isinstance(made, Tensor) else type(made).__name__
            raise UserError(f"defence {self.name} must return {len(own)} images, found {found}")
        return made.to(own.device)

    def _to_own(self, x: Tensor) -> Tensor:
        """Images in the preprocessor's own range, order and dtype."""
        if self._range is not None:
            low, high = self._range
            x = clamp(x, 0, 1)
            x = x if (low, high) == (0, 1) else low + (high - low) * x
        return (x.permute(0, 2, 3, 1) if self._channels_last else x).float().contiguous()

    def _from_own(self, own: Tensor, x: Tensor) -> Tensor:
        """Images as they came, of the dtype of `x`."""
        if self._channels_last and own.ndim == 4:
            own = own.permute(0, 3, 1, 2)
        if self._range not in (None, (0, 1)):
            low, high = self._range
            own = (own - low) / (high - low)
        return own.to(x.dtype)

    def _estimate(self, x: Tensor, gradient: Tensor, keys: Tensor | None) -> Tensor:
        """Returns the gradient with respect to images by the own estimate, of one after the other if there are keys."""
        if keys is None:
            return self._estimated(x, gradient)
        each = list(zip(x.split(1), gradient.split(1), strict=True))
        return torch.cat(self._one_by_one(lambda pair: self._estimated(*pair), each, keys))

    def _estimated(self, x: Tensor, gradient: Tensor) -> Tensor:
        order = (0, 2, 3, 1) if self._channels_last else (0, 1, 2, 3)
        at, along = self._to_own(x).cpu().numpy(), gradient.permute(order).float().cpu().numpy()
        found = torch.from_numpy(np.array(self.preprocessor.estimate_gradient(at, along)))
        if found.shape != at.shape:
            shapes = f"shape {tuple(at.shape)}, found {tuple(found.shape)}"
            raise UserError(f"defence {self.name}: estimate_gradient must return a gradient of {shapes}")
        back = found.permute(0, 3, 1, 2) if self._channels_last else found
        return back.to(gradient.device, gradient.dtype)

    def _stands_alone(self, x: Tensor) -> bool:
        """Returns True if images must go one at a time, which a few show the first time."""
        if self._alone is None:
            few = torch.cat([x[:2], x[:1].flip(3)]).detach()
            with torch.no_grad(), seeded(0):
                before = global_state()
                alike = [self._is_alike(ask, few) for ask in (self._differentiable, self._tried_estimate)]
                drawn = global_state() != before or bool(own_generators(self.preprocessor))
            self._alone = drawn or not all(alike)
        return self._alone

    def _is_alike(self, ask: Callable[[Tensor], Tensor], few: Tensor) -> bool:
        """Returns True where images are treated together as they are alone."""
        together = ask(few)
        alone = torch.cat([ask(image) for image in few.split(1)])
        return torch.allclose(together, alone, rtol=0, atol=1e-5, equal_nan=True)

    def _tried_estimate(self, x: Tensor) -> Tensor:
        """Returns the estimate of a gradient; nothing where there is none, or one that fails once it is needed."""
        if not self._estimates:
            return x
        try:
            return self._estimated(x, torch.ones_like(self._made(x, None)))
        except Exception:  # noqa: BLE001  (a stranger's code may raise anything)
            return x

    @property
    def _estimates(self) -> bool:
        """True for a preprocessor in NumPy with an estimate of its own."""
        own = type(self.preprocessor).estimate_gradient is not Preprocessor.estimate_gradient
        return own and not isinstance(self.preprocessor, PreprocessorPyTorch)

    def _find_gradient(self, x: Tensor) -> Gradient:
        """Returns the kind of gradient, which a few images show the first time."""
        if self._gradient is None:
            few = x[:2].detach()
            with torch.no_grad(), seeded(0):
                same_shape = self._differentiable(few).shape == few.shape
            fallback: Gradient = "identity" if same_shape else "none"
            if isinstance(self.preprocessor, PreprocessorPyTorch):
                self._gradient = "exact" if self._is_differentiable(few) else fallback
            else:
                self._gradient = "estimate" if self._estimates else fallback
        return self._gradient

    def _check_memory(self, x: Tensor) -> None:
        """Raises UserError if what it makes of an image depends on those that it was given before."""

        def ask(few: Tensor) -> Tensor:
            return self._differentiable(few, torch.arange(len(few)) if self._alone else None)

        check_memory(self.preprocessor, f"defence {self.name}", ask, 1 - x.detach())

    def _is_differentiable(self, few: Tensor) -> bool:
        """Returns True where autograd finds a gradient that is finite and not zero throughout."""
        points = few.clone().requires_grad_()
        with seeded(0), torch.enable_grad():
            try:
                made = self._made(points, None)
                (gradient,) = torch.autograd.grad((made * (1 + made.detach())).sum(), points)
            except RuntimeError as error:
                if out_of_memory(error):
                    raise
                return False  # autograd's, for what does not depend on the images by anything that it knows of
        return bool(gradient.isfinite().all() and (gradient != 0).any())

    def _value(self, name: str) -> object:
        return getattr(self.preprocessor, name, None)

    @property
    def _range(self) -> tuple[float, float] | None:
        """The preprocessor's own pixel range; None if it has none, and images stay as they are."""
        given = self._value("clip_values")
        if given is None:
            return self.pixel_range
        low, high = (float(np.min(given[0])), float(np.max(given[1])))  # type: ignore[index]
        return low, high

    @property
    def _channels_last(self) -> bool:
        if type(self.preprocessor).__name__ in _CHANNELS_LAST:
            return True
        return self._value("channels_first") is False

    def _check_params(self) -> None:
        super()._check_params()
        if not isinstance(self.preprocessor, Preprocessor):
            found = type(self.preprocessor).__name__
            raise UserError(f"preprocessor must be one of ART's or a subclass of its Preprocessor, found {found}")
        if not hasattr(self.preprocessor, "apply_predict"):
            raise UserError(f"defence {self.name} is not made: let its __init__ call super().__init__(is_fitted=True)")
        if not self.preprocessor.apply_predict:
            raise UserError(
                f"defence {self.name} acts in training only: it has apply_predict=False, and an evaluation asks for "
                "predictions"
            )

    def _stays_in_range(self, in_range: bool) -> bool:
        del in_range
        return False


def _images_in(found: Any) -> Any:
    """The images in what a preprocessor returns: beside labels, or alone."""
    return found[0] if isinstance(found, tuple) else found


class _Estimated(torch.autograd.Function):
    """A preprocessor in NumPy, whose gradient is its own estimate."""

    @staticmethod
    def forward(context: Any, x: Tensor, adapted: Adapted, keys: Tensor | None) -> Tensor:
        """Applies the preprocessor."""
        context.save_for_backward(x)
        context.adapted, context.keys = adapted, keys
        return adapted._made(x, keys)

    @staticmethod
    def backward(context: Any, *gradients: Any) -> tuple[Tensor, None, None]:
        """Asks for the estimate."""
        (x,) = context.saved_tensors
        return context.adapted._estimate(x, gradients[0], context.keys), None, None


def adapt(preprocessor: object, name: str | None = None) -> Part:
    """Makes a defence of a preprocessor: one of this package's as it is, any other wrapped.

    Raises:
        UserError: (a ValueError) it is no preprocessor, or one that acts in training only.
    """
    if isinstance(preprocessor, RandomPreprocessor):
        return preprocessor
    if not isinstance(preprocessor, Preprocessor):
        kind = isinstance(preprocessor, type)
        found = f"the class {preprocessor.__name__} itself" if kind else type(preprocessor).__name__  # type: ignore[attr-defined]
        raise UserError(f"{name or 'defence'} must be preprocessors of this package or of ART, found {found}")
    return Adapted(preprocessor, name=name)


def adapt_all(preprocessors: object, name: str) -> tuple[Part, ...]:
    """Makes defences of one preprocessor or of several: see `adapt`."""
    single = isinstance(preprocessors, (Preprocessor, str)) or not isinstance(preprocessors, Iterable)
    several = [preprocessors] if single else list(preprocessors)  # type: ignore[call-overload]
    return tuple(adapt(each, None if isinstance(each, Preprocessor) else name) for each in several)
