from pathlib import Path

import numpy as np
import pytest

from pointsam.base.errors import SchemaError
from pointsam.datasets.io import XYZ, RawPoints
from pointsam.geometry.camera import Camera
from pointsam.geometry.revolution import Revolution
from pointsam.geometry.se3 import SE3
from pointsam.types import Frame, FramePoints, RollingShutter, Sweep

CAMERA = Camera(np.array([[100.0, 0, 50], [0, 100, 40], [0, 0, 1]]), 101, 81)


def sweep(columns=XYZ, **options):
    return Sweep(RawPoints(Path("none.bin"), columns), 0, SE3.identity(), SE3.identity(), **options)


def test_a_frame_has_a_sweep_and_its_first_is_the_reference():
    first, second = sweep(sensor="roof"), sweep(sensor="front")
    assert Frame("f", "s", (first, second), {}, ()).sweep is first
    with pytest.raises(SchemaError, match=r"SCH003.*frame f has no sweep"):
        Frame("f", "s", (), {}, ())


@pytest.mark.parametrize(
    ("columns", "compensated", "needs"),
    [(XYZ, False, False), ((*XYZ, "time_s"), False, True), ((*XYZ, "time_s"), True, False)],
)
def test_only_uncompensated_points_with_times_need_compensation(columns, compensated, needs):
    assert sweep(columns, motion_compensated=compensated).needs_compensation == needs
    turn = sweep(columns, motion_compensated=compensated, revolution=Revolution(-0.05, 0.05))
    assert turn.needs_compensation != compensated
    assert turn.implies_times == ("time_s" not in columns)


@pytest.mark.parametrize(
    ("shutter", "uv", "time_s"),
    [
        (RollingShutter(-0.01, 0.03), (7, 0), -0.01),
        (RollingShutter(-0.01, 0.03), (7, 80), 0.03),
        (RollingShutter(-0.01, 0.03), (7, 20), 0.0),
        (RollingShutter(-0.01, 0.03), (7, -500), -0.01),
        (RollingShutter(-0.01, 0.03), (7, 500), 0.03),
        (RollingShutter(0.03, -0.01), (7, 20), 0.02),
        (RollingShutter(0.0, 0.1, "columns"), (25, 7), 0.025),
    ],
)
def test_rows_are_exposed_at_equal_steps(shutter, uv, time_s):
    np.testing.assert_allclose(shutter.time_s(np.array([uv], dtype=float), CAMERA), [time_s], atol=1e-12)


def test_points_of_a_frame_are_kept_together():
    points = FramePoints(
        np.arange(9, dtype=np.float32).reshape(3, 3),
        np.array([0, 0, 1], np.uint8),
        np.array([np.nan, 0.1, 0.2]),
        np.array([7, 8, 9], np.float32),
    )
    some = points.keep(np.array([False, True, True]))
    assert len(some) == 2
    assert some.rows().tolist() == [[3, 4, 5, 8], [6, 7, 8, 9]]
    assert some.sweep_index.tolist() == [0, 1]
    assert some.time_s.tolist() == [0.1, 0.2]


def test_points_of_other_lengths_or_without_intensity_are_refused():
    xyz = np.zeros((3, 3), np.float32)
    with pytest.raises(SchemaError, match=r"SCH003.*sweep_index"):
        FramePoints(xyz, np.zeros(2, np.uint8), np.zeros(3))
    with pytest.raises(SchemaError, match=r"SCH003.*intensity"):
        FramePoints(xyz, np.zeros(3, np.uint8), np.zeros(3), np.zeros(4, np.float32))
    with pytest.raises(SchemaError, match="without intensity"):
        FramePoints.of(xyz).rows()
