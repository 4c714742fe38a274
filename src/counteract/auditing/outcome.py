"""The outcome of an audit: accuracies, verdict and checklist, and the file that holds them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from counteract._files import write_atomically
from counteract._sealed import seal
from counteract.auditing.checklist import Check
from counteract.auditing.probes import Probes
from counteract.auditing.verdict import Verdict
from counteract.evaluation import Run


@dataclass(frozen=True)
class Audit:
    """The findings of an audit.

    Attributes:
        defence: The defence that was audited.
        run: The accuracies, of the defence and of the undefended network.
        decision: The verdict, and its reason.
        probes: The strongest attack that has gradients, with other steps and bounds; None where none could run, or the
            verdict stood before.
        checks: The checklist.
        skipped: The attacks and tests that were left out because the verdict could not change, in words.
        notes: AutoAttack's own warnings, which say what its standard version may not be trusted with. They are no
            flags: the suite averages over draws and differentiates through the defence, which is what they ask for.
    """

    defence: str
    run: Run
    decision: Verdict
    probes: Probes | None
    checks: tuple[Check, ...]
    notes: tuple[str, ...]
    skipped: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """The verdict: sound, no gain, worse than no defence, gain not confirmed, or cannot tell."""
        return self.decision.word

    @property
    def flagged(self) -> bool:
        """True where a flag is up."""
        return any(check.flag for check in self.checks)

    @property
    def sound(self) -> bool:
        """True where the accuracies are what they seem: no flag is up, and the verdict is `sound` or `no gain`."""
        return not self.flagged and self.verdict in ("sound", "no gain")

    def content(self) -> dict[str, Any]:
        """Returns the findings as JSON has them."""
        return {
            "sound": self.sound,
            "verdict": self.verdict,
            "reason": self.decision.reason,
            "defence": self.defence,
            "checks": [asdict(check) for check in self.checks],
            "notes": list(self.notes),
            "skipped": list(self.skipped),
        }


def write_audit(found: Audit, path: Path) -> None:
    """Writes an audit as JSON with a checksum, atomically.

    Raises:
        UserError: (a ValueError) it cannot be written.
    """
    content = found.content() | {
        "summaries": [asdict(summary) for summary in found.run.summaries],
        "rows": [asdict(row) for row in found.run.rows],
        "environment": found.run.environment,
        "spec": found.run.spec.model_dump(mode="json"),
    }
    write_atomically(path, seal(content, indent=1))
