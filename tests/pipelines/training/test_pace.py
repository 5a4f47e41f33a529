"""How long a step takes."""

import pytest

pytest.importorskip("torch", reason="needs torch")

from pipelines.training import pace
from pipelines.training.pace import Pace


@pytest.mark.parametrize(
    ("readers", "on_gpu", "cores", "seconds"),
    [
        (0, False, 8, 5.0),  # one after the other
        (1, False, 8, 4.0),  # beside each other: the longer one
        (4, False, 8, 1.0),
        (4, True, 8, 1.0),
        (4, False, 1, 5.0),  # a core does all of it
        (4, True, 2, 2.0),
    ],
)
def test_readers_work_beside_the_network(readers, on_gpu, cores, seconds, monkeypatch):
    monkeypatch.setattr(pace, "cores", lambda: cores)
    assert Pace(4.0, 1.0, 100.0, on_gpu).step_s(readers) == pytest.approx(seconds)
