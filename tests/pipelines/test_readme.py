"""The README's lines of Python run."""

import re
from pathlib import Path

import pytest


def test_the_library_is_used_as_the_readme_says(drive, out, tmp_path, monkeypatch, capsys):
    pytest.importorskip("torch", reason="needs pointsam[sam]")
    text = (Path(__file__).parents[2] / "README.md").read_text()
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
