"""Ordered results from any number of workers: processes of this machine, threads of this one, or Ray actors.

A worker that dies is started again and gets its task once more; a lack of memory may have been that of a neighbour.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import Any, Generic, TypeVar

from pointsam.base import interrupts
from pointsam.base.errors import BackendError, PointSamError
from pointsam.base.terminal import protect_streams

Task = TypeVar("Task")
Result = TypeVar("Result")

_AHEAD = 4
"""Submitted tasks per worker: enough to keep it busy, few enough that results do not accumulate."""

_TRIES = 2
"""Workers that may die of a task before it is given up."""


def ordered_map(
    work: Callable[[Task], Result],
    tasks: Iterable[Task],
    workers: int,
    initialise: Callable[..., None],
    arguments: tuple[object, ...],
    engine: str = "local",
    gpus_per_worker: float = 0.0,
    given_up: Callable[[Task], Task] | None = None,
) -> Generator[Result, None, None]:
    """Results of `work` in the order of the tasks. Closing the generator cancels the tasks that have not begun.

    Args:
        work: a module-level function.
        tasks: consumed lazily; at most four per worker are submitted.
        workers: number of workers; one "local" worker runs in this process.
        initialise: called with `arguments` once per worker, before its first task.
        arguments: arguments of `initialise`.
        engine: "local" processes, "threads" of this process, which share one worker, or "ray" actors (a running
            cluster if Ray finds one, else this machine).
        gpus_per_worker: number of GPUs that Ray reserves for each worker.
        given_up: changes a task of which two workers died, so that `work` only reports it; None stops with an error.

    Raises:
        BackendError: BCK007 if workers die, BCK005 if Ray is not installed, BCK006 if its cluster is
            too small for the workers.
    """
    if engine == "ray":
        return _on_ray(work, tasks, workers, initialise, arguments, gpus_per_worker, given_up)
    if engine == "threads":
        return _in_threads(work, tasks, workers, initialise, arguments)
    if workers == 1:
        return _here(work, tasks, initialise, arguments)
    return _in_processes(work, tasks, workers, initialise, arguments, given_up)


def _here(
    work: Callable[[Task], Result],
    tasks: Iterable[Task],
    initialise: Callable[..., None],
    arguments: tuple[object, ...],
) -> Generator[Result, None, None]:
    initialise(*arguments)
    for task in tasks:  # `map` would end without an error if `work` raised StopIteration
        yield work(task)


def _in_threads(
    work: Callable[[Task], Result],
    tasks: Iterable[Task],
    workers: int,
    initialise: Callable[..., None],
    arguments: tuple[object, ...],
) -> Generator[Result, None, None]:
    initialise(*arguments)
    return _in_order(work, tasks, workers, lambda: None)


def _in_processes(
    work: Callable[[Task], Result],
    tasks: Iterable[Task],
    workers: int,
    initialise: Callable[..., None],
    arguments: tuple[object, ...],
    given_up: Callable[[Task], Task] | None,
) -> Generator[Result, None, None]:
    """A thread per process hands it one task after another, so that the caller may be slow."""
    processes = _Processes[Task, Result](work, initialise, arguments, given_up)
    return _in_order(processes.do, tasks, workers, processes.end)


def _in_order(
    do: Callable[[Task], Result], tasks: Iterable[Task], workers: int, end: Callable[[], None]
) -> Generator[Result, None, None]:
    """Results of threads in the order of the tasks. Work under way is of no use after `end`."""
    threads = ThreadPoolExecutor(workers, initializer=interrupts.ignore)
    under_way: deque[Future[Result]] = deque()
    try:
        for task in tasks:
            under_way.append(threads.submit(do, task))
            if len(under_way) >= _AHEAD * workers:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        for future in under_way:
            future.cancel()
        end()
        threads.shutdown()


class _Processes(Generic[Task, Result]):
    """Worker processes, one for each thread that asks for work."""

    def __init__(
        self,
        work: Callable[[Task], Result],
        initialise: Callable[..., None],
        arguments: tuple[object, ...],
        given_up: Callable[[Task], Task] | None,
    ) -> None:
        self._begin = (work, initialise, arguments)
        self._given_up = given_up
        self._of_thread = threading.local()
        self._all: list[multiprocessing.process.BaseProcess] = []
        self._ended = False

    def do(self, task: Task) -> Result:
        """The result of a task, from the process of this thread."""
        for _ in range(_TRIES):
            try:
                return self._ask(task)
            except (EOFError, OSError):
                self._of_thread.pipe = None
                if self._ended:
                    break
        else:
            if self._given_up is not None:
                try:
                    return self._ask(self._given_up(task))
                except (EOFError, OSError):
                    pass
        raise _died()

    def _ask(self, task: Task) -> Result:
        pipe = getattr(self._of_thread, "pipe", None) or self._start()
        pipe.send(task)
        done, value = pipe.recv()
        if not done:
            raise value
        result: Result = value
        return result

    def _start(self) -> Connection:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        with interrupts.starting:
            if self._ended:
                raise EOFError
            resource_tracker.ensure_running()  # it lets the signals through that a worker must not get
            interrupts.ignore()
            process = context.Process(target=_serve, args=(theirs, *self._begin))
            process.start()
            self._all.append(process)
        theirs.close()  # else the end of the worker would not end the pipe
        self._of_thread.pipe = ours
        return ours

    def end(self) -> None:
        """End all processes, in the middle of their tasks too."""
        with interrupts.starting:
            self._ended = True
            for process in self._all:
                process.kill()
        for process in self._all:
            process.join()


def _serve(
    pipe: Connection,
    work: Callable[[Task], Result],
    initialise: Callable[..., None],
    arguments: tuple[object, ...],
) -> None:
    """Do tasks until the parent ends."""
    protect_streams()
    threading.Thread(target=_die_with_parent, daemon=True).start()
    begun = False
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        try:
            if not begun:
                initialise(*arguments)
                begun = True
            answer: tuple[bool, object] = (True, work(task))
        except Exception as error:
            if not isinstance(error, PointSamError):
                traceback.print_exc(file=sys.stderr)  # the parent gets the error without its traceback
            answer = (False, error)
        try:
            pipe.send(answer)
        except Exception as error:  # it cannot be pickled
            pipe.send((False, RuntimeError(f"{type(error).__name__}: {error}")))


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
    given_up: Callable[[Task], Task] | None,
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
    started = [actor.start.remote() for actor in actors]
    under_way: deque[tuple[int, Task, ray.ObjectRef[Result]]] = deque()

    def first() -> Result:
        """The result of the first task under way. An actor does its tasks in turn, so it died of its first one."""
        k, task, answer = under_way.popleft()
        for tries in range(1, _TRIES + 2):
            try:
                ray.get(started[k])
                result: Result = ray.get(answer)
                return result
            except ray.exceptions.RayActorError:
                if tries > _TRIES or (tries == _TRIES and given_up is None):
                    raise _died() from None
            actors[k] = kind.remote()
            started[k] = actors[k].start.remote()
            again = given_up(task) if tries == _TRIES and given_up is not None else task
            answer = actors[k].do.remote(again)
            for place, (other, waiting, _) in enumerate(under_way):
                if other == k:
                    under_way[place] = (k, waiting, actors[k].do.remote(waiting))
        raise _died()

    try:
        for number, task in enumerate(tasks):
            k = number % workers
            under_way.append((k, task, actors[k].do.remote(task)))
            if len(under_way) >= _AHEAD * workers:
                yield first()
        while under_way:
            yield first()
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
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
        "a worker died twice, most likely because memory ran out",
        "run the same command again with fewer --workers: finished shards are kept",
    )
