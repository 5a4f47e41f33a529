"""The data of a frame in the page."""

import base64
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from helpers.store_samples import frame_labels

from pointsam.report.web_frame import frame_script
from pointsam.taxonomy import ClassSpec, Taxonomy
from pointsam.types import Membership, TrackedLabels

TWO = Taxonomy("two", (ClassSpec("car"), ClassSpec("person")))


def data_of(found, xyz_lidar_m):
    script = frame_script("000", xyz_lidar_m, found, TWO, None)
    return json.loads(re.fullmatch(r'POINTSAM\.add\("000", (.*)\);\n', script)[1])


@pytest.mark.parametrize("absent", [(), (0, 7)])
def test_grown_points_are_bits_in_the_order_of_the_points(absent):
    found = frame_labels("f0")
    xyz = np.ones((20, 3), np.float32)
    xyz[list(absent)] = np.nan
    data = data_of(found, xyz)
    present = np.isfinite(xyz).all(axis=1)
    count = present.sum()
    cluster = np.frombuffer(base64.b64decode(data["cluster"]), "<i2")
    packed = base64.b64decode(data["grown"])
    assert len(packed) == -(-count // 8)
    bits = [(packed[k >> 3] >> (k & 7)) & 1 for k in range(count)]  # as the viewer reads them
    assert bits == found.grown[present].tolist()
    assert 0 < sum(bits) < count
    assert cluster.tolist() == found.labels.instance_id[present].tolist()
    assert [row["grown"] for row in data["clusters"]] == [c.num_points_grown for c in found.clusters]


def test_without_growth_nothing_is_stored():
    found = frame_labels("f0")
    assert data_of(replace(found, grown=np.zeros(20, bool)), np.ones((20, 3)))["grown"] is None


def test_tracked_frames_have_added_points_and_the_origin_of_clusters():
    found = frame_labels("f0")
    added = (found.labels.instance_id == 1) & (np.arange(20) % 2 == 0)
    members = (Membership(4, "kept", 0), Membership(7, "extended", 1), Membership(-1, "recovered", -1))
    script = frame_script("000", np.zeros((20, 3)), found, TWO, None, tracked=TrackedLabels(found, added, members))
    data = json.loads(re.fullmatch(r'POINTSAM\.add\("000", (.*)\);\n', script)[1])
    bits = np.unpackbits(np.frombuffer(base64.b64decode(data["added"]), np.uint8), bitorder="little")[:20]
    assert bits.astype(bool).tolist() == added.tolist()
    assert [(row["track"], row["origin"]) for row in data["clusters"]] == [
        (4, "kept"), (7, "extended"), (-1, "recovered"),
    ]  # fmt: skip
    alone = frame_script("000", np.zeros((20, 3)), found, TWO, None)
    assert '"added":null' in alone
    assert '"origin"' not in alone
