"""Which errors set a frame aside, and which stop the run."""

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


def test_a_full_memory_stops_the_run():
    with pytest.raises(BackendError, match="BCK008"):
        done(MemoryError())
