"""Rows without a position, as organised clouds have them: not used, labelled none, and in their place."""

import re
from dataclasses import replace

import numpy as np
import pytest
from helpers.commands import label, tables

from pointsam.datasets.nuscenes.dataset import NuScenes
from pointsam.datasets.points import read_frame_points
from pointsam.store.reader import Labels
from pointsam.taxonomy import BACKGROUND
from pointsam.types import NO_INSTANCE


@pytest.fixture
def gaps(root):
    """Rows of NaN and infinity, put between those of all sweeps of the root; the place of the true rows by frame."""
    rng, dataset, here = np.random.default_rng(0), NuScenes(root), {}
    for frame_id in dataset.frame_ids():
        frame = dataset.frame(frame_id)
        for sweep in {s.source.path: s for s in (frame.sweep, *frame.neighbours.values())}.values():
            rows = np.fromfile(sweep.source.path, "<f4").reshape(-1, 5)
            kept = np.zeros(2 * len(rows), dtype=bool)
            kept[rng.choice(len(kept), len(rows), replace=False)] = True
            mixed = rng.uniform(-50, 50, (len(kept), 5)).astype("<f4")
            mixed[np.arange(len(kept)), rng.integers(0, 3, len(kept))] = rng.choice([np.nan, np.inf], len(kept))
            mixed[kept] = rows
            mixed.tofile(sweep.source.path)
            if sweep.source.path == frame.sweep.source.path:
                here[frame_id] = kept
    return here


@pytest.mark.parametrize("recipe", ["default", "paper"])
def test_labels_are_those_of_the_cloud_without_the_rows(run, root, tmp_path, scissors, request, recipe):
    assert run("--recipe", recipe, out=tmp_path / "whole").exit_code == 0
    here = request.getfixturevalue("gaps")
    result = run("--recipe", recipe)
    assert result.exit_code == 0, result.output
    whole, mixed = Labels(tmp_path / "whole"), Labels(tmp_path / "out")
    for frame_id, kept in here.items():
        expected, found = whole.labels(frame_id), mixed.labels(frame_id)
        assert len(found.labels) == found.frame.num_points == len(kept)
        assert found.clusters == expected.clusters
        assert np.array_equal(found.labels.instance_id[kept], expected.labels.instance_id)
        assert (found.labels.instance_id[~kept] == NO_INSTANCE).all()
        assert (found.labels.class_id[~kept] == BACKGROUND).all()
        assert not found.views[~kept].any()
        assert not found.covered[~kept].any()
        assert recipe == "paper" or found.clusters
    masks = [{k: v for k, v in tables(out).items() if k.parts[0] == "masks"} for out in (whole.out, mixed.out)]
    assert masks[0] == masks[1] != {}


def figures(text):
    return [line for line in text.splitlines() if re.search(r"  \d\.\d\d", line)]


def test_every_command_works_on_them(run, root, tmp_path, scissors, request):
    data, dest = root, tmp_path / "dest"
    assert run(out=tmp_path / "whole").exit_code == 0
    scored = label("eval", tmp_path / "whole", data)
    request.getfixturevalue("gaps")
    assert run().exit_code == 0
    out = tmp_path / "out"
    again = label("eval", out, data)
    assert figures(again.stdout) == figures(scored.stdout) != []
    frame_id = Labels(out).frame_ids()[0]
    commands = [
        ("check", data),
        ("report", out, "--dest", dest / "page"),
        ("inspect", out, frame_id, "--png", dest / "a.png"),
        ("noise", data, "--out", dest / "noise", "--masks-from", out, "--workers", 1),
        ("calibrate", data, "--masks-from", out, "--out", dest / "calibration.json"),
        ("export", out, data, "--to", "mmdet3d", "--dest", dest / "mmdet3d"),
    ]
    for command in commands:
        result = label(*command)
        assert result.exit_code == 0, (command, result.output)
    rows = sorted(len(np.fromfile(path, "<f4")) // 4 for path in (dest / "mmdet3d" / "points").iterdir())
    assert rows == sorted(row.num_points for row in Labels(out).frames())


def test_ground_truth_of_such_rows_is_void(root, request):
    request.getfixturevalue("gaps")
    dataset = NuScenes(root)
    frame_id = dataset.frame_ids()[0]
    truth, points = dataset.point_truth(frame_id), read_frame_points(dataset.frame(frame_id))
    truth = replace(truth, void=np.zeros(len(points), dtype=bool))
    assert np.array_equal(truth.of_points(points.present).void, ~points.present)
