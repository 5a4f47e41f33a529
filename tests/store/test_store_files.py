import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pointsam.base import files, locks
from pointsam.base.errors import StoreError
from pointsam.base.remote import FileSource
from pointsam.store.layout import read_plan


@pytest.mark.parametrize("name", ["a.parquet", "é" * 125 + "x", "a\nb"])
def test_a_temporary_file_is_hidden_beside_its_path_under_a_new_name(tmp_path, name):
    made = {files.temporary_of(tmp_path / name) for _ in range(2)}
    assert len(made) == 2
    for path in made:
        assert path.parent == tmp_path
        assert path.name.startswith(f".{name[:2]}")
        path.touch()  # it is not too long
        files.remove_temporary(path)
        assert not path.exists()


def test_a_temporary_file_can_be_named_in_a_locale_of_ascii(tmp_path):
    program = (
        "import os, pathlib, sys; from pointsam.base.files import write_together;"
        "write_together([(pathlib.Path(sys.argv[1]), b'')])"
    )
    path = tmp_path / "pagé"
    settings = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    subprocess.run([sys.executable, "-c", program, str(path)], env=settings, check=True)
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_but_temporary_files_is_removed(tmp_path):
    (tmp_path / ".thesis.tmp").touch()
    with pytest.raises(ValueError, match="not a temporary"):
        files.remove_temporary(tmp_path / ".thesis.tmp")


def test_a_folder_is_removed_and_a_link_to_one_is_not_followed(tmp_path):
    folder, link = files.temporary_of(tmp_path / "page"), files.temporary_of(tmp_path / "page")
    (folder / "new").mkdir(parents=True)
    (tmp_path / "data").mkdir()
    link.symlink_to(tmp_path / "data")
    for path in (folder, link):
        files.remove_temporary(path)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


DEAD = 2**22 + 1  # above the kernel's largest process id
OLD = (0, 0)


@pytest.mark.parametrize(
    ("machine", "process", "times", "removed"),
    [
        ("ours", DEAD, None, True),
        ("ours", None, OLD, False),
        ("ours", 1, OLD, False),
        ("0" * 12, DEAD, None, False),
        ("0" * 12, DEAD, OLD, True),
    ],
)
def test_a_writer_removes_what_surely_dead_processes_left(tmp_path, machine, process, times, removed):
    mine = files.temporary_of(tmp_path / "a").name
    ours = mine.split(".")[2].split("-")[0]
    process = os.getpid() if process is None else process
    left = tmp_path / mine.replace(f"{ours}-{os.getpid()}", f"{ours if machine == 'ours' else machine}-{process}")
    left.touch()
    if times:
        os.utime(left, times)
    files.write_together([(tmp_path / "b", b"1")])
    assert left.exists() != removed


def test_a_file_written_in_pieces_is_there_when_the_block_ends(tmp_path):
    (tmp_path / "a").write_text("old")
    with files.replacing(tmp_path / "a") as temporary:
        temporary.write_text("new")
        assert (tmp_path / "a").read_text() == "old"
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a", "new")]


def test_an_error_in_the_block_leaves_the_old_file_and_nothing_else(tmp_path):
    (tmp_path / "a").write_text("old")

    def write():
        with files.replacing(tmp_path / "a") as temporary:
            temporary.write_text("torn")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OSError, match="No space"):
        write()
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a", "old")]


@pytest.mark.parametrize(("there", "overwrite", "refused"), [(1, 0, 1), (1, 1, 0), (0, 0, 0), (0, 1, 0)])
def test_what_is_there_is_replaced_only_when_asked_for(tmp_path, there, overwrite, refused):
    path = tmp_path / "report"
    if there:
        path.mkdir()
    if refused:
        with pytest.raises(StoreError, match=r"OUT003.*report already exists"):
            files.require_free(path, bool(overwrite), folder=True)
    else:
        files.require_free(path, bool(overwrite), folder=True)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_file_does_not_replace_a_folder(tmp_path, overwrite):
    with pytest.raises(StoreError, match=r"OUT003.* is a folder(.|\n)*name of a file"):
        files.require_free(tmp_path, overwrite)


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (errno.ENOSPC, r"OUT002.*needs 12,345 bytes more, [\d,]+ are free"),
        (errno.EDQUOT, "OUT002.*needs 12,345 bytes more"),
        (errno.EACCES, "OUT003.*cannot write in .*missing: Permission denied"),
    ],
)
def test_a_refusal_to_write_names_the_way_out(tmp_path, number, says):
    with pytest.raises(StoreError, match=says), files.store_errors(tmp_path / "missing", 12_345):
        raise OSError(number, os.strerror(number), "file")


@pytest.mark.parametrize(("number", "passes"), [(errno.EINVAL, True), (errno.EIO, False)])
def test_a_folder_that_cannot_be_synced_is_no_error_and_a_broken_disk_is(tmp_path, monkeypatch, number, passes):
    def sync(descriptor):
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files.os, "fsync", sync)
    if passes:
        files.write_together([(tmp_path / "deep" / "a", b"1"), (tmp_path / "b", b"2")])
        assert (tmp_path / "deep" / "a").read_bytes() + (tmp_path / "b").read_bytes() == b"12"
    else:
        with pytest.raises(StoreError, match="OUT003"):
            files.write_together([(tmp_path / "a", b"1")])


def test_a_claim_makes_the_folder_and_lets_it_go(tmp_path):
    for _ in range(2):
        with locks.claimed(tmp_path / "a" / "b"):
            assert (tmp_path / "a" / "b").is_dir()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_or_device_is_never_replaced_by_a_file(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/pointsam-test")):
        with pytest.raises(StoreError, match="cannot take the place of a device, pipe or socket") as raised:
            files.write_together([(tmp_path / "page.md", b""), (path, b"")])
        assert raised.value.code == "OUT003"
        with pytest.raises(OSError, match="device"), files.replacing(path):
            pass
    assert list(tmp_path.iterdir()) == [pipe]
    assert pipe.is_fifo()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_in_place_of_a_manifest_or_a_2d_result_is_refused(tmp_path):
    (tmp_path / "manifest").mkdir()
    pipe = tmp_path / "manifest" / "masks.json"
    os.mkfifo(pipe)
    for read in (lambda: read_plan(tmp_path, "masks"), FileSource(pipe).open):
        with pytest.raises(OSError, match="pipe"):
            read()
