"""Which frames of an output folder are scored."""

from helpers.training import make_labels

from pointsam.datasets.kitti.objects import Kitti
from pointsam.evaluate.labels import evaluate_labels


def test_each_frame_is_scored_or_counted_with_the_reason(tiny_kitti, tmp_path):
    tiny_kitti.add("000002")
    tiny_kitti.add("000003")
    data = Kitti(tiny_kitti.root)
    make_labels(tmp_path / "out", data, failed={"000003"})
    tiny_kitti.path("label_2", "000001").unlink()
    tiny_kitti.path("label_2", "000002").write_text("Car\n")
    seen = []
    quality = evaluate_labels(tmp_path / "out", data, on_verdict=seen.append)
    assert quality.scored == ("000000",)
    assert len(seen) == 1
    assert (quality.without_truth, list(quality.not_scored), quality.failed, quality.unfinished) == (
        1,
        ["000002"],
        1,
        0,
    )
    assert quality.truth == "boxes"
    one = evaluate_labels(tmp_path / "out", data, frame_ids={"000000"})
    assert (one.scored, one.without_truth, dict(one.not_scored), one.failed) == (("000000",), 0, {}, 0)
