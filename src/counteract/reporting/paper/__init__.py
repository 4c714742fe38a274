"""The paper: its published figures, its claims, and the verdicts on them."""
