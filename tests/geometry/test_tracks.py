"""Velocities from the annotations of one object; parity with the devkit is in tests/synth/test_root.py."""

import numpy as np
import pytest

from pointsam.geometry.tracks import velocities

SECOND = 1_000_000


def plain(position, instance, t_us, k):
    """The devkit's rule for annotation k, sought among all."""
    own = [j for j in range(len(instance)) if instance[j] == instance[k]]
    before = [j for j in own if t_us[j] < t_us[k]]
    after = [j for j in own if t_us[j] > t_us[k]]
    first = max(before, key=lambda j: t_us[j]) if before else k
    last = min(after, key=lambda j: t_us[j]) if after else k
    seconds = (t_us[last] - t_us[first]) / SECOND
    if seconds == 0 or seconds > 1.5 * (2 if before and after else 1):
        return np.full(3, np.nan)
    return (position[last] - position[first]) / seconds


@pytest.mark.parametrize("seed", range(5))
def test_they_are_those_of_the_plain_rule(seed):
    rng = np.random.default_rng(seed)
    instance = rng.integers(0, 12, 80)
    t_us = rng.permutation(80) * SECOND // 4  # gaps of all lengths
    position = rng.normal(0, 10, (80, 3))
    found = velocities(position, instance, t_us)
    np.testing.assert_allclose(found, [plain(position, instance, t_us, k) for k in range(80)])
    assert 0 < np.isnan(found[:, 0]).sum() < 80


def test_without_annotations_there_are_none():
    none = np.zeros(0, dtype=np.int64)
    assert velocities(np.zeros((0, 3)), none, none).shape == (0, 3)
