import json
import shutil

import numpy as np
import pytest
from helpers.commands import label
from helpers.nuscenes_root import make_root
from helpers.segmenters import Scissors

from pointsam import rle
from pointsam.datasets.nuscenes import NuScenes
from pointsam.geometry.projection import project


@pytest.fixture(scope="session")
def drive(tmp_path_factory):
    """A root of two scenes with a key frame each, a car ahead and a person behind, and good 2D results for it."""
    folder = tmp_path_factory.mktemp("drive")
    root = make_root(folder / "root", scenes=("scene-0061", "scene-0103"), samples_per_scene=1, boxes_per_sample=2)
    write_masks(NuScenes(root), folder / "masks")
    return root, folder / "masks"


def write_masks(dataset, folder):
    """One COCO-RLE file an image: the rectangle around each true box that the camera sees whole."""
    names = dataset.taxonomy.names
    for frame_id in dataset.frame_ids():
        frame, boxes = dataset.frame(frame_id), dataset.boxes(frame_id)
        for view in frame.cameras:
            entries = []
            for center, size, rotation, class_id in zip(
                boxes.center_m, boxes.size_lwh_m, boxes.rotation, boxes.class_id, strict=True
            ):
                signs = np.array([[i, j, k] for i in (-1, 1) for j in (-1, 1) for k in (-1, 1)])
                seen = project(center + signs * size / 2 @ rotation.T, frame.sweep, view)
                if class_id < len(names) and seen.valid.all():
                    (u0, v0), (u1, v1) = seen.uv_px.min(axis=0), seen.uv_px.max(axis=0)
                    inside = np.zeros((view.camera.height_px, view.camera.width_px), dtype=np.bool_)
                    inside[int(v0) : int(v1) + 1, int(u0) : int(u1) + 1] = True
                    segmentation = {"size": inside.shape, "counts": rle.encode(inside).decode()}
                    entries.append({"segmentation": segmentation, "label": names[class_id], "score": 0.9})
            path = folder / view.name / f"{view.image_path.stem}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(entries))


@pytest.fixture
def scissors(monkeypatch):
    monkeypatch.setattr("pipelines.worker.load_segmenter", lambda *_args, **_kwargs: Scissors())


@pytest.fixture
def root(drive, tmp_path):
    """A copy of the drive, to be spoilt: a car in each of two frames."""
    shutil.copytree(drive[0], tmp_path / "root")
    return tmp_path / "root"


@pytest.fixture
def run(drive, root, tmp_path):
    """A function that runs the whole job on the copy, into tmp_path/out unless told otherwise."""

    def call(*more, out=tmp_path / "out"):
        known = ("--semantics", "precomputed", "--masks-dir", drive[1], "--workers", 1)
        return label("run", root, "--out", out, *known, *more)

    return call


@pytest.fixture(scope="module")
def out(drive, tmp_path_factory):
    """A run whose masks are the true boxes' rectangles."""
    root, masks = drive
    folder = tmp_path_factory.mktemp("out") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipelines.worker.load_segmenter", lambda *_args, **_kwargs: Scissors())
        known = ("--semantics", "precomputed", "--masks-dir", masks, "--workers", 1)
        assert label("run", root, "--out", folder, *known).exit_code == 0
    return folder
