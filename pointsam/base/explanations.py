"""What each error code means and what to do about it: the sections of errors.md, which is in the wheel."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

from pointsam.base.errors import SchemaError


def explain(code: str) -> str:
    """The section of a code as Markdown, its heading first.

    Args:
        code: such as "DAT004", in upper or lower case.

    Raises:
        SchemaError: SCH005 if there is no such code.
    """
    sections = _sections()
    if code.upper() not in sections:
        raise SchemaError("SCH005", f"no error code {code!r}", f"use one of: {', '.join(sections)}")
    return sections[code.upper()]


def titles() -> dict[str, str]:
    """The title of each code, in the order of errors.md."""
    return {code: text.splitlines()[0].partition(" ")[2] for code, text in _sections().items()}


@cache
def _sections() -> dict[str, str]:
    text = (files("pointsam.base") / "errors.md").read_text(encoding="utf-8")
    parts = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    return {part.split(maxsplit=1)[0]: part.strip() for part in parts}
