"""Batches on their way to the device."""

import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from torch.utils.data._utils.pin_memory import pin_memory  # noqa: E402

from pointsam.detect.data.loader import Item  # noqa: E402
from pointsam.detect.detector import Batch  # noqa: E402


def test_the_loader_pins_the_points_of_a_batch(monkeypatch):
    """Torch pins what has a method of this name, and nothing else of a type of ours."""
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda points: points + 1)
    item = pin_memory(Item(Batch(("frame",), (torch.zeros(2, 5),), (2,)), (("bad", "torn"),)))
    assert (item.batch.points[0] == 1).all()
    assert item.bad == (("bad", "torn"),)
    assert pin_memory(Item(None)).batch is None
