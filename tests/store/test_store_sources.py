"""Sensor data that change after labelling are noticed, at the cost of the ends of a file."""

import io
from dataclasses import replace

import numpy as np
import pytest
from helpers.store_samples import image_masks
from helpers.two_lidars import two_lidar_frame, write_rows

from pointsam.base.errors import ChangedSourceError
from pointsam.datasets.io import ImageFile, RawPoints
from pointsam.store.sources import (
    END_BYTES,
    digests_of,
    masks_digest,
    merged,
    require_same_masks,
    require_unchanged,
    source_digest,
)

SIZES = [0, 1, END_BYTES, END_BYTES + 7, 2 * END_BYTES, 5 * END_BYTES]


@pytest.fixture
def written(tmp_path):
    def write(content, name="file"):
        (tmp_path / name).write_bytes(content)
        return ImageFile(tmp_path / name)

    return write


@pytest.mark.parametrize("size", SIZES)
def test_equal_content_has_equal_digests(written, rng_of, size):
    content = rng_of(size).bytes(size)
    assert source_digest(written(content)) == source_digest(written(content, "copy"))


@pytest.mark.parametrize("size", SIZES[1:])
@pytest.mark.parametrize("at", [0, -1])
def test_a_byte_at_an_end_counts(written, rng_of, size, at):
    content = bytearray(rng_of(size).bytes(size))
    before = source_digest(written(bytes(content)))
    content[at] ^= 1
    assert source_digest(written(bytes(content))) != before


@pytest.mark.parametrize("size", SIZES[1:])
def test_the_size_counts(written, size):
    assert source_digest(written(bytes(size))) != source_digest(written(bytes(size + 1)))


def test_only_the_ends_of_a_file_are_read():
    read = []

    class Stream(io.BytesIO):
        def read(self, size=-1):
            content = super().read(size)
            read.append(len(content))
            return content

    class Watched:
        name = file_name = "a.jpg"

        def open(self):
            return Stream(bytes(100 * END_BYTES))

    assert source_digest(Watched()).startswith(f"{100 * END_BYTES}-")
    assert read == [END_BYTES, END_BYTES]


def test_points_without_a_file_are_read(tmp_path):
    frame, _ = two_lidar_frame(tmp_path)
    before = digests_of(frame, lambda _: True)
    assert list(before) == ["sweep 0", "sweep 1", "image front"]
    rows = [sweep.source.read(sweep.source.columns) for sweep in frame.sweeps]
    rows[1][3, 0] += 1
    write_rows(tmp_path / "sweeps.parquet", rows)
    after = digests_of(frame, lambda _: True)
    assert {name for name in before if before[name] != after[name]} == {"sweep 1"}


def test_a_changed_source_is_named(tmp_path):
    frame, _ = two_lidar_frame(tmp_path)
    made = digests_of(frame, lambda _: True)
    require_unchanged(made, frame, "clusters")
    write_rows(tmp_path / "sweeps.parquet", [np.ones((3, 4)), np.ones((2, 4))])
    with pytest.raises(ChangedSourceError, match="DAT013") as caught:
        require_unchanged(made, frame, "clusters")
    assert f"{frame.sweep.source.name} has changed since frame {frame.frame_id} was labelled" in caught.value.message
    assert "--retry-failed" in caught.value.hint
    require_unchanged(made, frame, "clusters", lambda name: name.startswith("image "))


def test_a_source_that_cannot_be_read_is_not_compared(tmp_path):
    frame, _ = two_lidar_frame(tmp_path)
    made = digests_of(frame, lambda _: True)
    (tmp_path / "sweeps.parquet").unlink()
    require_unchanged(made, frame, "clusters")
    assert list(digests_of(frame, lambda _: True)) == ["image front"]


def test_runs_without_digests_are_accepted(tmp_path):
    require_unchanged({}, two_lidar_frame(tmp_path)[0], "clusters")
    require_same_masks({}, {"masks": "a"}, "f0")
    require_same_masks({}, {}, "f0")


def test_masks_that_were_made_again_are_refused():
    require_same_masks({"masks": "a"}, {"masks": "a"}, "f0")
    for masks in ({"masks": "b"}, {}):
        with pytest.raises(ChangedSourceError, match=r"DAT013.*masks of frame f0 were made again"):
            require_same_masks({"masks": "a"}, masks, "f0")


def test_digests_of_images_become_one_of_the_frame():
    left = {"image left": "1-a", "unread sweep 0": "2-b", "masks left": "m"}
    right = {"image right": "3-c", "sweep 0": "2-b", "neighbour -1": "4-d", "masks right": "n"}
    found = merged([left, right])
    assert {name: found[name] for name in found if name != "masks"} == {
        "image left": "1-a",
        "image right": "3-c",
        "sweep 0": "2-b",
        "neighbour -1": "4-d",
    }
    assert merged([left])["unread sweep 0"] == "2-b"
    assert found["masks"] != merged([left, {**right, "masks right": "o"}])["masks"]


def test_every_part_of_the_masks_counts():
    row = image_masks("f0")
    others = [
        replace(row, camera="right"),
        replace(row, masks=replace(row.masks, rle=row.masks.rle[::-1])),
        replace(row, masks=replace(row.masks, pred_iou=row.masks.pred_iou + np.float32(0.001))),
        replace(row, detections=replace(row.detections, score=row.detections.score * np.float32(0.5))),
    ]
    assert len({masks_digest(one) for one in (row, *others)}) == len(others) + 1
    assert masks_digest(row) == masks_digest(image_masks("f0"))


def test_points_of_a_file_are_not_read_whole(tmp_path, monkeypatch):
    np.ones((2000, 4), "<f4").tofile(tmp_path / "a.bin")
    source = RawPoints(tmp_path / "a.bin", ("x", "y", "z", "intensity"))
    monkeypatch.setattr(RawPoints, "read", lambda *_: pytest.fail("the sweep was read"))
    assert source_digest(source).startswith("32000-")
