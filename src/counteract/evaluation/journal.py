"""The journal of a run: one line for each finished block of each cell, which outlives the process that wrote it.

Each process appends to a file of its own; the first process merges them when a run begins. A line carries a checksum:
one that was damaged is not believed, its block is measured again, and a report says that it is missing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from counteract._errors import UserError
from counteract._files import write_atomically
from counteract._sealed import seal, unseal

_PATTERN = "journal*.jsonl"


@dataclass(frozen=True)
class Entry:
    """One line: what a network with a defence answered to one block under one attack with one seed.

    Attributes:
        key: A hash of everything that the answers depend on.
        n: The number of examples.
        draws: The number of draws of the defence that judged them.
        correct: Which were classified correctly, draw by draw, as packed bits in hexadecimal.
        executions: The number of executions that the defence averages.
        passes: The cost of one defended prediction in forward passes.
        seconds: The time that the predictions took.
        undefended_seconds: The time that the undefended network takes for as many.
        unusable: The number of answers that were not finite, and so counted as wrong.
        attack_passes: The forward passes that the attack took for all of them; None where they were not counted.
        projected: The number of adversarial images that lay outside of the threat model and were projected onto it.
        said: The attack's own warnings, a line each.
        tried: The number of examples that the attack tried, fewer than all in a cascade; None where it was not counted.
        random: True where the defence draws, as far as that was asked.
        once: True where it draws, and a single draw judged it outside of a cascade, where it was not asked.
        spared: Those that no draw of these got right, but one of more did, packed likewise; empty for none.
        partial: True where an attack before it in a cascade had failed: what that would have broken was tried, too.
        failed: The reason why the attack failed, so that there are no answers; empty where it did not.
    """

    key: str
    n: int
    draws: int
    correct: str
    executions: int
    passes: int
    seconds: float
    undefended_seconds: float
    unusable: int = 0
    attack_passes: float | None = None
    projected: int = 0
    said: str = ""
    failed: str = ""
    tried: int | None = None
    random: bool = False
    once: bool = False
    spared: str = ""
    partial: bool = False

    def drawn(self) -> Tensor:
        """Returns the draws in which each example was right: bool, shape (draws, n)."""
        return unpack(self.correct, self.draws, self.n)

    def shares(self) -> Tensor:
        """Returns the share of the draws in which each example was right: float64, shape (n,)."""
        return self.drawn().double().mean(0)

    def left(self) -> Tensor:
        """Returns the examples that later attacks of a cascade have to try: bool, shape (n,)."""
        if self.failed:
            return torch.ones(self.n, dtype=torch.bool)
        right = self.drawn().any(0)
        return right | unpack(self.spared, 1, self.n)[0] if self.spared else right


def unpack(packed: str, draws: int, n: int) -> Tensor:
    """Returns what `pack` made a text of: bool, shape (draws, n)."""
    bits = np.unpackbits(np.frombuffer(bytes.fromhex(packed), np.uint8), count=n * draws)
    return torch.from_numpy(bits.reshape(draws, n)).bool()


def pack(correct: Tensor) -> str:
    """Returns the text of packed bits, in hexadecimal: bool, shape (draws, n)."""
    return np.packbits(correct.cpu().numpy()).tobytes().hex()


def failure(key: str, n: int, reason: str) -> Entry:
    """Returns the line of an attack that failed."""
    wrong = pack(torch.zeros(1, n, dtype=torch.bool))
    return Entry(key, n, draws=1, correct=wrong, executions=0, passes=0, seconds=0, undefended_seconds=0, failed=reason)


@dataclass
class Entries:
    """The lines of a folder's journals.

    Attributes:
        found: The whole ones, by their keys; of several with one key the last.
        damaged: The number of those whose checksum does not fit.
    """

    found: dict[str, Entry] = field(default_factory=dict)
    damaged: int = 0


def read_entries(folder: Path) -> Entries:
    """Reads the journals of a folder. A last line without its end, of a run that was killed, is no damage.

    Raises:
        UserError: (a ValueError) a journal cannot be read.
    """
    entries = Entries()
    for path in sorted(folder.glob(_PATTERN)):
        try:
            lines = path.read_bytes().splitlines(keepends=True)
        except OSError as error:
            raise UserError(f"{path} cannot be read ({error.strerror})") from error
        for line in lines:
            try:
                entry = Entry(**unseal(line))
            except (ValueError, TypeError):
                entries.damaged += line.endswith(b"\n")
                continue
            entries.found[entry.key] = entry
    return entries


class Journal:
    """The entries of a run while it goes on.

    Args:
        folder: The run's folder; None keeps them in memory alone.
        rank: The number of this process.

    Raises:
        UserError: (a ValueError) the folder cannot be read or written.
    """

    def __init__(self, folder: Path | None, rank: int = 0) -> None:
        self.entries: dict[str, Entry] = {}
        self.damaged = 0
        self._path = folder and folder / (f"journal-{rank}.jsonl" if rank else "journal.jsonl")
        self.added: list[Entry] = []

    def open(self) -> None:
        """Reads what earlier runs left, and puts it into one file without damaged lines and ends."""
        if self._path is None:
            return
        left = read_entries(self._path.parent)
        kept = {key: entry for key, entry in left.found.items() if not (entry.failed or entry.partial)}
        self.entries = kept  # what failed may do better now
        self.damaged = left.damaged
        write_atomically(self._path, b"".join(map(_line, self.entries.values())))
        for path in set(self._path.parent.glob(_PATTERN)) - {self._path}:
            path.unlink()

    def add(self, entry: Entry) -> None:
        """Keeps an entry, on the disk itself; what was there before stays whatever happens.

        Raises:
            UserError: (a ValueError) it cannot be written.
        """
        self.entries[entry.key] = entry
        self.added.append(entry)
        if self._path is None:
            return
        try:
            with self._path.open("ab") as file:
                file.write(_line(entry))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise UserError(f"{self._path} could not be written ({error.strerror}); run again to go on") from error

    def learn(self, entries: Iterable[Entry]) -> None:
        """Takes over what other processes found; they have written it themselves."""
        self.entries |= {entry.key: entry for entry in entries}


def _line(entry: Entry) -> bytes:
    return seal(asdict(entry))
