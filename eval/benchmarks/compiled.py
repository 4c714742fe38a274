"""The gain of `torch.compile`: a forward pass and a gradient of the input, compiled against as they are.

    python eval/benchmarks/compiled.py [--images 64] [--repeats 5] [--width 64]

Compiled is the network as it is evaluated, its batch normalisation folded, its weights frozen. Compiling takes
its time once for each shape of a batch; that is printed in units of what it saves in a pass.
"""

from __future__ import annotations

import statistics

import torch
from subjects import image_options, random_images, random_resnet18
from timing import conditions, rounds, seconds, show
from torch import Tensor, nn

from counteract._folding import folded


def forward(net: nn.Module, x: Tensor) -> None:
    """A forward pass without gradients."""
    with torch.no_grad():
        net(x)


def gradient(net: nn.Module, x: Tensor) -> None:
    """A forward pass and a backward pass to the input."""
    points = x.clone(memory_format=torch.channels_last).requires_grad_()
    torch.autograd.grad(net(points).sum(), points)


def main() -> None:
    """Times the rounds and prints the ratios."""
    options = image_options("whether torch.compile pays, as ratios", repeats=5, images=64).parse_args()
    x = random_images(options.images)
    net = folded(random_resnet18(options.width), x).requires_grad_(False)
    compiled: nn.Module = torch.compile(net)  # type: ignore[assignment]
    print(conditions(f"resnet18 of width {options.width}, {options.images} images"))
    for call in (forward, gradient):
        took = seconds(lambda call=call: call(compiled, x))  # type: ignore[misc]
        contestants = {"as it is": lambda call=call: call(net, x), "compiled": lambda call=call: call(compiled, x)}
        found = rounds(contestants, options.repeats)
        show(f"times faster: a {call.__name__}, compiled", [r["as it is"] / r["compiled"] for r in found])
        saved = statistics.median(r["as it is"] - r["compiled"] for r in found)
        print(f"{took / saved if saved > 0 else float('inf'):8.0f}  passes until compiling has paid for itself")


if __name__ == "__main__":
    main()
