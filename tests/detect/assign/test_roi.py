"""Proposals of the second stage; the slow twin of the matching counts sets of points."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from helpers import rois_by_sample  # noqa: E402
from helpers.detect_labels import joined, labels_of  # noqa: E402
from helpers.plain_boxes import point_box_pairs  # noqa: E402

from pointsam.base.errors import SchemaError  # noqa: E402
from pointsam.detect.assign import roi  # noqa: E402
from pointsam.detect.assign.roi import RoiConfig, RoiMatch, RoiTargets, match_rois, roi_targets  # noqa: E402
from pointsam.detect.boxes import iou_3d, points_within  # noqa: E402
from pointsam.detect.padding import Padding  # noqa: E402
from pointsam.detect.predictions import BatchPredictions, Predictions  # noqa: E402


def proposals(labels, rng, count=60):
    """Near boxes and clusters, and anywhere."""
    near = torch.cat([labels.boxes[:, :3], labels.cluster_center])
    middle = near[torch.from_numpy(rng.integers(0, len(near), count))] + torch.from_numpy(
        rng.normal(0, 0.4, (count, 3))
    )
    shape = np.column_stack([rng.uniform(0.6, 5, (count, 3)), rng.uniform(-4, 4, count)])
    rois = torch.cat([middle, torch.from_numpy(shape)], dim=1).float()
    return rois, torch.from_numpy(rng.choice([0, 1, 2], count))


def matched(labels, samples):
    """Matches of the proposals of each sample, as of one batch; boxes count within their sample."""
    batch = joined(*labels)
    every = BatchPredictions.join([Predictions(b, torch.ones(len(b)), c, torch.zeros(len(b), 2)) for b, c in samples])
    rois, classes = every.padding.table(every.every.boxes, -1), every.padding.table(every.every.class_id, -1)
    points = Padding.of_counts([count for *_, count in batch.counts], rois.device)
    held, _ = points_within(points.table(batch.every.xyz, 1e6), rois, torch.zeros(rois.shape[1]))
    match, first, out = match_rois(batch, points, held, rois, classes), 0, []
    for k, (boxes, _) in enumerate(samples):
        assert match.there[k].tolist() == [row < len(boxes) for row in range(rois.shape[1])]
        own = [column[k, : len(boxes)] for column in vars(match).values()]
        box = torch.where(own[2] >= 0, own[2] - first, -1)
        out.append(RoiMatch(own[0], own[1], box, own[3]))
        first += len(labels[k].boxes)
    return out


@pytest.mark.parametrize("seed", range(5))
def test_matches_are_those_of_the_plain_rule(seed, rng_of):
    rng = rng_of(seed)
    labels = labels_of(rng, boxes=6, clusters=9)
    rois, classes = proposals(labels, rng)
    (matches,) = matched([labels], [(rois, classes)])
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


@pytest.mark.parametrize("counted", [1 << 26, 100])
def test_matches_of_a_batch_are_those_of_its_samples(counted, rng_of, monkeypatch):
    monkeypatch.setattr(roi, "_COUNTED", counted)
    rng = rng_of(0)
    labels = [labels_of(rng, *counts) for counts in ((6, 9), (0, 5), (4, 0), (0, 0), (1, 1))]
    anchors = labels_of(rng, 3, 3)
    samples = [
        proposals(sample if len(sample.boxes) + len(sample.cluster_class) else anchors, rng, count)
        for sample, count in zip(labels, (60, 20, 0, 7, 33), strict=True)
    ]
    for sample, some, match in zip(labels, samples, matched(labels, samples), strict=True):
        expected = rois_by_sample.match_rois(sample, *some)
        assert torch.equal(match.iou, expected.iou)
        assert torch.equal(match.box, expected.box)
        assert torch.equal(match.unknown, expected.unknown)


def match(boxed=0, class_only=0, hard=0, easy=0, more=0):
    """Proposals of each kind, in this order, and rows that hold none."""
    iou = [0.9] * boxed + [0.6] * class_only + [0.3] * hard + [0.05] * easy + [0.0] * more
    box = [0] * boxed + [-1] * class_only + [0] * hard + [-1] * (easy + more)
    there = torch.arange(len(iou)) < len(iou) - more
    return RoiMatch(there[None], torch.tensor([iou]), torch.tensor([box]), torch.zeros_like(there)[None])


def drawn(proposal_match, config=RoiConfig()):
    targets = roi_targets(proposal_match, config, torch.Generator().manual_seed(0))
    return RoiTargets(*(column[0] for column in vars(targets).values()))


def test_few_foreground_proposals_are_all_taken_and_background_fills():
    targets = drawn(match(boxed=10, class_only=20, hard=50, easy=100))
    assert sorted(targets.proposal[:30].tolist()) == list(range(30))
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
    targets = drawn(match(more=3))
    assert not targets.counted.any()
    assert (targets.box == -1).all()
    assert drawn(match(easy=2, more=3)).proposal.max() == 1


KINDS = ("boxed", "class_only", "hard", "easy")


@pytest.mark.parametrize(
    "counts", [(10, 20, 50, 100), (40, 60, 0, 9), (90, 9, 9, 0), (9, 0, 0, 0), (0, 90, 0, 0), (1, 0, 99, 2)]
)
@pytest.mark.parametrize("config", [RoiConfig(), RoiConfig(20, 7, hard_share=0.35)])
def test_samples_are_those_of_the_plain_rule(counts, config):
    """With the same random numbers, slot by slot; the second sample of the batch has other kinds."""
    one, other = match(**dict(zip(KINDS, counts, strict=True))), match(boxed=3, hard=5, more=sum(counts) - 8)
    both = RoiMatch(*(torch.cat(columns) for columns in zip(vars(one).values(), vars(other).values(), strict=True)))
    proposal = roi_targets(both, config, torch.Generator().manual_seed(3)).proposal
    random = torch.rand(2, sum(counts) + config.samples, generator=torch.Generator().manual_seed(3))
    for k in range(2):
        here = both.there[k]
        sample = RoiMatch(here[here], both.iou[k, here], both.box[k, here], both.unknown[k, here])
        plain = rois_by_sample.sampled(sample, config, random[k], random[k, sum(counts) :])
        assert torch.equal(proposal[k], plain)


def test_a_cluster_teaches_confidence_and_no_box():
    targets = drawn(match(boxed=2, class_only=3, easy=4))
    assert targets.box[:5].tolist() == [0, 0, -1, -1, -1]
    assert targets.confidence[:5].tolist() == pytest.approx([1, 1, 0.7, 0.7, 0.7])
    assert (targets.confidence[5:] == 0).all()


def test_unknown_points_excuse_background_only():
    known = match(boxed=2, easy=3)
    unknown = replace(known, unknown=torch.ones(1, 5, dtype=torch.bool))
    assert drawn(known).counted.all()
    counted = drawn(unknown).counted
    assert counted[:2].all()
    assert not counted[2:].any()


def test_equal_seeds_give_equal_samples():
    one, other = (drawn(match(boxed=90, class_only=20, hard=70, easy=70)) for _ in range(2))
    assert torch.equal(one.proposal, other.proposal)


def test_a_value_out_of_range_is_named():
    with pytest.raises(SchemaError, match=r"detector\.roi\.sampling\.confidence_iou is \(0\.75, 0\.25\)"):
        RoiConfig(confidence_iou=(0.75, 0.25))
