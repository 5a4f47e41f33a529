"""`mixsup-train show`: frames of data and of runs."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs torch: pip install 'pointsam[detect]'")

from click.testing import CliRunner
from helpers.commands import refused
from helpers.kitti_root import make_kitti
from helpers.training import make_labels, make_world
from PIL import Image

from pipelines.cli.train import main
from pipelines.training.show import chosen
from pointsam.base.errors import SchemaError
from pointsam.detect.data.map_frame import MapFrame
from pointsam.detect.predictions_file import FramePredictions, read_predictions, write_predictions
from pointsam.report.style import class_rgb


def train(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    world = make_world(tmp_path_factory.mktemp("show") / "root", ("one", "two"), samples=2)
    for frame_id in world.frame_ids():
        for view in world.frame(frame_id).cameras:
            size = (view.camera.width_px, view.camera.height_px)
            Image.new("RGB", size, (60, 60, 60)).save(view.source.path)
    return world


@pytest.fixture(scope="module")
def run(world, tmp_path_factory):
    path = tmp_path_factory.mktemp("show_run")
    assert train("budget", world.root, "--val-fraction", 0.5, "--fraction", 1, "--dest", path / "b").exit_code == 0
    small = ("train.epochs=1", "train.batch_size=2", "train.workers=0", "data.paste.counts={}", "data.coarse.kind=none")
    options = [word for one in small for word in ("--set", one)]
    command = ("fit", "synthetic-small", "--data", world.root, "--budget", path / "b", "--out", path / "run")
    assert train(*command, *options).exit_code == 0
    return path / "run"


def predictions(world, path, offset=(0.0, 0.0, 0.0)):
    """A table of one detection on every true box."""
    found = []
    for frame_id in world.frame_ids():
        boxes = world.boxes(frame_id)
        ours = boxes.class_id != 255
        yaw = np.arctan2(boxes.rotation[ours, 1, 0], boxes.rotation[ours, 0, 0])
        rows = np.column_stack([boxes.center_m[ours] + offset, boxes.size_lwh_m[ours], yaw]).astype(np.float32)
        n = len(rows)
        score = np.linspace(0.9, 0.1, n).astype(np.float32)
        one = FramePredictions(
            frame_id, rows, score, boxes.class_id[ours].astype(np.int64), np.zeros((n, 2), np.float32)
        )
        found.append((one, MapFrame()))
    write_predictions(path, found, world.taxonomy.names, {})
    return path


def test_data_are_drawn_with_boxes_and_clusters(world, tmp_path):
    labels = make_labels(tmp_path / "labels", world)
    dest = tmp_path / "look"
    result = train("show", world.root, "--labels", labels.out, "--dest", dest, "--sample", 2)
    assert result.exit_code == 0, result.output
    assert "clusters" in result.output
    assert sorted(path.name for path in (dest / "frames").iterdir()) == ["000.png", "001.png"]
    index = (dest / "index.html").read_text()
    assert "frames/001.png" in index
    assert f"Data: {world.root}. Clusters: {labels.out}. Boxes: ground truth, in the colour of their class." in index
    refused(train("show", world.root, "--dest", dest), "OUT003", "look")
    assert train("show", world.root, "--dest", dest, "--sample", 1, "--overwrite").exit_code == 0
    assert [path.name for path in (dest / "frames").iterdir()] == ["000.png"]


def test_detections_of_a_file_are_drawn_if_their_scores_are_high_enough(world, tmp_path):
    path = predictions(world, tmp_path / "detections.parquet")
    frame_id = world.frame_ids()[0]
    counts = {}
    for least in (0.0, 0.5, 0.95):
        dest = tmp_path / f"{least}"
        command = ("show", world.root, "--predictions", path, "--frames", frame_id, "--dest", dest)
        result = train(*command, "--min-score", least)
        assert result.exit_code == 0, result.output
        counts[least] = int(result.output.partition(" detection")[0].split()[-1])
    boxes = int((world.boxes(frame_id).class_id != 255).sum())
    assert counts == {0.0: boxes, 0.5: boxes // 2, 0.95: 0}
    picture = np.array(Image.open(tmp_path / "0.0" / "frames" / "000.png").convert("RGB"))
    none = np.array(Image.open(tmp_path / "0.95" / "frames" / "000.png").convert("RGB"))
    colours = {class_rgb(int(k)) for k in world.boxes(frame_id).class_id if k != 255}
    for rgb in colours:
        assert (picture == rgb).all(axis=2).sum() > (none == rgb).all(axis=2).sum()


def test_data_without_labels_show_boxes_by_class_and_no_clusters(world, tmp_path):
    frame_id = world.frame_ids()[0]
    result = train("show", world.root, "--frames", frame_id, "--dest", tmp_path / "look")
    assert result.exit_code == 0, result.output
    assert "cluster" not in result.output
    assert "No labels were given, so that no clusters are shown. Boxes" in (tmp_path / "look/index.html").read_text()
    picture = np.array(Image.open(tmp_path / "look" / "frames" / "000.png").convert("RGB"))
    for k in {int(k) for k in world.boxes(frame_id).class_id if k != 255}:
        assert (picture == class_rgb(k)).all(axis=2).sum() > 600  # its square in the list has about 500


def test_predictions_of_other_data_are_refused_or_named(world, tmp_path):
    ids, path, seen = world.frame_ids(), tmp_path / "own.parquet", FramePredictions
    rows, one = np.array([[5, 0, 0, 4, 2, 1.5, 0]], np.float32), np.ones(1, np.float32)

    def shown(frame_id, source, number):
        found = seen(frame_id, rows, one, np.zeros(1, np.int64), np.zeros((1, 2), np.float32))
        write_predictions(path, [(found, MapFrame())], world.taxonomy.names, {"dataset": source} if source else {})
        names = ",".join(ids[:2])
        return train("show", world.root, "--predictions", path, "--frames", names, "--dest", tmp_path / number)

    own = world.fingerprint()
    refused(shown("elsewhere", "other", "1"), "SCH003", "of 0 of the 2 frames to show, and of 1 frame", "'elsewhere'")
    refused(shown("elsewhere", None, "2"), "SCH003", "of other data than")
    assert not (tmp_path / "1").exists()
    assert "of 1 of the 2 frames to show" in shown(ids[0], own, "3").stderr
    assert "of 0 of the 2 frames to show" in shown(ids[2], own, "4").stderr
    assert "was made from other data" in shown(ids[0], "other", "5").stderr
    assert "other data" not in shown(ids[0], None, "6").stderr


def test_a_run_shows_the_frames_that_it_was_validated_on(world, run, tmp_path):
    dest = tmp_path / "found"
    result = train("show", run, "--data", world.root, "--dest", dest, "--min-score", 0)
    assert result.exit_code == 0, result.output
    assert result.output.count("detections") == 2
    assert str(run) in (dest / "index.html").read_text()


def test_a_recording_holds_the_detections(world, tmp_path):
    pytest.importorskip("rerun")
    path = predictions(world, tmp_path / "detections.parquet")
    file = tmp_path / "look.rrd"
    command = ("show", world.root, "--predictions", path, "--sample", 1, "--rerun", file)
    result = train(*command, "--dest", tmp_path / "look")
    assert result.exit_code == 0, result.output
    content = file.read_bytes()
    assert content.startswith(b"RRF")
    assert b"/lidar/detected" in content
    assert b"/lidar/true" in content
    refused(train(*command, "--dest", tmp_path / "other"), "OUT003", "look.rrd")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("RUN",), "name its data with --data"),
        (("DATA", "--data", "DATA"), "is no run of mixsup-train fit"),
    ],
)
def test_a_run_needs_data_and_data_need_no_run(world, run, tmp_path, arguments, text):
    places = {"RUN": run, "DATA": world.root}
    result = train("show", *(places.get(word, word) for word in arguments), "--dest", tmp_path / "look")
    assert result.exit_code == 2
    assert text in result.output


def test_a_run_without_a_checkpoint_has_no_predictions(world, run, tmp_path):
    (tmp_path / "run").mkdir()
    for name in ("fit.json", "frames.json"):
        (tmp_path / "run" / name).write_bytes((run / name).read_bytes())
    result = train("show", tmp_path / "run", "--data", world.root, "--dest", tmp_path / "look")
    refused(result, "SCH003", "last.safetensors")
    assert not (tmp_path / "look").exists()


def test_files_that_hold_no_predictions_are_refused(world, tmp_path):
    bad = tmp_path / "bad.parquet"
    bad.write_text("no table")
    refused(train("show", world.root, "--predictions", bad, "--dest", tmp_path / "look"), "SCH003", "bad.parquet")
    budget = tmp_path / "budget"
    assert train("budget", world.root, "--dest", budget).exit_code == 0
    refused(train("show", world.root, "--predictions", budget, "--dest", tmp_path / "look"), "SCH003", "class_name")
    path = predictions(world, tmp_path / "detections.parquet")
    with pytest.raises(SchemaError, match=r"\[SCH004\].*boxes of .*car.*, which are not classes of the data set: ship"):
        read_predictions(path, ("ship",))


def test_an_unknown_frame_is_refused(world, tmp_path):
    command = ("show", world.root, "--dest", tmp_path / "look", "--frames")
    refused(train(*command, "none"), "DAT010", "none")
    other = world.frame_ids("two")[0]
    refused(train(*command, other, "--split", "one"), "DAT010", "is not in the split")


def test_a_frame_whose_image_is_damaged_is_shown_without_it(tmp_path):
    kitti = make_kitti(tmp_path / "kitti")
    kitti.path("image_2").write_bytes(b"\x89PNG torn")
    result = train("show", kitti.root, "--dest", tmp_path / "look")
    assert result.exit_code == 3
    assert "DAT005" in result.output
    assert "shown without images" in (tmp_path / "look" / "index.html").read_text()
    assert len(list((tmp_path / "look" / "frames").iterdir())) == 2


def test_predictions_are_read_as_they_were_written(world, tmp_path):
    path = predictions(world, tmp_path / "detections.parquet", offset=(1.0, 0, 0))
    frame_id = world.frame_ids()[1]
    boxes, score = read_predictions(path, world.taxonomy.names)[frame_id]
    true = world.boxes(frame_id)
    ours = chosen(true, true.class_id != 255)
    np.testing.assert_allclose(boxes.center_m, ours.center_m + np.array([1, 0, 0]), atol=1e-4)
    np.testing.assert_allclose(boxes.size_lwh_m, ours.size_lwh_m, atol=1e-4)
    np.testing.assert_allclose(boxes.rotation[:, :2, 0], ours.rotation[:, :2, 0], atol=0.02)
    assert boxes.class_id.tolist() == ours.class_id.tolist()
    assert boxes.token[0] == f"{world.taxonomy.names[boxes.class_id[0]]} {score[0]:.2f}"
