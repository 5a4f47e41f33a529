"""Numbers with their nouns, for text that users read."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """A number and its noun, as "1 box" or "2 boxes"."""
    plural = "es" if noun.endswith(("s", "x")) else "s"
    return f"{number} {noun}{'' if number == 1 else plural}"
