"""The defences: ART preprocessors, one a file, each making one random draw per input and call."""

from counteract.preprocessors.anti_adversary import AntiAdversary
from counteract.preprocessors.base import RandomPreprocessor
from counteract.preprocessors.counteraction import Counteraction
from counteract.preprocessors.crop_pad import RandomCropPad
from counteract.preprocessors.crop_resize import RandomCropResize
from counteract.preprocessors.gaussian_noise import GaussianNoise
from counteract.preprocessors.hedge import Hedge
from counteract.preprocessors.mixup_inference import MixupInference
from counteract.preprocessors.resize_pad import RandomResizePad
from counteract.preprocessors.rotation import RandomRotation

__all__ = [
    "AntiAdversary",
    "Counteraction",
    "GaussianNoise",
    "Hedge",
    "MixupInference",
    "RandomCropPad",
    "RandomCropResize",
    "RandomPreprocessor",
    "RandomResizePad",
    "RandomRotation",
]
