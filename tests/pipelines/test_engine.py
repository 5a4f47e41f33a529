import os

import pytest

from pipelines.engine import ordered_map
from pointsam.errors import BackendError


def _nothing():
    pass


def _square(x):
    return x * x


def _die(x):
    os._exit(1)


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_tasks(workers):
    assert list(ordered_map(_square, range(20), workers, _nothing, ())) == [x * x for x in range(20)]


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


def test_a_worker_that_dies_is_an_error_that_says_so():
    with pytest.raises(BackendError, match="BCK007"):
        list(ordered_map(_die, range(3), 2, _nothing, ()))
