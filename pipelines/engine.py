"""Local processes: ordered results from any number of workers, with a bounded queue."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from pointsam.errors import BackendError

Task = TypeVar("Task")
Result = TypeVar("Result")


def ordered_map(
    work: Callable[[Task], Result],
    tasks: Iterable[Task],
    workers: int,
    initialise: Callable[..., None],
    arguments: tuple[Any, ...],
) -> Iterator[Result]:
    """`work` over `tasks`, results in the order of the tasks.

    Args:
        work: a module-level function.
        tasks: consumed lazily: at most four a worker are under way.
        workers: 1 runs in this process.
        initialise: called once a worker with `arguments`, before its first task.
        arguments: for `initialise`.

    Raises:
        BackendError: BCK007 if a worker process dies.
    """
    if workers == 1:
        initialise(*arguments)
        yield from map(work, tasks)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initialise, arguments) as pool:
        under_way: deque[Future[Result]] = deque()
        try:
            for task in tasks:
                under_way.append(pool.submit(work, task))
                if len(under_way) >= 4 * workers:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        except BrokenProcessPool:
            raise BackendError(
                "BCK007",
                "a worker process died, most likely killed for want of memory",
                "run the same command again with fewer --workers: finished shards are kept",
            ) from None
        finally:
            for future in under_way:
                future.cancel()
