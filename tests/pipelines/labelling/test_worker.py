import gc
import json
import shlex
import weakref
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.commands import label, refused
from helpers.segmenters import Scissors
from PIL import Image
from threadpoolctl import threadpool_info, threadpool_limits

from pipelines.data import DataSpec
from pipelines.documents import ClustersDocument
from pipelines.engine import ordered_map
from pipelines.labelling.worker import ClusterWorker, MaskWorker, start, work_on
from pointsam.base.errors import BackendError
from pointsam.datasets.nuscenes.dataset import NuScenes
from pointsam.semantics.mapping import default_mapping
from pointsam.semantics.precomputed import PrecomputedSemantics
from pointsam.stages.recipes import RECIPES
from pointsam.store.reader import Labels
from pointsam.taxonomy import NUSCENES


@pytest.fixture
def class_maps(root, tmp_path):
    """A semantic PNG of every image, all of it car."""
    folder = tmp_path / "class_maps"
    for frame_id in NuScenes(root).frame_ids():
        for view in NuScenes(root).frame(frame_id).cameras:
            path = folder / view.name / f"{view.stem}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((view.camera.height_px, view.camera.width_px), 1, dtype=np.uint8)).save(path)
    (folder / "labels.json").write_text(json.dumps({"1": "car"}))
    return folder


@pytest.mark.parametrize("recipe", ["default", "paper"])
def test_a_class_map_has_no_boxes_and_is_prompted_with_points(root, class_maps, tmp_path, scissors, recipe):
    options = ("--semantics", "precomputed", "--masks-dir", class_maps, "--recipe", recipe, "--workers", 1)
    result = label("masks", root, "--out", tmp_path / "out", *options)
    assert result.exit_code == 0, result.output
    frame_id = NuScenes(root).frame_ids()[0]
    assert all(len(row.prompts_uv_px) for row in Labels(tmp_path / "out").masks(frame_id).values())


def test_the_next_command_after_masks_repeats_recipe_and_version(drive, root, tmp_path, scissors):
    files = ("--semantics", "precomputed", "--masks-dir", drive[1], "--workers", 1)
    out = tmp_path / "an out"
    said = label("masks", root, "--out", out, "--version", "v1.0-mini", "--recipe", "paper", *files).output
    next_command = said.rpartition("next: pointsam-label ")[2]
    made = label(*shlex.split(next_command), "--workers", 1)
    assert made.exit_code == 0, made.output
    document = Labels(out).document(ClustersDocument)
    assert (document.recipe, document.dataset.version) == ("paper", "v1.0-mini")


def test_ray_workers_may_have_a_device_that_the_driver_lacks(run, scissors, monkeypatch):
    def here(work, tasks, _workers, initialise, arguments, _engine, gpus, _give_up):
        asked.append(gpus)
        return ordered_map(work, tasks, 1, initialise, arguments)

    asked = []
    for module in ("jobs", "scenes"):
        monkeypatch.setattr(f"pipelines.labelling.{module}.ordered_map", here)
    assert run("--engine", "ray", "--device", "cuda").exit_code == 0
    assert asked == [1.0, 0.0]
    assert run("--engine", "ray", "--device", "cuda", "--set", "looks.enabled=true").exit_code == 0
    assert asked[2:] == [1.0, 0.0, 1.0]  # looks need one too


def test_a_defect_at_an_image_quarantines_its_frame_in_both_stages(run, root, tmp_path, scissors, monkeypatch):
    bad, _ = NuScenes(root).frame_ids()

    def image_masks(image, cloud, frame, *others):
        if frame.frame_id == bad:
            raise ValueError("a defect")
        return real(image, cloud, frame, *others)

    from pipelines.labelling import worker

    real = worker.image_masks
    monkeypatch.setattr(worker, "image_masks", image_masks)
    result = run()
    assert result.exit_code == 3, result.output
    assert f"frame {bad}: [INT001] ValueError: a defect" in result.output
    assert [row.status for row in Labels(tmp_path / "out").frames()] == ["failed", "ok"]
    drawn = label("inspect", tmp_path / "out", bad, "--png", tmp_path / "frame.png")
    refused(drawn, "DAT010", bad, "--retry-failed")


def test_a_network_error_of_a_data_set_quarantines_its_frame(run, root, tmp_path, scissors, monkeypatch):
    def frame(dataset, frame_id):
        if frame_id == bad:
            raise ConnectionResetError("reset by peer")
        return real(dataset, frame_id)

    (bad, _), real = NuScenes(root).frame_ids(), NuScenes.frame
    monkeypatch.setattr(NuScenes, "frame", frame)
    result = run()
    assert result.exit_code == 3, result.output
    assert f"frame {bad}: [DAT004] " in result.output
    assert "reset by peer" in result.output
    assert [row.status for row in Labels(tmp_path / "out").frames()] == ["failed", "ok"]


def test_a_model_or_memory_that_fails_stops_the_run_and_names_the_frame(run, root, scissors, monkeypatch):
    def image_masks(*_):
        raise RuntimeError("CUDA error: out of memory")

    monkeypatch.setattr("pipelines.labelling.worker.image_masks", image_masks)
    refused(run(), "BCK008", NuScenes(root).frame_ids()[0], "fewer --workers")


@pytest.mark.parametrize(("field", "value"), [("pred_iou", np.nan), ("stability", np.inf)])
def test_a_segmenter_with_an_impossible_score_stops_the_run(run, root, monkeypatch, field, value):
    class Broken(Scissors):
        def from_boxes(self, shape, box_xyxy_px):
            masks = super().from_boxes(shape, box_xyxy_px)
            return replace(masks, **{field: np.full(len(masks), value, np.float32)})

    monkeypatch.setattr("pipelines.labelling.worker.load_segmenter", lambda *_args, **_kwargs: Broken())
    refused(run(), "SCH003", "mobile_sam", f"a {field} of {value}", NuScenes(root).frame_ids()[0], "CAM_")


@pytest.mark.parametrize("value", [np.nan, -0.1, 87.0])
def test_a_2d_network_with_an_impossible_score_stops_the_run(run, scissors, monkeypatch, value):
    detect = PrecomputedSemantics.detect

    def broken(self, *image):
        found = detect(self, *image)
        return replace(found, score=np.full(len(found), value, np.float32))

    monkeypatch.setattr(PrecomputedSemantics, "detect", broken)
    refused(run(), "SCH003", "precomputed", f"a score of {np.float32(value)}", "CAM_", "plug-in")


def test_threads_do_not_open_a_worker_again_that_cannot_be_opened():
    def opened():
        tried.append(1)
        raise BackendError("BCK006", "no such device", "use --device cpu")

    tried = []
    with threadpool_limits(limits=None), pytest.raises(BackendError, match="BCK006"):
        list(ordered_map(work_on, [()] * 20, 4, start, (1, opened), "threads"))
    assert len(tried) == 1


def test_a_worker_keeps_the_points_of_its_latest_frame_alone(root, scissors, monkeypatch):
    model = SimpleNamespace(concurrent=True)
    monkeypatch.setattr("pipelines.labelling.worker.load_semantics", lambda *_args, **_options: model)
    config, mapping = RECIPES["default"]().masks, default_mapping(NUSCENES)
    worker = MaskWorker(DataSpec(root), config, mapping, None, None, "cpu", 1)
    points = []
    for frame_id in NuScenes(root).frame_ids() * 2:
        found, _ = worker.cloud(frame_id)
        assert worker.cloud(frame_id)[0] is found
        points.append(weakref.ref(found))
        del found
    gc.collect()
    assert [one() is not None for one in points] == [False, False, False, True]


def test_a_workers_blas_has_no_more_threads_than_the_worker():
    with threadpool_limits(limits=None):  # put back what was
        start(1, partial(ClusterWorker, None, None, None))
        assert {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"} == {1}
