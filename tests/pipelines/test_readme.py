"""The lines of Python in README and docs run, and the pages hold no notes of their writers."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "pointsam" / "base" / "errors.md"]


def test_the_library_is_used_as_the_readme_says(drive, out, tmp_path, monkeypatch, capsys):
    pytest.importorskip("torch", reason="needs pointsam[sam]")
    text = (ROOT / "README.md").read_text()
    (code,) = (block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "import pointsam" in block)
    (tmp_path / "DATA").symlink_to(drive[0])
    (tmp_path / "OUT").symlink_to(out)
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(code, names)
    printed = capsys.readouterr().out
    assert "('car', " in printed
    assert "PQ" in printed
    assert names["segmenter"].name == "mobile_sam"
    assert len(names["again"]) == len(names["found"].labels)


def test_labels_are_read_as_their_page_says(out, tmp_path, monkeypatch):
    text = (ROOT / "docs" / "labels.md").read_text()
    (code,) = (block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "import pointsam" in block)
    (tmp_path / "OUT").symlink_to(out)
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(code, names)
    assert len(names["frame"].labels)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_holds_no_hidden_comment(page):
    assert "<!--" not in page.read_text()
