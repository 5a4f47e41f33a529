import errno
import hashlib
import os
import shutil
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from tqdm import tqdm

from pointsam.base.cache import cache_dir
from pointsam.base.errors import BackendError, SchemaError, StoreError
from pointsam.masks import weights
from pointsam.masks.weights import WeightFile

CONTENT = b"weights" * 1000


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A small file published by this machine, in place of the real table."""
    source = tmp_path / "server" / "tiny.pth"
    source.parent.mkdir()
    source.write_bytes(CONTENT)
    monkeypatch.setenv("NO_PROXY", "*")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=source.parent))
    url = f"http://127.0.0.1:{server.server_port}/tiny.pth"
    entry = WeightFile("tiny", "tiny.pth", url, hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))
    monkeypatch.setattr(weights, "WEIGHTS", {"tiny": entry})
    monkeypatch.setenv("POINTSAM_CACHE", str(tmp_path / "cache"))
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
    yield source
    server.shutdown()
    server.server_close()


def leftovers():
    return [path for path in cache_dir("weights").iterdir() if path.name != "tiny.pth"]


def test_the_embedded_weights_are_the_ones_the_table_states():
    assert weights.verify("mobile_sam") == weights.WEIGHTS["mobile_sam"].sha256
    assert weights.local_path("mobile_sam").stat().st_size == weights.WEIGHTS["mobile_sam"].num_bytes


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(SchemaError, match="SCH005") as caught:
        weights.local_path("sam_vit_x")
    assert "sam_vit_h" in caught.value.hint


def test_missing_weights_name_the_command_and_the_address(tmp_path, monkeypatch):
    monkeypatch.setenv("POINTSAM_CACHE", str(tmp_path))
    with pytest.raises(BackendError, match="BCK001") as caught:
        weights.verify("sam_vit_h")
    assert "pointsam-label weights get sam_vit_h" in caught.value.hint
    assert "https://dl.fbaipublicfiles.com/segment_anything/sam_vit_h_4b8939.pth" in caught.value.hint


def test_a_file_that_differs_is_refused(published):
    weights.get("tiny").write_bytes(b"something else")
    with pytest.raises(BackendError, match="BCK002"):
        weights.verify("tiny")


def test_a_download_arrives_whole_verified_and_without_leftovers(published):
    with tqdm(total=1, disable=None) as bar:
        path = weights.get("tiny", bar)
    assert path.read_bytes() == CONTENT
    assert bar.total == len(CONTENT)
    assert leftovers() == []


def test_a_good_copy_is_not_fetched_again(published):
    weights.get("tiny")
    published.unlink()
    assert weights.get("tiny").read_bytes() == CONTENT


def test_a_bad_copy_is_replaced(published):
    weights.get("tiny").write_bytes(b"cut")
    assert weights.get("tiny").read_bytes() == CONTENT


def test_a_download_of_another_file_is_thrown_away(published):
    published.write_bytes(b"not what was published")
    with pytest.raises(BackendError, match="BCK002"):
        weights.get("tiny")
    assert list(cache_dir("weights").iterdir()) == []


def test_offline_says_where_to_put_a_copy(published):
    published.unlink()
    with pytest.raises(BackendError, match="BCK001") as caught:
        weights.get("tiny")
    assert str(weights.local_path("tiny")) in caught.value.hint
    assert list(cache_dir("weights").iterdir()) == []


def test_a_full_disk_leaves_nothing_behind(published, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(shutil, "move", full)
    with pytest.raises(StoreError, match="OUT002"):
        weights.get("tiny")
    assert list(cache_dir("weights").iterdir()) == []


def test_a_cache_that_cannot_be_made_is_named(published, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("POINTSAM_CACHE", str(tmp_path / "file"))
    with pytest.raises(StoreError, match="OUT003") as caught:
        weights.get("tiny")
    assert "POINTSAM_CACHE" in caught.value.hint
