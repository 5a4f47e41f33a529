"""SemanticKITTI, laid out anew from made-up files; its labels come back as our exporter wrote them."""

import json

import numpy as np
import pytest
from helpers.commands import label
from helpers.semantic_root import AHEAD, make_semantic
from helpers.training import make_labels

from pointsam.base.errors import DatasetError, MissingFolderError
from pointsam.datasets import open_dataset
from pointsam.datasets.kitti.semantic import SemanticKitti
from pointsam.geometry.projection import key_SE3_sweep
from pointsam.taxonomy import BACKGROUND


def packed(semantic, instance):
    return semantic | instance << 16


def test_it_is_known_by_its_folders_and_lists_splits_and_sequences(tmp_path):
    make_semantic(tmp_path, "00", 2)
    world = make_semantic(tmp_path, "08", 3)
    assert isinstance(open_dataset(tmp_path), SemanticKitti)
    assert world.frame_ids() == ["00_000000", "00_000001", "08_000000", "08_000001", "08_000002"]
    assert world.frame_ids("val") == world.frame_ids("08") == world.frame_ids()[2:]
    assert world.frame_ids("train") == world.frame_ids()[:2]
    assert world.scene("08_000001") == "08"
    with pytest.raises(DatasetError, match=r"DAT010.*'nope'"):
        world.frame_ids("nope")
    with pytest.raises(DatasetError, match="DAT009"):
        world.frame_ids("test")
    with pytest.raises(DatasetError, match=r"DAT010.*08_000009"):
        world.frame("08_000009")


def test_sweeps_are_a_metre_apart_along_x(tmp_path):
    world = make_semantic(tmp_path)
    frame = world.frame("08_000001")
    assert frame.sweep.t_us == 100_000
    before, after = (key_SE3_sweep(frame.sweep, frame.neighbours[k]).translation_m for k in (-1, 1))
    assert before == pytest.approx([-1, 0, 0], abs=1e-9)
    assert after == pytest.approx([1, 0, 0], abs=1e-9)
    assert [sweep.source.path.stem for sweep in world.past_sweeps("08_000002", 5)] == ["000001", "000000"]


def test_without_poses_frames_stand_alone(tmp_path):
    world = make_semantic(tmp_path, poses=False)
    assert dict(world.frame("08_000001").neighbours) == {}
    assert world.past_sweeps("08_000001", 3) == []


def test_truth_has_things_with_an_instance_that_the_camera_sees(tmp_path):
    values = [packed(252, 7), packed(10, 0), packed(11, 4), packed(40, 0), packed(10, 7)]
    world = make_semantic(tmp_path, values=values)
    truth = world.point_truth("08_000000")
    car = world.taxonomy.class_id("car")
    assert truth.labels.class_id.tolist() == [car, BACKGROUND, BACKGROUND, BACKGROUND, BACKGROUND]
    assert truth.labels.instance_id[0] == 7
    assert truth.void.tolist() == [False, True, True, False, True]  # nameless, cycle alone, road, behind the camera
    assert truth.source == "semantickitti"


def test_no_labels_is_no_truth_and_labels_of_another_sweep_are_refused(tmp_path):
    assert make_semantic(tmp_path / "a").point_truth("08_000000") is None
    with pytest.raises(DatasetError, match=r"DAT011.*16 bytes"):
        make_semantic(tmp_path / "b", values=[0, 0, 0, 0]).point_truth("08_000000")


@pytest.mark.parametrize(
    ("file", "text"),
    [("poses.txt", "1 2 3\n"), ("times.txt", "soon\n"), ("times.txt", "0\n1e300\n2\n"), ("poses.txt", "")],
)
def test_a_malformed_file_is_named(tmp_path, file, text):
    world = make_semantic(tmp_path)
    (tmp_path / "sequences" / "08" / file).write_text(text)
    with pytest.raises(DatasetError, match=f"DAT011.*{file}"):
        SemanticKitti(world.root).frame("08_000001")


def test_what_the_exporter_writes_is_read_as_the_same_truth_and_scores_one(tmp_path):
    rng = np.random.default_rng(0)
    centers = np.repeat([(12.0, 2.0, 0.0, 0.0), (20.0, -4.0, 0.0, 0.0)], 40, axis=0)
    points = centers + np.column_stack([rng.uniform(-1, 1, (80, 3)), np.zeros(80)])
    values = np.repeat([packed(10, 1), packed(18, 2)], 40)
    world = make_semantic(tmp_path / "root", points=points, values=values)
    truth = world.point_truth("08_000000")
    assert (truth.labels.instance_id > 0).all()

    out = tmp_path / "out"
    make_labels(out, world)
    said = label("eval", out, world.root, "--json", tmp_path / "eval.json")
    assert said.exit_code == 0, said.output
    assert "3 frames against semantickitti" in said.output
    assert json.loads((tmp_path / "eval.json").read_text())[0]["panoptic"]["pq"] == 1.0
    done = label("export", out, world.root, "--to", "semantickitti", "--dest", tmp_path / "dest")
    assert done.exit_code == 0, done.output
    read = np.fromfile(tmp_path / "dest" / "sequences" / "08" / "predictions" / "000000.label", dtype="<u4")
    assert ((read & 0xFFFF) == values & 0xFFFF).all()
    assert len(np.unique(read)) == 2


def test_at_the_ends_of_a_sequence_a_frame_is_its_own_neighbour(tmp_path):
    world = make_semantic(tmp_path)
    stems = [
        {k: sweep.source.path.stem[-1] for k, sweep in world.frame(name).neighbours.items()}
        for name in world.frame_ids()
    ]
    assert stems == [{-1: "0", 1: "1"}, {-1: "0", 1: "2"}, {-1: "1", 1: "2"}]


@pytest.mark.parametrize(
    ("count", "stems"), [(0, []), (1, ["000002"]), (2, ["000002", "000001"]), (9, ["000002", "000001", "000000"])]
)
def test_past_sweeps_are_the_latest(tmp_path, count, stems):
    assert [
        sweep.source.path.stem for sweep in make_semantic(tmp_path, frames=4).past_sweeps("08_000003", count)
    ] == stems


def test_a_frame_beyond_the_times_has_none_and_one_beyond_the_poses_is_refused(tmp_path):
    world = make_semantic(tmp_path)
    (tmp_path / "sequences" / "08" / "times.txt").write_text("0.25\n1.5\n")
    world = SemanticKitti(world.root)
    assert [world.frame(name).sweep.t_us for name in world.frame_ids()] == [250_000, 1_500_000, 0]
    (tmp_path / "sequences" / "08" / "poses.txt").write_text("1 0 0 0 0 1 0 0 0 0 1 0\n" * 2)
    with pytest.raises(DatasetError, match=r"DAT011.*has 2 lines, none for frame 2"):
        SemanticKitti(world.root).frame("08_000002")
    assert SemanticKitti(world.root).frame("08_000000").frame_id == "08_000000"


def test_every_label_is_a_thing_void_or_background(tmp_path):
    things = {10: "car", 252: "car", 18: "truck", 258: "truck", 30: "person", 254: "person", 31: "bicyclist"}
    things |= {253: "bicyclist", 32: "motorcyclist", 255: "motorcyclist"}
    things |= dict.fromkeys((13, 16, 20, 256, 257, 259), "other_vehicle")
    void, other = (0, 1, 11, 15, 52, 99, 7, 300), (40, 44, 48, 49, 50, 51, 60, 70, 71, 72, 80, 81)
    labels = [*things, *void, *other]
    world = make_semantic(tmp_path, frames=1, points=[AHEAD] * len(labels), values=[packed(k, 300) for k in labels])
    truth = world.point_truth("08_000000")
    names = [*(world.taxonomy.class_id(name) for name in things.values()), *[BACKGROUND] * 20]
    assert truth.labels.class_id.tolist() == names
    assert truth.labels.instance_id.tolist() == [300] * len(things) + [-1] * 20
    assert [k for k, is_void in zip(labels, truth.void, strict=True) if is_void] == list(void)


@pytest.mark.parametrize("file", ["calib.txt", "poses.txt", "times.txt", "velodyne/000003.bin"])
def test_the_fingerprint_is_of_calibration_poses_times_and_names(tmp_path, file):
    world = make_semantic(tmp_path)
    before = world.fingerprint()
    assert SemanticKitti(world.root).fingerprint() == before
    with (tmp_path / "sequences" / "08" / file).open("ab") as stream:
        stream.write(b"\n")
    assert SemanticKitti(world.root).fingerprint() != before


def test_names_that_are_no_numbers_need_neither_poses_nor_times(tmp_path):
    world = make_semantic(tmp_path, poses=False)
    for part, suffix in (("velodyne", ".bin"), ("image_2", ".png")):
        path = tmp_path / "sequences" / "08" / part / f"000001{suffix}"
        path.rename(path.with_name(f"a_b{suffix}"))
    world = SemanticKitti(tmp_path)
    assert world.frame_ids() == ["08_000000", "08_000002", "08_a_b"]
    assert world.frame("08_a_b").cameras[0].stem == "a_b"
    (tmp_path / "sequences" / "08" / "times.txt").write_text("\ufeff0\r\n1\r\n2\r\n")
    world = SemanticKitti(tmp_path)
    assert world.frame("08_000002").sweep.t_us == 2_000_000
    with pytest.raises(DatasetError, match=r"DAT011.*'a_b' is not the number"):
        world.frame("08_a_b")


def test_images_may_be_jpeg_and_are_asked_for_of_the_set_where_no_sequence_has_any(tmp_path):
    make_semantic(tmp_path, "00", 2)
    world = make_semantic(tmp_path, "08", 1)
    folder = tmp_path / "sequences" / "08" / "image_2"
    (folder / "000000.png").rename(folder / "000000.JPG")
    assert SemanticKitti(tmp_path).frame("08_000000").cameras[0].source.file_name == "000000.JPG"
    (folder / "000000.JPG").unlink()
    with pytest.raises(DatasetError, match=r"DAT004.*08/image_2/000000\.png: image is missing"):
        SemanticKitti(tmp_path).frame("08_000000")
    for k in range(2):
        (tmp_path / "sequences" / "00" / "image_2" / f"00000{k}.png").unlink()
    with pytest.raises(MissingFolderError, match=r"DAT001.*image_2"):
        SemanticKitti(tmp_path).frame("08_000000")
    assert world.frame_ids("08") == ["08_000000"]
    for name in ("00", "08"):
        (tmp_path / "sequences" / name / "calib.txt").unlink()
    (folder / "000000.png").write_bytes(b"x")
    with pytest.raises(MissingFolderError, match=r"DAT001.*no sequence has a calib\.txt"):
        SemanticKitti(tmp_path).frame("08_000000")
