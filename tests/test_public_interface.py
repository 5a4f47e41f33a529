"""What `import pointsam` offers."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import pointsam

PUBLIC = (
    "BackendError",
    "CalibrationError",
    "ClassSpec",
    "DatasetError",
    "Labels",
    "PluginError",
    "PointSamError",
    "RefineConfig",
    "SchemaError",
    "StoreError",
    "Taxonomy",
    "__version__",
    "evaluate_labels",
    "load_segmenter",
    "open_dataset",
    "read_frame_points",
    "refine",
)


def test_the_public_names_are_these():
    assert tuple(dir(pointsam)) == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_resolves(name):
    assert getattr(pointsam, name) is getattr(pointsam, name)


def test_an_unknown_name_is_refused_as_by_any_module():
    with pytest.raises(AttributeError, match="'pointsam' has no attribute 'segment'"):
        _ = pointsam.segment


def test_type_checkers_see_the_same_names():
    tree = ast.parse(Path(pointsam.__file__).read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {(alias.asname, node.module) for node in block.body for alias in node.names}
    assert seen == set(pointsam._HOME.items())


def test_the_import_costs_no_package():
    done = subprocess.run(
        [sys.executable, "-c", "import sys, pointsam; print([m for m in sys.modules if m.startswith('pointsam')])"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "['pointsam']"


def test_the_readme_names_only_what_is_public():
    text = (Path(__file__).parents[1] / "README.md").read_text()
    used = set(re.findall(r"\bpointsam\.(\w+)", "".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))))
    assert used <= set(PUBLIC)
    assert len(used) >= 4
