"""What is fed to a detector: the budget's boxes, the labels' clusters, and nothing else."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs torch")

from helpers.recipes import STILL
from helpers.training import CLASSES, make_budget, make_labels, pruned_copy

from pointsam.base.errors import ChangedSourceError, DatasetError, SchemaError
from pointsam.datasets.io import read_points
from pointsam.detect.data.budget import Budget
from pointsam.detect.data.cloud import read_cloud
from pointsam.detect.data.coarse import CoarseConfig
from pointsam.detect.data.loader import cut_bank
from pointsam.detect.data.paste import PasteConfig
from pointsam.detect.data.resample import published_samples
from pointsam.detect.data.sample import PointsConfig, visible_centers
from pointsam.detect.data.training_set import DataConfig, TrainingSet
from pointsam.geometry.boxes import count_points
from pointsam.geometry.projection import key_SE3_sweep
from pointsam.store.sources import digests_of, of_sweeps

RANGE = (-30.0, -30.0, -5.0, 30.0, 30.0, 3.0)


def fed(world, budget, labels=None, kind="tables", classes=CLASSES, **options):
    config = DataConfig(coarse=CoarseConfig(kind=kind), **options)
    return TrainingSet(world, budget, labels, classes, RANGE, config)


def test_an_object_is_a_box_or_a_cluster_and_never_both(world, budget, labels):
    data = fed(world, budget, labels)
    for index, frame_id in enumerate(data.frame_ids):
        sample = data.raw(index, 0)
        truth = world.boxes(frame_id)
        ours = [k for k, c in enumerate(truth.class_id) if c != 255]
        assert len(sample.boxes) == len(budget.boxed(frame_id))
        assert len(sample.boxes) + len(sample.clusters) == len(ours)
        targets = sample.labels()
        assert sorted(targets.box_class.tolist() + targets.cluster_class.tolist()) == sorted(
            truth.class_id[ours].tolist()
        )
    assert sum(len(boxes) for boxes in budget.frames.values()) > 5


def test_a_sweep_that_has_changed_since_it_was_labelled_is_not_trained_on(world, budget, labels, monkeypatch):
    data = fed(world, budget, labels)
    first, second = data.frame_ids[:2]
    made = {first: {"sweep 0": "1-a"}, second: digests_of(world.frame(second), of_sweeps)}
    monkeypatch.setattr(type(labels), "sources", lambda _self, _stage, frame_id: made.get(frame_id, {}))
    with pytest.raises(ChangedSourceError, match=r"DAT013.*bin has changed since"):
        data.raw(0, 0)
    assert data.raw(1, 0).frame_id == second
    assert fed(world, budget, labels, kind="simulated").raw(0, 0).frame_id == first  # the labels are not used


def test_velocities_are_the_budgets(world, budget, labels):
    data = fed(world, budget, labels)
    other = {f: dict.fromkeys(boxes, (1.5, -2.5)) for f, boxes in budget.frames.items()}
    moved = fed(world, Budget(other, budget.description), labels)
    index = next(k for k in range(len(data.frame_ids)) if len(data.raw(k, 0).boxes))
    assert (moved.raw(index, 0).velocity == (1.5, -2.5)).all()


@pytest.mark.parametrize("kind", ["simulated", "clicks", "centers"])
def test_coarse_labels_may_be_made_of_the_other_boxes(world, budget, kind):
    data = fed(world, budget, kind=kind)
    sample = data.raw(0, 0)
    truth = world.boxes(data.frame_ids[0])
    assert len(sample.boxes) + len(sample.clusters) == (truth.class_id != 255).sum()
    assert (sample.clusters.num_points > 0).all() == (kind != "centers")
    assert data.raw(0, 1).clusters.center_m.tolist() == sample.clusters.center_m.tolist()  # drawn once


def test_simulated_clusters_may_be_drawn_anew_at_every_access(world, budget):
    """An epoch may take a frame twice."""
    config = DataConfig(coarse=CoarseConfig(kind="centers", redraw=True), augment=STILL)
    data = TrainingSet(world, budget, None, CLASSES, RANGE, config)
    drawn = [data.sample(0, epoch, position).clusters.center_m.tolist() for epoch, position in ((0, 0), (0, 1), (1, 0))]
    assert drawn[0] != drawn[1] != drawn[2] != drawn[0]
    assert data.sample(0, 0, 1).clusters.center_m.tolist() == drawn[1]


@pytest.mark.parametrize("kind", ["simulated", "clicks", "centers"])
def test_objects_that_were_no_candidates_have_no_coarse_label(world, budget, kind):
    """What the budget counts as labels, and costs, is what is trained on."""
    frame_id = world.frame_ids()[0]
    points = count_points(read_points(world.frame(frame_id).sweep), world.boxes(frame_id))
    tokens, classes = world.boxes(frame_id).token, world.boxes(frame_id).class_id
    least = int(np.sort(points[classes != 255])[-2])
    some = Budget({f: dict(boxes) for f, boxes in budget.frames.items()}, replace(budget.description, min_points=least))
    wanted = [
        token
        for token, count, class_id in zip(tokens, points, classes, strict=True)
        if count >= least and class_id != 255 and token not in some.boxed(frame_id)
    ]
    assert 0 < len(wanted) < (classes != 255).sum() - len(some.boxed(frame_id))
    data = fed(world, some, kind=kind)
    assert len(data.raw(data.frame_ids.index(frame_id)).clusters) == len(wanted)


def test_a_class_to_paste_that_there_is_none_of_is_refused_at_once(world, budget):
    with pytest.raises(SchemaError, match=r"SCH001.*unicorn"):
        fed(world, budget, kind="simulated", paste=PasteConfig(counts={"unicorn": 2}))


def test_clusters_may_be_taken_for_boxes_as_a_trainer_without_mixed_supervision_would(world, budget, labels):
    mixed = fed(world, budget, labels)
    plain = TrainingSet(
        world, budget, labels, CLASSES, RANGE, DataConfig(coarse=CoarseConfig(kind="tables", as_boxes=True))
    )
    for index in range(len(mixed.frame_ids)):
        before, after = mixed.sample(index, 0, index), plain.sample(index, 0, index)
        known = len(before.boxes)
        assert len(after.clusters) == 0
        assert (after.clusters.cluster_id == -1).all()
        assert np.array_equal(after.boxes[:known], before.boxes)
        assert after.boxes[known:, :3] == pytest.approx(before.clusters.center_m, abs=1e-6)
        assert after.box_class[known:].tolist() == before.clusters.class_id.tolist()
        assert (after.boxes[known:, 3] >= after.boxes[known:, 4]).all()
        assert np.isnan(after.velocity[known:]).all()


def test_classes_that_are_not_trained_are_background(world, budget, labels):
    sample = fed(world, budget, labels, classes=("car",)).raw(0, 0)
    car = world.taxonomy.class_id("car")
    assert set(sample.box_class) | set(sample.clusters.class_id.tolist()) == {car}
    assert not sample.clusters.unknown.any()


def test_without_coarse_labels_only_frames_with_boxes_are_trained_on(world, labels):
    budget = make_budget(world, 0.4, "frame")
    with_boxes = {frame_id for frame_id, boxes in budget.frames.items() if boxes}
    assert set(fed(world, budget, kind="none").frame_ids) == with_boxes < set(budget.frames)
    assert set(fed(world, budget, labels).frame_ids) == set(budget.frames)


def test_what_refinement_took_away_is_unknown(world, budget, tmp_path):
    frame_id = world.frame_ids()[0]
    token = next(
        t for t, c in zip(*tokens(world, frame_id), strict=True) if c != 255 and t not in budget.boxed(frame_id)
    )
    labels = make_labels(tmp_path / "out", world, missing={token})
    sample = fed(world, budget, labels).raw(0, 0)
    assert sample.clusters.unknown.sum() >= 20
    off = DataConfig(coarse=CoarseConfig(unknown_dropped=False, unknown_unseen=False))
    assert not TrainingSet(world, budget, labels, CLASSES, RANGE, off).raw(0, 0).clusters.unknown.any()


def tokens(world, frame_id):
    boxes = world.boxes(frame_id)
    return boxes.token, boxes.class_id.tolist()


def test_doubtful_clusters_are_unknown(world, budget, tmp_path):
    labels = make_labels(tmp_path / "out", world, probability=0.2)
    config = DataConfig(coarse=CoarseConfig(min_probability=0.5))
    sample = TrainingSet(world, budget, labels, CLASSES, RANGE, config).raw(0, 0)
    assert len(sample.clusters) == 0
    assert sample.clusters.unknown.sum() > 60


@pytest.mark.parametrize(
    "doubt", [{"min_probability": 0.5}, {"min_confidence": 0.5}, {"min_points": 50}, {"min_points": 25, "grown": False}]
)
def test_a_class_whose_clusters_are_all_doubtful_is_not_drawn_for_them(world, budget, tmp_path, doubt):
    labels = make_labels(tmp_path / "out", world, probability=0.2, grown_every=2)
    boxed = {name: (count, count) for name, (count, _) in fed(world, budget, labels).frames_by_class().items()}
    assert fed(world, budget, labels).frames_by_class() != boxed
    doubted = TrainingSet(world, budget, labels, CLASSES, RANGE, DataConfig(coarse=CoarseConfig(**doubt)))
    assert doubted.frames_by_class() == boxed
    assert len(doubted.order(0)) < len(fed(world, budget, labels).order(0))


def test_labels_without_probability_are_refused_where_it_is_asked_for(world, budget, labels):
    config = DataConfig(coarse=CoarseConfig(min_probability=0.5))
    with pytest.raises(SchemaError, match=r"SCH003.*have no probability"):
        TrainingSet(world, budget, labels, CLASSES, RANGE, config)


def test_past_sweeps_follow_in_the_key_sweeps_frame(world, budget, labels):
    data = fed(world, budget, labels, points=PointsConfig(past_sweeps=2))
    index = 1  # not the first of its scene
    sample = data.raw(index, 0)
    past = sample.points[sample.num_key :]
    assert set(np.round(past[:, 4].astype(float), 3).tolist()) == {0.05, 0.1}
    assert (sample.points[: sample.num_key, 4] == 0).all()
    frame = world.frame(data.frame_ids[index])
    latest = world.past_sweeps(frame.frame_id, 1)[0]
    raw = np.fromfile(latest.source.path, "<f4").reshape(-1, 5)
    raw = raw[(np.abs(raw[:, :2]) >= 1).any(axis=1)]
    in_world = (latest.world_SE3_ego @ latest.ego_SE3_lidar).apply(raw[:, :3])
    points_in_world = (frame.sweep.world_SE3_ego @ frame.sweep.ego_SE3_lidar).apply(past[past[:, 4] < 0.06, :3])
    assert points_in_world == pytest.approx(in_world, abs=1e-3)


@pytest.mark.parametrize("index", [0, 1, 2])
def test_points_are_those_of_double_precision_to_rounding(world, index):
    """Sweep by sweep: moved in double precision, then rounded to single."""
    frame, config = world.frame(world.frame_ids()[index]), PointsConfig(past_sweeps=3, intensity_full=40.0)
    parts = []
    for sweep in (frame.sweep, *world.past_sweeps(frame.frame_id, 3)):
        raw = np.fromfile(sweep.source.path, "<f4").reshape(-1, 5).astype(np.float64)
        if sweep is not frame.sweep:
            raw = raw[(np.abs(raw[:, :2]) >= 1).any(axis=1)]
            raw[:, :3] = key_SE3_sweep(frame.sweep, sweep).apply(raw[:, :3])
        age_s = np.full(len(raw), (frame.sweep.t_us - sweep.t_us) * 1e-6)
        parts.append(np.column_stack([raw[:, :3], np.clip(raw[:, 3] / 40.0, 0, 1), age_s]))
    points, num_key = read_cloud(world, frame, config)
    assert num_key == len(parts[0])
    assert points.dtype == np.float32
    assert points == pytest.approx(np.concatenate(parts), abs=2e-5)
    assert np.array_equal(points[:num_key, :3], parts[0][:, :3])
    assert (points[:, 3] == 1).any()


def test_returns_of_the_vehicle_in_past_sweeps_lie_in_a_square(world, monkeypatch):
    frame = world.frame(world.frame_ids()[1])
    near = np.array([[0.99, -0.99, 0, 7], [1.0, 0, 0, 7], [-0.5, -1.0, 0, 7], [0.9, 0.9, 0, 7]], dtype=np.float32)
    monkeypatch.setattr("pointsam.detect.data.cloud.read_sweep_points", lambda *_, **__: near.copy())
    points, num_key = read_cloud(world, frame, PointsConfig(past_sweeps=1))
    assert len(points) - num_key == 2


def test_the_last_past_sweep_is_repeated_where_there_are_fewer(world):
    """The first frame of a scene has none: the key sweep stands for them, without the returns of the vehicle."""
    config = PointsConfig(past_sweeps=4, repeat_missing=True)
    first, second = (world.frame(frame_id) for frame_id in world.frame_ids()[:2])
    counts = [len(world.past_sweeps(frame.frame_id, 4)) for frame in (first, second)]
    assert counts[0] == 0 < counts[1] < 4
    points, num_key = read_cloud(world, first, config)
    key = points[:num_key]
    outer = key[(np.abs(key[:, :2]) >= 1).any(axis=1)]
    assert points[num_key:] == pytest.approx(np.tile(outer, (4, 1)), abs=1e-5)
    assert len(read_cloud(world, first, PointsConfig(past_sweeps=4))[0]) == num_key
    few, _ = read_cloud(world, second, PointsConfig(past_sweeps=4))
    all_of, num_key = read_cloud(world, second, config)
    last = few[few[:, 4] == few[:, 4].max()]
    assert np.array_equal(all_of, np.concatenate([few, *[last] * (4 - counts[1])]))


def test_a_missing_past_sweep_names_the_way_to_train_without(world, budget, labels, monkeypatch):
    data = fed(world, budget, labels, points=PointsConfig(past_sweeps=1))
    latest = world.past_sweeps(data.frame_ids[1], 1)[0]
    gone = replace(latest, source=replace(latest.source, path=latest.source.path.with_name("gone.bin")))
    monkeypatch.setattr(type(world), "past_sweeps", lambda *_: [gone])
    with pytest.raises(DatasetError, match=r"(?s)DAT004.*gone\.bin.*--set data\.points\.past_sweeps=0"):
        data.raw(1, 0)


def test_the_visible_centre_is_of_the_key_sweeps_points():
    xyz = np.array([[1.0, 0.5, 0], [2.0, -0.5, 0.5], [9, 9, 9]])
    boxes = np.array([[0.0, 0, 0, 6, 3, 2, 0], [50.0, 0, 0, 4, 2, 2, 0.3]])
    assert visible_centers(xyz, boxes).tolist() == [[1.5, 0, 0.25], [50, 0, 0]]


@pytest.mark.parametrize("paste", [False, True])
def test_equal_places_give_equal_samples_whoever_asks(world, budget, labels, paste):
    counts = PasteConfig(counts={"car": 5, "pedestrian": 5})
    one, other = (fed(world, budget, labels, paste=counts) for _ in range(2))
    for data in (one, other):
        data.bank = cut_bank(data, 0)
    for position in (3, 0):
        a, b = one.sample(2, 1, position, paste), other.sample(2, 1, position, paste)
        assert np.array_equal(a.points, b.points)
        assert np.array_equal(a.boxes, b.boxes)
    assert not np.array_equal(one.sample(2, 1, 0).points, one.sample(2, 2, 0).points)
    more = len(one.sample(2, 1, 0, True).boxes), len(one.sample(2, 1, 0, False).boxes)
    assert more[0] > more[1]


class TestOrder:
    def test_none_takes_each_frame_once(self, world, budget, labels):
        order = fed(world, budget, labels, resample="none", repeat=2).order(0)
        assert np.bincount(order).tolist() == [2] * len(world.frame_ids())

    def test_frames_without_boxes_are_drawn_for_their_clusters(self, world, labels):
        budget = make_budget(world, 0.3, "frame")
        empty = [k for k, boxes in enumerate(budget.frames.values()) if not boxes]
        drawn = {rule: set(fed(world, budget, labels, resample=rule).order(0)) for rule in ("objects", "boxes")}
        assert set(empty) & drawn["objects"]
        assert not set(empty) & drawn["boxes"]

    @pytest.mark.parametrize("repeat", [1, 2])
    def test_clusters_do_not_lengthen_an_epoch_that_counts_boxes(self, world, budget, labels, repeat):
        drawn = {rule: fed(world, budget, labels, resample=rule, repeat=repeat) for rule in ("objects", "boxes")}
        published = {
            rule: fed(world, budget, labels, resample=rule, repeat=repeat, count="boxes")
            for rule in ("objects", "boxes")
        }
        boxed, met = (np.array(counts) for counts in zip(*drawn["boxes"].frames_by_class().values(), strict=True))
        assert met.sum() > boxed.sum() + 3  # there are clusters of classes that have no box in a frame
        expected = boxed.sum() // 3 * 3 * repeat
        assert {len(data.order(0)) for data in published.values()} == {expected}
        assert expected == published_samples(drawn["boxes"]._boxed) * repeat
        assert len(drawn["objects"].order(0)) == met.sum() * repeat // 3 * 3 > expected

    def test_a_class_that_few_frames_have_is_drawn_as_often_as_the_others(self, world, labels):
        """Bicycles are boxed in one frame alone: it is drawn for them in every third sample, and for the others too."""
        everything = make_budget(world, 1.0)
        bicycle, (first, *others) = world.taxonomy.class_id("bicycle"), world.frame_ids()
        kept = {first: everything.frames[first]}
        for frame_id in others:
            boxes = world.boxes(frame_id)
            gone = {token for token, c in zip(boxes.token, boxes.class_id, strict=True) if c == bicycle}
            kept[frame_id] = {t: v for t, v in everything.frames[frame_id].items() if t not in gone}
        data = fed(world, Budget(kept, everything.description), labels, resample="boxes", repeat=50)
        order = data.order(0)
        assert len(order) == pytest.approx((8 + 8 + 1) * 50, abs=3)  # pairs of a frame and a class in it
        share = np.bincount(order, minlength=8) / len(order)
        assert share[0] == pytest.approx(1 / 3 + 2 / 3 / 8, abs=0.05)
        assert share[1:] == pytest.approx(2 / 3 / 8, abs=0.05)
        assert order.tolist() == data.order(0).tolist() != data.order(1).tolist()


def test_boxes_inside_of_the_grid_are_counted(world, budget, labels):
    every = sum(len(boxes) for boxes in budget.frames.values())
    inside = fed(world, budget, labels).in_map
    assert set(inside) == set(CLASSES)
    assert [sum(column) for column in zip(*inside.values(), strict=True)] == [every, every]
    low = (*RANGE[:2], -50.0, *RANGE[3:5], -40.0)  # as with a LiDAR that stands far too high
    data = TrainingSet(world, budget, labels, CLASSES, low, DataConfig())
    assert [sum(column) for column in zip(*data.in_map.values(), strict=True)] == [0, every]


class TestBadInput:
    def test_a_class_without_a_single_box(self, world, budget, labels):
        data = fed(world, budget, labels, classes=("bus", "car"))
        assert data.missing == ("bus",)
        assert data.class_ids == (world.taxonomy.class_id("car"),)
        assert list(data.frames_by_class()) == ["car"]
        assert len(data.order(0)) > 0
        with pytest.raises(SchemaError, match=r"SCH005.*no box of: bus"):
            fed(world, budget, labels, classes=("bus",))

    def test_a_budget_of_other_data(self, world, budget, labels):
        frame_id = next(f for f, boxes in budget.frames.items() if boxes)
        alien = Budget({**budget.frames, frame_id: {"alien": None}}, budget.description)
        with pytest.raises(SchemaError, match=r"SCH003.*no box 'alien'"):
            fed(world, alien, labels)

    def test_frames_without_labels_are_named(self, world, budget, tmp_path):
        labels = make_labels(tmp_path / "out", world, world.frame_ids()[:5])
        missing = world.frame_ids()[5]
        with pytest.raises(SchemaError, match=rf"SCH003.*no labels of 3 of the budget's 8 frames.*{missing}"):
            fed(world, budget, labels)

    def test_quarantined_frames_are_left_out_and_counted(self, world, budget, tmp_path):
        bad = world.frame_ids()[2]
        data = fed(world, budget, make_labels(tmp_path / "out", world, failed={bad}))
        assert bad not in data.frame_ids
        assert data.num_failed == 1

    def test_no_labels_where_the_recipe_wants_some(self, world, budget):
        with pytest.raises(SchemaError, match=r"give --labels OUT, or train on boxes alone: --set data\.coarse"):
            fed(world, budget)

    def test_labels_of_other_sweeps(self, world, budget, labels):
        frame = world.frame(world.frame_ids()[0])
        content = frame.sweep.source.path.read_bytes()
        try:
            frame.sweep.source.path.write_bytes(content[:-20])
            with pytest.raises(SchemaError, match=r"SCH003.*labels for \d+ points"):
                fed(world, budget, labels).raw(0, 0)
        finally:
            frame.sweep.source.path.write_bytes(content)


@pytest.mark.parametrize("in_view_only", [False, True])
def test_rows_without_a_position_are_left_out(world, budget, labels, in_view_only):
    """The last row of the sweep is ground, without a label."""
    points = PointsConfig(in_view_only=in_view_only)
    path = world.frame(world.frame_ids()[0]).sweep.source.path
    content = path.read_bytes()
    whole = fed(world, budget, labels, points=points).raw(0, 0)
    values = np.frombuffer(content, "<f4").copy()
    try:
        values[-5] = np.nan
        values.tofile(path)
        sample = fed(world, budget, labels, points=points).raw(0, 0)
    finally:
        path.write_bytes(content)
    assert np.isfinite(sample.points).all()
    assert whole.num_key - sample.num_key == (0 if in_view_only and len(whole.points) == len(sample.points) else 1)
    assert sample.clusters.center_m.tolist() == whole.clusters.center_m.tolist()


def test_boxes_outside_of_the_budget_may_be_deleted(tmp_path, labels, world, budget):
    """Nothing of them reaches a sample, velocities included."""
    kept = {token for boxes in budget.frames.values() for token in boxes}
    pruned = pruned_copy(world, tmp_path / "pruned", kept)
    assert sum(len(pruned.boxes(f)) for f in pruned.frame_ids()) == len(kept)
    whole, part = (fed(root, budget, labels, paste=PasteConfig(counts={"car": 9})) for root in (world, pruned))
    for data in (whole, part):
        data.bank = cut_bank(data, 0)
    assert len(whole.bank) == len(part.bank) > 0
    assert whole.order(0).tolist() == part.order(0).tolist()
    for position in range(6):
        a, b = (data.sample(position, 0, position) for data in (whole, part))
        for name in ("points", "boxes", "box_class", "velocity"):
            assert getattr(a, name).tobytes() == getattr(b, name).tobytes()
        assert a.clusters.cluster_id.tobytes() == b.clusters.cluster_id.tobytes()


def test_repeat_counts(world, budget, labels):
    data = fed(world, budget, labels, repeat=1)
    twice = replace(data.config, repeat=2)
    again = TrainingSet(world, budget, labels, CLASSES, RANGE, twice)
    assert len(again.order(0)) == pytest.approx(2 * len(data.order(0)), abs=3)
