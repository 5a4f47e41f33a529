"""One progress bar: rate and time left, also in the log of a batch job."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TypedDict, TypeVar, overload

from tqdm import tqdm

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

T = TypeVar("T")

_LOG_SECONDS = 30.0
"""How often a log gets a line: ten a second would bury everything else."""


_SILENT_SECONDS = 2.0
"""How long work may be silent whose length is not known."""


class ProgressBar(Protocol):
    """A progress bar that the caller advances; the block that it opens closes it."""

    def update(self, n: float = 1) -> object:
        """Advance by `n` units."""

    def set_postfix(self, *, refresh: bool = True, **values: object) -> None:
        """Show values at its end."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...


class BarOptions(TypedDict, total=False):
    """Options of tqdm."""

    desc: str
    unit: str
    unit_scale: bool
    total: int
    initial: int
    disable: bool


@overload
def progress(items: Iterable[T], **options: Unpack[BarOptions]) -> Iterable[T]: ...


@overload
def progress(items: None = None, **options: Unpack[BarOptions]) -> ProgressBar: ...


def progress(items: Iterable[T] | None = None, **options: Unpack[BarOptions]) -> Iterable[T] | ProgressBar:
    """A progress bar on standard error.

    Args:
        items: items to count while they are iterated over; None for a bar that the caller advances.
        options: options of tqdm.
    """
    interval = 0.1 if sys.stderr.isatty() else _LOG_SECONDS
    plain = getattr(sys.stderr, "ascii_only", None)  # of `pointsam.base.terminal`
    # A bar within another one has its line: tqdm would otherwise move the cursor up, which is printed as an escape.
    bar: Iterable[T] | ProgressBar = tqdm(items, mininterval=interval, ascii=plain, position=0, **options)
    return bar


@contextmanager
def announced(what: str) -> Iterator[None]:
    """Say on standard error what the block does, if that takes seconds; for work whose length is not known."""
    said = threading.Timer(_SILENT_SECONDS, lambda: print(f"{what} ...", file=sys.stderr, flush=True))
    said.daemon = True
    said.start()
    try:
        yield
    finally:
        said.cancel()
