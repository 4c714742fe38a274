"""RobustBench where it is installed, and a server in place of the checkpoints' real host."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import pytest
from zoo import Host


@pytest.fixture(scope="session")
def zoo() -> Any:
    """`counteract.robustbench.zoo`, where RobustBench is installed."""
    try:
        version("robustbench")
    except PackageNotFoundError:
        pytest.skip("needs RobustBench: pip install '.[robustbench]'")
    from counteract.robustbench import zoo

    zoo.import_robustbench()
    return zoo


@pytest.fixture
def host() -> Iterator[Host]:
    """A running server on this machine."""
    server = Host()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.released.set()
    server.shutdown()
    thread.join()
    server.server_close()
