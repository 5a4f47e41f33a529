import errno
import hashlib
import os
import shutil

import pytest
from helpers.server import served
from tqdm import tqdm

from pointsam.base.cache import cache_dir
from pointsam.base.errors import BackendError, SchemaError, StoreError
from pointsam.masks import weight_files, weights
from pointsam.masks.weights import WeightFile

CONTENT = b"weights" * 1000


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A small file published by this machine."""
    source = tmp_path / "server" / "tiny.pth"
    source.parent.mkdir()
    source.write_bytes(CONTENT)
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("POINTSAM_CACHE", str(tmp_path / "cache"))
    with served(source.parent) as url:
        yield WeightFile("tiny", "tiny.pth", f"{url}/tiny.pth", hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))


@pytest.fixture
def server(tmp_path):
    """The published file."""
    return tmp_path / "server" / "tiny.pth"


def leftovers():
    return [path for path in cache_dir("weights").iterdir() if path.name != "tiny.pth"]


def test_the_embedded_weights_are_the_ones_that_the_plug_in_states():
    (file,) = weight_files("mobile_sam")
    assert weights.verify(file) == file.sha256
    assert file.path.stat().st_size == file.num_bytes


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(SchemaError, match="SCH005") as caught:
        weight_files("sam_vit_x")
    assert "sam_vit_h" in caught.value.hint


def test_missing_weights_name_the_command_and_the_address(tmp_path, monkeypatch):
    monkeypatch.setenv("POINTSAM_CACHE", str(tmp_path))
    with pytest.raises(BackendError, match="BCK001") as caught:
        weights.verify(weight_files("sam_vit_h")[0])
    assert "pointsam-label weights get sam_vit_h" in caught.value.hint
    assert "https://dl.fbaipublicfiles.com/segment_anything/sam_vit_h_4b8939.pth, 2565 MB" in caught.value.hint


def test_a_file_that_differs_is_refused(published):
    weights.get(published).write_bytes(b"something else")
    with pytest.raises(BackendError, match="BCK002"):
        weights.verify(published)


def test_a_download_arrives_whole_verified_and_without_leftovers(published):
    with tqdm(total=1, disable=None) as bar:
        path = weights.get(published, bar)
    assert path.read_bytes() == CONTENT
    assert bar.total == len(CONTENT)
    assert leftovers() == []


def test_a_good_copy_is_not_fetched_again(published, server):
    weights.get(published)
    server.unlink()
    assert weights.get(published).read_bytes() == CONTENT


def test_a_bad_copy_is_replaced(published):
    weights.get(published).write_bytes(b"cut")
    assert weights.get(published).read_bytes() == CONTENT


def test_a_download_of_another_file_is_thrown_away(published, server):
    server.write_bytes(b"not what was published")
    with pytest.raises(BackendError, match="BCK002"):
        weights.get(published)
    assert list(cache_dir("weights").iterdir()) == []


def test_offline_says_where_to_put_a_copy(published, server):
    server.unlink()
    with pytest.raises(BackendError, match="BCK001") as caught:
        weights.get(published)
    assert str(published.path) in caught.value.hint
    assert list(cache_dir("weights").iterdir()) == []


def test_a_full_disk_leaves_nothing_behind(published, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(shutil, "move", full)
    with pytest.raises(StoreError, match="OUT002"):
        weights.get(published)
    assert list(cache_dir("weights").iterdir()) == []


def test_a_cache_that_cannot_be_made_is_named(published, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("POINTSAM_CACHE", str(tmp_path / "file"))
    with pytest.raises(StoreError, match="OUT003") as caught:
        weights.get(published)
    assert "POINTSAM_CACHE" in caught.value.hint
