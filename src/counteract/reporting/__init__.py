"""What a person reads of a run: in the terminal, as Markdown, CSV and one HTML page, beside the paper's figures."""
