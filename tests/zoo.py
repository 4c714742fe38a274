"""A server in place of the checkpoints' real host, and checkpoints as RobustBench's zoo has them."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import torch
from torch import nn


class Host(ThreadingHTTPServer):
    """Serves bytes by path; in place of bytes it may announce more than it sends, or stop sending."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pages: dict[str, bytes] = {}
        self.missing_bytes = 0
        self.stalls = False
        self.released = threading.Event()
        self.requests: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        host = self.server
        assert isinstance(host, Host)
        host.requests.append(self.path)
        body = host.pages.get(self.path)
        if body is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) - host.missing_bytes])
        if host.stalls:
            host.released.wait(30)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Says nothing."""


def write_checkpoints(zoo: Any, name: str, model_dir: Path) -> nn.Module:
    """Saves a zoo network's own random weights in RobustBench's layout; returns the network."""
    entry = zoo._find(name)
    definition = zoo._definition(entry)
    torch.manual_seed(0)
    network: nn.Module = zoo._build(entry, definition)
    folder = model_dir / entry.dataset / entry.threat_model
    folder.mkdir(parents=True, exist_ok=True)
    if not isinstance(definition["gdrive_id"], list):
        torch.save({"state_dict": network.state_dict(), "epoch": 7}, folder / f"{entry.name}.pt")
        return network
    for index in range(len(definition["gdrive_id"])):
        parts = zoo._parts(network, index, len(definition["gdrive_id"]))
        states = {key: part.state_dict() for part, key in parts}
        torch.save(states.get(None, states), folder / f"{entry.name}.pt_m{index}.pt")
    return network
