"""A budget is drawn once, for good reasons, and says what it costs."""

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pointsam.base.errors import SchemaError
from pointsam.detect.data.budget import CLUSTER_COST, RULES, BudgetConfig, Objects, draw
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
    first, again, other = (boxed(draw(OBJECTS, NAMES, BudgetConfig(rule=rule, seed=seed))) for seed in (3, 3, 4))
    assert first == again
    assert first != other


@pytest.mark.parametrize("rule", RULES)
def test_objects_without_points_are_no_candidates(rule):
    empty = {token for token, count in zip(OBJECTS.token, OBJECTS.num_points, strict=True) if count == 0}
    assert empty
    assert not empty & boxed(draw(OBJECTS, NAMES, BudgetConfig(rule=rule)))


def test_object_draws_the_fraction_of_all_objects():
    candidates = int((OBJECTS.num_points > 0).sum())
    assert len(boxed(draw(OBJECTS, NAMES, BudgetConfig(0.1)))) == round(0.1 * candidates)


def test_an_object_keeps_its_lot_when_the_data_set_grows():
    few = dataclasses.replace(
        OBJECTS,
        frame=OBJECTS.frame[:2000],
        token=OBJECTS.token[:2000],
        class_id=OBJECTS.class_id[:2000],
        range_m=OBJECTS.range_m[:2000],
        num_points=OBJECTS.num_points[:2000],
    )
    before, after = (boxed(draw(objects, NAMES, BudgetConfig(0.1))) for objects in (few, OBJECTS))
    assert len(before & after) > 0.8 * len(before)


def test_class_draws_from_every_class_one_box_at_least():
    budget = draw(OBJECTS, NAMES, BudgetConfig(0.01, rule="class"))
    counts = budget.description.classes
    assert counts["bus"].boxes == 1
    candidates = (OBJECTS.num_points > 0) & (OBJECTS.class_id == 0)
    assert counts["car"].boxes == round(0.01 * candidates.sum())


def test_stratified_gives_each_stratum_its_share_to_within_one():
    chosen = boxed(draw(OBJECTS, NAMES, BudgetConfig(0.1, rule="stratified")))
    is_chosen = np.array([token in chosen for token in OBJECTS.token])
    stratum = [
        (c, sum(r >= edge for edge in (20, 40)), sum(n >= edge for edge in (5, 20, 100)))
        for c, r, n in zip(OBJECTS.class_id, OBJECTS.range_m, OBJECTS.num_points, strict=True)
    ]
    for one in set(stratum):
        members = np.array([s == one for s in stratum]) & (OBJECTS.num_points > 0)
        assert abs(is_chosen[members].sum() - 0.1 * members.sum()) <= 1


def test_frame_draws_whole_frames():
    budget = draw(OBJECTS, NAMES, BudgetConfig(0.1, rule="frame"))
    full = [frame_id for frame_id, tokens in budget.frames.items() if tokens]
    assert len(full) <= 20
    for frame_id in full:
        index = OBJECTS.frame_ids.index(frame_id)
        members = {OBJECTS.token[k] for k in np.flatnonzero((OBJECTS.frame == index) & (OBJECTS.num_points > 0))}
        assert set(budget.boxed(frame_id)) == members


def test_cost_pays_for_boxes_and_clusters_of_whole_frames_and_no_more():
    budget = draw(OBJECTS, NAMES, BudgetConfig(0.1, rule="cost", box_share=0.1))
    said = budget.description
    assert 0.08 < said.cost_with_clusters <= 0.1
    assert said.labelled_frames == len(budget.frames) < len(OBJECTS.frame_ids)
    assert said.boxes == pytest.approx(0.1 * (said.boxes + said.clusters), abs=1)


def test_ten_per_cent_of_boxes_with_clusters_elsewhere_cost_more_than_ten_per_cent():
    everything = dataclasses.replace(OBJECTS, num_points=OBJECTS.num_points + 1)
    said = draw(everything, NAMES, BudgetConfig(0.1)).description
    assert said.cost_boxes_only == pytest.approx(0.1)
    assert said.cost_with_clusters == pytest.approx(0.1 + CLUSTER_COST * 0.9)  # method.md B.11: 22.6 %


def test_a_frame_outside_of_the_budget_is_an_error_that_says_what_to_do():
    with pytest.raises(SchemaError, match=r"SCH003.*'f9999'") as caught:
        draw(OBJECTS, NAMES, BudgetConfig()).boxed("f9999")
    assert "mixsup-train budget" in caught.value.hint


def test_no_candidate_is_an_error():
    with pytest.raises(SchemaError, match=r"SCH005.*1000 points"):
        draw(OBJECTS, NAMES, BudgetConfig(min_points=1000))


@pytest.mark.parametrize("bad", [{"fraction": 0.0}, {"fraction": 1.5}, {"box_share": -1.0}, {"rule": "luck"}])
def test_values_that_mean_nothing_are_refused(bad):
    with pytest.raises(SchemaError, match="SCH005"):
        BudgetConfig(**bad)


def test_a_budget_comes_back_as_it_went_and_equal_budgets_are_equal_bytes(tmp_path):
    budget = draw(OBJECTS, NAMES, BudgetConfig(rule="cost"))
    write_budget(tmp_path / "a.parquet", budget)
    write_budget(tmp_path / "b.parquet", draw(OBJECTS, NAMES, BudgetConfig(rule="cost")))
    back = read_budget(tmp_path / "a.parquet")
    assert back.frames == budget.frames
    assert back.description == budget.description
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (b"{", b"", "no JSON"),
        (b'"boxes"', b'"bokses"', "bokses is no field of it"),
        (b'"fraction":0.1', b'"fraction":2.0', "budget.fraction"),
        (b'"min_points":1', b'"min_points":"1"', "min_points is wrong"),
        (b"{", b"[" * 100_000, "nested too deeply"),
    ],
)
def test_a_damaged_description_is_refused_by_its_field(tmp_path, old, new, told):
    write_budget(tmp_path / "a.parquet", draw(OBJECTS, NAMES, BudgetConfig()))
    table = pq.read_table(tmp_path / "a.parquet")
    said = table.schema.metadata[b"pointsam.budget"]
    assert old in said
    metadata = {**table.schema.metadata, b"pointsam.budget": said.replace(old, new)}
    pq.write_table(table.replace_schema_metadata(metadata), tmp_path / "b.parquet")
    with pytest.raises(SchemaError, match=rf"SCH003.*b\.parquet: no readable budget.*{told}"):
        read_budget(tmp_path / "b.parquet")


def test_velocities_of_another_number_than_boxes_are_refused(tmp_path):
    write_budget(tmp_path / "a.parquet", draw(OBJECTS, NAMES, BudgetConfig()))
    table = pq.read_table(tmp_path / "a.parquet")
    none = pa.array([[]] * len(table), table.schema.field(2).type)
    pq.write_table(table.set_column(2, table.schema.field(2), none), tmp_path / "b.parquet")
    with pytest.raises(SchemaError, match=r"SCH003.*other numbers of velocities"):
        read_budget(tmp_path / "b.parquet")


def test_what_is_no_budget_is_refused(tmp_path):
    (tmp_path / "text").write_text("no budget")
    for name in ("text", "missing"):
        with pytest.raises(SchemaError, match=f"SCH003.*{name}"):
            read_budget(tmp_path / name)
