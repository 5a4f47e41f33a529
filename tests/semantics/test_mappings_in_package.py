"""The mapping files of the package: every label of a source is mapped or left out, and none means another class."""

import importlib.util
from pathlib import Path

import pytest

from pointsam.base.errors import SchemaError
from pointsam.evaluate.waymo import MIN_IOU
from pointsam.semantics.coco import COCO_NAMES
from pointsam.semantics.mapping import _IN_PACKAGE, default_mapping, load_mapping
from pointsam.semantics.vocabularies import VOCABULARIES
from pointsam.taxonomy import BACKGROUND, KITTI, NUSCENES

SCRIPT = Path(__file__).parents[2] / "scripts" / "write_mappings.py"
NAMES = sorted(path.stem for path in _IN_PACKAGE.glob("*.json"))
SOURCES = ("bdd100k", "cityscapes", "coco", "nuimages", "objects365")
TARGETS = ("argoverse2", "kitti", "nuscenes", "waymo")


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("write_mappings", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_there_is_one_for_every_source_and_target():
    assert [f"{source}_to_{target}" for source in SOURCES for target in TARGETS] == NAMES


def test_the_files_are_those_that_the_script_writes(script):
    written = {path.name: path.read_text(encoding="utf-8") for path in _IN_PACKAGE.glob("*.json")}
    assert written == script.files()


def test_every_kind_is_of_a_label_and_of_some_class(script):
    for source, kinds in script.KINDS.items():
        assert set(kinds) - {"rider", "pedestrian", "person"} <= set(VOCABULARIES[source])
    known = {kind for kinds in script.KINDS.values() for kind in kinds.values()}
    assert known <= {kind for _, classes in script.TARGETS.values() for kind in classes}


@pytest.mark.parametrize("name", NAMES)
def test_every_label_is_mapped_or_left_out(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    mapping = load_mapping(Path(name))
    assert set(mapping.classes) == set(VOCABULARIES[name.partition("_")[0]])
    assert any(mapping.class_id(label) != BACKGROUND for label in mapping.classes)
    assert all(spec.typical_lwh_m for spec in mapping.taxonomy.classes)


@pytest.mark.parametrize("taxonomy", [NUSCENES, KITTI], ids=lambda taxonomy: taxonomy.name)
def test_coco_maps_as_by_default(taxonomy):
    ours, default = load_mapping(Path(f"coco_to_{taxonomy.name}")), default_mapping(taxonomy)
    assert ours.taxonomy == default.taxonomy
    assert [ours.class_id(label) for label in COCO_NAMES.values()] == [
        default.class_id(label) for label in COCO_NAMES.values()
    ]


@pytest.mark.parametrize(
    ("name", "label", "expected"),
    [
        ("objects365_to_nuscenes", "Traffic cone", "traffic_cone"),
        ("objects365_to_nuscenes", "Pickup Truck", "truck"),
        ("objects365_to_nuscenes", "Ambulance", None),
        ("nuimages_to_nuscenes", "movable_object.barrier", "barrier"),
        ("nuimages_to_kitti", "movable_object.barrier", None),
        ("cityscapes_to_kitti", "train", "tram"),
        ("cityscapes_to_nuscenes", "rider", "pedestrian"),
        ("bdd100k_to_waymo", "motorcycle", "vehicle"),
        ("coco_to_waymo", "stop sign", "sign"),
        ("coco_to_argoverse2", "train", "railed_vehicle"),
        ("coco_to_argoverse2", "giraffe", None),
    ],
)
def test_some_labels_by_hand(name, label, expected):
    mapping = load_mapping(Path(name))
    names = (*mapping.taxonomy.names,)
    class_id = mapping.class_id(label)
    assert (None if class_id == BACKGROUND else names[class_id]) == expected


def test_waymos_classes_are_those_of_its_metric():
    assert set(load_mapping(Path("coco_to_waymo")).taxonomy.names) == set(MIN_IOU)


def test_a_file_of_the_name_comes_first_and_a_wrong_name_lists_the_known(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SchemaError, match=r"SCH002.*objects365_to_kitti.*did you mean 'objects365_to_nuscenes'"):
        load_mapping(Path("objects365_to_nuscene"))
    Path("coco_to_kitti").write_text('{"taxonomy": "kitti", "labels": {"car": "truck"}}')
    assert dict(load_mapping(Path("coco_to_kitti")).classes) == {"car": "truck"}
