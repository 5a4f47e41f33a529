"""One image or one frame as a task of a worker. A bad frame is quarantined."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pointsam.base.errors import BackendError, DefectError, PointSamError
from pointsam.base.runtime import Stopwatch, peak_mb
from pointsam.store.document import Shard

Row = TypeVar("Row", covariant=True)


@dataclass(frozen=True)
class Task:
    """One image of a shard, or one frame if `camera` is empty.

    Args:
        frame_id: the frame.
        camera: name of the camera, or "".
        last_of_frame: whether no later task is of this frame.
        completes: the shard, if this is its last task; else None.
    """

    frame_id: str
    camera: str
    last_of_frame: bool
    completes: Shard | None


@dataclass(frozen=True)
class TaskResult(Generic[Row]):
    """Row and cost of a task, and digests of the data that it was made from (`pointsam.store.sources`)."""

    task: Task
    row: Row
    error: PointSamError | None
    seconds: dict[str, float]
    peak_mb: float
    sources: Mapping[str, str] = field(default_factory=dict)


def guarded(
    work: Callable[[], Row],
    failed: Callable[[PointSamError], Row],
    task: Task,
    stopwatch: Stopwatch,
    sources: Mapping[str, str] | None = None,
) -> TaskResult[Row]:
    """Do a task. A bad frame is quarantined; errors that concern every frame stop the run.

    Args:
        work: does the task.
        failed: makes the row of a quarantined frame or image.
        task: the task.
        stopwatch: its stopwatch.
        sources: the mapping in which `work` stores the digests of what it reads; None if it stores none.

    Raises:
        PointSamError: any that does not concern a single frame; BCK008 if a model, the memory or the disk fails.
    """
    error: PointSamError | None = None
    try:
        row = work()
    except PointSamError as raised:
        if not raised.of_frame:
            raise
        error = raised
    except (ArithmeticError, LookupError, StopIteration, ValueError, TypeError) as raised:
        traceback.print_exc(file=sys.stderr)
        message = f"{type(raised).__name__}: {raised} (frame {task.frame_id}, camera {task.camera or 'all'})"
        error = DefectError("INT001", message, "please report this with the traceback above")
    except (RuntimeError, MemoryError, OSError) as raised:  # what torch, a full memory and a full disk raise
        traceback.print_exc(file=sys.stderr)
        raise BackendError(
            "BCK008",
            f"{type(raised).__name__} at frame {task.frame_id}, camera {task.camera or 'all'}: {raised}",
            "run the same command again, with fewer --workers if memory is short: finished shards are kept",
        ) from None
    if error is not None:
        row = failed(error)
    return TaskResult(task, row, error, stopwatch.seconds, peak_mb(), sources or {})
