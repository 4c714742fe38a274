"""The defences: ART preprocessors, one a file, each making one random draw per input and call."""

from counteract.preprocessors.anti_adversary import AntiAdversary
from counteract.preprocessors.augmentation_ensemble import AugmentationEnsemble
from counteract.preprocessors.base import RandomPreprocessor
from counteract.preprocessors.counteraction import Counteraction
from counteract.preprocessors.crop_pad import RandomCropPad
from counteract.preprocessors.crop_resize import RandomCropResize
from counteract.preprocessors.energy_descent import EnergyDescent
from counteract.preprocessors.gaussian_noise import GaussianNoise
from counteract.preprocessors.hedge import Hedge
from counteract.preprocessors.mixup_inference import MixupInference
from counteract.preprocessors.resize_pad import RandomResizePad
from counteract.preprocessors.rotation import RandomRotation
from counteract.preprocessors.test_time_counterattack import TestTimeCounterattack
from counteract.preprocessors.total_variation import TotalVariation

__all__ = [
    "AntiAdversary",
    "AugmentationEnsemble",
    "Counteraction",
    "EnergyDescent",
    "GaussianNoise",
    "Hedge",
    "MixupInference",
    "RandomCropPad",
    "RandomCropResize",
    "RandomPreprocessor",
    "RandomResizePad",
    "RandomRotation",
    "TestTimeCounterattack",
    "TotalVariation",
]
