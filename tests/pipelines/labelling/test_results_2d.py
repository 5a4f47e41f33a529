"""Runs on common variants of 2D results: shared names, boxes, COCO files, labels of any case."""

import json
import shutil

import numpy as np
import pytest
from helpers.commands import label, refused
from helpers.kitti_root import HEIGHT_PX, WIDTH_PX, make_kitti
from helpers.semantic_root import make_semantic
from PIL import Image

from pointsam.datasets.nuscenes.dataset import NuScenes
from pointsam.store.reader import Labels

BOX = {"bbox": [20, 20, 60, 40], "score": 0.9}


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


@pytest.fixture
def kitti(tmp_path):
    return make_kitti(tmp_path / "root").root


@pytest.fixture
def run(tmp_path, scissors):
    def run(root, *options, masks=tmp_path / "masks", out=tmp_path / "out"):
        given = ("--semantics", "precomputed", "--masks-dir", masks, "--workers", 1)
        return label("masks", root, "--out", out, *given, *options)

    return run


def classes_of(out, frame_ids):
    labels = Labels(out)
    names = labels.metadata("masks").taxonomy.names
    return {
        (frame_id, camera): [names[k] for k in image.detections.class_id]
        for frame_id in frame_ids
        for camera, image in labels.masks(frame_id).items()
    }


@pytest.fixture
def no_model(monkeypatch):
    def refuse(*_args, **_kwargs):
        pytest.fail("a model was loaded")

    monkeypatch.setattr("pipelines.labelling.worker.load_segmenter", refuse)


def test_a_mapping_without_labels_of_coco_is_refused_before_anything_is_written(tmp_path, kitti, no_model):
    write(tmp_path / "own.json", {"taxonomy": "kitti", "labels": {"Lieferwagen": "truck"}})
    done = label("masks", kitti, "--out", tmp_path / "out", "--mapping", tmp_path / "own.json")
    refused(done, "SCH001", "Lieferwagen")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("source", ["bundled", "ssd", "nanodet"])
def test_results_that_no_source_would_read_are_refused(tmp_path, kitti, no_model, source):
    done = label("masks", kitti, "--out", tmp_path / "out", "--masks-dir", tmp_path, "--semantics", source)
    refused(done, "SCH005", tmp_path, f"come from {source}", "--semantics precomputed")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("command", "field"), [("clusters", "masks.prompts=points"), ("masks", "clusters.grow.enabled=false")]
)
def test_a_field_of_a_stage_that_does_not_run_is_refused(tmp_path, kitti, no_model, command, field):
    done = label(command, kitti, "--out", tmp_path / "out", "--set", field)
    assert done.exit_code == 2
    assert f"--set {field}" in done.output
    assert not (tmp_path / "out").exists()


def test_files_that_two_sequences_would_share_are_refused_before_models_are_loaded(tmp_path, run, no_model):
    make_semantic(tmp_path / "root", "00", 1)
    make_semantic(tmp_path / "root", "01", 2)
    write(tmp_path / "masks/image_2/000000.json", [])
    write(tmp_path / "masks/image_2/000001.json", [])
    result = run(tmp_path / "root", "--dataset", "semantickitti")
    refused(result, "DAT002", "00_000000", "01_000000", tmp_path / "masks/01/image_2/000000.json")
    assert not (tmp_path / "out").exists()


def test_each_sequence_may_have_a_folder_of_its_own(tmp_path, run):
    make_semantic(tmp_path / "root", "00", 1)
    make_semantic(tmp_path / "root", "01", 1)
    write(tmp_path / "masks/00/image_2/000000.json", [BOX | {"label": "Car"}])
    write(tmp_path / "masks/01/image_2/000000.json", [BOX | {"label": "person"}])
    assert run(tmp_path / "root", "--dataset", "semantickitti").exit_code == 0
    assert classes_of(tmp_path / "out", ["00_000000", "01_000000"]) == {
        ("00_000000", "image_2"): ["car"],
        ("01_000000", "image_2"): ["person"],
    }


def test_the_flat_layout_serves_the_frames_of_one_folder(tmp_path, kitti, run):
    for number in ("000000", "000001"):
        write(tmp_path / f"masks/image_2/{number}.json", [BOX | {"label": "van"}])
    result = run(kitti, "--split", "training")
    assert result.exit_code == 0, result.output
    assert classes_of(tmp_path / "out", ["000000"]) == {("000000", "image_2"): ["car"]}


def test_the_flat_layout_does_not_serve_another_folder(tmp_path, kitti, run, no_model):
    write(tmp_path / "masks/image_2/000000.json", [BOX | {"label": "van"}])
    refused(
        run(kitti, "--split", "testing"), "DAT002", "testing_000000", tmp_path / "masks/testing/image_2/000000.json"
    )


def test_a_folder_for_the_testing_frames_does(tmp_path, kitti, run):
    write(tmp_path / "masks/image_2/000000.json", [BOX | {"label": "van"}])
    write(tmp_path / "masks/testing/image_2/000000.json", [BOX | {"label": "pedestrian"}])
    assert run(kitti, "--split", "testing").exit_code == 0
    assert classes_of(tmp_path / "out", ["testing_000000"]) == {("testing_000000", "image_2"): ["pedestrian"]}


def test_boxes_are_enough_for_the_default_recipe_and_refused_by_the_published_one(tmp_path, kitti, run, no_model):
    for number in ("000000", "000001"):
        write(tmp_path / f"masks/image_2/{number}.json", [BOX | {"label": "car"}])
    result = run(kitti, "--split", "training", "--recipe", "paper")
    refused(result, "DAT002", "a box and no mask", "--recipe default")
    assert not (tmp_path / "out").exists()


def test_labels_that_map_to_nothing_are_counted_over_the_whole_run(tmp_path, kitti, run):
    write(tmp_path / "masks/image_2/000000.json", [BOX | {"label": one} for one in ("Pedestrain", "ship")])
    write(tmp_path / "masks/image_2/000001.json", [BOX | {"label": one} for one in ("Pedestrain", "Ignore")])
    result = run(kitti, "--split", "training")
    assert (
        "warning: 3 detected objects of labels that map to no class of 'kitti' (in a file for --mapping"
        in result.output
    )
    assert "'Pedestrain' 2, did you mean 'pedestrian'?; 'ship' 1" in result.output
    again = run(kitti, "--split", "training", "--json")
    assert json.loads(again.stdout)["summaries"][0]["unmapped"] == {"Pedestrain": 2, "ship": 1}


def test_any_text_may_be_a_label(tmp_path, kitti, run):
    labels = ("\ud800", "\x1b[31m", "", "x" * 100_000, "\0")
    write(tmp_path / "masks/image_2/000000.json", [BOX | {"label": one} for one in labels])
    write(tmp_path / "masks/image_2/000001.json", [])
    for _ in range(2):
        result = run(kitti, "--split", "training")
        assert result.exit_code == 0, result.output
        assert "warning: 5 detected objects" in result.output
        assert "\x1b[31m" not in result.output


def test_labels_are_named_as_the_cause_of_no_cluster(tmp_path, drive, scissors):
    root, masks = drive
    shutil.copytree(masks, tmp_path / "masks")
    for file in (tmp_path / "masks").rglob("*.json"):
        entries = json.loads(file.read_text())
        write(file, [entry | {"label": "lorry"} for entry in entries])
    given = ("--semantics", "precomputed", "--masks-dir", tmp_path / "masks", "--workers", 1)
    result = label("run", root, "--out", tmp_path / "out", *given)
    assert "'lorry'" in result.output
    assert "no cluster at all: the labels of the detected objects are no class of the run" in result.output


def test_labels_that_are_background_on_purpose_give_no_warning(tmp_path, kitti, run):
    for number in ("000000", "000001"):
        write(tmp_path / f"masks/image_2/{number}.json", [BOX | {"label": "ship"}])
    write(tmp_path / "mapping.json", {"taxonomy": "kitti", "labels": {"car": "car", "Ship": "background"}})
    result = run(kitti, "--split", "training", "--mapping", tmp_path / "mapping.json")
    assert result.exit_code == 0
    assert "warning" not in result.output


def instances(folder, value):
    folder.mkdir(parents=True)
    for number in ("000000", "000001"):
        ids = np.full((HEIGHT_PX, WIDTH_PX), value, np.uint8)
        Image.fromarray(ids).save(folder / f"{number}.png")
        (folder / f"{number}.json").write_text('{"1": {"label": "car", "score": 0.9}}')


@pytest.mark.parametrize("damage", ["unnamed id", "size", "damaged"])
def test_a_bad_file_sets_aside_its_frame_only(tmp_path, kitti, run, damage):
    instances(tmp_path / "masks/image_2", 1)
    file = tmp_path / "masks/image_2/000001.png"
    if damage == "damaged":
        file.write_bytes(file.read_bytes()[:40])
    else:
        shape, value = ((HEIGHT_PX, WIDTH_PX), 7) if damage == "unnamed id" else ((9, 9), 1)
        Image.fromarray(np.full(shape, value, np.uint8)).save(file)
    result = run(kitti, "--split", "training")
    assert result.exit_code == 3, result.output
    assert ("[SCH001]" if damage == "unnamed id" else "[DAT011]") in result.output
    assert classes_of(tmp_path / "out", ["000000"]) == {("000000", "image_2"): ["car"]}


def test_images_without_an_entry_of_a_coco_file_are_counted(tmp_path, kitti, run):
    image = {"id": 1, "file_name": "training/image_2/000000.png"}
    annotation = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [20, 20, 60, 40]}
    value = {"images": [image], "annotations": [annotation], "categories": [{"id": 1, "name": "Car"}]}
    write(tmp_path / "masks.json", value)
    result = run(kitti, "--split", "training", masks=tmp_path / "masks.json")
    assert result.exit_code == 3
    assert "1 of 2 images of the run have no entry" in result.output
    assert classes_of(tmp_path / "out", ["000000"]) == {("000000", "image_2"): ["car"]}


def test_a_dry_run_checks_a_coco_file_against_all_images_of_the_run(tmp_path, kitti, run):
    image = {"id": 1, "file_name": "training/image_2/000000.png"}
    write(tmp_path / "masks.json", {"images": [image], "annotations": [], "categories": [{"id": 1, "name": "Car"}]})
    result = run(kitti, "--split", "training", "--dry-run", masks=tmp_path / "masks.json")
    assert "DAT002" not in result.output
    assert "warning: 1 of 2 images of the run have no entry" in result.stdout
    assert "no entry of `images` is" in result.stdout
    assert "training/image_2/000001.png" in result.stdout  # the measured frame


def test_our_own_coco_export_reads_back(tmp_path, drive, out, scissors):
    root, _ = drive
    made = label("export", out, root, "--to", "coco", "--dest", tmp_path / "coco")
    assert made.exit_code == 0, made.output
    given = ("--semantics", "precomputed", "--masks-dir", tmp_path / "coco", "--workers", 1)
    result = label("run", root, "--out", tmp_path / "again", *given)
    assert result.exit_code == 0, result.output
    assert "warning" not in result.output
    exported = json.loads(next((tmp_path / "coco").glob("*.json")).read_text())
    wanted = {}
    for image in exported["images"]:
        counts = [one["segmentation"]["counts"] for one in exported["annotations"] if one["image_id"] == image["id"]]
        wanted[image["frame_id"], image["camera"]] = sorted(counts)
    labels = Labels(tmp_path / "again")
    found = {
        (frame_id, camera): sorted(counts.decode() for counts in view.detections.rle)
        for frame_id in NuScenes(root).frame_ids()
        for camera, view in labels.masks(frame_id).items()
    }
    assert found == wanted
    assert any(wanted.values())


def test_a_file_that_is_replaced_after_its_frame_was_labelled_is_noticed(tmp_path, kitti, run):
    for number in ("000000", "000001"):
        write(tmp_path / f"masks/image_2/{number}.json", [BOX | {"label": "car"}])
    assert run(kitti, "--split", "training").exit_code == 0
    write(tmp_path / "masks/image_2/000001.json", [BOX | {"label": "pedestrian"}])
    result = run(kitti, "--split", "training")
    assert result.exit_code == 3
    assert "[DAT013]" in result.output
    assert str(tmp_path / "masks/image_2/000001.json") in result.output
    assert run(kitti, "--split", "training", "--retry-failed").exit_code == 0
    assert classes_of(tmp_path / "out", ["000001"]) == {("000001", "image_2"): ["pedestrian"]}
    assert run(kitti, "--split", "training").exit_code == 0
