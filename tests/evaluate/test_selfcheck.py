import math
from dataclasses import replace

import numpy as np
import pytest

from pointsam.base.errors import SchemaError
from pointsam.evaluate.clues import CLUES
from pointsam.evaluate.selfcheck import FIGURES, compare, self_check
from pointsam.evaluate.tracked_frames import TrackedCluster, TrackedFrame
from pointsam.taxonomy import NUSCENES

CAR, BUS = NUSCENES.class_id("car"), NUSCENES.class_id("bus")
NAMES = [figure.name for figure in FIGURES]
CLUSTER = TrackedCluster(
    0, 0, CAR, 100, (0.0, 0.0, 0.0), 4.5, 1.5, 2, 1.0, 20, 40, probability=0.9, num_views=90, num_covered=60
)


def run(scenes=6, frames=10, changed=0, **changes):
    """Scenes of one car that stands; the last `changed` clusters of each scene are changed."""
    for s in range(scenes):
        for f in range(frames):
            cluster = CLUSTER if f < frames - changed else replace(CLUSTER, **changes)
            yield TrackedFrame(f"s{s}", f"s{s}f{f}", f * 100_000, True, (cluster,), 1000, 80)


def named(values):
    return dict(zip(NAMES, values.tolist(), strict=True))


def test_clues_come_first_in_their_order():
    plural = {"break": "breaks", "class change": "class changes", "size jump": "size jumps"}
    plural |= {"odd size": "odd sizes", "flicker": "flickers", "beginning": "beginnings"}
    assert tuple(NAMES[: len(CLUES)]) == tuple(plural.get(name, name) for name in CLUES)


def test_figures_of_one_run():
    frames = list(run(2, 4, changed=1, class_id=BUS, class_share=0.5))
    frames[1] = TrackedFrame("s0", "s0f1", 100_000, False)
    frames[2] = replace(frames[2], components=(10, 3))
    found = self_check(frames, NUSCENES)
    assert named(found.figures) == pytest.approx(
        {
            "breaks": 0.0,
            "class changes": 100 * 2 / 5,
            "size jumps": 0.0,
            "left points": math.nan,
            "cameras disagree": 100 * 2 / 7,
            "odd sizes": 0.0,
            "flickers": 0.0,
            "beginnings": 0.0,
            "unsure": 10.0,
            "views without mask": 100 / 3,
            "cut points": 100 * 20 / 80,
            "labelled points": 8.0,
            "clusters a frame": 1.0,
            "bare components": 30.0,
            "quarantined frames": 100 / 8,
        },
        nan_ok=True,
    )
    by_scene = dict(found.of_scenes())
    assert named(by_scene["s0"])["quarantined frames"] == 25.0
    assert named(by_scene["s1"])["quarantined frames"] == 0.0


def test_clusters_of_tracking_alone_have_no_masks_to_cut():
    frame = next(iter(run()))
    lone = replace(frame.clusters[0], num_cameras=0, num_points_cut=0, num_points_grown=0, probability=math.nan)
    found = named(self_check([replace(frame, clusters=(lone,))], NUSCENES).figures)
    assert math.isnan(found["cut points"])
    assert math.isnan(found["unsure"])


@pytest.mark.parametrize(
    ("figure", "changes"),
    [
        ("class changes", {"class_id": BUS}),
        ("size jumps", {"length_m": 2.9}),
        ("cameras disagree", {"class_share": 0.9}),
        ("odd sizes", {"height_m": 3.0}),
        ("unsure", {"probability": 0.5}),
    ],
)
def test_worse_labels_are_called_worse_and_better_ones_better(figure, changes, rng_of):
    good = self_check(run(), NUSCENES)
    bad = self_check(
        [frame for k in range(6) for frame in list(run(k + 1, 10, changed=2 + k % 3, **changes))[-10:]], NUSCENES
    )
    changed = {one.figure.name: one for one in compare(bad, good)}
    assert changed[figure].verdict == "worse"
    assert changed[figure].ours > changed[figure].other
    value, low, high = changed[figure].difference
    assert 0 < low <= value <= high
    assert {one.figure.name: one.verdict for one in compare(good, bad)}[figure] == "better"
    assert {one.verdict for one in changed.values()} <= {"worse", ""}


@pytest.mark.parametrize(
    ("figure", "changes"), [("views without mask", {"num_covered": 30}), ("cut points", {"num_points_cut": 60})]
)
def test_figures_that_follow_quality_in_no_direction_only_change(figure, changes):
    bad = self_check((frame for k in range(6) for frame in list(run(k + 1, changed=2 + k, **changes))[-10:]), NUSCENES)
    found = {one.figure.name: one for one in compare(bad, self_check(run(), NUSCENES))}
    assert found[figure].verdict == "changed"
    assert found[figure].difference[1] > 0


def test_figures_that_may_go_either_way_only_change():
    few = (replace(frame, clusters=()) for frame in run())
    found = {one.figure.name: one.verdict for one in compare(self_check(few, NUSCENES), self_check(run(), NUSCENES))}
    assert found["clusters a frame"] == "changed"
    assert found["unsure"] == ""  # there is nothing to compare


def test_equal_runs_do_not_differ():
    for one in compare(self_check(run(), NUSCENES), self_check(run(), NUSCENES)):
        assert one.verdict == ""
        assert one.difference[0] == 0 or math.isnan(one.difference[0])


def test_only_frames_of_both_runs_are_compared():
    ours = self_check([frame for frame in run(changed=1, class_id=BUS) if not frame.frame_id.endswith("f9")], NUSCENES)
    change = next(one for one in compare(ours, self_check(run(), NUSCENES)) if one.figure.name == "class changes")
    assert (change.ours, change.other) == (0, 0)
    nothing = compare(self_check([], NUSCENES), ours)
    assert all(math.isnan(one.ours) and one.verdict == "" for one in nothing)


def test_one_scene_has_bands_by_blocks_of_frames():
    bad, good = (self_check(run(1, 40, changed=n, class_share=0.5), NUSCENES) for n in (30, 0))
    assert math.isnan(compare(bad, good)[NAMES.index("cameras disagree")].difference[1])
    change = compare(bad, good, length=5)[NAMES.index("cameras disagree")]
    assert 0 < change.difference[1] < 75 < change.difference[2]
    assert change.verdict == "worse"


def test_a_scene_in_two_pieces_is_refused():
    frames = list(run(2, 2))
    with pytest.raises(SchemaError, match="frame s0f1: scene s0 is not in one piece") as raised:
        self_check([frames[0], frames[2], frames[1]], NUSCENES)
    assert raised.value.code == "SCH004"


def test_nothing_is_nan():
    assert np.isnan(self_check([], NUSCENES).figures).all()
