"""Numbers with their nouns, for text that users read."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def counted(number: int, noun: str) -> str:
    """A number and its noun, as "1 box" or "2 boxes"."""
    plural = "es" if noun.endswith(("s", "x")) else "s"
    return f"{number} {noun}{'' if number == 1 else plural}"


def duration(seconds: float) -> str:
    """A duration in the unit that suits it, as "1.5 hours", "2.0 minutes" or "0.3 seconds"."""
    units = (("hours", 3600), ("minutes", 60), ("seconds", 1))
    return next(f"{seconds / n:.1f} {unit}" for unit, n in units if seconds >= n or n == 1)


def nearest(name: str, known: Iterable[str], likeness: float = 0.6) -> str | None:
    """The known name that a misspelt one resembles most, whatever its case; None if none does.

    Args:
        name: the misspelt name.
        known: the names.
        likeness: least ratio of `difflib`, from 0 to 1 for the same letters.
    """
    plain = {one.casefold(): one for one in known}
    found = difflib.get_close_matches(name.casefold(), plain, n=1, cutoff=likeness)
    return plain[found[0]] if found else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a sentence: ", did you mean 'car'?", or nothing if no known name is near."""
    found = nearest(name, known)
    return "" if found is None else f", did you mean {found!r}?"
