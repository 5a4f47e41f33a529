"""Real samples for tests: a folder named by POINTSAM_SHARED, else `shared` beside the checkout."""

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("POINTSAM_SHARED", Path(__file__).resolve().parents[2] / "shared"))


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """Indices and weights of tests stay out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POINTSAM_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


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
