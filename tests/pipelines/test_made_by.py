import pytest

from pipelines.made_by import _packages
from pointsam.base.plugins import plugins

NETWORKS = [
    one.name
    for one in plugins("semantics")
    if one.entry.value.startswith("pointsam.") and one.name not in ("oracle", "precomputed")
]


@pytest.mark.parametrize("name", NETWORKS)
def test_a_run_records_what_our_detectors_run_on(name):
    torch = {"timm", "torch", "torchvision", "transformers"}
    others = {"hf": torch, "fusion": {"onnxruntime", *torch}}
    assert _packages("semantics", name) == others.get(name, {"onnxruntime"})


def test_all_detectors_of_the_package_are_compared():
    assert set(NETWORKS) == {"bundled", "fusion", "hf", "nanodet", "onnx", "ssd"}
