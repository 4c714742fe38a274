"""Folding the batch normalisation of somebody else's network, where torch.fx shows that it changes round-off alone."""

from __future__ import annotations

import threading
import weakref
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from counteract._answers import logits_in
from counteract._seeding import seeded

Pair = tuple[str, str]
"""The names of a convolution and of the batch normalisation that alone reads what it returns."""

_TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-10}
"""The greatest difference of answers, in units of the largest, that round-off explains; other dtypes stay unfolded."""

_PROBE = 2
"""Images that both forms of a network are asked about."""

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")

_FOUND: dict[int, tuple[object, tuple[Pair, ...]]] = {}
"""The pairs of each network by its identity, and the shape of images and the structure that they were found with."""

_TRACING = threading.Lock()
"""Held while torch.fx traces: it changes how modules are called, and two traces at once would not put that back."""


def fold_stranger(network: nn.Module, like: Tensor) -> nn.Module:
    """The same function in eval mode, faster: a copy with folded normalisation that shares all other parameters.

    The forward methods stay as they are, and so do the names of all modules. A network that torch.fx cannot follow, or
    whose answers then differ by more than round-off, comes back itself. Pairs are looked for once a network; folding
    reads the weights anew each time.

    Args:
        network: The network.
        like: Images of the shape that it takes.
    """
    pairs = _pairs(network, like) if _foldable(network) and len(like) else ()
    return _folded(network, pairs) if pairs else network


def _foldable(network: nn.Module) -> bool:
    """Returns True where there is something to fold, and nothing that watches the modules."""
    modules = list(network.modules())
    dtypes = {each.dtype for each in network.parameters() if each.is_floating_point()}
    return (
        any(type(each) is nn.BatchNorm2d for each in modules)
        and len(dtypes) == 1
        and dtypes <= _TOLERANCE.keys()
        and not any(getattr(each, hooks, None) for each in modules for hooks in _HOOKS)
    )


def _pairs(network: nn.Module, like: Tensor) -> tuple[Pair, ...]:
    """Returns the pairs that can be folded, found once for a network of this structure."""
    structure = (like.shape[1:], tuple((name, id(each)) for name, each in network.named_modules()))
    known = _FOUND.get(id(network))
    if known is None or known[0] != structure:
        if known is None:
            weakref.finalize(network, _FOUND.pop, id(network), None)
        known = _FOUND[id(network)] = (structure, _find(network, like))
    return known[1]


def _find(network: nn.Module, like: Tensor) -> tuple[Pair, ...]:
    """Returns the pairs, if the network without them gives the same answers; else none."""
    weight = next(each for each in network.parameters() if each.is_floating_point())
    x = torch.rand((_PROBE, *like.shape[1:]), generator=torch.Generator().manual_seed(0)).to(weight)
    try:
        bare = _folded(network, ())  # nothing that tracing does to a module's attributes reaches the stranger's
        with torch.autocast(x.device.type, enabled=False), torch.no_grad(), seeded(0):
            pairs = _traced(bare)
            if pairs and _agree(bare, _folded(network, pairs), x):
                return pairs
    except Exception:  # noqa: BLE001  (a stranger's code, asked in a way that it need not expect)
        return ()
    return ()


class _Tracer(fx.Tracer):
    """Follows one network, and lets the calls of other threads pass."""

    def __init__(self) -> None:
        super().__init__()
        self._thread = threading.get_ident()

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Notes a call of a module."""
        if threading.get_ident() != self._thread:
            return forward(*args, **kwargs)
        return super().call_module(m, forward, args, kwargs)


def _traced(network: nn.Module) -> tuple[Pair, ...]:
    """Returns the pairs of which each part is called once, with nothing but the one going into the other."""
    with _TRACING:
        graph: fx.Graph = _Tracer().trace(network)
    modules = dict(network.named_modules())
    calls = Counter(node.target for node in graph.nodes if node.op == "call_module")
    found = []
    for node in graph.nodes:
        before = node.args[0] if len(node.args) == 1 else None
        if node.op != "call_module" or not isinstance(before, fx.Node) or before.op != "call_module":
            continue
        names = str(before.target), str(node.target)
        convolution, norm = (modules[name] for name in names)
        once = calls[before.target] == calls[node.target] == 1 and len(before.users) == 1
        if once and type(convolution) is nn.Conv2d and type(norm) is nn.BatchNorm2d and norm.running_mean is not None:
            found.append(names)
    return tuple(found)


def _agree(network: nn.Module, other: nn.Module, x: Tensor) -> bool:
    """Returns True where the answers to images differ by no more than round-off."""
    answers = []
    for each in (network, other):
        with seeded(0):
            answers.append(logits_in(each(x.clone()), _PROBE))
    largest = float(answers[0].abs().max())
    return bool((answers[0] - answers[1]).abs().max() <= _TOLERANCE[x.dtype] * largest)  # False for what is not finite


def _folded(network: nn.Module, pairs: tuple[Pair, ...]) -> nn.Module:
    """Returns a copy in eval mode that shares the parameters and buffers, but for those of folded pairs."""
    copied = _copy(network, {}).eval()
    for first, second in pairs:
        convolution: Any = copied.get_submodule(first)
        norm: Any = copied.get_submodule(second)
        with (
            torch.no_grad()
        ):  # not fuse_conv_bn_eval: it first copies the weights, which takes as long as a forward pass
            weight, convolution.bias = fuse_conv_bn_weights(
                convolution.weight, convolution.bias,
                norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias,
            )  # fmt: skip
            # Each backward pass on a CPU would bring them into this layout again.
            convolution.weight = nn.Parameter(weight.contiguous(memory_format=torch.channels_last))
        copied.set_submodule(second, nn.Identity())
    return copied


def _copy(module: nn.Module, done: dict[int, nn.Module]) -> nn.Module:
    """Returns modules of their own with the same tensors; a module that stands in two places does so again."""
    if id(module) not in done:
        made = done[id(module)] = type(module).__new__(type(module))
        own = dict(module.__dict__)
        own |= {name: own[name].copy() for name in ("_parameters", "_buffers", "_modules", *_HOOKS) if name in own}
        made.__dict__.update(own)
        for name, child in module._modules.items():  # named_children leaves out what stands twice
            made._modules[name] = None if child is None else _copy(child, done)
    return done[id(module)]
