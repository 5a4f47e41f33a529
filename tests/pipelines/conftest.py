import shutil

import pytest
from helpers.commands import label
from helpers.masks import write_masks
from helpers.nuscenes_root import make_root
from helpers.segmenters import Scissors

from pointsam.datasets.nuscenes.dataset import NuScenes


@pytest.fixture(scope="session")
def drive(tmp_path_factory):
    """A root of two scenes with a key frame each, a car ahead and a person behind, and good 2D results for it."""
    folder = tmp_path_factory.mktemp("drive")
    root = make_root(folder / "root", scenes=("scene-0061", "scene-0103"), samples_per_scene=1, boxes_per_sample=2)
    write_masks(NuScenes(root), folder / "masks")
    return root, folder / "masks"


@pytest.fixture
def scissors(monkeypatch):
    monkeypatch.setattr("pipelines.labelling.worker.load_segmenter", lambda *_args, **_kwargs: Scissors())


@pytest.fixture
def root(drive, tmp_path):
    """A copy of the drive to be damaged: a car in each of two frames."""
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
        patch.setattr("pipelines.labelling.worker.load_segmenter", lambda *_args, **_kwargs: Scissors())
        known = ("--semantics", "precomputed", "--masks-dir", masks, "--workers", 1)
        assert label("run", root, "--out", folder, *known).exit_code == 0
    return folder
