"""JSON that users wrote: read strictly, so that a slip is a message and not a wrong label."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def read_json(path: Path) -> Any:
    """The document of a file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it cannot be read, is no JSON, repeats a key or holds NaN; the message says where.
    """
    try:
        return json.loads(path.read_bytes(), object_pairs_hook=_no_repeats, parse_constant=_no_constant)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror})") from error
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for key, value in pairs:
        if key in document:
            raise ValueError(f"the key {key!r} is there twice")
        document[key] = value
    return document


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is not a JSON number")
