import json

import numpy as np
import pytest

from pointsam.evaluate.agnostic import AgnosticAccumulator
from pointsam.evaluate.panoptic import PanopticAccumulator
from pointsam.evaluate.table import as_text, as_values
from pointsam.taxonomy import NUSCENES
from pointsam.types import PointLabels, PointTruth


@pytest.fixture
def results():
    """One car of 20 points, found with 15 of them."""
    car = np.zeros(20, np.uint8)
    truth = PointTruth(PointLabels(car.astype(np.int32), car), np.zeros(20, bool), "boxes")
    part = np.arange(20) < 15
    labels = PointLabels(np.where(part, 0, -1).astype(np.int32), np.where(part, 0, 255).astype(np.uint8))
    accumulators = PanopticAccumulator(NUSCENES), AgnosticAccumulator(NUSCENES)
    for accumulator in accumulators:
        accumulator.add(labels, truth)
    return [accumulator.result() for accumulator in accumulators]


def test_every_class_has_a_line_with_dashes_where_nothing_was_counted(results):
    lines = {line.split()[0]: line.split()[1:] for line in as_text(*results).splitlines() if line}
    assert lines["car"] == ["75.0", "75.0", "100.0", "1", "0", "0", "75.0", "100.0", "100.0", "1", "1"]
    assert lines["trailer"] == ["-", "-", "-", "0", "0", "0", "-", "-", "-", "0", "0"]
    assert set(NUSCENES.names) < set(lines)


def test_columns_are_aligned(results):
    table = as_text(*results).split("\n\n")[0]
    assert len({len(line) for line in table.splitlines()}) == 1


def test_the_text_says_what_was_counted(results):
    text = as_text(*results)
    assert "Frames: 1." in text
    assert "precision 100.0 %, recall 75.0 %" in text


def test_values_are_strict_json_with_none_for_nan(results):
    values = [json.loads(json.dumps(as_values(quality), allow_nan=False)) for quality in results]
    assert values[0]["classes"][0]["pq"] == 0.75
    assert values[0]["classes"][1]["pq"] is None
    assert values[1]["overall"]["recall"] == 1.0
