"""Checkpoints of torch: read without running anything they hold, and matched to the names a network's state has."""

from __future__ import annotations

import _codecs
import functools
import pickle
import re
import struct
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from counteract._errors import UserError
from counteract._files import is_file
from counteract._memory import bounded_memory
from counteract._strangers import strangers_code
from counteract.models.checks import one_line
from counteract.models.integrity import check_pickles, check_whole

State = Mapping[str, Tensor]

_LAST = "last"
"""The key of the last epoch's weights, which RobustBench takes where there are the best epoch's, too."""

_WRAPPERS = (_LAST, "state_dict", "model_state_dict", "model", "net")
"""The keys under which training scripts put the weights."""

_CONSTANTS = ("mu", "sigma", "mean", "std", "num_batches_tracked")
"""Buffers that old checkpoints lack, and that a network's constructor sets right."""

_LARGER, _ROOM = 4, 2**31
"""Memory that reading a file may take, as a multiple of its size, and bytes for whatever else goes on meanwhile."""

_DAMAGE = (
    *(OSError, EOFError, RuntimeError, ValueError, TypeError, LookupError, AttributeError, AssertionError),
    *(ArithmeticError, ImportError, SafetensorError, struct.error),
)
"""The errors that torch raises for files that are damaged, of another kind, or made to harm."""


def read_checkpoint(path: Path, *, trust: bool = False) -> Any:
    """Reads a checkpoint of torch on the CPU, or a .safetensors file.

    Args:
        path: The file.
        trust: Lets the file hold, and so run, anything at all; otherwise only tensors, plain Python data and
            NumPy's numbers and arrays.

    Raises:
        UserError: (a ValueError) the file is missing, damaged, no checkpoint, or holds anything else; or what it runs
            fails.
    """
    if not is_file(path):
        raise UserError(f"weights {path} is not a file")
    with strangers_code(f"weights {path}"), bounded_memory(_LARGER * path.stat().st_size + _ROOM):
        try:
            if path.suffix == ".safetensors":
                return load_file(path)
            check_whole(path)
            if trust:
                return torch.load(path, map_location="cpu", weights_only=False)
            check_pickles(path)
            with torch.serialization.safe_globals(_harmless()):
                return torch.load(path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            raise _refused(path, error) from error
        except UserError as error:
            raise UserError(f"weights {path} cannot be used: {error}; delete it and get it anew") from error
        except MemoryError as error:
            raise UserError(f"weights {path} take far more memory than the file has bytes") from error
        except _DAMAGE as error:
            raise UserError(f"weights {path} cannot be read: {one_line(error)}") from error


def state_in(checkpoint: Any, path: Path) -> State:
    """The weights in a checkpoint, wherever they are.

    Raises:
        UserError: (a ValueError) there are none.
    """
    checkpoint = _unwrapped(checkpoint)
    if not isinstance(checkpoint, Mapping):
        raise UserError(f"weights {path} hold no state_dict; found {type(checkpoint)}")
    odd = next((type(key) for key in checkpoint if not isinstance(key, str)), None)
    if odd is not None:
        raise UserError(f"weights {path} hold no state_dict: its keys must be names of tensors, found {odd}")
    if not any(isinstance(value, Tensor) for value in checkpoint.values()):
        raise UserError(f"weights {path} hold no state_dict; found keys {', '.join(checkpoint)}")
    return checkpoint


def _unwrapped(checkpoint: Any) -> Any:
    """Returns what a checkpoint holds under the keys of training scripts."""
    for wrapper in _WRAPPERS:
        if isinstance(checkpoint, Mapping) and isinstance(checkpoint.get(wrapper), Mapping):
            checkpoint = checkpoint[wrapper]
    return checkpoint


def _check_alone(state: State, checkpoint: Any, path: Path) -> None:
    """Raises UserError if a checkpoint holds other weights of the same names: another epoch's, or an average."""
    if state is checkpoint or _LAST in checkpoint:
        return
    names = _plain_names(state)
    found = [str(key) for key, value in checkpoint.items() if names & _plain_names(_unwrapped(value))]
    if len(found) > 1:
        raise UserError(
            f"weights {path} hold those of several networks, under {', '.join(found)}; save the ones that you mean in "
            "a file of their own: torch.save(torch.load(FILE)[KEY], NEW)"
        )


def _plain_names(state: Any) -> set[str]:
    """Returns the names of weights without what wrappers put before them; none of what is no state."""
    if not isinstance(state, Mapping):
        return set()
    names = [name for name, value in state.items() if isinstance(name, str) and isinstance(value, Tensor)]
    return {name.removeprefix("module.").removeprefix("model.") for name in names}


def fit_names(state: State, network: nn.Module) -> dict[str, Tensor]:
    """Renames the weights of a checkpoint to what a network calls them.

    Data parallelism and wrappers leave a `module.` or `model.` in front of all names, which may be the network's own
    or not. Tried are the names as they are, without these prefixes, and with `model.` in front; the first way by which
    most names match is taken.
    """
    expected = network.state_dict().keys()
    ways = [{rename(name): name for name in state} for rename in _spellings()]
    best = max(ways, key=lambda way: len(way.keys() & expected))
    return {new: state[old] for new, old in best.items()}


def check_complete(network: nn.Module, state: State, path: Path) -> None:
    """Raises UserError if a checkpoint lacks any of a network's weights; constants may be missing."""
    lacking = [name for name in network.state_dict() if name not in state and not is_constant(name)]
    if lacking:
        raise UserError(
            f"weights {path} do not fit the {type(network).__name__}: {len(lacking)} of its tensors are missing, "
            f"{lacking[0]} first"
        )


def is_constant(name: str) -> bool:
    """Returns whether a tensor of this name has its right value from a network's constructor."""
    return name.rpartition(".")[2] in _CONSTANTS


def load_weights(network: nn.Module, path: Path, *, trust: bool = False) -> None:
    """Loads a checkpoint into a network, all of it into all of it.

    Raises:
        UserError: (a ValueError) it cannot be read, or does not fit.
    """
    checkpoint = read_checkpoint(path, trust=trust)
    found = state_in(checkpoint, path)
    _check_alone(found, checkpoint, path)
    state = fit_names(found, network)
    check_complete(network, state, path)
    complex_ones = [name for name, value in state.items() if isinstance(value, Tensor) and value.is_complex()]
    if complex_ones:
        raise UserError(f"weights {path} do not fit the {type(network).__name__}: {complex_ones[0]} is complex")
    try:
        problems = network.load_state_dict(state, strict=False)
    except RuntimeError as error:  # another shape
        raise UserError(f"weights {path} do not fit the {type(network).__name__}: {one_line(error)}") from error
    if problems.unexpected_keys:
        raise UserError(
            f"weights {path} do not fit the {type(network).__name__}: it has no {', '.join(problems.unexpected_keys)}"
        )


def _spellings() -> Iterator[Callable[[str], str]]:
    """The ways in which a network's names may be spelt in a checkpoint, as functions from those back to these."""

    def strip(prefixes: tuple[str, ...], put: str, name: str) -> str:
        for prefix in prefixes:
            name = name.removeprefix(prefix)
        return put + name

    for put in ("", "model."):
        for prefixes in ((), ("module.",), ("model.",), ("module.", "model.")):
            yield functools.partial(strip, prefixes, put)


def _harmless() -> list[Any]:
    """NumPy's numbers and arrays, under the names by which old and new versions pickled them."""
    made: list[Any] = [np.dtype, np.ndarray, _codecs.encode]
    made += [getattr(np.dtypes, name) for name in np.dtypes.__all__]
    scalar, array = np.float64(0).__reduce__()[0], np.zeros(0).__reduce__()[0]
    for home in ("numpy.core.multiarray", "numpy._core.multiarray"):
        made += [(scalar, f"{home}.scalar"), (array, f"{home}._reconstruct")]
    return made


def _refused(path: Path, error: pickle.UnpicklingError) -> UserError:
    """The error for a checkpoint that is damaged, or that `weights_only` refuses."""
    message = str(error)
    if "nsupported" not in message:
        return UserError(f"weights {path} cannot be read: {message.partition(chr(10))[0]}")
    found = re.search(r"(?:GLOBAL|class) ([\w.]+)", message)
    return UserError(
        f"weights {path} are refused: they hold {found[1] if found else 'more than data'}, and reading that could run "
        "code; if you trust where they come from, load them with trust=True (--trust)"
    )
