"""Reports of a run: in the terminal, as Markdown, CSV and one HTML page, beside the paper's figures."""

from counteract._extras import needing

with needing("evaluate"):
    from counteract.reporting.terminal import accuracy_table, print_run
    from counteract.reporting.words import FOOTNOTE
    from counteract.reporting.write import write_reports

__all__ = ["FOOTNOTE", "accuracy_table", "print_run", "write_reports"]
