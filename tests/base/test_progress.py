"""What long work says of itself."""

import time

import pytest

from pointsam.base import progress
from pointsam.base.progress import announced


def test_only_work_that_takes_long_is_announced(monkeypatch, capsys):
    monkeypatch.setattr(progress, "_SILENT_SECONDS", 0.05)
    with announced("listing the frames"):
        time.sleep(0.2)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "listing the frames ...\n")
    monkeypatch.setattr(progress, "_SILENT_SECONDS", 5.0)
    with pytest.raises(ValueError, match="bad"), announced("nothing"):
        raise ValueError("bad")
    assert capsys.readouterr().err == ""
