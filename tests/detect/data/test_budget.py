"""A budget is drawn once, for good reasons, and says what it costs."""

import dataclasses
import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pointsam.base.errors import SchemaError
from pointsam.detect.data.budget import CLUSTER_COST, RULES, BudgetConfig, BudgetDescription, Objects, sample_budget
from pointsam.detect.data.budget_file import read_budget, write_budget

NAMES = ("car", "pedestrian", "bus")


def some_objects(frames=200, seed=0):
    rng = np.random.default_rng(seed)
    frame = np.sort(rng.integers(0, frames, 3000))
    n = len(frame)
    return Objects(
        frame_ids=tuple(f"f{k:04d}" for k in range(frames)),
        frame=frame,
        token=tuple(f"t{k}" for k in range(n)),
        class_id=rng.choice(3, n, p=(0.7, 0.295, 0.005)).astype(np.uint8),
        range_m=rng.uniform(2, 80, n),
        num_points=rng.poisson(8, n) * rng.integers(0, 4, n),
        velocity_mps=np.where(rng.random((n, 1)) < 0.2, np.nan, rng.normal(0, 3, (n, 2))),
    )


OBJECTS = some_objects()


def boxed(budget):
    return {token for tokens in budget.frames.values() for token in tokens}


@pytest.mark.parametrize("rule", RULES)
def test_the_same_seed_draws_the_same_boxes_and_another_seed_others(rule):
    first, again, other = (
        boxed(sample_budget(OBJECTS, NAMES, BudgetConfig(rule=rule, seed=seed))) for seed in (3, 3, 4)
    )
    assert first == again
    assert first != other


@pytest.mark.parametrize("rule", RULES)
def test_objects_without_points_are_no_candidates(rule):
    empty = {token for token, count in zip(OBJECTS.token, OBJECTS.num_points, strict=True) if count == 0}
    assert empty
    assert not empty & boxed(sample_budget(OBJECTS, NAMES, BudgetConfig(rule=rule)))


def test_object_draws_the_fraction_of_all_objects():
    candidates = int((OBJECTS.num_points > 0).sum())
    assert len(boxed(sample_budget(OBJECTS, NAMES, BudgetConfig(0.1)))) == round(0.1 * candidates)


def test_an_object_keeps_its_lot_when_the_data_set_grows():
    few = dataclasses.replace(
        OBJECTS,
        frame=OBJECTS.frame[:2000],
        token=OBJECTS.token[:2000],
        class_id=OBJECTS.class_id[:2000],
        range_m=OBJECTS.range_m[:2000],
        num_points=OBJECTS.num_points[:2000],
    )
    before, after = (boxed(sample_budget(objects, NAMES, BudgetConfig(0.1))) for objects in (few, OBJECTS))
    assert len(before & after) > 0.8 * len(before)


def test_class_draws_from_every_class_one_box_at_least():
    budget = sample_budget(OBJECTS, NAMES, BudgetConfig(0.01, rule="class"))
    counts = budget.description.classes
    assert counts["bus"].boxes == 1
    candidates = (OBJECTS.num_points > 0) & (OBJECTS.class_id == 0)
    assert counts["car"].boxes == round(0.01 * candidates.sum())


def test_stratified_gives_each_stratum_its_share_to_within_one():
    chosen = boxed(sample_budget(OBJECTS, NAMES, BudgetConfig(0.1, rule="stratified")))
    is_chosen = np.array([token in chosen for token in OBJECTS.token])
    stratum = [
        (c, sum(r >= edge for edge in (20, 40)), sum(n >= edge for edge in (5, 20, 100)))
        for c, r, n in zip(OBJECTS.class_id, OBJECTS.range_m, OBJECTS.num_points, strict=True)
    ]
    for one in set(stratum):
        members = np.array([s == one for s in stratum]) & (OBJECTS.num_points > 0)
        assert abs(is_chosen[members].sum() - 0.1 * members.sum()) <= 1


def test_frame_draws_whole_frames():
    budget = sample_budget(OBJECTS, NAMES, BudgetConfig(0.1, rule="frame"))
    full = [frame_id for frame_id, tokens in budget.frames.items() if tokens]
    assert len(full) <= 20
    for frame_id in full:
        index = OBJECTS.frame_ids.index(frame_id)
        members = {OBJECTS.token[k] for k in np.flatnonzero((OBJECTS.frame == index) & (OBJECTS.num_points > 0))}
        assert set(budget.boxed(frame_id)) == members


def test_cost_pays_for_boxes_and_clusters_of_whole_frames_and_no_more():
    budget = sample_budget(OBJECTS, NAMES, BudgetConfig(0.1, rule="cost", box_share=0.1))
    said = budget.description
    assert 0.08 < said.cost_with_clusters <= 0.1
    assert said.labelled_frames == len(budget.frames) < len(OBJECTS.frame_ids)
    assert said.boxes == pytest.approx(0.1 * (said.boxes + said.clusters), abs=1)


def few_objects():
    """Four candidates and one object without points in three frames, the second of them empty."""
    return Objects(
        ("f0", "f1", "f2"),
        np.array([0, 0, 2, 2, 2]),
        ("a", "b", "c", "d", "e"),
        np.array([0, 1, 0, 0, 1], dtype=np.uint8),
        np.array([10.0, 20, 39, 40, 50]),
        np.array([4, 5, 19, 0, 100]),
        np.array([[1.0, -2], [np.nan, 0], [0, np.nan], [0, 0], [0.5, 0]]),
    )


def lots(names, kind, seed=0):
    """The names by rising lot: the first 64 bits of a hash of seed, kind and name."""
    digest = {name: hashlib.sha256(f"{seed}\0{kind}\0{name}".encode()).digest()[:8] for name in names}
    return sorted(names, key=digest.__getitem__)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("fraction", "count"), [(0.1, 1), (0.6, 2), (0.9, 4), (1.0, 4)])
def test_boxes_are_those_with_the_lowest_lots(fraction, count, seed):
    budget = sample_budget(few_objects(), NAMES, BudgetConfig(fraction, seed=seed))
    assert boxed(budget) == set(lots(["a", "b", "c", "e"], "object", seed)[:count])
    assert list(budget.frames) == ["f0", "f1", "f2"]


@pytest.mark.parametrize("seed", range(3))
def test_frames_are_those_with_the_lowest_lots(seed):
    budget = sample_budget(few_objects(), NAMES, BudgetConfig(0.5, rule="frame", seed=seed))
    members = {"f0": {"a", "b"}, "f1": set(), "f2": {"c", "e"}}
    chosen = lots(["f0", "f1", "f2"], "frame", seed)[:2]
    assert boxed(budget) == set().union(*(members[frame_id] for frame_id in chosen))


@pytest.mark.parametrize("fraction", [0.05, 0.284, 0.286, 0.569, 0.571])
def test_cost_takes_frames_as_long_as_they_are_paid_for(fraction):
    """Each candidate costs half a box and half a cluster, 0.57; a frame with two of the four candidates 0.285."""
    budget = sample_budget(few_objects(), NAMES, BudgetConfig(fraction, rule="cost", box_share=0.5))
    order = lots(["f0", "f1", "f2"], "frame")
    total = np.cumsum([0 if frame_id == "f1" else 0.285 for frame_id in order])
    assert set(budget.frames) == set(order[: max(1, (total <= fraction).sum())])


def test_velocities_are_known_in_both_axes_or_not_at_all():
    assert sample_budget(few_objects(), NAMES, BudgetConfig(1.0)).frames == {
        "f0": {"a": (1.0, -2.0), "b": None},
        "f1": {},
        "f2": {"c": None, "e": (0.5, 0.0)},
    }


def test_a_budget_describes_itself():
    said = sample_budget(few_objects(), NAMES, BudgetConfig(0.5, min_points=5)).description
    assert said == BudgetDescription(
        **{"fraction": 0.5, "rule": "object", "box_share": 0.1, "min_points": 5, "seed": 0},
        **{"frames": 3, "labelled_frames": 3, "objects": 3, "boxes": 2, "clusters": 1},
        cost_boxes_only=2 / 3,
        cost_with_clusters=pytest.approx(2.14 / 3),
        classes=said.classes,
    )
    assert {name: of.objects for name, of in said.classes.items()} == {"car": 1, "pedestrian": 2, "bus": 0}
    assert sum(of.boxes for of in said.classes.values()) == 2


def test_ten_per_cent_of_boxes_with_clusters_elsewhere_cost_more_than_ten_per_cent():
    everything = dataclasses.replace(OBJECTS, num_points=OBJECTS.num_points + 1)
    said = sample_budget(everything, NAMES, BudgetConfig(0.1)).description
    assert said.cost_boxes_only == pytest.approx(0.1)
    assert said.cost_with_clusters == pytest.approx(0.1 + CLUSTER_COST * 0.9)  # docs/method.md B.11: 22.6 %


def test_a_frame_outside_of_the_budget_is_an_error_that_says_what_to_do():
    with pytest.raises(SchemaError, match=r"SCH003.*'f9999'") as caught:
        sample_budget(OBJECTS, NAMES, BudgetConfig()).boxed("f9999")
    assert "mixsup-train budget" in caught.value.hint


def test_no_candidate_is_an_error():
    with pytest.raises(SchemaError, match=r"SCH005.*1000 points"):
        sample_budget(OBJECTS, NAMES, BudgetConfig(min_points=1000))


@pytest.mark.parametrize("bad", [{"fraction": 0.0}, {"fraction": 1.5}, {"box_share": -1.0}, {"rule": "luck"}])
def test_values_that_mean_nothing_are_refused(bad):
    with pytest.raises(SchemaError, match="SCH005"):
        BudgetConfig(**bad)


def test_a_budget_comes_back_as_it_went_and_equal_budgets_are_equal_bytes(tmp_path):
    budget = sample_budget(OBJECTS, NAMES, BudgetConfig(rule="cost"))
    write_budget(tmp_path / "a.parquet", budget)
    write_budget(tmp_path / "b.parquet", sample_budget(OBJECTS, NAMES, BudgetConfig(rule="cost")))
    back = read_budget(tmp_path / "a.parquet")
    assert back.frames == budget.frames
    assert back.description == budget.description
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"{", b"", "not valid JSON"),
        (b'"boxes"', b'"bokses"', "bokses is not a field"),
        (b'"fraction":0.1', b'"fraction":2.0', "budget.fraction"),
        (b'"min_points":1', b'"min_points":"1"', "min_points is wrong"),
        (b"{", b"[" * 100_000, "nested too deeply"),
    ],
)
def test_a_damaged_description_is_refused_by_its_field(tmp_path, old, new, message):
    write_budget(tmp_path / "a.parquet", sample_budget(OBJECTS, NAMES, BudgetConfig()))
    table = pq.read_table(tmp_path / "a.parquet")
    said = table.schema.metadata[b"pointsam.budget"]
    assert old in said
    metadata = {**table.schema.metadata, b"pointsam.budget": said.replace(old, new)}
    pq.write_table(table.replace_schema_metadata(metadata), tmp_path / "b.parquet")
    with pytest.raises(SchemaError, match=rf"SCH003.*b\.parquet: no readable budget.*{message}"):
        read_budget(tmp_path / "b.parquet")


def test_velocities_of_another_number_than_boxes_are_refused(tmp_path):
    write_budget(tmp_path / "a.parquet", sample_budget(OBJECTS, NAMES, BudgetConfig()))
    table = pq.read_table(tmp_path / "a.parquet")
    none = pa.array([[]] * len(table), table.schema.field(2).type)
    pq.write_table(table.set_column(2, table.schema.field(2), none), tmp_path / "b.parquet")
    with pytest.raises(SchemaError, match=r"SCH003.*another number of velocities"):
        read_budget(tmp_path / "b.parquet")


def test_a_budget_of_another_version_is_refused(tmp_path):
    write_budget(tmp_path / "new", sample_budget(few_objects(), NAMES, BudgetConfig()))
    table = pq.read_table(tmp_path / "new")
    metadata = {**table.schema.metadata, b"pointsam.budget_version": b"1"}
    pq.write_table(table.replace_schema_metadata(metadata), tmp_path / "old")
    with pytest.raises(SchemaError, match=r"SCH003.*budget version 1, this is version 3"):
        read_budget(tmp_path / "old")


class TestDigests:
    KNOWN = dataclasses.replace(OBJECTS, digest=tuple(f"d{k}" for k in range(len(OBJECTS))))

    def test_they_are_kept_by_token(self, tmp_path):
        budget = sample_budget(self.KNOWN, NAMES, BudgetConfig())
        drawn = {token: digest for boxes in budget.digests.values() for token, digest in boxes.items()}
        assert set(drawn) == boxed(budget)
        assert all(digest == f"d{token[1:]}" for token, digest in drawn.items())
        write_budget(tmp_path / "a.parquet", budget)
        assert read_budget(tmp_path / "a.parquet").digests == budget.digests

    def test_a_budget_of_0_1_0_has_none(self, tmp_path):
        write_budget(tmp_path / "a.parquet", sample_budget(OBJECTS, NAMES, BudgetConfig()))
        assert pq.read_schema(tmp_path / "a.parquet").metadata[b"pointsam.budget_version"] == b"2"
        assert read_budget(tmp_path / "a.parquet").digests == {}

    def test_another_number_than_boxes_is_refused(self, tmp_path):
        write_budget(tmp_path / "a.parquet", sample_budget(self.KNOWN, NAMES, BudgetConfig()))
        table = pq.read_table(tmp_path / "a.parquet")
        none = pa.array([[]] * len(table), table.schema.field(4).type)
        pq.write_table(table.set_column(4, table.schema.field(4), none), tmp_path / "b.parquet")
        with pytest.raises(SchemaError, match=r"SCH003.*another number of digests"):
            read_budget(tmp_path / "b.parquet")


def test_what_is_no_budget_is_refused(tmp_path):
    (tmp_path / "text").write_text("no budget")
    for name in ("text", "missing"):
        with pytest.raises(SchemaError, match=f"SCH003.*{name}"):
            read_budget(tmp_path / name)


def test_a_version_that_is_no_text_is_another_version(tmp_path):
    write_budget(tmp_path / "a.parquet", sample_budget(OBJECTS, NAMES, BudgetConfig()))
    table = pq.read_table(tmp_path / "a.parquet")
    pq.write_table(
        table.replace_schema_metadata(dict.fromkeys(table.schema.metadata, b"\xff\xfe")), tmp_path / "a.parquet"
    )
    with pytest.raises(SchemaError, match=r"SCH003.*version \\xff"):
        read_budget(tmp_path / "a.parquet")
