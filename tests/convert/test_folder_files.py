"""Times and poses of large drives in a folder."""

import time
from dataclasses import replace

import numpy as np
import pytest

from pointsam.base.errors import DatasetError
from pointsam.convert.apart import require_own
from pointsam.convert.folder import FolderWriter, _Part
from pointsam.datasets.folder.calibration import LidarEntry


def refuses(*arguments):
    try:
        require_own("side", *arguments)
    except DatasetError as error:
        return error.message
    return None


def slowly(frame_ids, t_us, own_us, more_us, tolerance_us):
    """The first frame whose nearest file is not its own."""
    there = sorted({*(t for t in own_us if t is not None), *more_us})
    for name, t, own in zip(frame_ids, t_us, own_us, strict=True):
        near = min(there, key=lambda one: abs(one - t), default=None)
        if near is not None and abs(near - t) <= tolerance_us and near != own:
            return name
    return None


def test_frames_whose_own_file_is_not_the_nearest_are_found():
    rng, found = np.random.default_rng(1), []
    for _ in range(300):
        t_us = sorted(rng.choice(400, 8, replace=False).tolist())
        own = [None if rng.random() < 0.1 else t + int(rng.integers(-12, 13)) for t in t_us]
        more = rng.integers(0, 400, rng.integers(0, 4)).tolist()
        names = [f"frame{k}" for k in range(8)]
        expected, message = slowly(names, t_us, own, more, 15), refuses(names, t_us, own, more, 15)
        assert (message is None) == (expected is None)
        assert expected is None or message.startswith(f"frame {expected}:")
        found.append(expected is None)
    assert 0 < sum(found) < len(found)
    assert refuses(["a"], [0], [None], [], 10) is None


@pytest.fixture
def parts():
    first = _Part("a", "0", {}, {"top": LidarEntry()}, {}, {}, True, 0, {}, (), ("a_0", "0", "a", "0"))
    rows = (replace(first, t_us=t, later={"side": t + 20}, poses={t: (t, 0, 0, 0, 0, 0, 1)}) for t in _TIMES)
    return list(rows)


_TIMES = range(0, 20_000_000, 1000)


def test_time_grows_with_the_frames_not_with_their_square(parts):
    """20,000 frames, which took half a minute when poses were copied for each frame."""
    begin = time.process_time()
    files = FolderWriter().close(parts, {})
    require_own("front", ["a"] * len(_TIMES), _TIMES, _TIMES, [], 500)
    assert time.process_time() - begin < 5
    assert files["a/poses.txt"].count(b"\n") == len(_TIMES)
