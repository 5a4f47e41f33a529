"""Which part of the tree may import which (docs/architecture.md)."""

import ast
from pathlib import Path

import pytest

import pipelines
import pointsam

ROOT, PIPELINES = Path(pointsam.__file__).parent, Path(pipelines.__file__).parent

LAYERS = (
    ("base",),
    ("taxonomy", "rle"),
    ("types", "geometry"),
    ("datasets", "masks", "semantics", "store"),
    ("stages",),
    ("calibration", "checks", "evaluate", "report"),
    ("convert", "export", "synth", "detect"),
)
"""Parts of `pointsam`, from the ground up: each imports from the layers below it only."""

TOGETHER = {"types", "geometry"}
"""The one pair that shares a layer: values hold poses, and geometry takes values."""

UNITS = {
    "engine": set(),
    "tasks": set(),
    "data": set(),
    "documents": set(),
    "made_by": {"documents"},
    "stored_masks": {"documents"},
    "poses": set(),
    "remarks": {"documents"},
    "rigs": {"tasks", "stored_masks"},
    "opened": {"data", "documents", "made_by", "stored_masks"},
    "labelling": {"engine", "tasks", "data", "documents", "made_by", "opened", "poses", "remarks", "stored_masks"},
    "review": {"data", "documents", "made_by", "opened", "poses", "remarks", "rigs"},
    "robustness": {"labelling", "tasks", "data", "documents", "opened", "rigs", "stored_masks"},
    "training": {"data", "documents", "opened"},
    "conversion": {"engine", "data"},
    "world": {"engine", "data", "conversion", "opened", "labelling", "review"},
    "cli": {"data", "conversion", "labelling", "review", "robustness", "training", "world"},
    "cli_mixsup": {"cli"},
}
"""Parts of `pipelines`, and the other parts that each may import."""


def imports(path):
    """Dotted names of every import in a file, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def importers(name, folder):
    """Files below `folder` that import the package `name`."""
    return [path for path in folder.rglob("*.py") if any(f"{found}.".startswith(f"{name}.") for found in imports(path))]


def parts_imported(package, root, part):
    """Parts of `package` that one of its parts imports."""
    files = [root / f"{part}.py"] if (root / f"{part}.py").exists() else (root / part).rglob("*.py")
    names = [name.split(".") for path in files for name in imports(path)]
    return {name[1] for name in names if name[0] == package and len(name) > 1 and not name[1].startswith("_")} - {part}


def parts_of(root):
    return {path.stem for path in root.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()} - {
        "__init__"
    }


def test_every_part_has_its_place():
    assert parts_of(ROOT) == {part for layer in LAYERS for part in layer}
    assert parts_of(PIPELINES) == set(UNITS)


@pytest.mark.parametrize(("level", "part"), [(k, part) for k, layer in enumerate(LAYERS) for part in layer])
def test_a_part_of_the_library_imports_what_lies_below_it(level, part):
    below = {name for layer in LAYERS[:level] for name in layer}
    if part in TOGETHER:
        below |= TOGETHER
    assert parts_imported("pointsam", ROOT, part) <= below


@pytest.mark.parametrize("part", UNITS)
def test_a_part_of_the_pipelines_imports_those_that_it_is_built_on(part):
    assert parts_imported("pipelines", PIPELINES, part) <= UNITS[part]


def test_the_library_does_not_know_its_pipelines():
    assert importers("pipelines", ROOT) == []


@pytest.mark.parametrize("part", ["stages", "masks", "semantics"])
def test_the_trainer_knows_labels_through_the_store_only(part):
    assert importers(f"pointsam.{part}", ROOT / "detect") == []


def test_torch_is_imported_by_networks_only():
    """`require_device` asks for a device before a long job."""
    networks = [ROOT / "masks", ROOT / "semantics" / "hf", ROOT / "semantics" / "torchvision", ROOT / "detect"]
    allowed = {*(path for folder in networks for path in importers("torch", folder))}
    allowed |= {ROOT / "base" / name for name in ("runtime.py", "hub_models.py", "tensors.py")}
    assert {*importers("torch", ROOT), *importers("torch", PIPELINES)} <= allowed


@pytest.mark.parametrize("folder", [ROOT, PIPELINES, ROOT.parent / "tests", ROOT.parent / "scripts"])
def test_open3d_is_imported_in_one_place(folder):
    """A plain import fails on a machine without the system's libusb."""
    assert importers("open3d", folder) == [path for path in [ROOT / "base" / "open3d_loader.py"] if folder == ROOT]


def test_the_probe_sees_an_import():
    assert ROOT / "masks" / "checkpoint.py" in importers("torch", ROOT / "masks")
    assert "masks" in parts_imported("pointsam", ROOT, "stages")
