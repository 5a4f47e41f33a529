"""The end of a process on SIGINT (Ctrl-C) or SIGTERM: workers end, temporary files go, one line says how to go on.

The process exits at once, without unwinding. An exception could come up anywhere: in a destructor, in an import, in a
callback of a C library, each of which may swallow it or print a traceback. All files are written so that a kill at any
moment is harmless (`pointsam.base.files`).

Programs call `catch`; without it, nothing here changes how signals are handled.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
AGAIN = "run the same command again"

starting = threading.Lock()
"""Held by threads that start a process, so that no process is missed."""

_undoing: dict[int, Callable[[], object]] = {}
_blocks = 0
_waiting: int | None = None
_advice = AGAIN
_owner = 0


def catch() -> None:
    """Handle both signals in this process. A signal that the parent ignores (nohup) stays ignored."""
    global _owner
    _owner = os.getpid()
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _on_signal)


def ignore() -> None:
    """Do not deliver the signals to this thread, and to the processes that it starts."""
    if hasattr(signal, "pthread_sigmask"):  # not on Windows
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)


def advise(text: str) -> None:
    """Set how to go on after an interruption of the command that runs now."""
    global _advice
    _advice = text


@contextmanager
def undone_by(undo: Callable[[], object]) -> Iterator[None]:
    """Call a function if the process is interrupted during the block; errors of it are ignored."""
    key = id(undo)
    _undoing[key] = undo
    try:
        yield
    finally:
        _undoing.pop(key, None)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let a signal wait until the block ends. For a few short operations that belong together."""
    global _blocks
    _blocks += 1
    try:
        yield
    finally:
        _blocks -= 1
        if _blocks == 0 and _waiting is not None:
            _end(_waiting)


def _on_signal(number: int, _: FrameType | None) -> None:
    global _waiting
    if os.getpid() != _owner:  # a forked data loader; its parent ends it
        if number == signal.SIGTERM:
            os._exit(128 + number)
        return
    if _blocks:
        _waiting = number
    else:
        _end(number)


def _end(number: int) -> None:
    for one in SIGNALS:
        signal.signal(one, signal.SIG_IGN)  # a second Ctrl-C must not cut this short
    _end_workers()
    for undo in reversed(list(_undoing.values())):
        with suppress(Exception):
            undo()
    with suppress(Exception):  # the signal may have come in the middle of a write
        sys.stdout.flush()
    if os.environ.get("RANK", "0") == "0":  # of several processes of torchrun, only the first prints
        with suppress(OSError):
            os.write(2, f"{_newline()}interrupted; {_advice}\n".encode())
    os._exit(128 + number)


def _end_workers() -> None:
    if "multiprocessing" not in sys.modules:
        return
    import multiprocessing

    starting.acquire(timeout=2)  # never released: no other process is started
    workers = multiprocessing.active_children()
    for worker in workers:
        with suppress(Exception):
            worker.kill()
    for worker in workers:
        with suppress(Exception):
            worker.join(2)


def _newline() -> str:
    """A line break if a progress bar has left the cursor behind it."""
    bars = getattr(sys.modules.get("tqdm.std"), "tqdm", None)
    return "\n" if getattr(bars, "_instances", None) else ""
