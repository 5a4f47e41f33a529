"""Text for the terminal. Names and values from data may hold control characters, which would move the cursor, change
colours and titles, or reverse the text; they are printed as escapes.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO, cast

_CONTROL = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
_IN_TEXT = re.compile(rf"[{_CONTROL}]|\r(?!\n)")
_IN_LINE = re.compile(rf"[{_CONTROL}\t\n\r]")


def visible(text: str) -> str:
    """Text with escapes for control characters (C0, C1), bidirectional controls and lone surrogates, but for line ends
    and tabs.
    """
    return _IN_TEXT.sub(_escape, text)


def visible_line(text: str) -> str:
    """As `visible`, for a name or value within a line: line ends and tabs are escaped too."""
    return _IN_LINE.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")


class _Visible:
    """A text stream that writes what `visible` returns, whatever its encoding.

    Attributes:
        ascii_only: True if the stream can hold ASCII only, else None.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        encoding = (getattr(stream, "encoding", None) or "ascii").lower().replace("_", "-")
        self.ascii_only = True if encoding in ("ascii", "us-ascii", "ansi-x3.4-1968", "646") else None
        # click bypasses streams of ASCII.
        self.encoding = "utf-8" if self.ascii_only else encoding
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")

    def write(self, text: str) -> int:
        start = "\r" if text.startswith("\r") else ""  # of a progress bar
        self._stream.write(start + visible(text[len(start) :]))
        return len(text)

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


@contextmanager
def visible_streams() -> Iterator[None]:
    """Print all text to standard output and error as `visible` returns it, during the block."""
    before = sys.stdout, sys.stderr
    protect_streams()
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def protect_streams() -> None:
    """As `visible_streams`, to the end of the process."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, _Visible):  # None: pythonw, or closed by the parent
            setattr(sys, name, cast(TextIO, _Visible(stream)))
