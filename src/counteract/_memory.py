"""Memory within bounds while something is read that nobody vouches for."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

if sys.platform == "win32":
    resource = None
else:
    import resource

_UNKNOWN = 2**34
"""The number of bytes of memory where the system does not say how many there are."""

_PAGES = Path("/proc/self/statm")
"""The memory of this process in pages, where the system is Linux: elsewhere limits on it are not obeyed."""


def most_memory() -> int:
    """Returns the number of bytes that may be made of one file: half of the memory that this process can have."""
    bounds = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else _UNKNOWN]
    if resource is not None:
        bounds += [limit for limit in resource.getrlimit(resource.RLIMIT_AS) if limit != resource.RLIM_INFINITY]
    return min(bounds) // 2


@contextmanager
def bounded_memory(more: int) -> Iterator[None]:
    """Lets the process take so many bytes more than it has, for the while; whatever asks for others gets a MemoryError.

    It is the process that is bounded, other threads of it included: leave room. Only Linux can do it.
    """
    if resource is None or not _PAGES.exists():
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    bound = int(_PAGES.read_text().split()[0]) * resource.getpagesize() + more
    if soft != resource.RLIM_INFINITY:
        bound = min(bound, soft)
    resource.setrlimit(resource.RLIMIT_AS, (bound, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
