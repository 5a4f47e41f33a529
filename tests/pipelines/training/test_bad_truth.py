"""A label file that cannot be read leaves out the ground truth of its frame only."""

import json
import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from helpers.commands import label
from helpers.training import make_labels, make_world

from pipelines.cli.train import main
from pointsam.base.errors import DatasetError
from pointsam.datasets.kitti.objects import Kitti
from pointsam.detect.data.budget_file import read_budget

BAD_ROWS = {
    "size 0": "Car 0 0 0 30 20 70 60 0 1.6 4 0 1 10 0\n",
    "17 columns": "Car" + " 1" * 16 + "\n",
    "words": "Car a b\n",
}


def train(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


@pytest.fixture(params=BAD_ROWS)
def broken(tiny_kitti, request):
    tiny_kitti.path("label_2", "000001").write_text(BAD_ROWS[request.param])
    return tiny_kitti.root


def test_a_budget_goes_on_and_names_the_frame(broken, tmp_path):
    said = train("budget", broken, "--dest", tmp_path / "budget", "--fraction", 1)
    assert said.exit_code == 3, said.output
    assert "frame 000001 was left out: [DAT011]" in said.output
    budget = read_budget(tmp_path / "budget")
    assert list(budget.frames) == ["000000"]
    assert list(budget.description.left_out) == ["000001"]


def test_a_frame_without_a_label_file_is_left_out_too(tiny_kitti, tmp_path):
    tiny_kitti.path("label_2", "000001").unlink()
    said = train("budget", tiny_kitti.root, "--dest", tmp_path / "budget", "--fraction", 1)
    assert said.exit_code == 3, said.output
    assert "frame 000001 was left out: [DAT011]" in said.output


def test_a_split_of_which_nothing_can_be_read_is_refused(tiny_kitti, tmp_path):
    for number in ("000000", "000001"):
        tiny_kitti.path("label_2", number).write_text("Car 1 2\n")
    said = train("budget", tiny_kitti.root, "--dest", tmp_path / "budget")
    assert (said.exit_code, (tmp_path / "budget").exists()) == (2, False)
    assert "DAT011" in said.output


@pytest.mark.parametrize("row", BAD_ROWS.values(), ids=BAD_ROWS)
def test_eval_goes_on(tiny_kitti, tmp_path, row):
    make_labels(tmp_path / "out", Kitti(tiny_kitti.root))
    tiny_kitti.path("label_2", "000001").write_text(row)
    said = label("eval", tmp_path / "out", tiny_kitti.root, "--json", tmp_path / "eval.json")
    assert said.exit_code == 3, said.output
    assert list(json.loads((tmp_path / "eval.json").read_text())[0]["not_scored"]) == ["000001"]


def test_predictions_are_scored_on_the_other_frames(broken):
    pytest.importorskip("torch", reason="needs torch: pip install 'pointsam[detect]'")
    from pipelines.training.score import score
    from pointsam.detect.predictions_file import FramePredictions

    data, none = Kitti(broken), np.zeros(0)
    found = [
        FramePredictions(name, none.reshape(0, 7), none, none.astype(int), none.reshape(0, 2))
        for name in data.frame_ids()
    ]
    bad = {}
    result = score(data, found, bad, data.taxonomy.names)
    assert list(bad) == list(result.bad) == ["000001"]
    assert result.quality.num_frames == 1
    with pytest.raises(DatasetError, match="DAT011"):
        score(data, found[1:], {}, data.taxonomy.names)


def test_objects_count_by_their_distance_from_the_vehicle(tmp_path):
    """Also where the LiDAR is mounted far away from its origin."""
    pytest.importorskip("torch", reason="needs torch: pip install 'pointsam[detect]'")
    from pipelines.training.score import score
    from pointsam.detect.predictions_file import FramePredictions

    def farther(tables):
        for row in tables["calibrated_sensor"]:
            row["translation"][0] += 100

    counts, none = [], np.zeros(0)
    for name, edit in (("near", None), ("far", farther)):
        data = make_world(tmp_path / name, scenes=("scene-0103",), samples=2, edit=edit)
        found = [
            FramePredictions(frame_id, none.reshape(0, 7), none, none.astype(int), none.reshape(0, 2))
            for frame_id in data.frame_ids()
        ]
        quality = score(data, found, {}, data.taxonomy.names).quality
        counts.append([one.num_objects for one in quality.classes])
    assert counts[0] == counts[1]
    assert sum(counts[0]) > 0


def test_a_budget_needs_no_images(tiny_kitti, tmp_path):
    shutil.rmtree(tiny_kitti.root / "training" / "image_2")
    said = train("budget", tiny_kitti.root, "--dest", tmp_path / "budget", "--fraction", 1)
    assert said.exit_code == 0, said.output
    assert len(read_budget(tmp_path / "budget").frames) == 2


def test_unknown_types_are_counted_once_by_budget_and_eval(tiny_kitti, tmp_path):
    path = tiny_kitti.path("label_2", "000001")
    path.write_text(path.read_text() + 2 * path.read_text().replace("Car", "Cab"))
    note = "classes of the ground truth that kitti does not know: 'Cab' (2 objects"
    said = train("budget", tiny_kitti.root, "--dest", tmp_path / "budget", "--fraction", 1)
    assert (said.exit_code, said.output.count(note)) == (0, 1)
    make_labels(tmp_path / "out", Kitti(tiny_kitti.root))
    said = label("eval", tmp_path / "out", tiny_kitti.root)
    assert (said.exit_code, said.output.count(note)) == (0, 1), said.output


def test_a_budget_without_a_candidate_names_unknown_types(tiny_kitti, tmp_path):
    path = tiny_kitti.path("label_2", "000001")
    path.write_text(path.read_text() + path.read_text().replace("Car", "Cab"))
    for number in ("000000", "000001"):
        np.asarray([(90, 0, 0, 0.1)], dtype="<f4").tofile(tiny_kitti.path("velodyne", number))
    said = train("budget", tiny_kitti.root, "--dest", tmp_path / "budget", "--fraction", 1)
    assert said.exit_code == 2
    assert "none of 2 objects has 1 points or more; classes of the ground truth" in said.output
    assert "'Cab' (1 object" in said.output
