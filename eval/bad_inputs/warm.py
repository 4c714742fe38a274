"""A warm process that runs command lines: each in a child of its own, which starts at once, within bounds.

Whatever a command line does, that hang, allocate or end their process included, stays in its child. Started as a
script this is the server, which reads requests as lines of JSON; `Warm` is what its users see of it.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

_PATIENCE = 0.005
"""The seconds between two looks at a child."""

_SHOWN = 2**20
"""The number of bytes of what a child writes that are kept."""


@dataclass(frozen=True)
class Request:
    """A command line.

    Attributes:
        arguments: Its arguments.
        folder: The folder where it runs.
        environment: Changes of the environment.
        seconds: The time after which it counts as hanging.
        memory: The bytes that it may take beyond what Python and torch take.
        file: The bytes of the largest file that it may write; None for any.
    """

    arguments: Sequence[str]
    folder: str
    environment: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 30.0
    memory: int = 4 * 2**30
    file: int | None = None


@dataclass(frozen=True)
class Outcome:
    """The end of a command line.

    Attributes:
        code: Its exit code, negative for a signal; None if it was stopped because it took too long.
        stdout: Its output.
        stderr: Its errors.
        seconds: The time that it took.
    """

    code: int | None
    stdout: str
    stderr: str
    seconds: float


class Warm:
    """The server, started and stopped with a `with`."""

    def __enter__(self) -> Warm:
        # OpenMP's threads do not survive a fork: a child that waits for them would hang.
        alone = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, __file__], env=alone, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests, self._outcomes = self._process.stdin, self._process.stdout
        return self

    def __exit__(self, *error: object) -> None:
        self._requests.close()
        self._process.wait()
        self._outcomes.close()

    def run(self, request: Request) -> Outcome:
        """Runs a command line to its end."""
        self._requests.write(json.dumps(asdict(request)) + "\n")
        self._requests.flush()
        return Outcome(**json.loads(self._outcomes.readline()))


def serve() -> None:
    """Answers requests until there are no more."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # nothing but answers on the pipe
    _warm_up()
    for line in sys.stdin:
        content: dict[str, Any] = json.loads(line)
        answers.write(json.dumps(asdict(_run(Request(**content)))) + "\n")
        answers.flush()


def _warm_up() -> None:
    """Imports whatever commands use, which takes most of a command's time."""
    from counteract.cli import main

    with tempfile.TemporaryDirectory() as folder, open(os.devnull, "w") as nowhere:  # noqa: PTH123
        small = ["evaluate", "--limit", "1", "--attack", "clean", "--defence", "undefended", "--device", "cpu"]
        with contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere), contextlib.suppress(SystemExit):
            main([*small, "--cache", folder, "--out", f"{folder}/run"])
    import counteract.auditing
    import counteract.reporting.html
    import counteract.training  # noqa: F401


def _run(request: Request) -> Outcome:
    began = time.monotonic()
    pipes = [os.pipe(), os.pipe()]  # no files: the size of those may be bounded
    child = os.fork()
    if child == 0:
        _become(request, *(end for _, end in pipes))
    for _, end in pipes:
        os.close(end)
    code, (out, err) = _wait(child, [end for end, _ in pipes], began + request.seconds)
    return Outcome(code, out, err, time.monotonic() - began)


def _wait(child: int, streams: Sequence[int], until: float) -> tuple[int | None, list[str]]:
    """Waits for a child, and reads what it writes; kills it and all that it started when its time is over."""
    code, found = None, [bytearray() for _ in streams]
    for stream in streams:
        os.set_blocking(stream, False)
    while code is None and time.monotonic() < until:
        ended, status = os.waitpid(child, os.WNOHANG)
        code = os.waitstatus_to_exitcode(status) if ended else None
        for stream, text in zip(streams, found, strict=True):
            with contextlib.suppress(BlockingIOError):
                while chunk := os.read(stream, 2**16):
                    text += chunk
        if code is None:
            time.sleep(_PATIENCE)
    if code is None:
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
    for stream in streams:
        os.close(stream)
    return code, [text[:_SHOWN].decode(errors="backslashreplace") for text in found]


def _become(request: Request, out: int, err: int) -> None:
    """Runs a command line in this child, and ends it as Python would."""
    code: object = 1
    try:
        os.setpgrp()
        os.chdir(request.folder)
        os.environ.update(request.environment)
        for target, source in ((0, os.open(os.devnull, os.O_RDONLY)), (1, out), (2, err)):
            os.dup2(source, target)
        _bound(request)
        from counteract.cli import main

        main(list(request.arguments))
    except SystemExit as error:
        code = error.code
    except BaseException:  # noqa: BLE001
        import traceback

        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 0 if code is None else 1)


def _bound(request: Request) -> None:
    """Bounds what this process can take."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + request.memory
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    if request.file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (request.file, request.file))


if __name__ == "__main__":
    serve()
