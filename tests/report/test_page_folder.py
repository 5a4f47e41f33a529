"""Folders that a page may replace, and the state after errors."""

import errno
import os
from pathlib import Path

import pytest

from pointsam.base.errors import StoreError
from pointsam.report.page_folder import MARKER, page_folder, require_replaceable

ASSETS = ("three.js", "viewer.js", "page.css")


def write_page(folder, text):
    (folder / "frames").mkdir(parents=True)
    for name in ("000.js", "000-CAM_FRONT.jpg", "000-above.jpg"):
        (folder / "frames" / name).write_text(text)
    for name in ASSETS:
        (folder / name).write_text(text)
    (folder / "index.html").write_text(f"<script>POINTSAM.start({text});</script>")


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(call, *names):
    with pytest.raises(StoreError) as caught:
        call()
    assert caught.value.code == "OUT003"
    for name in names:
        assert str(name) in caught.value.message


def replace(dest, text):
    with page_folder(dest, overwrite=True) as folder:
        write_page(folder, text)


@pytest.fixture
def page(tmp_path):
    replace(tmp_path / "page", "old")
    return tmp_path / "page"


def only(folder, parent):
    return [path.name for path in parent.iterdir()] == [folder.name]


def test_a_page_replaces_a_page(page):
    assert MARKER in contents(page)
    replace(page, "new")
    assert b"new" in (page / "index.html").read_bytes()
    assert only(page, page.parent)


def test_an_empty_folder_is_replaced_and_a_missing_one_is_made(tmp_path):
    (tmp_path / "empty").mkdir()
    replace(tmp_path / "empty", "new")
    replace(tmp_path / "far" / "away", "new")
    assert (tmp_path / "empty" / "index.html").exists()
    assert (tmp_path / "far" / "away" / "index.html").exists()


def test_a_page_of_version_0_1_0_is_replaced(tmp_path):
    write_page(tmp_path / "page", "old")
    replace(tmp_path / "page", "new")
    assert b"new" in (tmp_path / "page" / "index.html").read_bytes()


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_missing_folder_is_accepted(tmp_path, overwrite):
    require_replaceable(tmp_path / "new", overwrite)


def test_a_page_is_kept_without_overwrite(page):
    refused(lambda: require_replaceable(page, overwrite=False), page)


@pytest.mark.parametrize(
    "name", ["chapter.tex", "frames/notes.txt", "frames/000-CAM_BACK.jpg/precious", "index.html.bak", "three.js.d/x"]
)
def test_a_page_that_holds_other_files_is_kept(page, name):
    (page / name).parent.mkdir(exist_ok=True)
    (page / name).write_text("precious")
    before = contents(page)
    refused(lambda: require_replaceable(page, overwrite=True), page, name.partition("/precious")[0].partition("/x")[0])
    refused(lambda: replace(page, "new"), page)
    assert contents(page) == before


@pytest.mark.parametrize("name", ["index.html", "viewer.js"])
def test_a_website_with_a_file_of_the_same_name_is_kept(tmp_path, name):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / name).write_text("<html>mine</html>")
    refused(lambda: require_replaceable(tmp_path / "site", overwrite=True), tmp_path / "site", MARKER)


def test_a_file_is_kept(tmp_path):
    (tmp_path / "page").write_text("precious")
    refused(lambda: require_replaceable(tmp_path / "page", overwrite=True), "a file")


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize(
    ("dest", "relation"), [("source", "is"), ("source/a/page", "lies in"), (".", "contains"), ("link/page", "lies in")]
)
def test_sources_of_the_page_are_kept(tmp_path, dest, relation, overwrite):
    (tmp_path / "source" / "a").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "source")
    call = lambda source: require_replaceable(tmp_path / dest, overwrite, [tmp_path / source])  # noqa: E731
    refused(lambda: call("source"), relation, tmp_path / "source")
    refused(lambda: call("link"), relation, tmp_path / "link")
    require_replaceable(tmp_path / "source-page", overwrite, [tmp_path / "source"])


def test_the_page_behind_a_link_is_replaced_and_the_link_stays(page, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(page)
    replace(link, "new")
    assert link.is_symlink()
    assert b"new" in (page / "index.html").read_bytes()


def test_an_error_while_writing_leaves_the_old_page(page):
    before = contents(page)

    def call():
        with page_folder(page, overwrite=True) as folder:
            write_page(folder, "new")
            raise StoreError("OUT003", "spoilt", "")

    refused(call, "spoilt")
    assert contents(page) == before
    assert only(page, page.parent)


@pytest.mark.parametrize("which", [1, 2])
def test_a_rename_that_fails_leaves_the_old_page(page, monkeypatch, which):
    before, rename, calls = contents(page), Path.rename, []

    def failing(self, target):
        calls.append(target)
        if len(calls) == which:
            raise OSError(errno.EACCES, os.strerror(errno.EACCES), str(self))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    refused(lambda: replace(page, "new"), page.parent)
    assert contents(page) == before
    assert only(page, page.parent)


def test_a_file_written_in_the_meantime_is_kept(page):
    def call():
        with page_folder(page, overwrite=True) as folder:
            write_page(folder, "new")
            (page / "notes.txt").write_text("precious")

    refused(call, "notes.txt")
    assert (page / "notes.txt").read_text() == "precious"
    assert b"old" in (page / "index.html").read_bytes()


def test_the_old_page_is_deleted_last(page, monkeypatch):
    deleted = []
    monkeypatch.setattr("shutil.rmtree", lambda folder, **_: deleted.append((Path(folder), contents(page))))
    replace(page, "new")
    ((work, then),) = deleted
    assert b"new" in then["index.html"]
    assert b"old" in contents(work)["old/index.html"]
