"""One world in every layout: `pointsam-label synth --format`, and equal labels of all of them."""

import json
from dataclasses import replace

import numpy as np
import pytest
from helpers.commands import label, refused
from helpers.segmenters import Scissors

from pointsam.datasets import open_dataset
from pointsam.store.reader import Labels
from pointsam.synth import rig
from pointsam.taxonomy import NUSCENES

WORLD = ("--scenes", 1, "--key-frames", 2, "--scale", 0.2, "--rig", "kitti", "--preset", "day", "--workers", 1)
LAYOUTS = ("nuscenes", "folder", "kitti")


@pytest.fixture(scope="module")
def roots(open3d, tmp_path_factory):
    """A world with a quarter of the LiDAR's rays, rendered once and staged for each layout."""
    from pipelines.world import render

    folder = tmp_path_factory.mktemp("worlds")
    lidar, optics = rig._RIGS["kitti"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(rig._RIGS, "kitti", (replace(lidar, columns=lidar.columns // 4), optics))
        films = {}
        film = render.film
        patch.setattr(render, "film", lambda config, scene: films.setdefault(scene, film(config, scene)))
        for layout in LAYOUTS:
            result = label("synth", folder / layout, *WORLD, "--format", layout)
            assert result.exit_code == 0, result.output
            assert "--semantics oracle" in result.output
    return folder


@pytest.fixture(scope="module")
def labels(roots, tmp_path_factory):
    """A function that labels the roots with one mapping file and some settings."""
    folder = tmp_path_factory.mktemp("labels")
    mapping = folder / "mapping.json"
    mapping.write_text(json.dumps({"taxonomy": "nuscenes", "labels": {name: name for name in NUSCENES.names}}))

    def run(name, *settings):
        found = {}
        options = ("--semantics", "oracle", "--mapping", mapping, "--workers", 1)
        for layout in LAYOUTS:
            out = folder / f"{name}-{layout}"
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("pipelines.labelling.worker.load_segmenter", lambda *_args, **_kwargs: Scissors())
                result = label("run", roots / layout, "--out", out, *options, *settings)
            assert result.exit_code == 0, result.output
            run_labels = Labels(out)
            found[layout] = [run_labels.labels(frame_id) for frame_id in run_labels.frame_ids()]
        return found

    return run


def differing(one, other):
    return [
        np.flatnonzero(
            (a.labels.instance_id != b.labels.instance_id) | (a.labels.class_id != b.labels.class_id)
        ).tolist()
        for a, b in zip(one, other, strict=True)
    ]


def test_every_layout_is_recognised_and_no_stage_is_left(roots):
    for layout in LAYOUTS:
        data = open_dataset(roots / layout)
        assert data.name == layout
        assert len(data.frame_ids()) == len(data.frame_ids("val")) == 2
    assert sorted(path.name for path in roots.iterdir()) == sorted(LAYOUTS)


def test_a_finished_world_is_not_rendered_again_and_another_is_refused(roots):
    result = label("synth", roots / "kitti", *WORLD, "--format", "kitti")
    assert "nothing left to do" in result.output
    refused(label("synth", roots / "kitti", *WORLD, "--seed", 9, "--format", "kitti"), "OUT001", "other options")
    refused(label("synth", roots / "kitti", *WORLD, "--format", "folder"), "OUT001", "other options")
    refused(label("synth", roots / "nuscenes", *WORLD, "--format", "folder"), "OUT003", "not an empty folder")


def test_shards_are_kept_until_the_last_one_is_there(open3d, tmp_path, roots):
    small = (*WORLD[:2], "--key-frames", 1, *WORLD[4:])
    first = label("synth", tmp_path / "world", *small, "--format", "folder", "--shard", "1/2")
    assert "1 key frame" in first.output
    assert not (tmp_path / "world").exists()


def test_labels_are_equal_in_every_layout(labels):
    """Off is what KITTI cannot hold: rings, and the mounting about which growth looks for the ground."""
    found = labels("plain", "--set", "clusters.refine.rings=0", "--set", "clusters.grow.enabled=false")
    assert sum(len(frame.clusters) for frame in found["nuscenes"]) > 5
    assert differing(found["nuscenes"], found["folder"]) == [[], []]
    assert differing(found["nuscenes"], found["kitti"]) == [[], []]


def test_with_the_default_recipe_only_rings_and_growth_make_a_difference_in_kitti(labels):
    found = labels("default")
    assert differing(found["nuscenes"], found["folder"]) == [[], []]
    for one, other, points in zip(
        found["nuscenes"], found["kitti"], differing(found["nuscenes"], found["kitti"]), strict=True
    ):
        assert len(points) < 0.005 * len(one.labels)
        assert len(one.clusters) == len(other.clusters)
