"""What the labels of a budget hold, and whether they are those that it was drawn from."""

from types import SimpleNamespace

import numpy as np
import pytest

from pointsam.base.errors import SchemaError
from pointsam.detect.data.budget import Budget
from pointsam.detect.data.census import Census
from pointsam.detect.data.digests import box_digests
from pointsam.types import Boxes

NAMES = ("car", "van", "person")
RANGE = (-10.0, -10.0, -2.0, 10.0, 10.0, 2.0)


def boxes_at(*xyz, class_id=(0, 0, 2), token=("a", "b", "c")):
    n = len(xyz)
    size = np.tile([4.0, 2.0, 1.5], (n, 1))
    return Boxes(np.array(xyz, float), size, np.tile(np.eye(3), (n, 1, 1)), np.array(class_id[:n], np.uint8), token[:n])


BOXES = boxes_at((1, 2, 0), (5, 5, 0), (30, 0, 0))


def budget_of(boxes, digests=True):
    drawn = dict(zip(boxes.token, box_digests(boxes, NAMES), strict=True))
    description = SimpleNamespace()
    return Budget({"f": dict.fromkeys(boxes.token)}, description, "b.parquet", {"f": drawn} if digests else {})


def census_of(budget, read):
    census = Census(budget, ["f"], (0, 2), NAMES, RANGE)
    census.recognise(0, read)
    census.add(0, read, {2, 1})
    return census


def test_boxes_and_clusters_are_counted_by_class():
    census = census_of(budget_of(BOXES), BOXES)
    census.require_unchanged("root")
    assert census.boxed.tolist() == [[True, True]]
    assert census.coarsely.tolist() == [[False, True]]
    assert census.inside.tolist() == [2, 0]
    assert census.total.tolist() == [2, 1]
    assert (census.shortest.tolist(), census.longest.tolist()) == ([1.5, 1.5], [4.0, 4.0])


@pytest.mark.parametrize(
    ("read", "count"),
    [
        (boxes_at((5, 5, 0), (1, 2, 0), (30, 0, 0)), 2),  # a file that was written in another order
        (boxes_at((1, 2, 0), (5, 5, 0), (30, 0, 0), class_id=(0, 0, 0)), 1),
        (boxes_at((1, 2, 0), (5, 5.1, 0), (30, 0, 0)), 1),
    ],
    ids=["order", "class", "place"],
)
def test_labels_that_were_changed_are_refused(read, count):
    census = census_of(budget_of(BOXES), read)
    with pytest.raises(SchemaError, match=rf"SCH003.*{count} of 3 boxes of b\.parquet are not .* in root") as caught:
        census.require_unchanged("root")
    assert "draw the budget again" in caught.value.hint
    assert census.digest != census_of(budget_of(BOXES), BOXES).digest
    census_of(budget_of(BOXES, digests=False), read).require_unchanged("root")  # a budget of 0.1.0 cannot tell
