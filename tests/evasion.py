"""Every evasion attack of ART, with settings that are over in a moment on two images of 8 x 8 pixels."""

from __future__ import annotations

import importlib
import inspect
import multiprocessing
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from unittest import mock

import art.attacks.evasion
import numpy as np
from art.attacks.attack import EvasionAttack
from art.attacks.evasion import FastGradientMethod

from counteract import DefendedClassifier

Run = Callable[[type[EvasionAttack], DefendedClassifier, Any, Any], Any]
"""Attacks images with their one-hot labels through a classifier, with an attack of the class."""

_DECENT = {"eps": 0.1, "eps_step": 0.05, "max_iter": 2, "batch_size": 2, "verbose": False}
"""Options that most attacks know."""


def run(**options: Any) -> Run:
    """Runs an attack with those of `_DECENT` that it knows, and with more."""

    def attacked(attack: type[EvasionAttack], classifier: DefendedClassifier, x: Any, y: Any) -> Any:
        known = inspect.signature(attack.__init__).parameters
        given = {name: value for name, value in _DECENT.items() if name in known} | options
        return attack(classifier, **given).generate(x, y)

    return attacked


def one(**options: Any) -> Run:
    """The same on a single image."""
    return lambda attack, classifier, x, y: run(**options)(attack, classifier, x[:1], y[:1])


def towards_features(**options: Any) -> Run:
    """The same towards the activations of the other image."""
    return lambda attack, classifier, x, y: run(**options)(attack, classifier, x, x[::-1].copy())


def on_losses_of_its_own(attack: type[EvasionAttack], classifier: DefendedClassifier, x: Any, y: Any) -> Any:
    """The same on losses for which an attack builds a classifier of its own."""
    for loss_type in ("cross_entropy", "difference_logits_ratio"):
        run(nb_random_init=1, loss_type=loss_type)(attack, classifier, x, y)


def _frames(attack: type[EvasionAttack], classifier: DefendedClassifier, x: Any, y: Any) -> Any:
    return attack(classifier, FastGradientMethod(classifier, eps=0.1), verbose=False).generate(x, y)


def _graphite(**options: Any) -> Run:
    def attacked(attack: type[EvasionAttack], classifier: DefendedClassifier, x: Any, y: Any) -> Any:
        made = attack(classifier, net_size=(8, 8), batch_size=2, **options)
        return made.generate(x[:1], y[1:], x_tar=x[1:], mask=np.ones((3, 8, 8)))

    return attacked


def _autoattack(attack: type[EvasionAttack], classifier: DefendedClassifier, x: Any, y: Any) -> Any:
    with mock.patch.dict(sys.modules, multiprocess=multiprocessing):  # it asks for a package that it then does not use
        return run()(attack, classifier, x, y)


def _brendel_bethge(attack: type[EvasionAttack], classifier: DefendedClassifier, x: Any, y: Any) -> Any:
    with suppress(AssertionError):  # its own, at the end, of points that are to lie beyond the boundary and lie on it
        return run(steps=2, init_size=10, binary_search_steps=1)(attack, classifier, x, y)


_BRIEF_SEARCH = {"binary_search_steps": 1, "initial_const": 1.0}

ATTACKS: dict[str, Run] = {
    "AdversarialPatch": run(patch_shape=(3, 4, 4)),
    "AdversarialPatchPyTorch": run(patch_shape=(3, 4, 4)),
    "AutoAttack": _autoattack,
    "AutoConjugateGradient": on_losses_of_its_own,
    "AutoProjectedGradientDescent": on_losses_of_its_own,
    "BasicIterativeMethod": run(),
    "BoundaryAttack": run(init_size=10),
    "BrendelBethgeAttack": _brendel_bethge,
    "CarliniL0Method": run(**_BRIEF_SEARCH),
    "CarliniL2Method": run(max_halving=2, max_doubling=2, **_BRIEF_SEARCH),
    "CarliniLInfMethod": run(),
    "CompositeAdversarialAttackPyTorch": run(enabled_attack=(0, 5), max_inner_iter=1),
    "DeepFool": run(),
    "ElasticNet": run(**_BRIEF_SEARCH),
    "FastGradientMethod": run(),
    "FeatureAdversariesPyTorch": towards_features(delta=0.1, layer=1, step_size=0.05),
    "FrameSaliencyAttack": _frames,
    "GRAPHITEBlackbox": _graphite(noise_size=(8, 8), num_xforms_mask=2, num_xforms_boost=2, num_boost_queries=4),
    "GRAPHITEWhiteboxPyTorch": _graphite(num_xforms=2, steps=1, first_steps=1, min_tr=0.0),
    "HopSkipJump": run(init_size=10, init_eval=2, max_eval=4),
    "MomentumIterativeMethod": run(),
    "PixelAttack": run(es=1, th=5),
    "ProjectedGradientDescent": run(),
    "ProjectedGradientDescentNumpy": run(),
    "ProjectedGradientDescentPyTorch": run(),
    "RescalingAutoConjugateGradient": on_losses_of_its_own,
    "SaliencyMapMethod": run(),
    "SignOPTAttack": run(targeted=False, num_trial=2, query_limit=20, k=2),
    "SpatialTransformation": run(max_translation=10, num_translations=2, max_rotation=5, num_rotations=2),
    "SquareAttack": run(),
    "TargetedUniversalPerturbation": run(attacker="fgsm"),
    "ThresholdAttack": run(es=1, th=5),
    "UniversalPerturbation": run(attacker="fgsm"),
    "Wasserstein": run(),
    "ZooAttack": run(**_BRIEF_SEARCH, use_resize=False, use_importance=False, nb_parallel=1, batch_size=1),
}
"""Attacks that run on a classifier of images in PyTorch, where the packages are there that some of them need."""

OTHERS: dict[str, str] = {
    "AdversarialPatchNumpy": "runs where there are no gradients to frameworks; ART gives PyTorch the one for PyTorch",
    "AdversarialPatchTensorFlowV2": "TensorFlow",
    "AdversarialTexturePyTorch": "trackers of objects",
    "CarliniWagnerASR": "speech",
    "DPatch": "detectors of objects",
    "DecisionTreeAttack": "decision trees",
    "FeatureAdversariesNumpy": "reads arrays of activations, which are those of the undefended network",
    "FeatureAdversariesTensorFlowV2": "TensorFlow",
    "GeoDA": "does not run with NumPy 2",
    "HighConfidenceLowUncertainty": "Gaussian processes",
    "ImperceptibleASR": "speech",
    "ImperceptibleASRPyTorch": "speech",
    "LaserAttack": "images with channels last",
    "LowProFool": "tables",
    "MalwareGDTensorFlow": "TensorFlow",
    "OverTheAirFlickeringPyTorch": "videos",
    "OverloadPyTorch": "detectors of objects",
    "ProjectedGradientDescentTensorFlowV2": "TensorFlow",
    "RobustDPatch": "detectors of objects",
    "SNAL": "detectors of objects",
    "SimBA": "probabilities, not their logarithms",
    "VirtualAdversarialMethod": "probabilities, not their logarithms",
}
"""Attacks that do not run on a `DefendedClassifier` of images, and what they are for or why."""


OUT_OF_RANGE: dict[str, Run] = {"NewtonFool": run(), "ShadowAttack": one(nb_steps=2)}
"""Attacks that ask for images far outside of their range, as if they were on another scale: these are refused."""


_NOT_BY_ITSELF = {"BrendelBethgeAttack": "art.attacks.evasion.brendel_bethge"}
"""Attacks that ART imports on demand, because they need a package that it does not, and their modules."""


def names() -> set[str]:
    """Returns the names of all attacks that ART has and that can be imported here."""
    found = {name for name, each in vars(art.attacks.evasion).items() if _is_attack(each)}
    for name in _NOT_BY_ITSELF:
        with suppress(ModuleNotFoundError):
            find(name)
            found.add(name)
    return found


def find(name: str) -> type[EvasionAttack]:
    """Returns an attack's class.

    Raises:
        ModuleNotFoundError: its module needs a package that is missing.
    """
    home = importlib.import_module(_NOT_BY_ITSELF[name]) if name in _NOT_BY_ITSELF else art.attacks.evasion
    found: type[EvasionAttack] = getattr(home, name)
    return found


def _is_attack(each: object) -> bool:
    return inspect.isclass(each) and issubclass(each, EvasionAttack)
