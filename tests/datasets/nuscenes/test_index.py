import json
import multiprocessing
import os

import numpy as np
import pytest
from helpers.nuscenes_root import make_root, write_table

from pointsam.base.errors import BrokenRuleError, DatasetError, StoreError
from pointsam.datasets.nuscenes import index as nuscenes_index
from pointsam.datasets.nuscenes.dataset import NuScenes
from pointsam.datasets.nuscenes.index import index_path

VERSION = "v1.0-mini"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("POINTSAM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def root(tmp_path):
    return make_root(tmp_path / "root")


@pytest.fixture
def joins(monkeypatch):
    """Counts how often tables are read."""
    calls = []
    real = nuscenes_index.join
    monkeypatch.setattr(nuscenes_index, "join", lambda folder, lidar: (calls.append(folder), real(folder, lidar))[1])
    return calls


def replaced(root, table, change, version=VERSION):
    rows = json.loads((root / version / f"{table}.json").read_text())
    change(rows)
    write_table(root / version, table, rows)


def one_index(cache):
    (path,) = cache.rglob("*.arrow")
    return path


def test_tables_are_read_once(root, joins):
    first, second = NuScenes(root), NuScenes(root)
    assert len(joins) == 1
    assert first.frame_ids() == second.frame_ids()


def test_the_cache_lies_outside_the_root(root, cache):
    before = sorted(root.rglob("*"))
    NuScenes(root)
    assert sorted(root.rglob("*")) == before
    assert one_index(cache).is_relative_to(cache)


@pytest.mark.parametrize(("variable", "parts"), [("XDG_CACHE_HOME", ()), ("HOME", (".cache",))])
def test_the_cache_follows_the_users_settings(root, tmp_path, monkeypatch, variable, parts):
    monkeypatch.delenv("POINTSAM_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv(variable, str(tmp_path / "user"))
    assert index_path(root / VERSION).is_relative_to(tmp_path.joinpath("user", *parts, "pointsam", "nuscenes"))


def test_changed_tables_are_read_again_and_the_old_index_is_dropped(root, joins, cache):
    NuScenes(root)
    old = one_index(cache)
    os.utime(old, (0, 0))
    replaced(root, "scene", lambda rows: rows[0].update(name="scene-9999"))
    dataset = NuScenes(root)
    assert dataset.scene(dataset.frame_ids()[0]) == "scene-9999"
    assert len(joins) == 2
    assert one_index(cache) != old


def test_tables_touched_without_a_change_of_size_are_read_again(root, joins):
    NuScenes(root)
    table = root / VERSION / "sample.json"
    os.utime(table, ns=(0, table.stat().st_mtime_ns + 1))
    NuScenes(root)
    assert len(joins) == 2


@pytest.mark.parametrize("keep", [0, 8, 1000, -8])
def test_a_truncated_index_is_built_again(root, cache, joins, keep):
    expected = NuScenes(root).frame_ids()
    path = one_index(cache)
    path.write_bytes(path.read_bytes()[:keep])
    assert NuScenes(root).frame_ids() == expected
    assert len(joins) == 2


def test_an_index_overwritten_with_noise_is_built_again(root, cache, joins):
    expected = NuScenes(root).frame_ids()
    path = one_index(cache)
    path.write_bytes(np.random.default_rng(0).bytes(path.stat().st_size))
    assert NuScenes(root).frame_ids() == expected
    assert len(joins) == 2


def test_what_killed_builders_left_is_removed_and_a_live_one_is_spared(root, cache):
    folder = index_path(root / VERSION).parent
    folder.mkdir(parents=True)
    dead, live = folder / "a.arrow.1.tmp", folder / "a.arrow.2.tmp"
    for path in (dead, live):
        path.touch()
    os.utime(dead, (0, 0))
    os.utime(live, (2**32, 2**32))
    NuScenes(root)
    assert (dead.exists(), live.exists()) == (False, True)


def _open(root):
    return NuScenes(root).fingerprint()


def test_workers_that_open_at_once_agree_and_leave_one_index(root, cache):
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        digests = pool.map(_open, [root] * 6)
    assert len(set(digests)) == 1
    assert [path.suffix for path in cache.rglob("*") if path.is_file() and path.name != ".lock"] == [".arrow"]


def test_builds_are_byte_identical(root, cache):
    NuScenes(root)
    path = one_index(cache)
    first = path.read_bytes()
    path.unlink()
    NuScenes(root)
    assert path.read_bytes() == first


@pytest.mark.skipif(os.name != "posix", reason="needs /dev/full or modes")
def test_a_cache_that_cannot_be_written_is_OUT003(root, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("POINTSAM_CACHE", str(tmp_path / "file"))
    with pytest.raises(StoreError, match="POINTSAM_CACHE") as raised:
        NuScenes(root)
    assert raised.value.code == "OUT003"


def test_a_full_disk_is_OUT002_and_leaves_nothing(root, cache, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    folder = index_path(root / VERSION).parent
    folder.mkdir(parents=True)
    monkeypatch.setattr(nuscenes_index.os, "fsync", full)
    with pytest.raises(StoreError) as raised:
        NuScenes(root)
    assert raised.value.code == "OUT002"
    assert [path.name for path in folder.iterdir()] == [".lock"]


def test_the_fingerprint_is_the_same_wherever_the_root_lies(tmp_path):
    roots = [make_root(tmp_path / name, version=name) for name in ("one", "two")]
    assert NuScenes(roots[0]).fingerprint() == NuScenes(roots[1]).fingerprint()


def test_the_fingerprint_does_not_depend_on_row_order(root):
    before = NuScenes(root).fingerprint()
    for table in ("sample", "sample_data", "ego_pose", "scene", "sensor"):
        replaced(root, table, lambda rows: rows.reverse())
    assert NuScenes(root).fingerprint() == before


@pytest.mark.parametrize(
    ("table", "field", "value"),
    [
        ("ego_pose", "translation", [1.0, 2.0, 3.0]),
        ("calibrated_sensor", "camera_intrinsic", [[41, 0, 32], [0, 40, 18], [0, 0, 1]]),
        ("sample_data", "filename", "samples/other"),
    ],
)
def test_the_fingerprint_changes_with_what_frames_are_made_of(root, table, field, value):
    before = NuScenes(root).fingerprint()

    def change(rows):
        camera = [row for row in rows if "CAM_FRONT/" in row.get("filename", "")] or rows
        camera[0][field] = value

    if table == "ego_pose":
        key = NuScenes(root).lidar_token(NuScenes(root).frame_ids()[0])
        replaced(root, table, lambda rows: next(r for r in rows if r["token"] == key).update({field: value}))
    else:
        replaced(root, table, change)
    assert NuScenes(root).fingerprint() != before


def test_the_fingerprint_does_not_change_with_boxes(root):
    before = NuScenes(root).fingerprint()
    replaced(root, "sample_annotation", lambda rows: rows.pop())
    assert NuScenes(root).fingerprint() == before


REFERENCES = [
    ("sample", "scene_token", "scene"),
    ("calibrated_sensor", "sensor_token", "sensor"),
    ("sample_data", "calibrated_sensor_token", "calibrated_sensor"),
    ("sample_data", "sample_token", "sample"),
    ("sample_data", "ego_pose_token", "ego_pose"),
    ("sample_data", "next", "sample_data"),
    ("sample_data", "prev", "sample_data"),
    ("sample_annotation", "sample_token", "sample"),
    ("sample_annotation", "instance_token", "instance"),
    ("instance", "category_token", "category"),
]


@pytest.mark.parametrize(("table", "field", "target"), REFERENCES)
def test_a_token_that_points_nowhere_is_DAT003(tmp_path, table, field, target):
    owner = {}

    def cut(tables):
        rows = tables[table]
        row = next((row for row in rows if "LIDAR_TOP" in row.get("filename", "")), rows[0])
        row[field] = "nowhere"
        owner["token"] = row["token"]

    with pytest.raises(BrokenRuleError) as raised:
        NuScenes(make_root(tmp_path / "root", edit=cut))
    assert raised.value.code == "DAT003"
    for part in (f"{table}.json", repr(owner["token"]), repr(field), "'nowhere'", f"{target}.json"):
        assert part in raised.value.message


def test_a_label_file_of_an_unknown_sweep_is_DAT003(tmp_path):
    row = {"token": "t", "sample_data_token": "nowhere", "filename": "panoptic/x.npz"}
    root = make_root(tmp_path / "root", edit=lambda tables: tables.update(panoptic=[row]))
    with pytest.raises(BrokenRuleError, match=r"panoptic\.json.*'nowhere'") as raised:
        NuScenes(root)
    assert raised.value.code == "DAT003"


def test_rows_that_no_frame_uses_may_point_nowhere(tmp_path):
    """The radar's poses and the images between key frames are never looked up."""

    def cut(tables):
        unused = [r for r in tables["sample_data"] if "RADAR" in r["filename"] or "sweeps/CAM" in r["filename"]]
        for row in unused:
            row["ego_pose_token"] = "nowhere"
        assert len(unused) > 6

    assert NuScenes(make_root(tmp_path / "root", edit=cut)).frame_ids()


@pytest.mark.parametrize(
    ("table", "field", "value"),
    [
        ("sensor", "channel", "CAM_BACK_LEFT"),
        ("calibrated_sensor", "translation", [50.0, 0.0, 1.5]),
        ("ego_pose", "translation", [30.0, 0.0, 0.0]),
        ("scene", "name", "another"),
        ("sample", "timestamp", 17),
        ("sample_data", "filename", "samples/other"),
    ],
)
def test_two_different_rows_of_one_token_are_DAT012(tmp_path, table, field, value):
    def repeated(tables):
        used = {row["ego_pose_token"] for row in tables["sample_data"] if "RADAR" not in row["filename"]}
        rows = [row for row in tables[table] if table != "ego_pose" or row["token"] in used]
        row = next(row for row in rows if row.get("is_key_frame", True) and row[field] != value)
        tables[table].append({**row, field: value})

    root = make_root(tmp_path / "root", edit=repeated)
    with pytest.raises(BrokenRuleError, match=rf"{table}\.json: two different rows have the token") as raised:
        NuScenes(root)
    assert raised.value.code == "DAT012"


def test_equal_rows_count_once(tmp_path):
    plain = NuScenes(make_root(tmp_path / "plain"))

    def twice(tables):
        for name in ("sensor", "calibrated_sensor", "ego_pose", "scene", "sample", "sample_data"):
            tables[name] += tables[name]

    assert NuScenes(make_root(tmp_path / "twice", edit=twice)).fingerprint() == plain.fingerprint()


@pytest.mark.parametrize("channel", ["LIDAR_TOP", "CAM_FRONT"])
def test_two_key_frames_of_one_sensor_in_a_sample_are_DAT012(tmp_path, channel):
    def twice(tables):
        row = next(row for row in tables["sample_data"] if f"samples/{channel}/" in row["filename"])
        tables["sample_data"].append({**row, "token": "z" * 32, "prev": "", "next": ""})

    root = make_root(tmp_path / "root", edit=twice)
    with pytest.raises(BrokenRuleError, match=f"two key frames of {channel}, rows .* and 'z+'"):
        NuScenes(root)


@pytest.mark.parametrize(("field", "value"), [("timestamp", 10**30), ("width", 10**30)])
def test_a_value_that_no_column_holds_is_DAT011(tmp_path, field, value):
    def spoil(tables):
        next(row for row in tables["sample_data"] if "samples/CAM" in row["filename"])[field] = value

    with pytest.raises(DatasetError, match=VERSION) as raised:
        NuScenes(make_root(tmp_path / "root", edit=spoil))
    assert raised.value.code == "DAT011"


def test_a_bad_table_leaves_no_index(tmp_path, cache):
    root = make_root(tmp_path / "root", edit=lambda tables: tables["scene"].clear())
    with pytest.raises(BrokenRuleError):
        NuScenes(root)
    assert [path.name for path in cache.rglob("*") if path.is_file()] == [".lock"]


@pytest.mark.parametrize("name", ["../private/photo.jpg", "/etc/hostname", "..\\private\\photo.jpg"])
def test_a_table_names_no_file_outside_the_root(tmp_path, name):
    def leave(tables):
        next(row for row in tables["sample_data"] if "samples/CAM_FRONT/" in row["filename"])["filename"] = name

    data = NuScenes(make_root(tmp_path / "root", edit=leave))
    bad, good = data.frame_ids()
    with pytest.raises(DatasetError, match="names the file") as raised:
        data.frame(bad)
    assert raised.value.code == "DAT011"
    assert data.frame(good).cameras


def test_names_with_backslashes_are_read(tmp_path):
    def windows(tables):
        for row in tables["sample_data"]:
            row["filename"] = row["filename"].replace("/", "\\")

    data = NuScenes(make_root(tmp_path / "root", edit=windows))
    frame = data.frame(data.frame_ids()[0])
    assert frame.sweep.source.path.is_file()
    assert all(view.source.path.is_file() for view in frame.cameras)
