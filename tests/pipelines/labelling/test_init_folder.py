"""`pointsam-label init`: what it finds, the draft that it writes, and the picture."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from helpers.commands import label, refused
from helpers.folder_root import START_US, calibration_of, make_folder, write_cloud
from helpers.folder_root import Drive as Options
from PIL import Image

from pointsam.checks.folder_draft import draft
from pointsam.checks.folder_survey import survey
from pointsam.datasets import open_dataset
from pointsam.datasets.folder.calibration import LidarEntry, calibration_text, raw_values, read_calibration, to_complete


@pytest.fixture
def bare(tmp_path):
    """A folder without a calibration."""
    make_folder(tmp_path / "data", frames=4, lidars=("top", "side"), points=2500)
    (tmp_path / "data" / "calibration.yaml").unlink()
    return tmp_path / "data"


def completed(text, full):
    """A draft whose TODOs are replaced by the values of a calibration."""
    for name, camera in full.cameras.items():
        head, _, tail = text.partition(f"  {name}:\n")
        for field in ("fx", "fy", "cx", "cy"):
            tail = tail.replace("TODO", repr(getattr(camera.intrinsics, field)), 1)
        text = f"{head}  {name}:\n{tail.replace('TODO', 'pinhole', 1)}"
    for one in full.transforms:
        head, _, tail = text.partition(f"  - from: {one.source}\n")
        open_fields = "    translation: TODO\n    quaternion_wxyz: TODO\n"
        tail = tail.replace(open_fields, f"    matrix: {list(map(list, one.matrix))}\n", 1)
        text = f"{head}  - from: {one.source}\n{tail}"
    text = text.replace("motion_compensated: TODO", "motion_compensated: true")
    head, _, tail = text.partition("poses:")
    return f"{head}poses:{tail.replace('TODO', 'vehicle', 1).replace('TODO', 'world', 1)}"


def test_from_a_bare_folder_to_a_picture(bare, tmp_path):
    first = label("init", bare, "--json", tmp_path / "init.json")
    assert first.exit_code == 0, first.output
    assert "images/front: 4 images of 320 x 192 px" in first.output
    assert "they fit float32 x, y, z, intensity" in first.output
    assert "z seems upright" in first.output
    assert "are times since 1970 in us, by their size" in first.output
    assert "poses.txt, TUM, 14 poses" in first.output
    path = bare / "calibration.yaml"
    assert f"next: complete {path}, then: pointsam-label init {bare} --png points.png" in first.output
    values = raw_values(path)
    assert list(values["lidars"]) == ["top", "side"]
    missing = list(to_complete(values))
    document = json.loads((tmp_path / "init.json").read_text())
    assert document["to_complete"] == missing
    assert document["sensors"] == {f"images/{n}": 4 for n in ("front", "left", "right")} | {
        "clouds/top": 4,
        "clouds/side": 4,
    }
    refused(label("check", bare), "CAL003", "to be completed: cameras.front.intrinsics.fx")
    again = label("init", bare)
    assert again.exit_code == 0
    assert f"{len(missing)} fields to be completed" in again.output
    path.write_text(completed(path.read_text(), calibration_of(Options(lidars=("top", "side")))))
    assert list(to_complete(raw_values(path))) == []
    before = path.read_bytes()
    done = label("init", bare, "--png", tmp_path / "p.png")
    assert done.exit_code == 0, done.output
    assert "checked 4 frames and opened the files of 4: no problem found" in done.output
    assert f"drew frame {START_US + 200_000} to" in done.output
    assert f"next: pointsam-label run {bare} --out OUT" in done.output
    assert path.read_bytes() == before
    picture = np.asarray(Image.open(tmp_path / "p.png").convert("RGB"))
    assert picture.shape[1] == 2400
    assert label("init", bare, "--overwrite").exit_code == 0
    assert b"TODO" in path.read_bytes()


def test_a_wrong_transform_changes_the_picture_and_is_named(bare, tmp_path):
    full = calibration_of(Options(lidars=("top", "side")))
    (bare / "calibration.yaml").write_text(calibration_text(full))
    assert label("init", bare, "--png", tmp_path / "good.png", "--frame", START_US).exit_code == 0
    turned = next(one for one in full.transforms if one.source == "front")
    inverse = np.linalg.inv(np.array(turned.matrix))
    text = calibration_text(full).replace(
        calibration_text(full).split("- from: front")[1].split("- from")[0],
        f"\n  to: vehicle\n  matrix: {inverse.tolist()}\n",
    )
    (bare / "calibration.yaml").write_text(text)
    done = label("init", bare, "--png", tmp_path / "bad.png", "--frame", START_US)
    assert "its inverse is" in done.output
    assert "next: pointsam-label check" in done.output
    good, bad = (np.asarray(Image.open(tmp_path / f"{name}.png")) for name in ("good", "bad"))
    assert good.shape == bad.shape
    front, left = np.s_[40:480, 10:790], np.s_[40:480, 810:1590]
    assert (good[front] != bad[front]).any(axis=-1).mean() > 0.02
    assert (good[left] == bad[left]).all()


def test_a_frame_that_cannot_be_read_does_not_stop_the_picture(tmp_path):
    make_folder(tmp_path / "data", frames=4, cameras=("front",), points=200)
    (tmp_path / "data" / "clouds" / "top" / f"{START_US + 200_000}.bin").write_bytes(b"")
    (tmp_path / "data" / "boxes" / f"{START_US + 100_000}.json").write_text("[")
    done = label("init", tmp_path / "data", "--png", tmp_path / "p.png")
    assert f"drew frame {START_US + 100_000} to {tmp_path / 'p.png'}" in done.output
    for cloud in (tmp_path / "data" / "clouds" / "top").iterdir():
        cloud.write_bytes(b"")
    nothing = label("init", tmp_path / "data", "--png", tmp_path / "q.png").output
    assert "drew nothing: none of 4 frames" in nothing
    assert f"{START_US + 200_000}.bin" in nothing


def test_a_picture_takes_the_place_of_pictures_only(tmp_path):
    make_folder(tmp_path / "data", frames=1, cameras=("front",), points=200)
    calibration = tmp_path / "data" / "calibration.yaml"
    text = calibration.read_text()
    refused(label("init", tmp_path / "data", "--png", calibration, "--overwrite"), "OUT003", "is a file of the data")
    assert calibration.read_text() == text
    (image,) = (tmp_path / "data" / "images" / "front").iterdir()
    refused(label("init", tmp_path / "data", "--png", image), "OUT003", "is a file of the data")
    for _ in range(2):
        assert label("init", tmp_path / "data", "--png", tmp_path / "p.png", "--overwrite").exit_code == 0


def test_a_draft_means_what_was_found(bare):
    found = survey(bare)
    path = bare / "calibration.yaml"
    path.write_text(completed(draft(found), calibration_of(Options(lidars=("top", "side")))))
    read = read_calibration(path)
    assert read.files.match == "stamp"
    assert read.files.unit == "us"
    assert read.boxes.frame == "world"
    assert len(open_dataset(bare).boxes(str(START_US))) == 14


@pytest.mark.parametrize(
    ("width", "columns", "says"),
    [(5, ("x", "y", "z", "intensity", "ring"), "looks like 5 values"), (4, ("x", "y", "z", "intensity"), "they fit")],
)
def test_columns_of_raw_files_are_guessed_with_the_evidence(bare, width, columns, says):
    for path in (bare / "clouds" / "top").iterdir():
        rows = np.fromfile(path, "<f4").reshape(-1, 4)
        rings = np.arange(len(rows)) % 32
        np.column_stack([rows, rings])[:, :width].astype("<f4").tofile(path)
    lidar = survey(bare).lidars[0]
    assert lidar.columns == columns
    assert says in lidar.evidence


def test_odd_images_and_clouds_are_told(bare):
    exif = Image.Exif()
    exif[0x0112] = 3
    images = sorted((bare / "images" / "left").iterdir())
    Image.open(images[0]).convert("RGB").save(images[0].with_suffix(".jpg"), exif=exif)
    images[0].unlink()
    Image.new("RGB", (64, 48)).save(images[-1])
    (bare / "clouds" / "side" / f"{START_US}.ply").write_bytes(b"ply\nnothing")
    found = survey(bare)
    notes = {one.name: " ".join(one.notes) for one in (*found.cameras, *found.lidars)}
    assert "turned by 180 degrees" in notes["left"]
    assert "another size" in notes["left"]
    assert "files of several kinds" in notes["side"]


def test_clocks_and_units_are_told(tmp_path):
    make_folder(tmp_path / "a", frames=4, offsets_us={"left": 5_000_000}, points=60)
    notes = survey(tmp_path / "a").notes
    assert any(re.search(r"images/left: .* \+4\.8\d? s .*clocks may differ", note) for note in notes), notes
    make_folder(tmp_path / "b", frames=4, match="index", poses="kitti", points=60)
    found = survey(tmp_path / "b")
    assert (found.match, found.unit) == ("index", None)
    assert "4 names of top and front are equal" in found.times
    make_folder(tmp_path / "c", frames=4, unit="ms", start_us=5_000_000, points=60)
    found = survey(tmp_path / "c")
    assert (found.match, found.unit) == ("stamp", None)
    assert "unit: TODO" in draft(found)


def test_axes_without_an_upright_one_and_y_up_are_told(bare):
    for path in (bare / "clouds" / "top").iterdir():
        rows = np.fromfile(path, "<f4").reshape(-1, 4)
        write_cloud(path, np.ascontiguousarray(rows[:, [1, 2, 0, 3]]))
    assert any("y seems upright" in note for note in survey(bare).lidars[0].notes)


def test_a_folder_without_drives_or_clouds_is_refused(tmp_path):
    (tmp_path / "some").mkdir()
    refused(label("init", tmp_path), "DAT002", "no images/CAMERA and clouds/LIDAR")
    for part in ("images/front", "clouds/top"):
        (tmp_path / part).mkdir(parents=True)
    refused(label("init", tmp_path), "DAT002", "no folder of images/ holds files")


def test_drives_that_lack_a_sensor_are_told(tmp_path):
    make_folder(tmp_path, drives=("a", "b"), frames=2, points=60, boxes="none")
    for path in (tmp_path / "b" / "images" / "left").iterdir():
        path.unlink()
    found = survey(tmp_path)
    assert found.drives == ("a", "b")
    assert "images/left is missing in 1 drive, for example b" in found.notes


@pytest.fixture
def full(bare):
    (bare / "calibration.yaml").write_text(calibration_text(calibration_of(Options(lidars=("top", "side")))))
    return bare


def test_a_draft_replaces_the_file_that_is_there(full):
    (full / "calibration.yaml").unlink()
    path = full / "calibration.json"
    path.write_text("{}")
    assert label("init", full, "--overwrite").exit_code == 0
    assert [one.name for one in full.glob("calibration.*")] == ["calibration.json"]
    assert "cameras.front.intrinsics.fx" in set(to_complete(json.loads(path.read_text())))
    assert "fields to be completed" in label("init", full).output


def test_a_picture_is_replaced_by_itself(full, tmp_path):
    picture, calibration = tmp_path / "p.png", full / "calibration.yaml"
    before = calibration.read_bytes()
    picture.write_text("mine")
    refused(label("init", full, "--png", picture), "OUT003", "p.png")
    assert picture.read_text() == "mine"
    assert label("init", full, "--png", picture, "--overwrite").exit_code == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert calibration.read_bytes() == before


def test_a_frame_beside_the_middle_is_drawn_if_that_has_no_image(full, tmp_path):
    for name in ("front", "left", "right"):
        images = sorted((full / "images" / name).iterdir())
        images[2].unlink()
    done = label("init", full, "--png", tmp_path / "p.png")
    assert done.exit_code == 0, done.output
    assert f"drew frame {START_US + 100_000} to" in done.output


def test_the_report_is_there_if_no_frame_can_be_drawn(full, tmp_path):
    for name in ("front", "left", "right"):
        for image in (full / "images" / name).iterdir():
            image.rename(image.with_name(f"{int(image.stem) + 900_000_000}.png"))
    done = label("init", full, "--png", tmp_path / "p.png", "--json", tmp_path / "init.json")
    assert done.exit_code == 4, done.output
    assert "drew nothing: none of 4 frames around the middle can be drawn; [DAT011]" in done.output
    assert "images/front: 4 images" in done.output
    document = json.loads((tmp_path / "init.json").read_text())
    assert document["drawn"] is None
    assert "has no image within" in document["not_drawn"]
    assert not (tmp_path / "p.png").exists()


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    refused(label("init", tmp_path / "nothing"), "DAT001", "no such folder")


def test_an_unknown_frame_and_an_object_store_are_refused(bare, tmp_path, store):
    from helpers.stores import upload

    (bare / "calibration.yaml").write_text(calibration_text(calibration_of(Options(lidars=("top", "side")))))
    refused(label("init", bare, "--png", tmp_path / "p.png", "--frame", "7"), "DAT010", "no frame '7'")
    (bare / "calibration.yaml").unlink()
    refused(label("init", str(upload(bare, "bucket"))), "OUT002", "object store")


def test_what_the_file_states_is_not_guessed(tmp_path):
    data = tmp_path / "data"
    options = {"frames": 3, "match": "index", "cameras": ("front",), "points": 200, "boxes": "none", "poses": "none"}
    make_folder(data, **options)
    said = "times: calibration.yaml takes names for indices; they are 0.1 s apart (files.period_s)"
    assert said in label("init", data).output
    make_folder(data, edit=lambda c: replace(c, files=replace(c.files, period_s=None)), **options)
    assert "takes names for indices; their times are not known" in label("init", data).output
    (data / "times.txt").write_text("0\n1\n2\n")
    assert "takes names for indices; times.txt has their times" in label("init", data).output


def test_columns_and_clocks_of_the_file_are_taken(tmp_path):
    data, late = tmp_path / "data", {"front": 18_000_000}
    lidars = {"top": LidarEntry(("x", "y", "z", "_"))}
    options = {"frames": 3, "cameras": ("front",), "points": 200, "boxes": "none", "offsets_us": late}
    make_folder(data, edit=lambda c: replace(c, lidars=lidars), **options)
    before = label("init", data).output
    assert "clouds/top: 3 .bin; calibration.yaml states x, y, z, _" in before
    assert "its files are +17.9 s from the sweeps (median): clocks may differ" in before
    make_folder(
        data, edit=lambda c: replace(c, cameras={"front": replace(c.cameras["front"], time_offset_s=-18.0)}), **options
    )
    assert "its files are +0.02 s from the sweeps (median): same clock" in label("init", data).output


def test_boxes_of_kitti_need_no_frame(tmp_path):
    make_folder(tmp_path / "data", frames=2, cameras=("front",), points=200, boxes="kitti")
    (tmp_path / "data" / "calibration.yaml").unlink()
    text = draft(survey(tmp_path / "data"))
    assert "# boxes: 2 files label_2/*.txt (KITTI), in the frame of the first camera." in text
    assert "\n# boxes: {frame: front}\n" in text
    (tmp_path / "data" / "calibration.yaml").write_text(text)
    assert not [name for name in to_complete(raw_values(tmp_path / "data" / "calibration.yaml")) if "boxes" in name]


def test_the_draft_says_what_to_write_without_a_vehicle(bare):
    text = draft(survey(bare))
    assert "\nvehicle: vehicle\n" in text
    assert "write its name (top) in place of it, remove its transform, and state those of the cameras" in text
