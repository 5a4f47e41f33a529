"""run.json says where models are from; an equal model from elsewhere continues the run."""

import json
import shutil

import numpy as np
import pytest
from helpers.commands import label

pytest.importorskip("torch", reason="needs pointsam[sam]")
pytest.importorskip("transformers", reason="needs pointsam[hf]")
from helpers.hub_models import save_network
from helpers.hub_segmenters import save_segmenter
from helpers.onnx_models import constant_model

from pointsam.base.digests import sha256_of

COMMIT = "0123456789" * 4
ONE = ("--workers", 1, "--sample", 1)
OPTIONS = (*ONE, "--set", "masks.hf.score_threshold=0.0", "--set", "masks.hf.nms_iou=0.1")


def models_of(out):
    return json.loads((out / "run.json").read_text())["stages"]["masks"].get("models")


def files_of(folder):
    return {path.name: sha256_of(path) for path in folder.iterdir() if path.suffix in (".json", ".safetensors")}


@pytest.fixture
def folders(tmp_path):
    """A segmenter as the hub's cache holds it, and a source of classes without a README."""
    segmenter = save_network("sam2", tmp_path / "hub" / COMMIT)
    (segmenter / "README.md").write_text("---\nlicense: apache-2.0\n---\n# A model\n")
    return segmenter, save_segmenter("maskformer", tmp_path / "classes")


def test_commit_licence_and_digests_are_recorded_and_make_no_other_run(root, folders, tmp_path):
    segmenter, classes = folders
    out = tmp_path / "out"

    def run(segmenter):
        return label("run", root, "--out", out, "--masks", f"hf:{segmenter}", "--semantics", f"hf:{classes}", *OPTIONS)

    done = run(segmenter)
    assert done.exit_code == 0, done.output
    known = {
        "segmenter": [
            {"source": str(segmenter), "commit": COMMIT, "licence": "apache-2.0", "sha256": files_of(segmenter)}
        ],
        "semantics": [{"source": str(classes), "commit": "", "licence": "", "sha256": files_of(classes)}],
    }
    assert models_of(out) == known
    moved = shutil.copytree(segmenter, tmp_path / "copy")
    (moved / "README.md").unlink()
    key = json.loads((out / "run.json").read_text())["stages"]["masks"]["key"]
    again = run(moved)
    assert again.exit_code == 0, again.output
    assert models_of(out) == known
    assert json.loads((out / "run.json").read_text())["stages"]["masks"]["key"] == key


def test_the_licence_of_a_described_network_is_recorded(root, scissors, tmp_path):
    (tmp_path / "m.onnx").write_bytes(constant_model({"out": np.float32([[[1, 1, 9, 9, 0.9]]])}, (1, 3, 64, 64)))
    told = {"model": "m.onnx", "labels": ["car"], "scores": {"columns": [4, 5]}, "licence": "mit"}
    (tmp_path / "net.json").write_text(json.dumps(told))
    (tmp_path / "both.json").write_text(json.dumps({"sources": [{"semantics": "net.json"}, {"semantics": "ssd"}]}))
    known = {
        "source": str(tmp_path / "net.json"),
        "commit": "",
        "licence": "mit",
        "sha256": {"m.onnx": sha256_of(tmp_path / "m.onnx")},
    }
    for name in ("net", "both"):
        done = label("run", root, "--out", tmp_path / name, "--semantics", tmp_path / f"{name}.json", *ONE)
        assert done.exit_code == 0, done.output
        assert models_of(tmp_path / name) == {"semantics": [known]}


def test_a_run_without_such_a_model_records_none(run, tmp_path):
    assert run("--sample", 1).exit_code == 0
    assert models_of(tmp_path / "out") is None
