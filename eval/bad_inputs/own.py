"""Networks that fail in every way: `own:NAME` is one of them, for a folder where a command line runs."""
# ruff: noqa
# mypy: ignore-errors

import os
import signal
import sys
import threading

import torch
from torch import nn


class Base(BaseException):
    """An exception that is no Exception."""


class Mute(Exception):
    """An exception that cannot say anything."""

    def __str__(self):
        raise RuntimeError("no message")


class Loud(Exception):
    """An exception that says too much."""

    def __str__(self):
        return "line\n\x1b[31mred\x00 " * 1000


def explode(error):
    """Raises an error in the one way that is left: as somebody else's code does."""
    raise error


class Net(nn.Module):
    """A network that works."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(3, 10)

    def forward(self, x):
        return self.head(x.mean((2, 3)))


class Failing(Net):
    """A network that does something at its n-th batch."""

    def __init__(self, what, after=0):
        super().__init__()
        self.what, self.left = what, [after]

    def forward(self, x):
        self.left[0] -= 1
        if self.left[0] < 0:
            self.what()
        return super().forward(x)


class Backward(torch.autograd.Function):
    """A function without a gradient."""

    @staticmethod
    def forward(context, x):
        return x * 1

    @staticmethod
    def backward(context, gradient):
        raise KeyError("gradient")


class NoGradient(Net):
    """A network whose backward pass fails."""

    def forward(self, x):
        return super().forward(Backward.apply(x))


class NoRepr(Net):
    """A network that cannot be printed."""

    def __repr__(self):
        raise KeyError("repr")


class NoCopy(Net):
    """A network that cannot be copied."""

    def __deepcopy__(self, memo):
        raise KeyError("copy")


class NoEval(Net):
    """A network that cannot be put into eval mode."""

    def train(self, mode=True):
        raise KeyError("mode")


class NoState(Net):
    """A network whose weights cannot be listed."""

    def named_parameters(self, *arguments, **options):
        raise KeyError("parameters")


class NoMove(Net):
    """A network that cannot be moved."""

    def _apply(self, *arguments, **options):
        raise KeyError("device")


class NoLoad(Net):
    """A network that takes no weights."""

    def _load_from_state_dict(self, *arguments):
        raise KeyError("weights")


class NoInit(nn.Module):
    """A network whose constructor forgot its parent's."""

    def __init__(self):
        pass


class Answers(Net):
    """A network that answers with something else."""

    def __init__(self, change):
        super().__init__()
        self.change = change

    def forward(self, x):
        return self.change(super().forward(x))


RAISED = {
    "key": KeyError("layer"), "value": ValueError("a\nb"), "type": TypeError("x"), "runtime": RuntimeError("r"),
    "os": OSError(28, "No space left on device"), "import": ImportError("i"), "attribute": AttributeError("a"),
    "memory": MemoryError(), "exit": SystemExit(0), "exit1": SystemExit("bye"), "keyboard": KeyboardInterrupt(),
    "base": Base("b"), "mute": Mute(), "loud": Loud(), "generator": GeneratorExit(), "iteration": StopIteration(1),
    "recursion": RecursionError("r"), "assertion": AssertionError(), "eof": EOFError(), "system": SystemError("s"),
    "not_implemented": NotImplementedError(), "warning": UserWarning("w"), "pipe": BrokenPipeError(32, "Broken pipe"),
    "unicode": UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), "surrogate": ValueError("\udcff"),
}  # fmt: skip


def _forever(x=0):
    return _forever(x + 1)


def _swallowed():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyError("signals")


def _elsewhere():
    os.chdir("/")
    raise KeyError("folder")


def _prints():
    print("out\n" * 100)
    print("err\n" * 100, file=sys.stderr)
    sys.stdout.flush()
    raise KeyError("printed")


def _warns():
    import warnings

    warnings.warn("take care", stacklevel=1)
    raise KeyError("warned")


def _logs():
    import logging

    logging.basicConfig()
    logging.getLogger("own").error("logged")
    raise KeyError("logged")


def _in_thread():
    thread = threading.Thread(target=explode, args=(KeyError("thread"),))
    thread.start()
    thread.join()
    raise KeyError("after")


def _no_gradients():
    torch.set_grad_enabled(False)
    torch.set_default_dtype(torch.float64)
    raise KeyError("defaults")


def _hidden():
    sys.stdout = sys.stderr = None
    raise KeyError("hidden")


DONE = {
    "forever": _forever, "ends": lambda: os._exit(0), "sys_exit": lambda: sys.exit(1), "quits": lambda: quit(),
    "swallowed": _swallowed, "elsewhere": _elsewhere, "prints": _prints, "warns": _warns, "logs": _logs,
    "in_thread": _in_thread, "no_gradients": _no_gradients, "hidden": _hidden,
    "division": lambda: 1 / 0, "torch": lambda: torch.zeros(2, 3) @ torch.zeros(2, 3),
    "allocates": lambda: torch.zeros(10**14), "bytes": lambda: bytearray(10**15),
}  # fmt: skip

for _name, _error in RAISED.items():
    DONE[_name] = lambda error=_error: explode(error)

for _name, _what in DONE.items():
    globals()[f"make_{_name}"] = _what
    globals()[f"first_{_name}"] = lambda what=_what: Failing(what)
    globals()[f"later_{_name}"] = lambda what=_what: Failing(what, after=9)

MADE = {
    "none": None, "text": "network", "kind": Net, "list": [], "art": object(), "tensor": torch.zeros(3),
}  # fmt: skip
for _name, _thing in MADE.items():
    globals()[f"makes_{_name}"] = lambda thing=_thing: thing

CHANGES = {
    "none": lambda y: None, "text": lambda y: "logits", "empty": lambda y: y[:, :0], "flat": lambda y: y.flatten(),
    "scalar": lambda y: y.sum(), "fewer": lambda y: y[:1], "two": lambda y: y[:, :2], "meta": lambda y: y.to("meta"),
}  # fmt: skip
for _name, _change in CHANGES.items():
    globals()[f"answers_{_name}"] = lambda change=_change: Answers(change)

number = 3
held = Net()


def works():
    """Makes a network that works."""
    return Net()


def needs(width):
    """Needs an argument."""
    return Net()


async def waits():
    """Makes a coroutine."""
    return Net()


def yields():
    """Makes a generator."""
    yield Net()
