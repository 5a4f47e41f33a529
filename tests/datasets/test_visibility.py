"""How much of an object its data set says may be seen, box by box."""

import numpy as np
from helpers.nuscenes_root import make_root

from pointsam.datasets.kitti.objects import Kitti
from pointsam.datasets.nuscenes.dataset import NuScenes

ROW = "{kind} 0.00 {occluded} 0.0 30 20 70 60 1.5 1.6 4.0 0.0 1.0 10.0 0.0\n"


def test_nuscenes_tokens_stand_beside_their_boxes_and_what_is_missing_is_unknown(tmp_path):
    tokens = {}

    def edit(tables):
        for k, row in enumerate(tables["sample_annotation"]):
            row["visibility_token"] = ("1", "2", "3", "4", "", "5", "v80-100")[k % 7]
            if k % 7 == 3:
                del row["visibility_token"]
            tokens[row["token"]] = row.get("visibility_token", "")

    world = NuScenes(make_root(tmp_path / "root", samples_per_scene=2, boxes_per_sample=9, edit=edit))
    found = []
    for frame_id in world.frame_ids():
        levels = world.visibility(frame_id)
        assert levels.tolist() == [
            "123".index(tokens[token]) if tokens[token] in ("1", "2", "3") else -1
            for token in world.boxes(frame_id).token
        ]
        found += levels.tolist()
    assert set(found) == {-1, 0, 1, 2}
    assert world.visibility_levels == ("0-40 %", "40-60 %", "60-80 %", "80-100 %")


def test_kitti_counts_the_other_way_and_dont_care_has_no_box(tiny_kitti):
    rows = [("Car", 0), ("DontCare", -1), ("Pedestrian", 2), ("Van", 1), ("Cyclist", 3)]
    tiny_kitti.add("000007", labels="".join(ROW.format(kind=kind, occluded=level) for kind, level in rows))
    world = Kitti(tiny_kitti.root)
    assert len(world.boxes("000007")) == 4
    names = np.array([*world.visibility_levels, "unknown"])[world.visibility("000007")]
    assert names.tolist() == ["visible", "largely hidden", "partly hidden", "unknown"]
    assert world.visibility("testing_000000") is None
