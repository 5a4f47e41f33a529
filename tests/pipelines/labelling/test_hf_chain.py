"""The commands of docs/classes_hf.md: networks of transformers are tried, label, and their runs can go on."""

import json
import shutil

import pytest
from helpers.commands import label, refused

pytest.importorskip("torch", reason="needs pointsam[sam]")
pytest.importorskip("transformers", reason="needs pointsam[hf]")
from helpers.hub_asked import save_asked
from helpers.hub_detectors import save_detector
from helpers.hub_segmenters import save_segmenter

from pointsam.semantics import semantics_sha256
from pointsam.store.reader import Labels

OPTIONS = ("--set", "masks.hf.score_threshold=0.0", "--set", "masks.hf.nms_iou=0.1")


@pytest.fixture
def images(root):
    return sorted((root / "samples" / "CAM_FRONT").glob("*.jpg"))[:1]


@pytest.fixture
def detector(tmp_path):
    return save_detector("yolos", tmp_path / "yolos")


@pytest.fixture
def prompts(tmp_path):
    save_asked("owlv2", tmp_path / "owlv2")
    asked = {"source": "owlv2", "prompts": {"traffic_cone": ["cone"], "barrier": ["barrier"], "car": ["car", "van"]}}
    (tmp_path / "prompts.json").write_text(json.dumps(asked))
    return tmp_path / "prompts.json"


def run(root, out, network, *more):
    return label("run", root, "--out", out, "--semantics", network, "--workers", 1, "--sample", 1, *OPTIONS, *more)


def classes_found(out):
    labels = Labels(out)
    rows = labels.masks(labels.frame_ids()[0]).values()
    return {labels.taxonomy.names[k] for row in rows for k in row.detections.class_id}


def test_a_detector_is_tried_and_labels_and_goes_on(root, scissors, detector, images, tmp_path):
    tried = label("try-2d", f"hf:{detector}", *images, "--dest", tmp_path / "tried", *OPTIONS)
    assert tried.exit_code == 0, tried.output
    rows = {tuple(line.split()[:2]) for line in tried.stdout.splitlines()[2:]}
    assert {("person", "pedestrian"), ("car", "car"), ("truck", "truck")} <= rows
    out = tmp_path / "out"
    done = run(root, out, f"hf:{detector}")
    assert done.exit_code == 0, done.output
    assert classes_found(out) <= {"pedestrian", "car", "truck"}
    assert semantics_sha256("hf", detector) in (out / "run.json").read_text()
    moved = shutil.move(detector, tmp_path / "moved")
    assert run(root, out, f"hf:{moved}").exit_code == 0
    refused(run(root, out, f"hf:{save_detector('rt_detr', tmp_path / 'other')}"), "OUT001", "semantics")


def test_prompts_are_tried_and_label_and_other_ones_are_another_run(root, scissors, prompts, images, tmp_path):
    tried = label("try-2d", prompts, *images, "--dest", tmp_path / "tried", *OPTIONS)
    assert tried.exit_code == 0, tried.output
    assert ["cone", "traffic_cone"] in [line.split()[:2] for line in tried.stdout.splitlines()]
    out = tmp_path / "out"
    done = run(root, out, prompts)
    assert done.exit_code == 0, done.output
    assert "no prompt for truck, trailer, bus" in done.output
    assert classes_found(out) <= {"traffic_cone", "barrier", "car"}
    assert '"cone": "traffic_cone"' in (out / "run.json").read_text()
    prompts.write_text(prompts.read_text().replace('"cone"', '"traffic cone"'))
    refused(run(root, out, prompts), "OUT001", "semantics", "cone")


@pytest.mark.parametrize("kind", ["maskformer", "segformer"])
def test_a_segmenter_is_tried_and_labels(root, scissors, kind, images, tmp_path):
    network, out = f"hf:{save_segmenter(kind, tmp_path / kind)}", tmp_path / "out"
    everything = dict.fromkeys(("road", "person", "car"), "car")
    (tmp_path / "own.json").write_text(json.dumps({"taxonomy": "nuscenes", "labels": everything}))
    mapping = ("--mapping", tmp_path / "own.json")
    tried = label("try-2d", network, *images, "--dest", tmp_path / "tried", *mapping)
    assert tried.exit_code == 0, tried.output
    done = run(root, out, network, *mapping)
    assert done.exit_code == 0, done.output
    labels = Labels(out)
    rows = labels.masks(labels.frame_ids()[0]).values()
    assert classes_found(out) == {"car"}
    if kind == "segformer":
        assert {len(row.detections) for row in rows} <= {0, 1}
        tiled = run(root, tmp_path / "tiled", network, *mapping, "--set", "masks.hf.tile_px=64")
        refused(tiled, "SCH005", "hf.tile_px is 64", "every pixel")
        assert not (tmp_path / "tiled").exists()


def test_prompts_label_classes_of_your_own(root, scissors, prompts, tmp_path):
    own = tmp_path / "own.json"
    own.write_text(json.dumps({"taxonomy": {"name": "yard", "classes": [{"name": "crane"}, {"name": "fence"}]}}))
    refused(run(root, tmp_path / "out", prompts, "--mapping", own), "SCH001", "prompts.json: 'cone'", "crane, fence")
    asked = {"source": "owlv2", "prompts": {"crane": ["car"], "fence": ["fence"]}}
    prompts.write_text(json.dumps(asked))
    done = run(root, tmp_path / "out", prompts, "--mapping", own)
    assert done.exit_code == 0, done.output
    assert classes_found(tmp_path / "out") <= {"crane", "fence"}


def test_an_id_without_a_network_stops_the_run(root, monkeypatch, tmp_path):
    def offline(*_args, **_options):
        raise OSError("no network")

    monkeypatch.setattr("huggingface_hub.snapshot_download", offline)
    result = run(root, tmp_path / "out", "hf:PekingU/rtdetr_v2_r50vd")
    refused(result, "BCK001", "PekingU/rtdetr_v2_r50vd is no folder", "no network", "give the folder")
    assert not (tmp_path / "out").exists()


def test_a_network_beside_results_is_refused(root, detector, tmp_path):
    refused(run(root, tmp_path / "out", f"hf:{detector}", "--masks-dir", tmp_path), "SCH005", "--masks-dir")
