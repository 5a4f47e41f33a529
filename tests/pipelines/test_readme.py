"""The lines of Python in README and docs run, and the pages hold no notes of their writers."""

import importlib
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


@pytest.fixture
def run_docs(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    return importlib.import_module("run_docs")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_in_sentences_name_commands_and_options_that_exist(run_docs, page):
    assert run_docs.inline_problems(str(page.relative_to(ROOT))) == []


def test_an_unknown_command_or_option_in_a_sentence_is_found(run_docs, tmp_path, monkeypatch):
    (tmp_path / "page.md").write_text(
        "`pointsam-label run DATA --no-sar`, `pointsam-label draw OUT` and\n`mixsup-train fit RECIPE\n--boxes 3`"
    )
    monkeypatch.setattr(run_docs, "ROOT", tmp_path)
    draw, boxes = run_docs.inline_problems("page.md")
    assert draw.endswith("`pointsam-label draw OUT`: no command draw")
    assert boxes.endswith("no option --boxes")


def test_commands_of_blocks_get_values_and_a_smaller_size(run_docs, tmp_path, monkeypatch):
    lines = [
        "```",
        "pointsam-label synth world --scenes 10      # 400 key frames",
        "pointsam-label export OUT DATA --to FORMAT \\",
        "    --dest DIR [--eval-set train]",
        "make test",
        "```",
    ]
    (tmp_path / "page.md").write_text("\n".join(lines))
    monkeypatch.setattr(run_docs, "ROOT", tmp_path)
    (chain,) = run_docs.chains("page.md")
    synth, export = (run_docs.smaller(line) for line in chain)
    assert synth.startswith("pointsam-label synth world --scenes 10 --scenes 3")
    assert export == "pointsam-label export OUT world --to coco --dest DIR"
