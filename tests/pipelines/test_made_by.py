import pytest

from pipelines.made_by import _packages
from pointsam.base.plugins import plugins

NETWORKS = [
    one.name
    for one in plugins("semantics")
    if one.entry.value.startswith("pointsam.") and one.name not in ("oracle", "precomputed")
]


RUN_ON = {
    **{name: {"onnxruntime"} for name in ("bundled", "nanodet", "onnx", "ssd")},
    "fusion": {"onnxruntime", "timm", "torch", "torchvision", "transformers"},
    "hf": {"timm", "torch", "torchvision", "transformers"},
    "torchvision": {"torch", "torchvision"},
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_run_records_what_our_detectors_run_on(name):
    assert _packages("semantics", name) == RUN_ON[name]


def test_all_detectors_of_the_package_are_compared():
    assert set(NETWORKS) == RUN_ON.keys()
