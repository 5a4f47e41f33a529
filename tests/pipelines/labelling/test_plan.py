"""`--dry-run`: what a run would cost, and which frames could not be labelled."""

import json

import pytest
from helpers.commands import label
from helpers.masks import write_masks
from helpers.nuscenes_root import make_root

from pipelines.labelling.plan import Plan
from pointsam.datasets.nuscenes.dataset import NuScenes

pytestmark = pytest.mark.usefixtures("scissors")


@pytest.fixture
def root(tmp_path):
    return make_root(tmp_path / "root", samples_per_scene=6)


@pytest.fixture
def planned(root, tmp_path):
    """A function that plans a run: its text and its values."""
    write_masks(NuScenes(root), tmp_path / "masks")

    def call(*more, command="run", status=0):
        known = ("--semantics", "precomputed", "--masks-dir", tmp_path / "masks", "--workers", 1, "--dry-run")
        results = [
            label(command, root, "--out", tmp_path / "out", *known, *more, *json) for json in ((), ("--json", "-"))
        ]
        assert [result.exit_code for result in results] == [status, status], results[0].output
        assert not (tmp_path / "out").exists()
        return results[0].stdout, json.loads(results[1].stdout)

    return call


def remove(root, which, kind):
    data = NuScenes(root)
    for frame_id in data.frame_ids()[which]:
        frame = data.frame(frame_id)
        (frame.sweep if kind == "sweep" else frame.cameras[0]).source.path.unlink()


def test_a_whole_data_set(planned):
    text, values = planned()
    assert values["frames"] == 6
    assert values["hours"] > 0
    assert values["notes"] == ["tracks come on top: a part of a second a frame, and as much disk as the clusters again"]
    assert "measured on frame" in text
    assert "about 0.0 minutes" not in text


@pytest.mark.parametrize(
    ("hours", "text"), [(2.5, "2.5 hours"), (0.5, "30.0 minutes"), (0.01, "36.0 seconds"), (0.0, "0.0 seconds")]
)
def test_times_have_a_unit_that_shows_them(hours, text):
    assert f"about {text} with" in Plan(1, 6, hours, 1.0, "f0", {"masks": 1}, ()).text()


@pytest.mark.parametrize("kind", ["image", "sweep"])
def test_frames_without_files_are_counted_and_not_measured(planned, root, kind):
    remove(root, slice(1, 6), kind)
    text, values = planned()
    assert "5 of 6 frames lack files that are read" in text
    assert values["probe"] == NuScenes(root).frame_ids()[0]
    assert values["hours"] > 0
    assert "quarantined" not in text


def test_without_any_readable_frame_the_cost_is_not_known(planned, root):
    remove(root, slice(None), "sweep")
    text, values = planned(status=3)
    assert "6 of 6 frames lack files that are read" in text
    assert "time and disk are not known" in text
    assert "DAT004" in text
    assert values["hours"] is values["megabytes"] is None


def test_a_frame_that_cannot_be_labelled_is_to_be_corrected_before_the_run(planned, tmp_path):
    for file in (tmp_path / "masks").rglob("*.json"):
        file.write_text("{")
    text, _ = planned(status=3)
    assert "the run would quarantine the measured frame: [DAT011]" in text
    assert "--retry-failed" not in text
    assert text.splitlines()[-1] == "next: correct the file, then this command again"


def test_masks_alone_need_no_sweep(planned, root):
    remove(root, slice(None), "sweep")
    text, values = planned(command="masks")
    assert values["notes"] == []
    assert values["hours"] > 0
    assert "lack" not in text
