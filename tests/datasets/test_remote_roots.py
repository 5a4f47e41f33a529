"""A root in an object store gives what the same root on a disk gives."""

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
from helpers.folder_root import make_folder
from helpers.nuscenes_root import make_root, write_table
from helpers.semantic_root import make_semantic
from helpers.stores import upload
from helpers.tracking_root import make_tracking
from PIL import Image

from pointsam.base.errors import DatasetError
from pointsam.datasets import open_dataset
from pointsam.datasets.io import read_columns, read_image
from pointsam.datasets.truth2d import has_image_truth, image_truth

pytestmark = pytest.mark.usefixtures("store")


def plain(value):
    """A value as lists and numbers, to compare; a source as its content."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if hasattr(value, "read"):
        return value.columns, value.read(value.columns).tolist()
    if hasattr(value, "file_name"):
        return value.file_name, read_image(value).tolist()
    if dataclasses.is_dataclass(value):
        return [plain(getattr(value, field.name)) for field in dataclasses.fields(value)]
    if hasattr(value, "items"):
        return [(key, plain(item)) for key, item in value.items()]
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def content(dataset):
    """Everything that a data set gives."""
    frame_ids = dataset.frame_ids()
    return dataset.fingerprint(), [
        (
            frame_id,
            dataset.scene(frame_id),
            plain(dataset.frame(frame_id)),
            plain(dataset.boxes(frame_id)),
            plain(dataset.visibility(frame_id)),
            repr(plain(dataset.velocities_mps(frame_id))),  # NaN equals itself
            plain(dataset.past_sweeps(frame_id, 2)),
            plain(dataset.point_truth(frame_id)),
        )
        for frame_id in frame_ids
    ]


def labelled(root):
    """A nuScenes root with both label packs, panoptic labels in the first sample and lidarseg in the second."""
    make_root(root, numbered_categories=True)
    dataset = open_dataset(root)
    first, second = map(dataset.lidar_token, dataset.frame_ids())
    np.savez_compressed(root / "p.npz", data=np.full(400, 17_001, dtype=np.uint16))
    np.full(400, 17, dtype=np.uint8).tofile(root / "l.bin")
    for table, sweep, file in (("panoptic", first, "p.npz"), ("lidarseg", second, "l.bin")):
        write_table(root / dataset.version, table, [{"token": "t", "sample_data_token": sweep, "filename": file}])
    (root / dataset.version / "splits.json").write_text('{"mine": ["scene-0061"]}')
    return root


@pytest.fixture(params=["folder", "kitti", "kitti_tracking", "semantickitti", "nuscenes"])
def kind(request):
    return request.param


@pytest.fixture
def root(kind, tmp_path, request):
    if kind == "kitti":
        root = request.getfixturevalue("tiny_kitti").root
        (root / "ImageSets").mkdir()
        (root / "ImageSets" / "mine.txt").write_text("000001\n")
        return root
    if kind == "folder":
        make_folder(tmp_path / "f", drives=("a", "b"), frames=2, lidars=("top", "side"), points=50)
        (tmp_path / "f" / "splits.json").write_text('{"mine": ["b"]}')
        return tmp_path / "f"
    if kind == "kitti_tracking":
        made = make_tracking(tmp_path / "t").root
        (made / "ImageSets").mkdir()
        (made / "ImageSets" / "mine.txt").write_text("0001\n")
        return made
    return (
        make_semantic(tmp_path / "s", values=[10 | 1 << 16] * 5).root
        if kind == "semantickitti"
        else labelled(tmp_path / "n")
    )


def test_all_that_a_data_set_gives_is_the_same(root, kind):
    local, remote = open_dataset(root), open_dataset(upload(root, "bucket/data"))
    assert remote.name == kind
    assert str(remote.root) == "memory://bucket/data"
    there = content(remote)
    assert len(there[1]) == len(local.frame_ids()) > 0
    assert there == content(local)
    if kind != "semantickitti":
        assert remote.frame_ids("mine") == local.frame_ids("mine") != []


def test_points_are_read_with_all_their_columns(root):
    local, remote = open_dataset(root), open_dataset(upload(root, "bucket"))
    frame_id = local.frame_ids()[-1]
    columns = ("x", "y", "z", "intensity")
    ours, theirs = (read_columns(dataset.frame(frame_id).sweep, columns) for dataset in (local, remote))
    assert ours.tobytes() == theirs.tobytes()


def test_a_name_in_the_root_is_no_pattern(root):
    assert open_dataset(upload(root, "[a-c]*")).frame_ids() == open_dataset(root).frame_ids()


def test_missing_files_are_named_with_their_url(tiny_kitti, tmp_path, store):
    kitti = open_dataset(upload(tiny_kitti.root, "k"))
    store.rm("/k/training/image_2/000000.png")
    store.rm("/k/training/calib/000001.txt")
    with pytest.raises(DatasetError, match=r"DAT004.*memory://k/training/image_2/000000\.png: image is missing"):
        kitti.frame("000000")
    with pytest.raises(
        DatasetError, match=r"DAT004.*memory://k/training/calib/000001\.txt: calibration file is missing"
    ):
        kitti.frame("000001")
    url = upload(make_root(tmp_path / "n"), "n")
    store.rm("/n/v1.0-mini/ego_pose.json")
    with pytest.raises(DatasetError, match=r"DAT002.*memory://n/v1\.0-mini: .*ego_pose\.json is missing"):
        open_dataset(url)


def test_a_root_that_is_missing_or_unknown_is_refused(store):
    with pytest.raises(DatasetError, match=r"DAT001.*memory://gone"):
        open_dataset("memory://gone")
    store.pipe("/other/a.txt", b"")
    with pytest.raises(DatasetError, match=r"DAT002.*memory://other"):
        open_dataset("memory://other")


def test_a_store_that_cannot_be_reached_is_refused(store, monkeypatch):
    class NoCredentialsError(Exception):
        """As that of botocore."""

    def refuse(*_):
        raise NoCredentialsError("Unable to locate credentials")

    monkeypatch.setattr(type(store), "isdir", refuse)
    with pytest.raises(DatasetError, match=r"DAT004.*memory://bucket.*NoCredentialsError: Unable to locate"):
        open_dataset("memory://bucket")


def test_changed_tables_in_a_store_are_read_again(tmp_path, store):
    root = make_root(tmp_path / "n")
    before = open_dataset(upload(root, "n")).frame_ids()
    rows = json.loads((root / "v1.0-mini" / "sample.json").read_text())
    rows[0]["timestamp"], rows[1]["timestamp"] = rows[1]["timestamp"], rows[0]["timestamp"]
    write_table(root / "v1.0-mini", "sample", rows)
    assert open_dataset(upload(root, "n")).frame_ids() == before[::-1]


def test_a_table_cannot_name_a_file_in_another_kind_of_store(tmp_path):
    def edit(tables):
        for row in tables["sample_data"]:
            row["filename"] = "s3://other/" + row["filename"]

    dataset = open_dataset(upload(make_root(tmp_path / "n", edit=edit), "n"))
    with pytest.raises(DatasetError, match=r"DAT011.*memory://n/v1\.0-mini.*'s3://other/samples"):
        dataset.frame(dataset.frame_ids()[0])


def test_true_instances_of_images_are_read(tmp_path):
    root = make_root(tmp_path / "n")
    frame = open_dataset(root).frame(open_dataset(root).frame_ids()[0])
    view, folder = frame.cameras[0], root / "truth2d" / frame.cameras[0].name
    folder.mkdir(parents=True)
    Image.fromarray(np.eye(36, 64, dtype=np.uint8)).save(folder / f"{view.stem}.png")
    (folder / f"{view.stem}.json").write_text('{"1": {"label": "car"}}')
    remote = open_dataset(upload(root, "n"))
    assert has_image_truth(remote.root)
    truths = [image_truth(place, view, remote.taxonomy) for place in (root, remote.root)]
    assert plain(truths[0]) == plain(truths[1])
    assert image_truth(remote.root, frame.cameras[1], remote.taxonomy) is None


@pytest.mark.parametrize(
    ("kind", "file", "use"),
    [
        ("semantickitti", "000000.label", lambda dataset: dataset.point_truth("08_000000")),
        ("semantickitti", "poses.txt", lambda dataset: dataset.frame("08_000000")),
        ("semantickitti", "times.txt", lambda dataset: dataset.fingerprint()),
        ("kitti", "mine.txt", lambda dataset: dataset.frame_ids("mine")),
        ("kitti", "000000.txt", lambda dataset: dataset.fingerprint()),
        ("nuscenes", "l.bin", lambda dataset: dataset.point_truth(dataset.frame_ids()[1])),
        ("nuscenes", "p.npz", lambda dataset: dataset.point_truth(dataset.frame_ids()[0])),
        ("nuscenes", "splits.json", lambda dataset: dataset.frame_ids("mine")),
    ],
    indirect=["kind"],
)
def test_a_file_that_cannot_be_read_is_DAT004(root, file, use, monkeypatch):
    def refuse(path):
        if path.name == file:
            raise PermissionError(13, "Permission denied")
        return read(path)

    dataset, read = open_dataset(root), Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(DatasetError, match=rf"DAT004.*{re.escape(file)}: .*\(Permission denied\)"):
        use(dataset)
