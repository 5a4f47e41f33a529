"""Importing the library and printing help load numpy but no networks."""

import subprocess
import sys

import pytest

HEAVY = (
    "torch",
    "open3d",
    "nuscenes",
    "onnxruntime",
    "timm",
    "segment_anything",
    "sklearn",
    "matplotlib",
    "pooch",
    "jinja2",
)
PROBE = "import sys; {code}; sys.exit(' '.join(sorted(set({heavy!r}) & set(sys.modules))) or 0)"


def loaded(code):
    """Names of HEAVY packages that are loaded after `code`."""
    done = subprocess.run(
        (sys.executable, "-c", PROBE.format(code=code, heavy=HEAVY)), capture_output=True, text=True, check=False
    )
    return done.stderr.split()


def test_importing_the_library_loads_no_network():
    assert loaded("import pointsam, pointsam.types, pointsam.datasets, pointsam.masks, pointsam.semantics") == []


@pytest.mark.parametrize("command", ["", "run", "inspect", "eval", "export", "weights", "synth", "demo"])
def test_help_loads_no_network(command):
    arguments = [*command.split(), "--help"]
    assert loaded(f"from pipelines.cli.label import main; main({arguments!r}, standalone_mode=False)") == []


def test_the_probe_sees_a_loaded_package():
    pytest.importorskip("onnxruntime")
    assert loaded("import onnxruntime") == ["onnxruntime"]
