"""Audits that are made up, for tests of what is written about them."""

from __future__ import annotations

from reporting.synthetic import adaptive

from counteract.auditing import Audit, Check
from counteract.auditing.verdict import Verdict

_FINE = Check("black box", False, "nothing beats it")
_UNSEEN = Check("convergence", None, "not looked at")

SOUND = Audit("rotation", adaptive(), Verdict("sound", "+9 points"), None, (_FINE, _UNSEEN), ("a note",))
"""One without a flag."""

FLAGGED = Audit(
    "rotation",
    adaptive(),
    Verdict("gain not confirmed", "+0 points"),
    None,
    (_FINE, Check("gain", True, "it is <not> \x00 & confirmed"), _UNSEEN),
    (),
)
"""One with a flag, whose words are none for XML."""

UNSURE = Audit("rotation", adaptive(), Verdict("cannot tell", "too few images"), None, (_FINE,), ())
"""One that cannot tell."""
