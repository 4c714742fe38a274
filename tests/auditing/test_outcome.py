"""The outcome of an audit as a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from effort import TINY
from networks import TinyNet

from counteract import audit
from counteract._sealed import unseal
from counteract.auditing import write_audit
from counteract.auditing.spec import of_a_bare_network
from counteract.datasets import Dataset


def test_the_file_carries_a_checksum(net: TinyNet, digits: Dataset, tmp_path: Path) -> None:
    found = audit("undefended", net, digits.take(9), preset=TINY | {"steps": 2}, seeds=1, draws=2)
    write_audit(found, tmp_path / "audit.json")
    text = (tmp_path / "audit.json").read_bytes()
    content = unseal(text)
    assert (content["sound"], content["defence"]) == (found.sound, "undefended")
    assert [(c["name"], c["flag"], c["words"]) for c in content["checks"]] == [
        (c.name, c.flag, c.words) for c in found.checks
    ]
    assert {"notes", "summaries", "rows", "environment", "spec"} <= content.keys()
    assert len(content["rows"]) == len(of_a_bare_network(2))
    with pytest.raises(ValueError, match="checksum"):
        unseal(json.dumps(json.loads(text) | {"sound": not found.sound}).encode())
