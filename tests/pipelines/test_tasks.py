"""Which errors set a frame aside, and which stop the run."""

import errno

import pytest

from pipelines.tasks import Task, guarded
from pointsam.base.errors import (
    BackendError,
    CalibrationError,
    DatasetError,
    DefectError,
    PointSamError,
    QuarantinedError,
    SchemaError,
    StoreError,
    TrainingError,
    UnfitChangeError,
)
from pointsam.base.runtime import Stopwatch


def done(raised):
    def work():
        raise raised

    return guarded(work, lambda error: error.code, Task("f0", "", True, None), Stopwatch())


@pytest.mark.parametrize("kind", [DatasetError, CalibrationError, UnfitChangeError, DefectError, QuarantinedError])
def test_an_error_of_a_frame_sets_it_aside(kind):
    error = kind("DAT005", "torn", "mend it")
    assert done(error).error is error
    assert done(error).row == "DAT005"


@pytest.mark.parametrize("kind", [BackendError, SchemaError, StoreError, TrainingError, PointSamError])
def test_any_other_stops_the_run(kind):
    with pytest.raises(kind):
        done(kind("DAT005", "gone", "mend it"))


@pytest.mark.parametrize("raised", [ValueError("odd"), StopIteration()])
def test_a_defect_sets_a_frame_aside(raised):
    assert isinstance(done(raised).error, DefectError)


def test_a_frame_that_is_too_large_for_the_memory_is_quarantined():
    assert done(MemoryError("Unable to allocate 1 TiB")).error.code == "BCK007"


def test_a_task_of_which_workers_died_is_reported_and_not_tried_again():
    lost = Task("f0", "CAM", True, None).given_up()
    result = guarded(lambda: pytest.fail("tried again"), lambda error: error.code, lost, Stopwatch())
    assert (result.row, result.error.message) == ("BCK007", "two workers died at frame f0, camera CAM")


def test_a_full_disk_stops_the_run():
    with pytest.raises(BackendError, match=r"BCK008.*No space left"):
        done(OSError(errno.ENOSPC, "No space left on device"))
