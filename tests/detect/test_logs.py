"""The training log: what it keeps of an earlier call."""

import csv

import pytest

pytest.importorskip("torch")

from pointsam.base.errors import StoreError
from pointsam.detect.logs import TrainingLog


def test_later_and_torn_rows_of_an_earlier_call_are_removed(tmp_path):
    (tmp_path / "losses.csv").write_text("step,loss\n1,0.5\n2,0.25\n3,0.125\n2\n1,2,3\nx,1\n")
    with TrainingLog(tmp_path, 2, writes=True):
        pass
    rows = list(csv.DictReader((tmp_path / "losses.csv").open()))
    assert rows == [{"step": "1", "loss": "0.5"}, {"step": "2", "loss": "0.25"}]


@pytest.mark.parametrize("content", [b"\x00\x01\xff\xfe", b"step,loss\n1,\xff\n"])
def test_a_damaged_log_is_refused_and_kept(tmp_path, content):
    path = tmp_path / "losses.csv"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"OUT004.*losses\.csv"), TrainingLog(tmp_path, 2, writes=True):
        pass
    assert path.read_bytes() == content
