import numpy as np
import pytest
from helpers.store_samples import FRAMES, METADATA, frame_labels

from pointsam.base.errors import SchemaError, StoreError
from pointsam.store.document import ShardStats
from pointsam.store.manifest import Run, plan_shards
from pointsam.store.reader import Labels
from pointsam.store.schema import tracked_tables
from pointsam.types import NO_TRACK, Membership, TrackedLabels, TrackRow

SCENES = plan_shards(FRAMES, len(FRAMES))
TRACKS = (
    TrackRow(0, 0, "car", True, 3, 1, 5, 9, 4.5, {"car": 2.5, "person": 0.5}, 1),
    TrackRow(1, 1, "person", False, 1, 0, 5, 5, 0.0, {"person": 1.0}, cut="the poses jump at 9 us"),
)


def tracked(frame_id, scene, seed):
    found = frame_labels(frame_id, scene, seed=seed)
    members = (Membership(1, "kept", 2), Membership(0, "recovered", -1), Membership(NO_TRACK, "extended", 0))
    return TrackedLabels(found, np.arange(20) % 3 == seed % 3, members)


def fill(out):
    run = Run.open(out, "tracks", {"stage": "tracks"}, SCENES, METADATA)
    written = {}
    for shard in SCENES:
        rows = [tracked(frame_id, shard.scene, seed) for seed, frame_id in enumerate(shard.frame_ids)]
        written |= {row.found.frame.frame_id: row for row in rows}
        run.commit(shard, tracked_tables(rows, TRACKS, METADATA), ShardStats())
    return written


def test_tracked_labels_are_those_that_were_written(tmp_path):
    written = fill(tmp_path)
    labels = Labels(tmp_path, "tracks")
    assert labels.frame_ids() == [frame_id for _, frame_id in FRAMES]
    assert [row.frame_id for row in labels.frames()] == labels.frame_ids()
    assert len(list(labels.cluster_sizes())) == 3 * len(FRAMES)
    for frame_id, row in written.items():
        read = labels.tracked(frame_id)
        assert read.members == row.members
        np.testing.assert_array_equal(read.added, row.added)
        np.testing.assert_array_equal(read.found.labels.instance_id, row.found.labels.instance_id)
        assert read.found.clusters == row.found.clusters == labels.clusters(frame_id)
    assert list(labels.tracks()) == [("one", TRACKS), ("two/é", TRACKS)]


def test_a_folder_without_tracks_says_how_to_make_them(tmp_path):
    fill(tmp_path)
    with pytest.raises(StoreError, match=r"has no clusters: run\.json lists tracks"):
        Labels(tmp_path).labels("f0")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda row: TrackedLabels(row.found, row.added[1:], row.members), "added"),
        (lambda row: TrackedLabels(row.found, row.added, row.members[1:]), "3 clusters and 2 tracks"),
        (lambda row: Membership(0, "recovered", 3), "is recovered, but its single-frame cluster is 3"),
        (lambda row: Membership(0, "kept", -1), "is kept, but its single-frame cluster is -1"),
    ],
)
def test_parts_that_do_not_belong_together_are_refused(change, message):
    with pytest.raises(SchemaError, match=message):
        change(tracked("f0", "one", 0))
