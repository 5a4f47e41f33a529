"""Which part of the tree may import which (CONTRIBUTING.md, "How the house is built")."""

import ast
from pathlib import Path

import pytest

import pointsam

ROOT = Path(pointsam.__file__).parent
TESTS = Path(__file__).parent
SIBLINGS = ("datasets", "masks", "semantics")


def imports(path):
    """Dotted names of every import in a file, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def importers(name, folder):
    """Files below `folder` that import the package `name`."""
    files = ROOT.joinpath(folder).rglob("*.py")
    return [path for path in files if any(f"{found}.".startswith(f"{name}.") for found in imports(path))]


@pytest.mark.parametrize(("one", "other"), [(a, b) for a in SIBLINGS for b in SIBLINGS if a != b])
def test_siblings_do_not_import_each_other(one, other):
    assert importers(f"pointsam.{other}", one) == []


@pytest.mark.parametrize("above", ["pointsam.stages", "pointsam.store", "pointsam.report", "pipelines"])
@pytest.mark.parametrize("below", ["geometry", "stages"])
def test_geometry_and_stages_import_nothing_above_them(below, above):
    assert above == f"pointsam.{below}" or importers(above, below) == []


@pytest.mark.parametrize("folder", ["", "../pipelines"])
def test_torch_is_imported_in_masks_and_detect_only(folder):
    assert set(importers("torch", folder)) <= {*importers("torch", "masks"), *importers("torch", "detect")}


def test_the_world_is_imported_by_no_other_part():
    assert all("synth" in path.relative_to(ROOT).parts for path in importers("pointsam.synth", ""))


@pytest.mark.parametrize("folder", [ROOT, ROOT.parent / "pipelines", TESTS, TESTS.parent / "scripts"])
def test_open3d_is_imported_in_one_place(folder):
    """A plain import fails on a machine without the system's libusb."""
    assert importers("open3d", folder) == [path for path in [ROOT / "open3d_loader.py"] if folder == ROOT]


def test_the_probe_sees_an_import():
    assert ROOT / "masks" / "checkpoint.py" in importers("torch", "masks")
