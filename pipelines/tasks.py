"""One image or one frame as a task of a worker. A bad frame is quarantined."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from pointsam.base.errors import BackendError, DefectError, OutOfMemoryError, PointSamError
from pointsam.base.runtime import Stopwatch, peak_mb
from pointsam.store.document import Shard

Row = TypeVar("Row", covariant=True)
Made = TypeVar("Made")

LESS_MEMORY = "run again with --retry-failed and fewer --workers, or on a machine with more memory"
"""The way out where memory is short."""


@dataclass(frozen=True)
class Task:
    """One image of a shard, or one frame if `camera` is empty.

    Args:
        frame_id: the frame.
        camera: name of the camera, or "".
        last_of_frame: whether no later task is of this frame.
        completes: the shard, if this is its last task; else None.
        lost: whether workers died of it, so that it must not be tried again.
    """

    frame_id: str
    camera: str
    last_of_frame: bool
    completes: Shard | None
    lost: bool = False

    def given_up(self) -> Task:
        """The task for a worker that only reports it."""
        return replace(self, lost=True)


@dataclass(frozen=True)
class TaskResult(Generic[Row]):
    """Row and cost of a task, and digests of the data that it was made from (`pointsam.store.sources`)."""

    task: Task
    row: Row
    error: PointSamError | None
    seconds: dict[str, float]
    peak_mb: float
    sources: Mapping[str, str] = field(default_factory=dict)


class Attempt:
    """Does a task in steps. A bad frame is quarantined; errors that concern every frame stop the run.

    Args:
        task: the task.
        stopwatch: its stopwatch.
        sources: digests of the data that it reads; its steps store them.

    Attributes:
        error: why the frame is quarantined; None as long as it is not.
    """

    def __init__(self, task: Task, stopwatch: Stopwatch, sources: dict[str, str]) -> None:
        self.task, self.stopwatch, self.sources = task, stopwatch, sources
        self.error: PointSamError | None = None

    def do(self, step: Callable[[], Made]) -> Made | None:
        """What a step returns; None if the frame is quarantined because of it.

        Raises:
            PointSamError: any that does not concern a single frame; BCK008 if a model or the disk fails.
        """
        task = self.task
        where = f"frame {task.frame_id}, camera {task.camera or 'all'}"
        try:
            if task.lost:
                raise OutOfMemoryError("BCK007", f"two workers died at {where}", LESS_MEMORY)
            return step()
        except PointSamError as raised:
            if not raised.of_frame:
                raise
            self.error = raised
        except (ArithmeticError, LookupError, StopIteration, ValueError, TypeError) as raised:
            traceback.print_exc(file=sys.stderr)
            message = f"{type(raised).__name__}: {raised} ({where})"
            self.error = DefectError("INT001", message, "please report this with the traceback above")
        except MemoryError as raised:  # of numpy: a frame that is too large; others may fit
            message = f"memory ran out at {where}: {raised or 'no details'}"
            self.error = OutOfMemoryError("BCK007", message, LESS_MEMORY)
        except (RuntimeError, OSError) as raised:  # what torch and a full disk raise
            traceback.print_exc(file=sys.stderr)
            raise BackendError(
                "BCK008",
                f"{type(raised).__name__} at {where}: {raised}",
                "run the same command again, with fewer --workers if memory is short: finished shards are kept",
            ) from None
        return None

    def result(self, row: Made) -> TaskResult[Made]:
        """The result with its row."""
        return TaskResult(self.task, row, self.error, self.stopwatch.seconds, peak_mb(), self.sources)


def guarded(
    work: Callable[[], Row],
    failed: Callable[[PointSamError], Row],
    task: Task,
    stopwatch: Stopwatch,
    sources: dict[str, str] | None = None,
) -> TaskResult[Row]:
    """Do a task in one step.

    Args:
        work: does the task.
        failed: makes the row of a quarantined frame or image.
        task: the task.
        stopwatch: its stopwatch.
        sources: the mapping in which `work` stores the digests of what it reads; None if it stores none.

    Raises:
        PointSamError: as `Attempt.do`.
    """
    attempt = Attempt(task, stopwatch, {} if sources is None else sources)
    made: list[Row] = []
    attempt.do(lambda: made.append(work()))
    return attempt.result(made[0] if attempt.error is None else failed(attempt.error))
