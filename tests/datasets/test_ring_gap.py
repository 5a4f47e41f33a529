"""The gap between rings that refinement gets, against the rings of real sweeps."""

import numpy as np
import pytest

from pointsam.datasets import open_dataset


def elevations(sweep):
    rows = np.fromfile(sweep.source.path, dtype="<f4").reshape(-1, len(sweep.source.columns))
    range_m = np.linalg.norm(rows[:, :3], axis=1)
    return rows[range_m > 3], np.arcsin(rows[:, 2] / np.maximum(range_m, 1e-6))[range_m > 3]


def test_nuscenes_numbers_its_rings(nuscenes_root):
    dataset = open_dataset(nuscenes_root)
    sweep = dataset.frame(dataset.frame_ids()[0]).sweep
    rows, elevation = elevations(sweep)
    rings = np.array([np.median(elevation[rows[:, 4] == ring]) for ring in np.unique(rows[:, 4])])
    assert len(rings) == 32
    assert np.median(np.abs(np.diff(rings))) == pytest.approx(sweep.ring_gap_rad, rel=0.05)


def test_kittis_sensor_has_twice_as_many_in_two_thirds_of_the_height(kitti_root):
    dataset = open_dataset(kitti_root)
    sweep = dataset.frame(dataset.frame_ids()[0]).sweep
    _, elevation = elevations(sweep)
    low, high = np.quantile(elevation, [0.0005, 0.9995])
    assert (high - low) / 63 == pytest.approx(sweep.ring_gap_rad, rel=0.1)
