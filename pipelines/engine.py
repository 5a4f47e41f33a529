"""Ordered results from any number of workers: processes of this machine, or Ray actors on a cluster."""

from __future__ import annotations

import logging
import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from pointsam.base.errors import BackendError

Task = TypeVar("Task")
Result = TypeVar("Result")

_AHEAD = 4
"""Submitted tasks per worker: enough to keep it busy, few enough that results do not accumulate."""


def ordered_map(
    work: Callable[[Task], Result],
    tasks: Iterable[Task],
    workers: int,
    initialise: Callable[..., None],
    arguments: tuple[object, ...],
    engine: str = "local",
    gpus_per_worker: float = 0.0,
) -> Generator[Result, None, None]:
    """Results of `work` in the order of the tasks. Closing the generator cancels the tasks that have not begun.

    Args:
        work: a module-level function.
        tasks: consumed lazily; at most four per worker are submitted.
        workers: number of workers; one "local" worker runs in this process.
        initialise: called with `arguments` once per worker, before its first task.
        arguments: arguments of `initialise`.
        engine: "local" processes, or "ray" actors (a running cluster if Ray finds one, else this machine).
        gpus_per_worker: number of GPUs that Ray reserves for each worker.

    Raises:
        BackendError: BCK007 if a worker dies, BCK005 if Ray is not installed, BCK006 if its cluster is
            too small for the workers.
    """
    if engine == "ray":
        return _on_ray(work, tasks, workers, initialise, arguments, gpus_per_worker)
    if workers == 1:
        return _here(work, tasks, initialise, arguments)
    return _in_processes(work, tasks, workers, initialise, arguments)


def _here(
    work: Callable[[Task], Result],
    tasks: Iterable[Task],
    initialise: Callable[..., None],
    arguments: tuple[object, ...],
) -> Generator[Result, None, None]:
    initialise(*arguments)
    for task in tasks:  # `map` would end without an error if `work` raised StopIteration
        yield work(task)


def _in_processes(
    work: Callable[[Task], Result],
    tasks: Iterable[Task],
    workers: int,
    initialise: Callable[..., None],
    arguments: tuple[object, ...],
) -> Generator[Result, None, None]:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _begin, (initialise, arguments)) as pool:
        under_way: deque[Future[Result]] = deque()
        try:
            for task in tasks:
                under_way.append(pool.submit(work, task))
                if len(under_way) >= _AHEAD * workers:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        except BrokenProcessPool:
            raise _died() from None
        finally:
            for future in under_way:
                future.cancel()


def _begin(initialise: Callable[..., None], arguments: tuple[object, ...]) -> None:
    threading.Thread(target=_die_with_parent, daemon=True).start()
    initialise(*arguments)


def _die_with_parent() -> None:
    """Exit when the parent exits. Workers of a killed parent would wait for tasks for ever, with models in memory."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _on_ray(
    work: Callable[[Task], Result],
    tasks: Iterable[Task],
    workers: int,
    initialise: Callable[..., None],
    arguments: tuple[object, ...],
    gpus: float,
) -> Generator[Result, None, None]:
    try:
        import ray
    except ImportError:
        raise BackendError("BCK005", "--engine ray needs Ray", "pip install 'pointsam[ray]'") from None

    class Worker:
        def start(self) -> None:
            initialise(*arguments)

        def do(self, task: Task) -> Result:
            return work(task)

    ray.init(ignore_reinit_error=True, include_dashboard=False, log_to_driver=False, logging_level=logging.WARNING)
    resources: Callable[[], Mapping[str, float]] = ray.cluster_resources
    _require_room(resources(), workers, gpus)
    kind: Any = ray.remote(num_cpus=1, num_gpus=gpus)(Worker)
    actors = [kind.remote() for _ in range(workers)]
    under_way: deque[ray.ObjectRef[Result]] = deque()
    try:
        ray.get([actor.start.remote() for actor in actors])
        for k, task in enumerate(tasks):
            under_way.append(actors[k % workers].do.remote(task))
            if len(under_way) >= _AHEAD * workers:
                yield ray.get(under_way.popleft())
        while under_way:
            yield ray.get(under_way.popleft())
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    except ray.exceptions.RayActorError:
        raise _died() from None
    finally:
        for actor in actors:
            ray.kill(actor)


def _require_room(held: Mapping[str, float], workers: int, gpus: float) -> None:
    """Refuse workers that do not fit into the cluster; Ray would wait for them silently and for ever."""
    for resource, share in (("CPU", 1.0), ("GPU", gpus)):
        there = held.get(resource, 0.0)
        if workers * share > there:
            raise BackendError(
                "BCK006",
                f"{workers} workers need {workers * share:g} {resource}s, and Ray's cluster has {there:g}",
                f"lower --workers to {there // share:g}"
                if there >= share
                else f"start Ray where it finds a {resource}, or use --engine local",
            )


def _died() -> BackendError:
    return BackendError(
        "BCK007",
        "a worker died, most likely because memory ran out",
        "run the same command again with fewer --workers: finished shards are kept",
    )
