"""A run that goes on compares the files with those that its masks and clusters were made of, and the code."""

import json
import shutil

import pytest
from helpers.commands import label, refused, tables
from PIL import Image

from pipelines import made_by
from pointsam.datasets.nuscenes.dataset import NuScenes
from pointsam.store import layout
from pointsam.store.reader import Labels

pytestmark = pytest.mark.usefixtures("scissors")

DATA = ("image", "sweep")


def files_of(root):
    """The front image and the sweep of the first frame; and those of the second."""
    data = NuScenes(root)
    frames = [data.frame(frame_id) for frame_id in data.frame_ids()]
    return [{"image": frame.cameras[0].source.path, "sweep": frame.sweep.source.path} for frame in frames]


def change(path):
    """Other content of the same size, which can be read."""
    if path.suffix == ".jpg":
        with Image.open(path) as image:
            size = image.size
        Image.new("RGB", size, (200, 10, 10)).save(path)
    else:
        content = path.read_bytes()
        path.write_bytes(content[20:] + content[:20])


def quarantined(result, *names):
    assert result.exit_code == 3, result.output
    assert "DAT013" in result.output
    for name in names:
        assert str(name) in result.output
    return result


@pytest.fixture
def masks(drive, root, tmp_path):
    """A function that makes the masks, or calls another command on them."""

    def call(command="masks", *more):
        known = ("--semantics", "precomputed", "--masks-dir", drive[1]) if command != "clusters" else ()
        return label(command, root, "--out", tmp_path / "out", *known, "--workers", 1, *more)

    return call


@pytest.mark.parametrize("kind", DATA)
def test_clusters_are_not_made_from_masks_of_other_files(masks, root, kind):
    assert masks().exit_code == 0
    path = files_of(root)[0][kind]
    change(path)
    quarantined(masks("clusters"), path, "has changed since", "1 frames quarantined")


@pytest.mark.parametrize("kind", DATA)
def test_a_run_that_is_called_again_compares_its_files(run, root, tmp_path, kind):
    assert run().exit_code == 0
    before = tables(tmp_path / "out")
    assert run().exit_code == 0
    path = files_of(root)[0][kind]
    old = path.read_bytes()
    change(path)
    quarantined(run(), path)
    assert tables(tmp_path / "out") == before
    path.write_bytes(old)
    assert run().exit_code == 0


@pytest.mark.parametrize("kind", DATA)
def test_retry_failed_labels_changed_frames_again(run, root, tmp_path, kind):
    assert run().exit_code == 0
    change(files_of(root)[0][kind])
    again = run("--retry-failed")
    assert again.exit_code == 0, again.output
    assert run().exit_code == 0
    assert run(out=tmp_path / "new").exit_code == 0
    assert tables(tmp_path / "out") == tables(tmp_path / "new")


def test_a_truncated_sweep_that_is_replaced_is_labelled(masks, root):
    path = files_of(root)[0]["sweep"]
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    assert masks().exit_code == 0
    assert "DAT006" in masks("clusters").output
    path.write_bytes(whole)
    assert masks("clusters", "--retry-failed").exit_code == 0


def test_a_truncated_image_that_is_replaced_is_labelled(masks, root):
    path = files_of(root)[0]["image"]
    whole = path.read_bytes()
    path.write_bytes(whole[:100])
    assert "DAT005" in masks("run").output
    path.write_bytes(whole)
    assert masks("run", "--retry-failed").exit_code == 0


def test_clusters_of_masks_that_were_made_again_are_noticed(masks, root, drive):
    assert masks("run").exit_code == 0
    change(files_of(root)[0]["image"])
    results = sorted(drive[1].rglob("*.json"))
    kept = {path: path.read_bytes() for path in results}
    try:
        for path in results:
            path.write_text("[]")
        assert masks("masks", "--retry-failed").exit_code == 0
    finally:
        for path, content in kept.items():
            path.write_bytes(content)
    quarantined(masks("clusters"), "were made again since its clusters were made")
    assert masks("clusters", "--retry-failed").exit_code == 0


def test_moved_data_have_not_changed(run, root, drive, tmp_path):
    assert run().exit_code == 0
    shutil.copytree(root, tmp_path / "moved")
    shutil.rmtree(root)
    known = ("--semantics", "precomputed", "--masks-dir", drive[1], "--workers", 1)
    assert label("run", tmp_path / "moved", "--out", tmp_path / "out", *known).exit_code == 0


def other_code(monkeypatch):
    """Every later call runs other code."""
    code_of = made_by.code_of
    for module in ("pipelines.labelling.jobs", "pipelines.made_by"):
        monkeypatch.setattr(f"{module}.code_of", lambda document: {**code_of(document), "numpy": "0.1"})


@pytest.mark.parametrize("shard", [(), ("--shard", "1/2")])
def test_an_unfinished_run_is_not_continued_by_other_code(run, monkeypatch, tmp_path, shard):
    assert run("--shard", "0/2").exit_code == 0
    before = tables(tmp_path / "out")
    other_code(monkeypatch)
    refused(run(*shard), "OUT001", tmp_path / "out", "other code or libraries", "numpy", "0.1")
    assert tables(tmp_path / "out") == before


def test_a_finished_run_of_other_code_stays_with_a_note(run, monkeypatch, tmp_path):
    assert run().exit_code == 0
    before = tables(tmp_path / "out")
    other_code(monkeypatch)
    again = run()
    assert again.exit_code == 0, again.output
    assert "note: " in again.output
    assert "other code or libraries" in again.output
    assert tables(tmp_path / "out") == before


def test_a_run_that_has_written_nothing_takes_the_new_code(run, monkeypatch, tmp_path):
    assert run().exit_code == 0
    for name in ("masks", "frames", "points", "clusters", "manifest"):
        shutil.rmtree(tmp_path / "out" / name)
    other_code(monkeypatch)
    assert run().exit_code == 0
    assert layout.read_run(tmp_path / "out").stages["clusters"].code["numpy"] == "0.1"


def test_runs_that_recorded_no_code_can_be_read_and_not_continued(run, root, tmp_path):
    assert run("--shard", "0/2").exit_code == 0
    path = layout.run_path(tmp_path / "out")
    stored = json.loads(path.read_text())
    for stage in stored["stages"].values():
        del stage["code"]
    path.write_text(json.dumps(stored))
    refused(run(), "OUT001", "not recorded")
    scored = label("eval", tmp_path / "out", root)
    assert scored.exit_code == 0
    assert "note: " in scored.output
    assert Labels(tmp_path / "out").code("clusters") is None
