"""`pointsam-label eval` on a tiny data set: metrics, rows, comparison and errors."""

import json
import shutil
from collections import Counter

import numpy as np
import pyarrow.parquet as pq
import pytest
from helpers.commands import label, refused
from helpers.training import make_labels, make_world

from pointsam.base.errors import SchemaError
from pointsam.datasets.kitti.objects import Kitti
from pointsam.datasets.mapped import with_classes
from pointsam.datasets.nuscenes.dataset import NuScenes
from pointsam.evaluate.labels import evaluate_labels
from pointsam.store.reader import Labels
from pointsam.taxonomy import Taxonomy


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("world") / "root")


@pytest.fixture(scope="module")
def outs(world, tmp_path_factory):
    """Labels of all objects but every fifth, and of all."""
    folder = tmp_path_factory.mktemp("labels")
    tokens = [token for frame_id in world.frame_ids() for token in world.boxes(frame_id).token]
    make_labels(folder / "some", world, missing=set(tokens[::5]), grown_every=3, probability=0.375)
    make_labels(folder / "all", world)
    return folder


def test_rows_add_up_to_the_metrics(world, outs, tmp_path):
    rows, figures = tmp_path / "rows.parquet", tmp_path / "eval.json"
    assert label("eval", outs / "some", world.root, "--parquet", rows, "--json", figures).exit_code == 0
    (report,) = json.loads(figures.read_text())
    table = pq.read_table(rows).to_pylist()
    outcomes = Counter((row["kind"], row["outcome"]) for row in table)
    sums = {name: sum(c[name] for c in report["panoptic"]["classes"]) for name in ("tp", "fp", "fn")}
    assert outcomes["object", "TP"] == outcomes["cluster", "TP"] == sums["tp"] > 0
    assert outcomes["object", "FN"] == sums["fn"] > 0
    assert outcomes["cluster", "FP"] == sums["fp"]
    large = [row for row in table if row["num_points"] >= 5]
    objects = [row for row in large if row["kind"] == "object"]
    assert report["agnostic"]["overall"]["num_objects"] == len(objects)
    assert report["agnostic"]["overall"]["mean_iou"] == pytest.approx(np.mean([o["best_iou"] for o in objects]))
    bins = {(one["dimension"], one["bin"]): one for one in report["bins"]}
    for name in ("20-30 m", "50 m and more"):
        inside = [row for row in objects if row["range"] == name]
        assert bins["range", name]["objects"]["num_objects"] == len(inside)
    for camera in {name for row in objects for name in row["cameras"]}:
        inside = [row for row in objects if camera in row["cameras"]]
        assert bins["camera", camera]["objects"]["num_objects"] == len(inside)
    whole = sum(one["objects"]["num_objects"] for one in report["bins"] if one["dimension"] == "overlap")
    assert whole == len(objects)
    assert bins["visibility", "80-100 %"]["objects"]["num_objects"] == len(objects)  # as this root annotates all
    assert {row["visibility"] for row in table if row["kind"] == "cluster"} == {None}
    assert all((row["confidence"] is None) == (row["kind"] == "object") for row in table)
    assert all(row["probability"] == (None if row["kind"] == "object" else 0.375) for row in table)
    added = {(row["frame_id"], row["id"]): row["num_points_grown"] for row in table if row["kind"] == "cluster"}
    tables, frame_ids = Labels(outs / "some"), world.frame_ids()
    clusters = {(frame_id, c.cluster_id): c for frame_id in frame_ids for c in tables.labels(frame_id).clusters}
    assert added == {key: cluster.num_points_grown for key, cluster in clusters.items()}
    assert sum(added.values()) > 0
    assert {row["num_points_grown"] for row in objects} == {None}


def test_what_the_last_row_averages_is_printed(world, outs, tmp_path):
    figures = tmp_path / "eval.json"
    result = label("eval", outs / "some", world.root, "--json", figures)
    assert "all: PQ, SQ, RQ and semantic are means over the classes with objects or clusters" in result.stdout
    (report,) = json.loads(figures.read_text())
    present = [one["pq"] for one in report["panoptic"]["classes"] if one["pq"] is not None]
    assert 0 < len(present) < len(report["panoptic"]["classes"])
    assert report["panoptic"]["pq"] == pytest.approx(np.mean(present))
    found = [iou for iou in report["semantic"]["iou"] if iou is not None]
    assert len(found) == len(present)
    assert report["semantic"]["mean_iou"] == pytest.approx(np.mean(found))


def test_two_runs_are_compared(world, outs, tmp_path):
    page, figures = tmp_path / "eval.md", tmp_path / "eval.json"
    files = ("--markdown", page, "--json", figures)
    said = label("eval", outs / "some", world.root, "--against", outs / "all", *files).stdout
    some, whole = json.loads(figures.read_text())
    pq_some, pq_all = some["panoptic"]["pq"], whole["panoptic"]["pq"]
    assert pq_all > pq_some
    row = next(line for line in said.splitlines() if line.startswith("all ") and line.count(".") >= 9 and "-0." in line)
    assert row.split()[1:4] == [f"{pq_some:.3f}", f"{pq_all:.3f}", f"{pq_some - pq_all:.3f}"]
    text = page.read_text()
    assert text.count("# Label quality") == 2
    assert f"| all | {pq_some:.3f} | {pq_all:.3f} | {pq_some - pq_all:.3f} |" in text


def test_a_quarantined_frame_is_counted_and_reported(world, tmp_path):
    bad = world.frame_ids()[2]
    make_labels(tmp_path / "out", world, failed={bad})
    report = evaluate_labels(tmp_path / "out", world)
    assert (report.failed, report.quality.panoptic.num_frames) == (1, len(world.frame_ids()) - 1)
    assert report.text().endswith("not scored: 1 quarantined frame")


@pytest.mark.parametrize("option", ["--json", "--markdown", "--parquet"])
def test_an_existing_file_is_kept(world, outs, tmp_path, option):
    path = tmp_path / "there"
    path.write_text("precious")
    refused(label("eval", outs / "all", world.root, option, path), "OUT003", path)
    assert path.read_text() == "precious"
    assert label("eval", outs / "all", world.root, option, path, "--overwrite").exit_code == 0
    assert path.read_bytes() != b"precious"


def test_another_root_is_refused(outs, tmp_path):
    other = make_world(tmp_path / "other", scenes=("scene-0916",))
    refused(label("eval", outs / "all", other.root, "--json", tmp_path / "eval.json"), "SCH004", outs, other.root)
    assert not (tmp_path / "eval.json").exists()


def test_sweeps_that_have_changed_since_are_refused(world, outs, tmp_path):
    shutil.copytree(world.root, tmp_path / "root")
    frame_id = world.frame_ids()[1]
    sweep = tmp_path / "root" / world.frame(frame_id).sweep.source.path.relative_to(world.root)
    sweep.write_bytes(sweep.read_bytes()[:-20])
    refused(label("eval", outs / "all", tmp_path / "root", "--parquet", tmp_path / "rows"), "SCH003", frame_id)
    assert not list(tmp_path.glob("rows*"))


def test_frames_without_ground_truth_are_left_out_and_reported(tiny_kitti, tmp_path):
    make_labels(tmp_path / "out", Kitti(tiny_kitti.root), ["000000", "000001"])
    tiny_kitti.path("label_2", "000001").unlink()
    report = evaluate_labels(tmp_path / "out", Kitti(tiny_kitti.root))
    assert (report.without_truth, report.quality.panoptic.num_frames) == (1, 1)
    assert "not scored: 1 frame without ground truth" in report.text()


def test_ground_truth_without_a_visible_object_is_reported(tiny_kitti, tmp_path):
    make_labels(tmp_path / "out", Kitti(tiny_kitti.root), ["000000", "000001"])
    for number in ("000000", "000001"):
        tiny_kitti.path("label_2", number).write_text("")
    result = label("eval", tmp_path / "out", tiny_kitti.root)
    assert result.exit_code == 0
    assert "no object of the ground truth has 5 points or more that a camera sees" in result.output


@pytest.mark.parametrize(("old", "new"), [("1.5 1.6 4.0", "0 1.6 4.0"), ("10.0 0.0\n", "10.0\n")])
def test_a_frame_with_a_malformed_label_file_is_left_out_and_named(tiny_kitti, tmp_path, old, new):
    make_labels(tmp_path / "out", Kitti(tiny_kitti.root), ["000000", "000001"])
    labels = tiny_kitti.path("label_2", "000001")
    labels.write_text(labels.read_text().replace(old, new))
    result = label("eval", tmp_path / "out", tiny_kitti.root, "--json", tmp_path / "eval.json")
    assert result.exit_code == 3
    assert "1 frames could not be scored and are not part of the figures; 000001: [DAT011]" in result.output
    (figures,) = json.loads((tmp_path / "eval.json").read_text())
    assert list(figures["not_scored"]) == ["000001"]
    assert figures["panoptic"]["num_frames"] == 1
    labels = tiny_kitti.path("label_2", "000000")
    labels.write_text(labels.read_text().replace(old, new))
    refused(
        label("eval", tmp_path / "out", tiny_kitti.root), "DAT009", "2 that cannot be scored; frame 000000: [DAT011]"
    )


def halves(world, folder):
    """Two folders with labels of all frames in their plan; one has finished its first shards, one its last ones."""
    for name, kept in (("first", slice(0, 1)), ("last", slice(1, None))):
        make_labels(folder / name, world)
        entries = sorted((folder / name / "manifest" / "clusters").iterdir())
        for entry in set(entries) - set(entries[kept]):
            entry.unlink()
    return folder / "first", folder / "last"


def test_a_run_that_is_not_finished_and_other_frames_are_reported(world, tmp_path):
    first, last = halves(world, tmp_path)
    result = label("eval", first, world.root, "--against", last)
    assert result.exit_code == 0
    done = len(Labels(first).frame_ids()), len(Labels(last).frame_ids())
    assert sum(done) == len(world.frame_ids())
    for count in done:
        assert f"the run is unfinished: {count} frames of its plan have no labels yet" in result.output
    assert f"scored on different frames, {done[0]} and {done[1]}, 0 of them in both" in result.output
    result = label("export", first, world.root, "--to", "ply", "--dest", tmp_path / "ply")
    assert f"note: the run is unfinished: {done[1]} frames" in result.output


def test_a_class_that_the_labels_do_not_have_is_void(world, tmp_path):
    fewer = Taxonomy("fewer", tuple(spec for spec in world.taxonomy.classes if spec.name != "bicycle"))
    make_labels(tmp_path / "out", with_classes(world, fewer))
    result = label("eval", tmp_path / "out", world.root)
    assert result.exit_code == 0, result.output
    assert "bicycle; `truth` of a mapping file assigns it" in result.output


def test_the_public_function_refuses_other_data_too(world, outs, tmp_path):
    other = make_world(tmp_path / "other", scenes=("scene-0916",))
    with pytest.raises(SchemaError, match="made from another data set") as raised:
        evaluate_labels(outs / "all", other)
    assert raised.value.code == "SCH004"


def test_the_second_folder_must_be_of_the_same_data(world, outs, tmp_path):
    make_labels(tmp_path / "out", make_world(tmp_path / "other", scenes=("scene-0916",)))
    refused(label("eval", outs / "all", world.root, "--against", tmp_path / "out"), "SCH004", tmp_path / "out")


def test_missing_ground_truth_is_refused_by_name(world, outs):
    assert label("eval", outs / "all", world.root, "--truth", "boxes").exit_code == 0
    for name in ("panoptic", "theirs"):
        result = label("eval", outs / "all", world.root, "--truth", name)
        refused(result, "DAT009", f"8 without {name}", "leave out --truth, which then is boxes")


def test_a_data_sets_own_source_of_ground_truth_can_be_chosen(world, outs, monkeypatch):
    def theirs(self, frame_id, source):
        return real(self, frame_id, source.removeprefix("their-"))

    real = NuScenes.point_truth
    monkeypatch.setattr(NuScenes, "point_truth", theirs)
    result = label("eval", outs / "all", world.root, "--truth", "their-boxes")
    assert result.exit_code == 0, result.output
