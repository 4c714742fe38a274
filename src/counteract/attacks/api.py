"""`attack`: adversarial examples of a module in hand, without a spec."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from pydantic import ValidationInfo, field_validator
from torch import Tensor, nn

from counteract._arguments import check_count, check_integer, check_text
from counteract._batches import BatchSize, batches
from counteract._clamp import clamp
from counteract._errors import UserError
from counteract._images import check_images, tensor_of
from counteract._labels import class_labels
from counteract._network import ask, borrowed, check_model, device_of, dtype_of, is_training
from counteract._seeding import seeded
from counteract._strangers import among_strangers
from counteract._toml import validate
from counteract._untouched import as_it_was
from counteract._values import Positive, Strict
from counteract.attacks.base import Attack, obstacle
from counteract.attacks.bounds import keep_within
from counteract.attacks.keys import attack_keys, defence_keys, example_keys
from counteract.attacks.libraries import AttackWarning
from counteract.attacks.preset import AttackPreset
from counteract.attacks.registry import find_attack
from counteract.attacks.straight import StraightThrough, check_named, straight, taken_for_the_identity
from counteract.attacks.threat_model import ThreatModel, in_range
from counteract.attacks.victim import Victim, has_gradients, randomness, survey_networks
from counteract.defended import DefendedModule, check_undefended
from counteract.models.survey import probe_images
from counteract.whole import Defended, WholeModule, whole_module

if TYPE_CHECKING:
    from art.estimators.classification import PyTorchClassifier

Images = TypeVar("Images", Tensor, npt.NDArray[Any])

_PROJECTED = "{} of {} results lay outside of the threat model, and were projected onto it"
"""The note about an attack that keeps other bounds, or none."""


class _Arguments(Strict):
    """The arguments of `attack` that are data."""

    threat_model: ThreatModel
    eps_step: Positive | None
    preset: AttackPreset

    @field_validator("eps_step")
    @classmethod
    def _check_step(cls, value: float | None, info: ValidationInfo) -> float | None:
        threat_model = info.data.get("threat_model")
        return value if value is None or threat_model is None else in_range(value, threat_model.norm)


@torch.inference_mode(False)
def attack(
    name: str,
    module: nn.Module | PyTorchClassifier,
    images: Images,
    labels: Tensor | npt.ArrayLike,
    *,
    eps: float | str | None = None,
    norm: str = "Linf",
    eps_step: float | str | None = None,
    preset: str | Mapping[str, Any] | AttackPreset = "standard",
    seed: int = 0,
    batch_size: int | None = None,
    bpda_at: str | Sequence[str] = (),
) -> Images:
    """Makes adversarial examples of images in hand.

    Every random choice is a function of the seed and an image's position, so that the result does not depend on the
    batch size. A module that draws from global generators is the exception: these are seeded for each batch. Attacks of
    libraries draw from them, too, but run in batches of a size of their own.

    Args:
        name: The attack's name, such as `pgd50`, `bpda-apgd-cw` or `torchattacks:APGD(steps=50)@defended`:
            `counteract attacks` lists them.
        module: The network: it maps images in [0, 1] to logits, log-probabilities or probabilities of shape
            (N, classes). With a `DefendedModule`, oblivious attacks are made on its network alone, adaptive ones on all
            of it; any other module is attacked as a whole. An ART `PyTorchClassifier` without defences is taken as the
            network in it. The module is left as it was found.
        images: Clean images in [0, 1], shape (N, C, H, W): a tensor or an array.
        labels: Their true labels: N integers, or N one-hot rows.
        eps: The size of the largest change, a number or a fraction such as `"8/255"`; None for 8/255 in Linf, 0.5 in L2
            and 12 in L1. It is above 0, and at most the distance from black to white: 1 in Linf.
        norm: The norm that it is measured in: `Linf`, `L2` or `L1`, in which this package's own attacks do not climb.
        eps_step: The size of PGD's step; None for a quarter of eps.
        preset: The effort: `quick`, `standard` or `full`; or fields of a preset.
        seed: The seed of all random choices, an integer of 64 bits.
        batch_size: Images in a batch; None for what suits the device.
        bpda_at: Modules inside the module that the attack takes for the identity in its backward passes (BPDA): their
            paths, the ends of these or their classes, or one of these alone. Those without a derivative but zero are
            found without.

    Returns:
        Images in [0, 1] within eps of the clean ones: of the kind that was passed in, and on the same device. Results
        of a library's attack that lie further away are projected, with an `AttackWarning`.

    Raises:
        UserError: (a ValueError) an argument is not what it must be, or the attack cannot run on such a module, or a
            library's fails on it.

    Examples:
        >>> from counteract import Counteraction, DefendedModule, attack, load_model
        >>> from counteract.datasets import load_dataset
        >>> net, data = load_model("digits-resnet-mixup"), load_dataset("digits").take(8)
        >>> defended = DefendedModule(net, preprocessing_defences=[Counteraction(net)])
        >>> adversarial = attack("bpda-apgd-cw", defended, data.images, data.labels, eps="8/255", preset="quick")
        >>> bool((adversarial - data.images).abs().max() <= 8 / 255 + 1e-6)
        True
    """
    found, given = find_attack(name), _check_arguments(eps, norm, eps_step, preset)
    if batch_size is not None:
        check_count("batch_size", batch_size)
    seed = check_integer("seed", seed)
    if not -(2**63) <= seed < 2**63:
        raise UserError(f"seed must be an integer of 64 bits, found {seed}")
    bpda_at = _check_names(bpda_at)
    network = _as_module(module)
    device = device_of(network) or torch.device("cpu")
    pixels = _check_images(images, device, dtype_of(network))
    given.threat_model.check_shape(pixels.shape[1:])
    if len(pixels) == 0:
        return _like(pixels, images)
    strangers = {f"module {type(network).__name__}": network}
    with among_strangers(strangers), seeded(seed), borrowed(network):
        victim = _over(_victim(network, pixels, given, gradients=found.gradients), pixels, bpda_at)
        true = _check_labels(labels, len(pixels), victim.num_classes).to(device)
        _check_obstacle(found, victim, pixels)
        found.check(victim.undefended, given.threat_model, victim.num_classes, pixels[:2])
    keys = example_keys(seed, torch.arange(len(pixels), device=device))
    attacking, judging = attack_keys(keys), defence_keys(keys).unsqueeze(1)

    def attacked(rows: Tensor) -> Tensor:
        known = judging[rows] if found.known else None
        with seeded(seed, int(rows[0])):
            return found.run(victim, pixels[rows], true[rows], attacking[rows], given.preset, known)

    warn = partial(warnings.warn, stacklevel=2)
    size = BatchSize(batch_size, device, warn, pixels.shape[1:])
    where = (seed,) if found.unkeyed else None
    held = as_it_was(network) if found.unkeyed else nullcontext(lambda: False)
    with among_strangers(strangers), held as changed:
        made = torch.cat([part[:kept] for part, kept in batches(attacked, len(pixels), size, where)])
        if changed():
            raise UserError(
                f"attack {name} changed the module's weights, and its result is of another module; they are put back. "
                "Let it work on a copy"
            )
    adversarial, outside = keep_within(given.threat_model, pixels, made)
    if outside.any():
        warnings.warn(f"attack {name}: {_PROJECTED.format(int(outside.sum()), len(made))}", AttackWarning, stacklevel=2)
    return _like(adversarial, images)


def _check_arguments(eps: object, norm: object, eps_step: object, preset: object) -> _Arguments:
    if isinstance(preset, Mapping):
        preset = dict(preset)
    bound = {"norm": norm} if eps is None else {"norm": norm, "eps": eps}
    threat_model = validate(ThreatModel, bound, "attack")
    given = validate(_Arguments, {"threat_model": threat_model, "eps_step": eps_step, "preset": preset}, "attack")
    if given.preset.precision != "float32":
        raise UserError("preset: precision must be float32: a module in hand computes in a precision of its own")
    return given


def _check_names(bpda_at: object) -> tuple[str, ...]:
    several = bpda_at if isinstance(bpda_at, Sequence) and not isinstance(bpda_at, str) else [bpda_at]
    return tuple(check_text("bpda_at", each, "the name of a module, or several") for each in several)


def _as_module(module: object) -> nn.Module:
    """The module, or the network in an ART classifier."""
    if not isinstance(module, nn.Module):
        from art.estimators.classification import PyTorchClassifier

        from counteract.models import from_art

        if isinstance(module, PyTorchClassifier):
            module = from_art(module)
    check_model(module, "module")
    assert isinstance(module, nn.Module)
    if not isinstance(module, DefendedModule | WholeModule):
        check_undefended(module, "module", "pass the DefendedModule that is in it")
    if isinstance(module, DefendedModule) and module.clip_values is not None and module.clip_values != (0.0, 1.0):
        low, high = module.clip_values
        raise UserError(f"module must take pixels in [0, 1], found clip_values ({low:g}, {high:g})")
    return module


def _check_images(images: object, device: torch.device, dtype: torch.dtype) -> Tensor:
    """A copy of the images on a device."""
    if not isinstance(images, Tensor | np.ndarray):
        raise UserError(f"images must be a tensor or an array, found {type(images).__name__}")
    return check_images(tensor_of(images).detach().to(device, copy=True), dtype=dtype, name="images")


def _check_labels(labels: object, count: int, num_classes: int) -> Tensor:
    """The labels as int64."""
    found = class_labels(labels, count, num_classes)
    low, high = int(found.min()), int(found.max())
    if low < 0 or high >= num_classes:
        raise UserError(f"labels run from {low} to {high}, but the module has {num_classes} classes")
    return found


def _victim(module: nn.Module, images: Tensor, given: _Arguments, *, gradients: bool) -> Victim:
    undefended, defended = _parts(module, images)
    first, *_ = survey_networks(defended, images)
    if gradients and first.gradients and (note := first.slopes.note()) is not None:
        warnings.warn(f"module: {note}", stacklevel=3)
    with torch.no_grad():
        defended(images[:2])  # which says what is wrong with its defences
    random, once = randomness(defended, images)
    eps = given.threat_model.eps
    return Victim(undefended, defended, random, once, given.threat_model, given.eps_step or eps / 4, first.classes)


def _over(victim: Victim, images: Tensor, names: Sequence[str]) -> Victim:
    """The same, where backward passes take modules inside for the identity: those named, and those without a slope."""
    undefended, defended = victim.undefended, victim.defended
    channels, height, width = images.shape[1:]
    two = probe_images((channels, height, width))[:2].to(images)
    keys = torch.arange(2, device=two.device)
    of_network = taken_for_the_identity(undefended, names, partial(ask, undefended), two)
    of_all = taken_for_the_identity(defended.model, names, lambda x: defended(x, keys), two)
    check_named(names, [undefended, defended.model])
    return replace(
        victim,
        undefended=StraightThrough(undefended, of_network) if of_network else undefended,
        defended=straight(defended, of_all),
    )


def _parts(module: nn.Module, images: Tensor) -> tuple[nn.Module, Defended]:
    """The network without and with its defence; the same for what cannot be taken apart."""
    if isinstance(module, WholeModule):
        return _OneDraw(module), module
    if isinstance(module, DefendedModule):
        return module.model, module
    whole = whole_module(module, images[:2])
    if whole.probabilities or whole.keyed or randomness(whole, images)[0]:
        return _OneDraw(whole), whole
    return module, DefendedModule(module)


class _OneDraw(nn.Module):
    """A whole module as it looks to an attacker who does not know that it draws: every image has the same key."""

    def __init__(self, module: WholeModule) -> None:
        super().__init__()
        self.module = module
        self.training = is_training(module)

    def forward(self, x: Tensor) -> Tensor:
        """The log-probabilities of one draw."""
        scores: Tensor = self.module(clamp(x, 0, 1), torch.zeros(len(x), dtype=torch.int64, device=x.device))
        return scores


def _check_obstacle(found: Attack, victim: Victim, images: Tensor) -> None:
    """Raises UserError where the attack cannot run."""
    if found.gradients:
        network = victim.defended if found.adaptive else victim.undefended
        gradients = has_gradients(partial(ask, network), images)
    else:
        gradients = False
    reason = obstacle(
        found,
        num_classes=victim.num_classes,
        gradients=gradients,
        defended=victim.defended,
        norm=victim.threat_model.norm,
    )
    if reason is not None:
        raise UserError(f"attack {found.name} cannot run on this module: {reason}")


def _like(adversarial: Tensor, images: Images) -> Images:
    """The adversarial images as a tensor or an array, as the clean ones are."""
    if isinstance(images, Tensor):
        floating = images.dtype if images.is_floating_point() else adversarial.dtype
        return adversarial.to(images.device, floating)
    found = adversarial.cpu().numpy()
    return found.astype(images.dtype, copy=False) if images.dtype.kind == "f" else found
