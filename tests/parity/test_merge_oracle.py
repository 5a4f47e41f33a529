"""The sequential merge against the rule of docs/method.md A.7, point by point."""

from collections import Counter

import numpy as np
import pytest

from pointsam.stages.merge import MergeConfig, merge
from pointsam.types import NO_INSTANCE, PointLabels


def oracle(labels_by_camera, ratio=0.5):
    """A.7 written straight down: (instance, class) of each point."""
    ref = [(-1, 255)] * len(labels_by_camera[0])
    for labels in labels_by_camera:
        shift = max(i for i, _ in ref) + 1 if any(i >= 0 for i, _ in ref) else 0
        new = [
            (int(i) + shift if i >= 0 else -1, int(c)) for i, c in zip(labels.instance_id, labels.class_id, strict=True)
        ]
        size_ref, size_new = Counter(i for i, _ in ref), Counter(i for i, _ in new)
        class_ref = dict(ref)
        taken = {}
        for e in sorted({i for i, _ in new} - {-1}):
            shared = Counter(r for (i, _), (r, _) in zip(new, ref, strict=True) if i == e and r >= 0)
            if shared:
                r = min(shared, key=lambda r: (-shared[r], r))
                if shared[r] / min(size_ref[r], size_new[e]) >= ratio:
                    taken[e] = (r, class_ref[r])
        ref = [old if i < 0 else taken.get(i, (i, c)) for (i, c), old in zip(new, ref, strict=True)]
    return ref


def random_cameras(rng):
    """Cameras that see the same row of objects in windows that overlap, with over- and under-segmentation and bleed."""
    num_points, num_cameras = int(rng.integers(1, 60)), int(rng.integers(1, 7))
    truth = np.sort(rng.integers(0, 6, num_points))
    cameras = []
    for _ in range(num_cameras):
        low, high = np.sort(rng.integers(0, num_points + 1, 2))
        seen = np.zeros(num_points, dtype=bool)
        seen[low:high] = True
        instance = np.where(rng.random(num_points) < 0.2, rng.integers(0, 6, num_points), truth)
        if rng.random() < 0.3:
            instance = instance // 2
        instance = np.where(seen & (rng.random(num_points) < 0.9), instance, NO_INSTANCE)
        class_of = rng.integers(0, 4, 6)
        cameras.append(
            PointLabels(
                instance.astype(np.int32),
                np.where(instance == NO_INSTANCE, 255, class_of[instance]).astype(np.uint8),
            )
        )
    return cameras


@pytest.mark.parametrize("seed", range(3))
def test_equals_the_rule_on_hostile_scenes(seed):
    rng = np.random.default_rng(seed)
    for _ in range(100):
        cameras = random_cameras(rng)
        expected = oracle(cameras)
        got = merge(cameras, MergeConfig(rule="sequential")).labels
        assert [int(c) for c in got.class_id] == [c for _, c in expected]
        pairs = set(zip((i for i, _ in expected), got.instance_id.tolist(), strict=True))
        assert len({a for a, _ in pairs}) == len({b for _, b in pairs}) == len(pairs)
        assert {b for a, b in pairs if a == -1} <= {NO_INSTANCE}
