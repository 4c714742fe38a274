"""Memory within bounds: an allocation beyond them fails, and afterwards there are none."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from counteract._memory import bounded_memory, most_memory


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux bounds memory")
def test_what_is_beyond_the_bound_is_refused() -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)
    with bounded_memory(2**28):
        bytearray(2**24)
        with pytest.raises(MemoryError):
            bytearray(2**29)
        bound = resource.getrlimit(resource.RLIMIT_AS)[0]
        with bounded_memory(2**40):  # which is no way around the first
            assert resource.getrlimit(resource.RLIMIT_AS)[0] == bound
    assert resource.getrlimit(resource.RLIMIT_AS) == before
    bytearray(2**29)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no limit to set")
def test_half_of_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    whole = most_memory()
    assert 2**28 < whole < 2**50
    monkeypatch.setattr(resource, "getrlimit", lambda _: (2**30, resource.RLIM_INFINITY))
    assert most_memory() == 2**29
