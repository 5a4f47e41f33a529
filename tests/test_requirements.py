"""Every package that the code imports is declared in pyproject.toml."""

import ast
import re
import sys
from pathlib import Path

import pytest

import pointsam

tomllib = pytest.importorskip("tomllib" if sys.version_info >= (3, 11) else "tomli")

CHECKOUT = Path(pointsam.__file__).parents[1]
DISTRIBUTIONS = {
    "PIL": "pillow",
    "lzf": "python-neo-lzf",
    "nuscenes": "nuscenes-devkit",
    "rerun": "rerun-sdk",
    "sklearn": "scikit-learn",
    "upath": "universal-pathlib",
    "yaml": "pyyaml",
}
"""Distributions by import name, where the names differ."""


def imported(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module.partition(".")[0]


def declared():
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    return {re.match(r"[\w.-]+", line).group().replace("_", "-") for line in lines}


def test_every_imported_package_is_declared():
    ours = {"pointsam", "pipelines", *sys.stdlib_module_names}
    files = [path for part in ("pointsam", "pipelines") for path in (CHECKOUT / part).rglob("*.py")]
    names = {name for path in files for name in imported(path)}
    missing = {name for name in names - ours if DISTRIBUTIONS.get(name, name.replace("_", "-")) not in declared()}
    assert missing == set()
    assert {"numpy", "torch", "PIL"} <= names
