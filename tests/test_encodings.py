"""Text files are UTF-8 on every machine, whatever its locale."""

import ast
from pathlib import Path

import pytest

import pointsam

CHECKOUT = Path(pointsam.__file__).parents[1]


def without_encoding(source):
    """Lines that read or write text in the encoding of the locale."""
    return [node.lineno for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call) and by_locale(node)]


def by_locale(call):
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    given = {keyword.arg for keyword in call.keywords}
    modes = [arg.value for arg in call.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
    text_mode = "newline" in given or any(set(mode) <= set("rwxat+") for mode in modes)
    return (name in ("read_text", "write_text") or (name == "open" and text_mode)) and "encoding" not in given


@pytest.mark.parametrize("folder", ["pointsam", "pipelines", "scripts"])
def test_text_is_read_and_written_as_utf_8(folder):
    found = {path: without_encoding(path.read_text(encoding="utf-8")) for path in (CHECKOUT / folder).rglob("*.py")}
    assert found
    assert {path: lines for path, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("path.read_text()", [1]),
        ("\npath.write_text(text)", [2]),
        ("open(path, 'w')", [1]),
        ("path.open('a', newline='')", [1]),
        ("path.open(newline='')", [1]),
        ("path.open('wb')", []),
        ("path.read_text(encoding='utf-8')", []),
        ("path.open('w', encoding='utf-8')", []),
        ("dataset.open()", []),
        ("Image.open(stream)", []),
    ],
)
def test_the_probe_sees_text_without_an_encoding(source, lines):
    assert without_encoding(source) == lines
