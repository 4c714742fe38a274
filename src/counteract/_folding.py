"""Batch normalisation folded into convolutions, where torch.fx shows that it changes round-off alone."""

from __future__ import annotations

import threading
import weakref
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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

_PLAIN = (bool, int, float, str, type(None))
"""The types of attributes that a forward method may go by."""


@dataclass
class _Known:
    """Knowledge of a network.

    Attributes:
        structure: The shape of images, the modules and their attributes, for which it is.
        pairs: Its pairs.
        made: What tells the weights of its pairs from others, and what was made of them: the weight and the bias of
            each convolution with its normalisation in it.
    """

    structure: object
    pairs: tuple[Pair, ...]
    made: tuple[Tensor, list[tuple[Tensor, Tensor]]] | None = None


_FOUND: dict[int, _Known] = {}
"""The knowledge of each network, by its identity."""

_TRACING = threading.Lock()
"""Held while torch.fx traces: it changes how modules are called, and two traces at once would not put that back."""


def folded(network: nn.Module, like: Tensor) -> nn.Module:
    """The same function in eval mode, faster: a copy with folded normalisation that shares all other parameters.

    The forward methods stay as they are, and so do the names of all modules. A network that torch.fx cannot follow, or
    whose answers then differ by more than round-off, comes back itself. Pairs are looked for once a network; weights
    are folded anew whenever they have changed.

    Args:
        network: The network.
        like: Images of the shape that it takes.
    """
    known = _known(network, like) if _foldable(network) and len(like) else None
    return _folded(network, known) if known and known.pairs else network


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


def _known(network: nn.Module, like: Tensor) -> _Known:
    """Returns what is known of a network, whose pairs are found once for each structure."""
    structure = (like.shape[1:], tuple((name, *_attributes(each)) for name, each in network.named_modules()))
    known = _FOUND.get(id(network))
    if known is None or known.structure != structure:
        if known is None:
            weakref.finalize(network, _FOUND.pop, id(network), None)
        known = _FOUND[id(network)] = _Known(structure, _find(network, like))
    return known


def _attributes(module: nn.Module) -> tuple[object, ...]:
    """Returns what a module is, and the attributes that its forward method may go by."""
    own = {
        name: value if type(value) in _PLAIN else id(value)
        for name, value in vars(module).items()
        if name != "training" and (type(value) in _PLAIN or callable(value))
    }
    return (type(module), id(module), *own.items())


def _find(network: nn.Module, like: Tensor) -> tuple[Pair, ...]:
    """Returns the pairs, if the network without them gives the same answers; else none."""
    weight = next(each for each in network.parameters() if each.is_floating_point())
    x = torch.rand((_PROBE, *like.shape[1:]), generator=torch.Generator().manual_seed(0)).to(weight)
    try:
        bare = _copy(network, {}).eval()  # nothing that tracing does to a module's attributes reaches the network's
        with torch.autocast(x.device.type, enabled=False), torch.no_grad(), seeded(0):
            pairs = _traced(bare)
            if pairs and _agree(bare, _folded(network, _Known(None, pairs)), x):
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


def _folded(network: nn.Module, known: _Known) -> nn.Module:
    """Returns a copy in eval mode that shares the parameters and buffers, but for those of folded pairs."""
    copied = _copy(network, {}).eval()
    parts: list[tuple[Any, ...]] = [tuple(map(copied.get_submodule, pair)) for pair in known.pairs]
    with torch.no_grad(), torch.autocast(parts[0][0].weight.device.type, enabled=False):
        marks, made = _marks(parts), known.made
        if made is None or made[0].device != marks.device or not torch.equal(made[0], marks):
            made = known.made = marks, [_fused(*part) for part in parts]
    for (_, second), (convolution, _), (weight, bias) in zip(known.pairs, parts, made[1], strict=True):
        convolution.weight, convolution.bias = nn.Parameter(weight), nn.Parameter(bias)
        copied.set_submodule(second, nn.Identity())
    return copied


def _marks(parts: Sequence[tuple[Any, ...]]) -> Tensor:
    """Returns what tells these weights from others: of each filter a sum of its weights, and all other values."""
    found = []
    for convolution, norm in parts:
        weight = convolution.weight
        filters = (weight if weight.is_contiguous() else weight.permute(0, 2, 3, 1)).flatten(1)  # as they lie in memory
        factors = torch.linspace(0.5, 1.5, filters.shape[1], dtype=filters.dtype, device=filters.device)
        others = (convolution.bias, norm.running_mean, norm.running_var, norm.weight, norm.bias)
        found += [filters @ factors, *(each for each in others if each is not None), factors.new_tensor([norm.eps])]
    return torch.cat(found)


def _fused(convolution: Any, norm: Any) -> tuple[Tensor, Tensor]:
    """Returns the weight and the bias of a convolution with its normalisation in it.

    Not fuse_conv_bn_eval: it first copies the weights, which takes as long as a forward pass.
    """
    weight, bias = fuse_conv_bn_weights(
        convolution.weight, convolution.bias,
        norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias,
    )  # fmt: skip
    # Each backward pass on a CPU would bring them into this layout again.
    return weight.detach().contiguous(memory_format=torch.channels_last), bias.detach()


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
