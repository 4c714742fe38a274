"""What a person reads of a run: in the terminal, as Markdown, CSV and one HTML page, beside the paper's figures."""

from counteract.reporting.terminal import FOOTNOTE, accuracy_table, print_run
from counteract.reporting.write import write_reports

__all__ = ["FOOTNOTE", "accuracy_table", "print_run", "write_reports"]
