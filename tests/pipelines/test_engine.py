import os
from pathlib import Path

import pytest

from pipelines.engine import ordered_map
from pointsam.errors import BackendError


def _nothing():
    pass


def _square(x):
    return x * x


def _fail(x):
    raise BackendError("BCK006", "no such device", "use --device cpu")


def _die(x):
    os._exit(1)


@pytest.fixture(params=["local", "ray"])
def engine(request, monkeypatch):
    if request.param == "ray":
        pytest.importorskip("ray", reason="needs pointsam[ray]")
        monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))  # Ray's workers import this module
    return request.param


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_tasks(workers, engine):
    assert list(ordered_map(_square, range(20), workers, _nothing, (), engine)) == [x * x for x in range(20)]


def test_a_workers_error_reaches_the_caller_as_it_is(engine):
    with pytest.raises(BackendError, match="BCK006"):
        list(ordered_map(_fail, range(3), 2, _nothing, (), engine))


def test_tasks_are_taken_only_as_they_are_needed():
    taken = []

    def tasks():
        for x in range(100):
            taken.append(x)
            yield x

    results = ordered_map(_square, tasks(), 2, _nothing, ())
    next(results)
    assert len(taken) <= 9
    results.close()


def test_a_worker_that_dies_is_an_error_that_says_so(engine):
    with pytest.raises(BackendError, match="BCK007"):
        list(ordered_map(_die, range(3), 2, _nothing, (), engine))
