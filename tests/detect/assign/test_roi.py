"""Proposals of the second stage; the slow twin of the matching counts sets of points."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from helpers.detect_labels import labels_of  # noqa: E402

from pointsam.base.errors import SchemaError  # noqa: E402
from pointsam.detect.assign.roi import RoiConfig, RoiMatch, match_rois, roi_targets  # noqa: E402
from pointsam.detect.boxes import iou_3d, point_box_pairs  # noqa: E402


def proposals(labels, rng, count=60):
    """Near boxes and clusters, and anywhere."""
    near = torch.cat([labels.boxes[:, :3], labels.cluster_center])
    middle = near[torch.from_numpy(rng.integers(0, len(near), count))] + torch.from_numpy(
        rng.normal(0, 0.4, (count, 3))
    )
    shape = np.column_stack([rng.uniform(0.6, 5, (count, 3)), rng.uniform(-4, 4, count)])
    rois = torch.cat([middle, torch.from_numpy(shape)], dim=1).float()
    return rois, torch.from_numpy(rng.choice([0, 1, 2], count))


@pytest.mark.parametrize("seed", range(5))
def test_matches_are_those_of_the_plain_rule(seed, rng_of):
    rng = rng_of(seed)
    labels = labels_of(rng, boxes=6, clusters=9)
    rois, classes = proposals(labels, rng)
    matches = match_rois(labels, rois, classes)
    point, box = point_box_pairs(labels.xyz, rois)
    volume = iou_3d(rois, labels.boxes)
    met_cluster = met_box = 0
    for r in range(len(rois)):
        held = set(point[box == r].tolist())
        a, where, b = 0.0, -1, 0.0
        for k, c in enumerate(labels.box_class):
            if c == classes[r] and volume[r, k] > a:
                a, where = volume[r, k].item(), k
        for m, c in enumerate(labels.cluster_class):
            cluster = set((labels.cluster_id == m).nonzero()[:, 0].tolist())
            if c == classes[r]:
                b = max(b, len(held & cluster) / (len(held | cluster) + 1e-6))
        assert matches.iou[r].item() == pytest.approx(max(a, b), abs=1e-6)
        assert matches.box[r].item() == (where if a >= b else -1)
        assert matches.unknown[r].item() == any(labels.unknown[p] for p in held)
        met_cluster, met_box = met_cluster + (b > a), met_box + (a >= b and a > 0)
    assert met_cluster > 3
    assert met_box > 3


def match(boxed=0, class_only=0, hard=0, easy=0):
    """Proposals of each kind, in this order."""
    iou = [0.9] * boxed + [0.6] * class_only + [0.3] * hard + [0.05] * easy
    box = [0] * boxed + [-1] * class_only + [0] * hard + [-1] * easy
    return RoiMatch(torch.tensor(iou), torch.tensor(box), torch.zeros(len(iou), dtype=torch.bool))


def drawn(proposal_match, config=RoiConfig()):
    return roi_targets(proposal_match, config, torch.Generator().manual_seed(0))


def test_few_foreground_proposals_are_all_taken_and_background_fills():
    targets = drawn(match(boxed=10, class_only=20, hard=50, easy=100))
    assert targets.proposal[:30].tolist() == list(range(30))
    kinds = targets.proposal[30:]
    assert len(targets.proposal) == 128
    assert ((kinds >= 30) & (kinds < 80)).sum() == 50  # 80 % of 98 would be 78, but only 50 are hard
    assert (kinds >= 80).sum() == 48


def test_boxes_go_before_clusters_when_there_are_too_many():
    targets = drawn(match(boxed=40, class_only=100, easy=9))
    first = targets.proposal[:64]
    assert sorted(first[:40].tolist()) == list(range(40))
    assert ((first[40:] >= 40) & (first[40:] < 140)).all()
    many = drawn(match(boxed=100, class_only=100, easy=9)).proposal[:64]
    assert len(set(many.tolist())) == 64
    assert (many < 100).all()


@pytest.mark.parametrize(
    "kinds",
    [{"boxed": 3}, {"class_only": 70}, {"easy": 5}, {"hard": 5}, {"boxed": 200}, {"hard": 1, "class_only": 1}],
)
def test_every_mixture_gives_as_many_as_wanted(kinds):
    """The published sampler raises where there is foreground and no background."""
    targets = drawn(match(**kinds))
    assert len(targets.proposal) == 128
    assert (targets.proposal < sum(kinds.values())).all()


def test_without_proposals_there_is_nothing_to_train_on():
    assert len(drawn(match()).proposal) == 0


def test_a_cluster_teaches_confidence_and_no_box():
    targets = drawn(match(boxed=2, class_only=3, easy=4))
    assert targets.box[:5].tolist() == [0, 0, -1, -1, -1]
    assert targets.confidence[:5].tolist() == pytest.approx([1, 1, 0.7, 0.7, 0.7])
    assert (targets.confidence[5:] == 0).all()


def test_unknown_points_excuse_background_only():
    known = match(boxed=2, easy=3)
    unknown = replace(known, unknown=torch.ones(5, dtype=torch.bool))
    assert drawn(known).counted.all()
    counted = drawn(unknown).counted
    assert counted[:2].all()
    assert not counted[2:].any()


def test_equal_seeds_give_equal_samples():
    one, other = (drawn(match(boxed=90, class_only=20, hard=70, easy=70)) for _ in range(2))
    assert torch.equal(one.proposal, other.proposal)


def test_a_value_out_of_range_is_named():
    with pytest.raises(SchemaError, match=r"roi\.confidence_iou is \(0\.75, 0\.25\)"):
        RoiConfig(confidence_iou=(0.75, 0.25))
