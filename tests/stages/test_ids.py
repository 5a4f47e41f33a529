import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pointsam.stages.ids import canonical_ids
from pointsam.types import NO_INSTANCE

IDS = hnp.arrays(np.int32, st.integers(0, 40), elements=st.integers(-1, 6))


def test_larger_instances_come_first_and_ties_go_to_the_earlier_point():
    assert canonical_ids(np.array([9, 4, -1, 4, 70, 70, 2])).tolist() == [2, 0, -1, 0, 1, 1, 3]


def test_no_points_have_no_ids():
    assert canonical_ids(np.zeros(0, dtype=np.int64)).shape == (0,)


def test_ids_beyond_32_bits_are_renumbered():
    assert canonical_ids(np.array([2**40, 5, 2**40])).tolist() == [0, 1, 0]


@settings(max_examples=30)
@given(IDS)
def test_the_partition_is_kept(ids):
    out = canonical_ids(ids)
    assert np.array_equal(out == NO_INSTANCE, ids == NO_INSTANCE)
    pairs = set(zip(ids.tolist(), out.tolist(), strict=True))
    assert len(pairs) == len(set(ids.tolist())) == len(set(out.tolist()))


@settings(max_examples=30)
@given(IDS, st.permutations(range(7)))
def test_old_names_do_not_matter(ids, names):
    renamed = np.where(ids < 0, ids, np.asarray(names, dtype=np.int32)[ids])
    assert np.array_equal(canonical_ids(ids), canonical_ids(renamed))


@settings(max_examples=30)
@given(IDS)
def test_renumbering_twice_changes_nothing(ids):
    once = canonical_ids(ids)
    assert np.array_equal(once, canonical_ids(once))
