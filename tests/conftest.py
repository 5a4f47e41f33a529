"""Real samples for tests: a folder named by POINTSAM_SHARED, else `shared` beside the checkout."""

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("POINTSAM_SHARED", Path(__file__).resolve().parents[2] / "shared"))


def _need(path):
    if not path.exists():
        pytest.skip(f"real sample {path.name} is not here: its licence forbids shipping it (set POINTSAM_SHARED)")
    return path


@pytest.fixture(scope="session")
def nuscenes_root():
    return _need(SHARED / "data" / "nuscenes")


@pytest.fixture(scope="session")
def kitti_root():
    return _need(SHARED / "data" / "kitti_object")
