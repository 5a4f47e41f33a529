"""One progress bar: rate and time left, also in the log of a batch job."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

_LOG_SECONDS = 30.0
"""How often a log gets a line: where nobody watches, ten times a second would drown what matters."""


def progress(items: Iterable[Any] | None = None, **options: Any) -> Any:
    """Tqdm on standard error; `options` are tqdm's."""
    return tqdm(items, mininterval=0.1 if sys.stderr.isatty() else _LOG_SECONDS, **options)
