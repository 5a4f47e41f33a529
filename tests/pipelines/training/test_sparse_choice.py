"""What computes sparse convolutions is a choice of the machine: runs go on, and predict, without a GPU."""

from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from helpers.recipes import tiny  # noqa: E402
from helpers.training import make_world  # noqa: E402

from pipelines.data import DataSpec  # noqa: E402
from pipelines.training.checkpoints import load_run  # noqa: E402
from pipelines.training.fit_document import FitDocument, continued  # noqa: E402
from pipelines.training.recipe_file import Network  # noqa: E402
from pipelines.training.request import FitRequest  # noqa: E402
from pipelines.training.run_folder import _notes  # noqa: E402
from pointsam.base.errors import StoreError  # noqa: E402
from pointsam.detect.checkpoint import TrainingProgress, save_checkpoint  # noqa: E402
from pointsam.detect.detector import Detector  # noqa: E402
from pointsam.taxonomy import NUSCENES  # noqa: E402


def recipe_of(kind, **train):
    recipe = tiny("center-voxel", **train)
    return replace(recipe, detector=replace(recipe.detector, sparse=kind))


def test_a_run_of_triton_predicts_by_torch_and_says_so(tmp_path):
    world, recipe = make_world(tmp_path / "root", scenes=("scene-0061",), samples=1), recipe_of("triton")
    detector = Detector(recipe.detector, world.taxonomy)
    optimizer = torch.optim.AdamW(detector.parameters())
    path = tmp_path / "last.safetensors"
    save_checkpoint(path, detector, optimizer, TrainingProgress(), Network(recipe, world.taxonomy))
    with pytest.warns(RuntimeWarning, match=r"torch computes the sparse convolutions.*needs a GPU"):
        loaded, used = load_run(tmp_path, world, "cpu")
    assert used == recipe_of("torch")
    weights = detector.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in loaded.state_dict().items())
    points = torch.rand(200, 5, generator=torch.Generator().manual_seed(0)) * 10
    assert loaded.eval().map([points]).isfinite().all()


class TestGoingOn:
    @staticmethod
    def going_on(before, after, changed):
        old, new = (FitDocument(one, NUSCENES, "", None, None, 1, "") for one in (before, after))
        request = FitRequest(after, DataSpec(Path("root")), Path("budget"), Path("run"), changed=changed)
        document = continued(old, new, request, lambda: 7)
        return document, _notes(old, document, 1)

    def test_needs_a_word(self):
        with pytest.raises(StoreError, match=r'OUT001.*sparse: "triton" -> "torch".*\n.*--changed'):
            self.going_on(recipe_of("triton"), recipe_of("torch"), changed=False)

    def test_the_schedule_is_that_of_before(self):
        document, notes = self.going_on(recipe_of("triton"), recipe_of("torch"), changed=True)
        assert document.earlier is None
        assert document.recipe == recipe_of("torch")
        assert notes == ["sparse convolutions by torch in place of triton: the same up to rounding"]

    def test_with_another_schedule_too(self):
        document, notes = self.going_on(recipe_of("triton"), recipe_of("torch", epochs=9), changed=True)
        assert [stretch.until for stretch in document.earlier] == [7]
        assert len(notes) == 2

    def test_other_parts_of_the_detector_stay(self):
        another = recipe_of("torch")
        another = replace(another, detector=replace(another.detector, head=replace(another.detector.head, reach=1)))
        with pytest.raises(StoreError, match=r"OUT001.*reach: 0 -> 1"):
            self.going_on(recipe_of("triton"), another, changed=True)
