"""Folding batch normalisation into the convolutions before it: the same network in fewer passes over memory."""

from __future__ import annotations

from itertools import pairwise

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fold_batchnorm(network: nn.Module) -> None:
    """Folds, in place, every batch normalisation into the convolution that is its module's child just before it.

    Args:
        network: In eval mode; its modules must call their children in the order in which they hold them.
    """
    for module in list(network.modules()):
        for (name, convolution), (after, norm) in pairwise(list(module.named_children())):
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(module, name, fuse_conv_bn_eval(convolution, norm))
                setattr(module, after, nn.Identity())
