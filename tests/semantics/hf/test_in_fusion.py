"""Networks of transformers as sources of a fusion: by folder, and by prompt file."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs pointsam[sam]")
transformers = pytest.importorskip("transformers", reason="needs pointsam[hf]")
from helpers.hub_asked import save_asked  # noqa: E402
from helpers.hub_detectors import save_detector  # noqa: E402

from pointsam.base.errors import SchemaError  # noqa: E402
from pointsam.semantics import (  # noqa: E402
    SemanticsContext,
    label_names,
    load_semantics,
    mapping_of,
    semantics_sha256,
    survey_semantics,
)
from pointsam.semantics.mapping import default_mapping, stated_mapping  # noqa: E402
from pointsam.taxonomy import KITTI, NUSCENES, LabelMapping  # noqa: E402
from tests.semantics.hf.test_closed import WIDE, picture  # noqa: E402

MAPPING = default_mapping(NUSCENES)
EVERY = {"score_threshold": 0.0, "nms_iou": 1.0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fusion")
    save_detector("yolos", folder / "yolos")
    save_asked("owlv2", folder / "owlv2")
    return folder


@pytest.fixture
def fused(folder):
    """A function that writes a fusion of YOLOS, which knows three classes of COCO, and OWLv2, asked for two others."""

    def write(first=None, second=None, prompts=None):
        asked = {"source": "owlv2", "prompts": prompts or {"traffic_cone": ["traffic cone"], "bus": ["bus", "coach"]}}
        (folder / "asked.json").write_text(json.dumps(asked))
        sources = [
            {"semantics": "hf:yolos", "options": EVERY, **(first or {})},
            {"semantics": "asked.json", "options": EVERY, **(second or {})},
        ]
        (folder / "fusion.json").write_text(json.dumps({"sources": sources, "score_threshold": 0.0, "fusion_iou": 0}))
        return folder / "fusion.json"

    return write


def test_each_network_finds_its_classes(fused, folder, frame, view_of):
    model = load_semantics("fusion", mapping=MAPPING, masks_dir=fused())
    found = model.detect(np.asarray(picture(WIDE)), frame, view_of(50, 90))
    names = {NUSCENES.names[k] for k in found.class_id}
    assert {"pedestrian", "traffic_cone"} < names <= {"pedestrian", "car", "truck", "traffic_cone", "bus"}
    assert label_names("fusion", folder / "fusion.json") == "coco"
    (told,) = survey_semantics("fusion", SemanticsContext(MAPPING, folder / "fusion.json"), ())
    assert told == "no network of the fusion finds bicycle, motorcycle"


def test_the_digest_follows_models_and_phrases(fused):
    before = semantics_sha256("fusion", fused())
    changes = [{"prompts": {"bus": ["bus"]}}, {"first": {"options": {}}}, {"first": {"semantics": "asked.json"}}]
    assert len({before, *(semantics_sha256("fusion", fused(**change)) for change in changes)}) == 4
    assert semantics_sha256("fusion", fused()) == before


def test_prompts_state_their_classes_themselves(fused):
    with pytest.raises(SchemaError, match=r"SCH005.*sources\.1\.mapping: asked\.json states the classes"):
        semantics_sha256("fusion", fused(second={"mapping": "coco_to_nuscenes"}))
    path = fused(prompts={"tractor": ["tractor"]})
    with pytest.raises(SchemaError, match=r"SCH001.*asked\.json: 'tractor': no class 'tractor'"):
        load_semantics("fusion", mapping=LabelMapping(NUSCENES, {"car": "car"}), masks_dir=path)


@pytest.fixture
def of_prompts(folder):
    """A function that writes a fusion of prompt files alone."""

    def write(*prompts, **more):
        for k, asked in enumerate(prompts):
            (folder / f"asked{k}.json").write_text(json.dumps({"source": "owlv2", "prompts": asked}))
        sources = [{"semantics": f"asked{k}.json", **more} for k in range(len(prompts))]
        (folder / "prompts.json").write_text(json.dumps({"sources": sources}))
        return folder / "prompts.json"

    return write


def test_a_fusion_of_prompts_alone_takes_classes_of_your_own(of_prompts, tmp_path):
    path, own = of_prompts({"crane": ["car"]}, {"fence": ["barrier", "bus"]}), tmp_path / "own.json"
    classes = [{"name": "crane"}, {"name": "fence"}, {"name": "gate"}]
    own.write_text(json.dumps({"taxonomy": {"name": "yard", "classes": classes}}))
    mapping = mapping_of("fusion", NUSCENES, own, path)
    assert dict(mapping.classes) == {"car": "crane", "barrier": "fence", "bus": "fence"}
    assert survey_semantics("fusion", SemanticsContext(mapping, path), ()) == ("no network of the fusion finds gate",)
    load_semantics("fusion", mapping=mapping, masks_dir=path)


def test_a_complete_object_of_prompts_needs_no_rider(of_prompts):
    for prompts, needs_rider in (
        ([{"cyclist": ["cyclist"]}, {"car": ["car"]}], False),
        ([{"cyclist": ["bicycle"]}, {"car": ["car"]}], True),
    ):
        path = of_prompts(*prompts)
        mapping = mapping_of("fusion", KITTI, None, path)
        assert mapping.taxonomy.classes[KITTI.class_id("cyclist")].needs_rider is needs_rider
        survey_semantics("fusion", SemanticsContext(mapping, path), ())


def test_complete_objects_beside_parts_of_them_are_refused(fused):
    mapping = default_mapping(KITTI)

    def survey(**change):
        survey_semantics("fusion", SemanticsContext(mapping, fused(**change)), ())

    with pytest.raises(SchemaError, match=r"SCH004.*asked\.json asks for complete objects of class 'cyclist'"):
        survey(prompts={"cyclist": ["cyclist"], "car": ["car"]})
    survey(prompts={"cyclist": ["bicycle"], "car": ["car"]})
    survey(prompts={"cyclist": ["cyclist"], "car": ["car"]}, second={"classes": ["car"]})
    mapping = LabelMapping(
        stated_mapping(KITTI, {"cyclist": "cyclist"}, "").taxonomy, {"car": "car", "bicycle": "cyclist"}
    )
    survey(prompts={"cyclist": ["cyclist"], "car": ["car"]})


def test_prompts_lie_beside_the_fusion(fused):
    with pytest.raises(SchemaError, match=r"SCH005.*sources\.1\.semantics"):
        semantics_sha256("fusion", fused(second={"semantics": "../asked.json"}))


def test_a_phrase_has_one_class_in_all_prompt_files(folder):
    files = {"first.json": {"barrier": ["fence"]}, "second.json": {"traffic_cone": ["fence"], "car": ["car"]}}
    for name, prompts in files.items():
        (folder / name).write_text(json.dumps({"source": "owlv2", "prompts": prompts}))
    (folder / "both.json").write_text(json.dumps({"sources": [{"semantics": name} for name in files]}))
    with pytest.raises(SchemaError, match=r"SCH005.*second\.json asks for 'fence' as traffic_cone.*as barrier"):
        mapping_of("fusion", NUSCENES, None, folder / "both.json")
