"""Objects from the budget's boxes, put where there is room."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs torch")

from helpers.detect_samples import in_boxes, owners, sample_of
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import affinity, geometry

from pointsam.detect.data.paste import PasteBank, PasteConfig, pasted

COUNTS = {0: 6, 1: 6, 2: 6}
CONFIG = PasteConfig(min_points=3)
BANK = PasteBank.join(PasteBank.cut(sample_of(seed), 3) for seed in range(20, 26))


def outline(box):
    x, y, _, length, width, _, yaw = box
    flat = geometry.box(-length / 2, -width / 2, length / 2, width / 2)
    return affinity.translate(affinity.rotate(flat, yaw, origin=(0, 0), use_radians=True), x, y)


@settings(max_examples=25)
@given(st.integers(0, 10_000))
def test_pasted_objects_touch_neither_boxes_nor_clusters_nor_each_other(seed):
    sample = sample_of(seed % 9)
    after = pasted(sample, BANK, COUNTS, CONFIG, np.random.default_rng(seed))
    new = after.boxes[len(sample.boxes) :]
    assert np.array_equal(after.boxes[: len(sample.boxes)], sample.boxes)
    shapes = [outline(box) for box in after.boxes]
    c = sample.clusters
    for k in range(len(sample.boxes), len(shapes)):
        assert all(shapes[k].intersection(shapes[j]).area < 1e-9 for j in range(len(shapes)) if j != k)
        for m in range(len(c)):
            distance = shapes[k].distance(geometry.Point(c.center_m[m, :2]))
            assert distance >= c.radius_m[m] + CONFIG.margin_m - 1e-9
    assert len(new) > 0


@settings(max_examples=25)
@given(st.integers(0, 10_000))
def test_ids_survive_and_pasted_points_are_of_no_cluster(seed):
    sample = sample_of(seed % 9)
    after = pasted(sample, replace(BANK, points=marked(BANK.points)), COUNTS, CONFIG, np.random.default_rng(seed))
    now, before = owners(after), owners(sample)
    assert {tag: owner for tag, owner in now.items() if tag < 0.6} == {t: o for t, o in before.items() if t in now}
    assert all(owner == (-1, False) for tag, owner in now.items() if tag > 0.6)
    held = in_boxes(after)[len(sample.boxes) :]
    assert all(tag > 0.6 for tags in held for tag in tags)  # what was there before is gone
    assert all(len(tags) >= CONFIG.min_points for tags in held)
    assert (after.points[: after.num_key, 4] == 0).all()


def marked(points):
    """Intensities above those of any sample, each its own."""
    marked = points.copy()
    marked[:, 3] = np.linspace(0.7, 1, len(points))
    return marked


def test_a_sample_is_filled_up_to_the_counts():
    sample = sample_of(0)
    full = {k: int((sample.box_class == k).sum()) for k in range(3)}
    assert pasted(sample, BANK, full, CONFIG, np.random.default_rng(0)) is sample
    more = pasted(sample, BANK, full, replace(CONFIG, whole_scene=False), np.random.default_rng(0))
    assert len(more.boxes) > len(sample.boxes)


def test_the_bank_holds_each_object_with_all_its_points():
    sample = sample_of(4)
    bank = PasteBank.cut(sample, 1)
    for k, tags in enumerate(in_boxes(sample)):
        own = bank.points[bank.start[k] : bank.start[k + 1]]
        assert set(own[:, 3].tolist()) == tags
        assert (own[: bank.num_key[k], 4] == 0).all()
    assert len(PasteBank.cut(sample, 1000)) == 0


def test_an_empty_bank_pastes_nothing():
    sample = sample_of(5)
    assert pasted(sample, PasteBank.join([]), COUNTS, CONFIG, np.random.default_rng(0)) is sample


def test_a_bank_comes_back_as_it_went_and_a_damaged_one_not_at_all(tmp_path):
    path = tmp_path / "paste.npz"
    assert PasteBank.load(path) is None
    BANK.save(path)
    back = PasteBank.load(path)
    for name in ("boxes", "box_class", "velocity", "points", "start", "num_key"):
        assert np.array_equal(getattr(back, name), getattr(BANK, name))
    path.write_bytes(path.read_bytes()[:-200])
    assert PasteBank.load(path) is None


def test_a_joined_bank_holds_the_objects_of_each():
    parts = [PasteBank.cut(sample_of(seed), 3) for seed in range(3)]
    bank = PasteBank.join(parts)
    own = [part.points[part.start[k] : part.start[k + 1]] for part in parts for k in range(len(part))]
    assert len(bank) == len(own)
    for k, points in enumerate(own):
        assert np.array_equal(bank.points[bank.start[k] : bank.start[k + 1]], points)
