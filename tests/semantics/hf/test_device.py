"""Networks of transformers on a simulated CUDA device: all tensors reach it, and the answers come back."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs pointsam[sam]")
transformers = pytest.importorskip("transformers", reason="needs pointsam[hf]")
from helpers.hub_asked import ASKED, save_asked  # noqa: E402
from helpers.hub_detectors import save_detector  # noqa: E402
from helpers.hub_segmenters import save_segmenter  # noqa: E402

from pointsam.base.hub import hub_model  # noqa: E402
from pointsam.base.hub_models import open_model  # noqa: E402
from pointsam.semantics.hf.answers import Runner  # noqa: E402
from pointsam.semantics.hf.closed import CLOSED, ClosedDetector  # noqa: E402
from pointsam.semantics.hf.maps import MAPS, MapDetector  # noqa: E402
from pointsam.semantics.hf.plugin import ASKED as TYPES  # noqa: E402
from pointsam.semantics.hf.universal import UNIVERSAL, UniversalDetector  # noqa: E402
from tests.semantics.hf.test_closed import WIDE, picture  # noqa: E402

PHRASES = ("car", "van", "bus")
KINDS = ("detr", "rt_detr", "maskformer", "segformer", "grounding-dino", "owlv2", "sam3")
OWN = {kind: one.class_name for kind, one in CLOSED.items()} | dict(UNIVERSAL) | dict(MAPS)


def opened(kind, folder):
    """A model on the CPU with its processor, and a function that makes the detector of both on a device."""
    asked = kind in ASKED
    save = save_asked if asked else save_detector if kind in CLOSED else save_segmenter
    save(kind, folder)
    class_name = TYPES[kind].class_name if asked else OWN[kind]
    processor = "AutoProcessor" if asked else "AutoImageProcessor"
    found = open_model(hub_model(folder), folder, class_name, processor, "cpu", 1)

    def on(device):
        runner = Runner(found[0].to(device), found[1], torch.device(device), "float32", 0.0)
        if asked:
            return TYPES[kind].detector(runner, PHRASES, folder)
        names = tuple(json.loads((folder / "config.json").read_text())["id2label"].values())
        if kind in CLOSED:
            return ClosedDetector(runner, names, CLOSED[kind].no_object, folder)
        if kind in UNIVERSAL:
            return UniversalDetector(runner, names, "instance", folder)
        return MapDetector(runner, names, queries=False, source=folder)

    return on


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """For each kind, the function of `opened` and the answer on the CPU, made before the device takes torch's place."""
    root = tmp_path_factory.mktemp("device")
    made = {kind: opened(kind, root / kind) for kind in KINDS}
    return {kind: (on, on("cpu").look(picture(WIDE))) for kind, on in made.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_a_device_gives_the_answer_of_the_cpu(expected, kind, device, monkeypatch):
    on, cpu = expected[kind]
    monkeypatch.setattr(torch, "inference_mode", torch.no_grad)  # the simulated device has no inference tensors
    found = on("cuda").look(picture(WIDE))
    assert type(found.boxes) is type(found.scores) is np.ndarray
    np.testing.assert_allclose(found.scores, cpu.scores, atol=1e-3)
    np.testing.assert_allclose(found.boxes, cpu.boxes, atol=0.1)
    if cpu.masks is not None:
        assert (found.masks(0) == cpu.masks(0)).mean() > 0.99
