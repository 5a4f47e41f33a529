import errno
import os
from pathlib import Path

import pytest

from pointsam.base.cache import cache_dir, cache_error


def test_environment_variables_set_the_place_of_the_cache(tmp_path, monkeypatch):
    monkeypatch.delenv("POINTSAM_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_dir("weights") == tmp_path / "home" / ".cache" / "pointsam" / "weights"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_dir("weights") == tmp_path / "xdg" / "pointsam" / "weights"
    monkeypatch.setenv("POINTSAM_CACHE", str(tmp_path / "own"))
    assert cache_dir("weights") == tmp_path / "own" / "pointsam" / "weights"


@pytest.mark.parametrize(
    ("number", "code"),
    [(errno.ENOSPC, "OUT002"), (errno.EDQUOT, "OUT002"), (errno.EACCES, "OUT003"), (errno.EROFS, "OUT003")],
)
def test_a_cache_that_cannot_be_written_is_named_with_a_hint(number, code):
    error = cache_error(Path("there"), OSError(number, os.strerror(number)))
    assert error.code == code
    assert "there" in error.message
    assert os.strerror(number) in error.message
    assert "POINTSAM_CACHE" in error.hint


def test_a_cache_of_version_0_1_0_is_found(tmp_path, monkeypatch):
    monkeypatch.delenv("POINTSAM_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("pointsam.base.cache.user_cache_path", lambda name, appauthor: tmp_path / "system" / name)
    assert cache_dir("weights") == tmp_path / "system" / "pointsam" / "weights"
    (tmp_path / ".cache" / "pointsam" / "weights").mkdir(parents=True)
    assert cache_dir("weights") == tmp_path / ".cache" / "pointsam" / "weights"
