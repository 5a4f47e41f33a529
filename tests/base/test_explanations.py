"""Every error code has an explanation, and every explanation a code."""

import ast
import re
from pathlib import Path

import pytest
from helpers.commands import label, refused

import pipelines
import pointsam
from pointsam.base.errors import SchemaError
from pointsam.base.explanations import explain, titles

CODE = re.compile(r"[A-Z]{3}\d{3}")


def raised():
    """Codes in the source, as whole strings."""
    for package in (pointsam, pipelines):
        for path in Path(package.__file__).parent.rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and CODE.fullmatch(node.value):
                    yield node.value


def test_every_code_has_its_explanation():
    assert set(titles()) == set(raised())


def test_a_code_is_found_in_any_case():
    assert explain("dat004") == explain("DAT004")
    assert explain("DAT004").startswith("DAT004 A file is missing or cannot be read\n\n")
    assert "--retry-failed" in explain("DAT004")


def test_an_unknown_code_names_those_that_exist():
    with pytest.raises(SchemaError, match="DAT999") as caught:
        explain("DAT999")
    assert "DAT001" in caught.value.hint


def test_the_command_prints_one_code_or_lists_all():
    assert label("explain", "OUT002").output.startswith("OUT002 The disk is full")
    listed = label("explain").output.splitlines()
    assert listed[0].startswith("DAT001  A folder is missing")
    assert listed[len(titles())] == ""  # the rules of `check` follow
    refused(label("explain", "OUT999"), "SCH005", "OUT999")


def test_an_error_names_the_command_that_explains_it(tmp_path):
    refused(label("inspect", tmp_path, "0"), "OUT004", "pointsam-label explain OUT004")
