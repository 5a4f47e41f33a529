"""The commands on a root with two LiDARs: labels, scores and files of both."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from helpers.commands import label
from helpers.masks import write_masks
from helpers.nuscenes_root import token
from helpers.segmenters import Scissors
from helpers.training import make_world

from pipelines.documents import ClustersDocument
from pointsam.store.reader import Labels

BOTH = ("--lidar", "LIDAR_TOP,LIDAR_FRONT")


def front(tables):
    """LIDAR_FRONT has the mounting and the files of LIDAR_TOP; it lacks the key sweep of the last sample."""
    tables["sensor"].append({"token": "s2", "channel": "LIDAR_FRONT", "modality": "lidar"})
    top = next(row for row in tables["calibrated_sensor"] if row["token"] == token("calibrated", "LIDAR_TOP"))
    tables["calibrated_sensor"].append({**top, "token": "c2", "sensor_token": "s2"})
    last = tables["sample"][-1]["token"]
    for row in [row for row in tables["sample_data"] if row["calibrated_sensor_token"] == top["token"]]:
        if row["is_key_frame"] and row["sample_token"] != last:
            other = {"token": f"2{row['token']}", "calibrated_sensor_token": "c2", "prev": "", "next": ""}
            tables["sample_data"].append({**row, **other})


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    world = make_world(folder / "root", scenes=("scene-0103",), samples=3, edit=front)
    write_masks(world, folder / "masks")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipelines.labelling.worker.load_segmenter", lambda *_args, **_kwargs: Scissors())
        known = ("--semantics", "precomputed", "--masks-dir", folder / "masks", "--workers", 1)
        result = label("run", world.root, "--out", folder / "out", *known, *BOTH)
    return world, folder / "out", result


def test_labels_are_those_of_both_and_a_missing_sweep_is_named(run):
    _, out, result = run
    labels = Labels(out)
    *good, last = labels.frames()
    assert labels.document(ClustersDocument).dataset.lidar == BOTH[1]
    assert (last.status, last.error_code) == ("failed", "DAT011")
    assert "LIDAR_FRONT" in last.error
    assert result.exit_code == 3
    for frame in good:
        assert frame.sweep_points == (frame.num_points // 2,) * 2
        found = labels.labels(frame.frame_id).labels.instance_id
        half = frame.num_points // 2
        assert (found[:half] == found[half:]).all()  # the same points twice
        assert (found >= 0).any()
    (table,) = (pq.read_table(path) for path in (out / "frames").rglob("*.parquet"))
    assert table["sweep_points"].to_pylist()[-1] == []


def test_it_is_scored_by_lidar_and_exported_by_sweep(run, tmp_path):
    world, out, _ = run
    assert label("eval", out, world.root, "--json", tmp_path / "eval.json").exit_code == 0
    (report,) = json.loads((tmp_path / "eval.json").read_text())
    bins = report["bins"]
    assert [one["bin"] for one in bins if one["dimension"] == "sensor"] == ["LIDAR_TOP", "LIDAR_FRONT"]
    done = label(
        "export", out, world.root, "--to", "nuscenes-lidarseg", "--dest", tmp_path / "files", "--eval-set", "mini_val"
    )
    assert done.exit_code == 0, done.output
    files = {path.name: path.read_bytes() for path in (tmp_path / "files").rglob("*.bin")}
    keys = [world.lidar_token(frame_id) for frame_id in world.frame_ids()[:2]]
    assert set(files) == {f"{prefix}{key}_lidarseg.bin" for key in keys for prefix in ("", "2")}
    for key in keys:
        assert files[f"{key}_lidarseg.bin"] == files[f"2{key}_lidarseg.bin"]
        assert np.frombuffer(files[f"{key}_lidarseg.bin"], "u1").any()


def test_inspect_prints_the_points_of_each(run):
    _, out, _ = run
    count = Labels(out).frames()[0].num_points
    assert f"{count} points ({count // 2} + {count // 2} of the LiDARs)" in label("inspect", out, "0").output
