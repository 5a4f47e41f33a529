"""The README's lines of Python run."""

import re
from pathlib import Path

import pytest

README = (Path(__file__).parents[2] / "README.md").read_text()


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
