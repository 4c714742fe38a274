"""Networks: CIFAR ResNets, the shipped weights, and what loads them. All take [0, 1] and normalise inside."""

from counteract.models.checks import LogProbabilities, check_network
from counteract.models.factory import from_art
from counteract.models.files import Card, load_network, read_card, save_network
from counteract.models.loading import card_of, is_factory, known_models, load_model, shipped_models
from counteract.models.normalize import Normalize
from counteract.models.resnet import ARCHITECTURES, ResNet, resnet8, resnet18, resnet50, resnet50_pang

__all__ = [
    "ARCHITECTURES",
    "Card",
    "LogProbabilities",
    "Normalize",
    "ResNet",
    "card_of",
    "check_network",
    "from_art",
    "is_factory",
    "known_models",
    "load_model",
    "load_network",
    "read_card",
    "resnet8",
    "resnet18",
    "resnet50",
    "resnet50_pang",
    "save_network",
    "shipped_models",
]
