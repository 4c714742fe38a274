"""Audits: every attack on one defence, the strongest again with other steps and bounds, and red flags in words.

The package is not called `audit`, which is its public function: once imported, a submodule of that name would stand in
the place of `counteract.audit`.
"""

from counteract._extras import needing

with needing("evaluate"):
    from counteract.auditing.api import audit
    from counteract.auditing.checklist import Check
    from counteract.auditing.outcome import Audit, write_audit
    from counteract.auditing.runner import audit_spec
    from counteract.auditing.spec import DEFAULTS, make_audit_spec

__all__ = ["DEFAULTS", "Audit", "Check", "audit", "audit_spec", "make_audit_spec", "write_audit"]
