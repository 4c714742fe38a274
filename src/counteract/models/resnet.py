"""Residual networks for 32 x 32 images, from torchvision's blocks; they take [0, 1] and normalise inside."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck

from counteract.models.normalize import Normalize


class PangBottleneck(Bottleneck):
    """The bottleneck of Pang et al. (2020), which does not widen: its expansion is 1 where He et al. have 4."""

    expansion = 1


class ResNet(nn.Module):
    """A residual network with a stride-1 stem and no max-pooling (He et al. 2016, section 4.2).

    Maps images in [0, 1] of shape (N, 3, H, W) to logits of shape (N, num_classes).
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        depths: Sequence[int],
        *,
        width: int,
        num_classes: int,
        mean: Sequence[float],
        std: Sequence[float],
        stem_kernel: int = 3,
    ) -> None:
        super().__init__()
        self.normalize = Normalize(mean, std)
        self.stem = nn.Sequential(
            nn.Conv2d(3, width, stem_kernel, padding=stem_kernel // 2, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        )
        channels = width
        stages = []
        for index, depth in enumerate(depths):
            planes = width * 2**index
            stage = [_block(block, channels, planes, stride=1 if index == 0 else 2)]
            channels = planes * block.expansion
            stage += [_block(block, channels, planes, stride=1) for _ in range(depth - 1)]
            stages.append(nn.Sequential(*stage))
        self.stages = nn.Sequential(*stages)
        self.head = nn.Linear(channels, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Returns the logits of images in [0, 1]."""
        features = self.stages(self.stem(self.normalize(x)))
        logits: Tensor = self.head(features.mean((2, 3)))
        return logits


def _block(block: type[BasicBlock] | type[Bottleneck], channels: int, planes: int, stride: int) -> nn.Module:
    out = planes * block.expansion
    shortcut = None
    if stride != 1 or channels != out:
        shortcut = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))
    made: nn.Module = block(channels, planes, stride, shortcut)
    return made


def resnet8(*, num_classes: int, mean: Sequence[float], std: Sequence[float], width: int = 16) -> ResNet:
    """Three stages of one basic block: the smallest network of He et al. (2016), section 4.2."""
    return ResNet(BasicBlock, (1, 1, 1), width=width, num_classes=num_classes, mean=mean, std=std)


def resnet18(*, num_classes: int, mean: Sequence[float], std: Sequence[float], width: int = 64) -> ResNet:
    """ResNet-18 with a 3 x 3 stem: 11.2M parameters at width 64."""
    return ResNet(BasicBlock, (2, 2, 2, 2), width=width, num_classes=num_classes, mean=mean, std=std)


def resnet50(*, num_classes: int, mean: Sequence[float], std: Sequence[float], width: int = 64) -> ResNet:
    """ResNet-50 with a 3 x 3 stem: 23.5M parameters at width 64."""
    return ResNet(Bottleneck, (3, 4, 6, 3), width=width, num_classes=num_classes, mean=mean, std=std)


def resnet50_pang(*, num_classes: int, mean: Sequence[float], std: Sequence[float], width: int = 64) -> ResNet:
    """The "ResNet-50" of Pang et al. (2020): 5 x 5 stem, three stages of five narrow bottlenecks, 4.75M parameters."""
    return ResNet(PangBottleneck, (5, 5, 5), width=width, num_classes=num_classes, mean=mean, std=std, stem_kernel=5)


ARCHITECTURES: dict[str, Callable[..., ResNet]] = {
    "resnet8": resnet8,
    "resnet18": resnet18,
    "resnet50": resnet50,
    "resnet50-pang": resnet50_pang,
}
"""Every architecture by the name that `counteract train --arch` and a weight file's metadata use."""
