"""The real nuScenes sample through the devkit's own tables."""

import pytest

from pointsam.datasets.io import RawPoints
from pointsam.datasets.nuscenes.exposures import COLUMNS
from pointsam.geometry.se3 import SE3
from pointsam.types import Sweep


@pytest.fixture(scope="session")
def devkit(nuscenes_root):
    nuscenes = pytest.importorskip("nuscenes", reason="nuscenes-devkit is not installed")
    return nuscenes.NuScenes("v1.0-mini", str(nuscenes_root), verbose=False)


@pytest.fixture(scope="session")
def devkit_sweep(devkit, nuscenes_root):
    record = devkit.get("sample_data", devkit.sample[0]["data"]["LIDAR_TOP"])
    mount = devkit.get("calibrated_sensor", record["calibrated_sensor_token"])
    pose = devkit.get("ego_pose", record["ego_pose_token"])
    return Sweep(
        source=RawPoints(nuscenes_root / record["filename"], COLUMNS),
        t_us=record["timestamp"],
        ego_SE3_lidar=SE3.from_quaternion(mount["rotation"], mount["translation"]),
        world_SE3_ego=SE3.from_quaternion(pose["rotation"], pose["translation"]),
    )


@pytest.fixture(scope="session")
def devkit_cloud(devkit_sweep):
    from nuscenes.utils.data_classes import LidarPointCloud

    return LidarPointCloud.from_file(str(devkit_sweep.source.path))
