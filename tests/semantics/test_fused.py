"""Several described networks as one source of classes."""

import json

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
from helpers.onnx_models import constant_model

from pipelines.cli.networks import semantics_of
from pointsam.base.errors import SchemaError
from pointsam.semantics import (
    SemanticsContext,
    label_names,
    load_semantics,
    semantics_sha256,
    survey_semantics,
)
from pointsam.semantics.mapping import default_mapping
from pointsam.taxonomy import KITTI, NUSCENES, LabelMapping

MAPPING = default_mapping(NUSCENES)
IMAGE = np.zeros((64, 64, 3), dtype=np.uint8)
CAR_BOX, CONE_BOX = [10, 10, 40, 40], [50, 50, 60, 62]


@pytest.fixture
def network(tmp_path):
    """A function that writes a network of two labels, whose answers are rows (box, two scores)."""

    def write(name, labels, *rows):
        rows = np.array([[[*box, *scores] for box, *scores in rows]], dtype=np.float32)
        (tmp_path / f"{name}.onnx").write_bytes(constant_model({"out": rows}))
        described = {"model": f"{name}.onnx", "labels": labels, "scores": {"columns": [4, 6]}}
        (tmp_path / f"{name}.json").write_text(json.dumps(described))
        return f"{name}.json"

    return write


@pytest.fixture
def fused(tmp_path, network):
    """A function that writes a fusion of two networks: one of COCO, and one of Objects365 that knows cones."""
    network("coco", ["car", "person"], (CAR_BOX, 0.9, 0), ([0, 0, 5, 5], 0, 0))
    network("o365", ["SUV", "Traffic cone"], (CAR_BOX, 0.5, 0), (CONE_BOX, 0, 0.8))

    def write(first=None, second=None, **more):
        other = {"semantics": "o365.json", "mapping": "objects365_to_nuscenes", **(second or {})}
        sources = [{"semantics": "coco.json", **(first or {})}, other]
        (tmp_path / "both.json").write_text(json.dumps({"sources": sources, **more}))
        return tmp_path / "both.json"

    return write


def test_a_source_without_a_class_is_named(fused, network):
    network("site", ["worker", "crane"], (CAR_BOX, 0.9, 0))
    path = fused({"semantics": "site.json"})
    with pytest.raises(
        SchemaError, match=r"SCH001.*both\.json: sources\.0 \(site\.json\): .*('worker', 'crane')"
    ) as caught:
        survey_semantics("fusion", SemanticsContext(MAPPING, path), [])
    assert "`mapping`" in caught.value.hint


def found(path, frame, view_of, mapping=MAPPING):
    model = load_semantics("fusion", mapping=mapping, masks_dir=path)
    rows = model.detect(IMAGE, frame, view_of(64, 64))
    names = [mapping.taxonomy.names[k] for k in rows.class_id]
    return dict(zip(names, rows.score.tolist(), strict=True)), rows


def test_each_class_is_scored_by_the_networks_that_know_it(fused, frame, view_of):
    scores, rows = found(fused(), frame, view_of)
    assert scores == pytest.approx({"traffic_cone": 0.8, "car": 0.7})
    np.testing.assert_allclose(rows.box_xyxy_px, [CONE_BOX, CAR_BOX], atol=1e-3)


def test_weights_classes_curves_and_options_are_those_of_a_source(fused, frame, view_of):
    assert found(fused(second={"weight": 3}), frame, view_of)[0]["car"] == pytest.approx((0.9 + 3 * 0.5) / 4)
    assert found(fused(second={"classes": ["traffic_cone"]}), frame, view_of)[0]["car"] == pytest.approx(0.9)
    curved = found(fused(first={"curve": [2, 0]}), frame, view_of)[0]["car"]
    assert curved == pytest.approx((81 / 82 + 0.5) / 2, abs=1e-4)
    strict = found(fused(second={"options": {"score_threshold": 0.6}}), frame, view_of)[0]
    assert strict == pytest.approx({"traffic_cone": 0.8, "car": 0.45})
    assert found(fused(score_threshold=0.75), frame, view_of)[0] == pytest.approx({"traffic_cone": 0.8})


def test_the_digest_follows_all_that_changes_the_answers(fused, network, tmp_path):
    before = semantics_sha256("fusion", fused())
    changes = [{"first": {"weight": 2}}, {"second": {"mapping": None}}, {"second": {"classes": ["car"]}}]
    changes += [{"first": {"options": {"tile_px": 64}}}, {"fusion_iou": 0.4}]
    assert len({before, *(semantics_sha256("fusion", fused(**change)) for change in changes)}) == 6
    (tmp_path / "coco.json").rename(tmp_path / "renamed.json")
    assert semantics_sha256("fusion", fused(first={"semantics": "renamed.json"})) == before
    network("o365", ["SUV", "Traffic cone"], (CAR_BOX, 0.6, 0))
    assert semantics_sha256("fusion", fused(first={"semantics": "renamed.json"})) != before


def test_classes_that_no_network_finds_are_named(fused):
    (told,) = survey_semantics("fusion", SemanticsContext(MAPPING, fused()), ())
    assert told == "no network of the fusion finds bicycle, bus, motorcycle, truck"
    assert label_names("fusion", fused()) == "coco"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"first": {"semantics": "bundled"}}, "sources.0.semantics: 'bundled' is not one network"),
        ({"first": {"semantics": "../coco.json"}}, "sources.0.semantics"),
        ({"second": {"mapping": "../own.json"}}, "sources.1.mapping"),
        ({"second": {"mapping": "objects365_to_nuscene"}}, "did you mean 'objects365_to_nuscenes'"),
        ({"first": {"options": {"tile": 3}}}, "sources.0.options.tile"),
        ({"first": {"weight": 0}}, "weight"),
        ({"first": {"wait": 1}}, "sources.0.wait.*did you mean 'weight'"),
        ({"fusion_iou": 1}, "fusion_iou"),
        ({"sources": []}, "sources"),
    ],
    ids=str,
)
def test_a_wrong_field_is_named(fused, change, told):
    with pytest.raises(SchemaError, match=rf"(?s)SCH005.*{told}"):
        semantics_sha256("fusion", fused(**change))


def test_mappings_to_other_classes_are_refused(fused, frame, view_of):
    with pytest.raises(SchemaError, match=r"SCH004.*objects365_to_nuscenes"):
        found(fused(), frame, view_of, default_mapping(KITTI))
    with pytest.raises(SchemaError, match=r"SCH001.*'van'"):
        found(fused(second={"classes": ["van"]}), frame, view_of)


def test_each_network_has_the_built_in_mapping_of_its_own_labels(fused, network, frame, view_of):
    path = fused(second={"mapping": None})
    network("o365", ["traffic_cone", "barrier"], (CONE_BOX, 0.8, 0))
    network("coco", ["person", "car"], (CAR_BOX, 0.9, 0))
    for kind in ("same", "coco"):
        scores, _ = found(path, frame, view_of, default_mapping(NUSCENES, kind))
        assert scores == pytest.approx({"traffic_cone": 0.8, "pedestrian": 0.9})
    own = LabelMapping(NUSCENES, {"traffic_cone": "barrier", "person": "car"})
    assert found(path, frame, view_of, own)[0] == pytest.approx({"barrier": 0.8, "car": 0.9})


def test_a_file_says_by_itself_whether_it_is_a_fusion(fused, tmp_path):
    assert semantics_of(str(fused()), None) == ("fusion", tmp_path / "both.json")
    assert semantics_of(str(tmp_path / "coco.json"), None) == ("onnx", tmp_path / "coco.json")
    assert semantics_of("ssd", None) == ("ssd", None)
