"""The lines of Python in README and docs run, and the pages hold no notes of their writers."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "pointsam" / "base" / "errors.md"]


def run_block(text, marker):
    """Names that the block of Python with the marker leaves behind."""
    (code,) = (block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if marker in block)
    names = {}
    exec(code, names)
    return names


@pytest.fixture
def folders(drive, out, tmp_path, monkeypatch):
    """The working folder of the examples: DATA and OUT."""
    (tmp_path / "DATA").symlink_to(drive[0])
    (tmp_path / "OUT").symlink_to(out)
    monkeypatch.chdir(tmp_path)


def test_the_library_is_used_as_the_readme_says(folders, capsys):
    pytest.importorskip("torch", reason="needs pointsam[sam]")
    names = run_block(README, "import pointsam")
    printed = capsys.readouterr().out
    assert "('car', " in printed
    assert "PQ" in printed
    assert names["segmenter"].name == "mobile_sam"
    assert len(names["again"]) == len(names["found"].labels)


def test_tables_are_read_as_the_readme_says(folders, capsys):
    clusters = run_block(README, "pyarrow.dataset")["clusters"]
    assert {"car", "pedestrian"} == set(clusters["class_name"].to_pylist())
    assert "'class_name': 'car'" in capsys.readouterr().out


def test_labels_are_read_as_their_page_says(folders):
    names = run_block((ROOT / "docs" / "labels.md").read_text(), "import pointsam")
    assert len(names["frame"].labels)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_holds_no_hidden_comment(page):
    assert "<!--" not in page.read_text()
