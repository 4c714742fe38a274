"""The check of captions finds what it is meant to find."""

from __future__ import annotations

from captions import questions

SOURCE = '''"""How it is done."""
LIMIT = 3
"""What it is."""
class Thing:
    """A thing.

    What it is about.
    """
    size: int
    """
    Whether it is large.
    """
    def grow(self):
        """Whatever it takes."""
        return "Which string is no caption"
async def wait():
    "Which of them"
'''


def test_questions_are_found_and_nothing_else() -> None:
    assert sorted(questions(SOURCE)) == [
        (1, "How it is done."),
        (3, "What it is."),
        (10, "Whether it is large."),
        (17, "Which of them"),
    ]
