import json
import pickle
import re
from pathlib import Path

import pytest

from pointsam.base.document import document_from, json_values
from pointsam.base.errors import SchemaError
from pointsam.semantics.mapping import default_mapping, load_mapping, unmapped_notices
from pointsam.taxonomy import BACKGROUND, KITTI, NUSCENES, SEMANTICKITTI, ClassSpec, LabelMapping, Taxonomy

OWN = {
    "name": "harbour",
    "classes": [
        {"name": "crane", "link_floor_m": 2, "vehicle": True},
        {"name": "docker", "link_floor_m": 0.65, "crowd": True, "role": "rider"},
        {"name": "scooter", "role": "ridden", "needs_rider": True},
        {"name": "bollard", "row": True},
    ],
}


TWICE = {"name": "own", "classes": [{"name": "car", "coco": ["car"]}, {"name": "van", "coco": ["car"]}]}


@pytest.fixture
def write(tmp_path):
    def write(document):
        path = tmp_path / "mapping.json"
        path.write_text(document if isinstance(document, str) else json.dumps(document))
        return path

    return write


def test_a_file_maps_labels_to_a_built_in_taxonomy(write):
    mapping = load_mapping(write({"taxonomy": "nuscenes", "labels": {"person": "pedestrian", "rider": "pedestrian"}}))
    assert mapping.taxonomy == NUSCENES
    assert mapping.class_id("rider") == NUSCENES.class_id("pedestrian")


def test_a_label_left_out_is_background(write):
    assert load_mapping(write({"taxonomy": "kitti", "labels": {"car": "car"}})).class_id("dog") == BACKGROUND


def test_a_file_may_bring_its_own_classes_with_their_traits(write):
    taxonomy = load_mapping(write({"taxonomy": OWN, "labels": {"moped": "scooter"}})).taxonomy
    assert taxonomy == Taxonomy(
        "harbour",
        (
            ClassSpec("crane", link_floor_m=2, vehicle=True),
            ClassSpec("docker", link_floor_m=0.65, crowd=True, role="rider"),
            ClassSpec("scooter", role="ridden", needs_rider=True),
            ClassSpec("bollard", row=True),
        ),
    )


def test_a_network_that_knows_cyclists_needs_no_rider(write):
    def needs_rider(labels):
        taxonomy = load_mapping(write({"taxonomy": "kitti", "labels": labels})).taxonomy
        return taxonomy.classes[KITTI.class_id("cyclist")].needs_rider

    assert needs_rider({"bicycle": "cyclist"})
    assert not needs_rider({"cyclist": "cyclist"})
    assert not default_mapping(KITTI, "same").taxonomy.classes[KITTI.class_id("cyclist")].needs_rider


def test_truth_is_mapped_by_the_same_file_and_stored_with_the_classes(write):
    truth = {"vehicle.crane": "crane", "worker": "docker", "DontCare": "background"}
    taxonomy = load_mapping(write({"taxonomy": OWN, "labels": {"moped": "scooter"}, "truth": truth})).taxonomy
    assert taxonomy.truth == truth
    stored = document_from(json_values(taxonomy), Taxonomy, SchemaError)
    assert stored.truth_mapping.class_id("vehicle.crane") == 0
    assert stored.truth_mapping.class_id("Worker") == 1
    assert [stored.truth_mapping.lists(name) for name in ("DontCare", "crane")] == [True, False]
    assert stored.truth_mapping.class_id("DontCare") == BACKGROUND


def test_without_truth_its_names_are_those_of_the_classes(write):
    taxonomy = load_mapping(write({"taxonomy": "nuscenes", "labels": {"person": "pedestrian"}})).taxonomy
    assert "truth" not in taxonomy.as_dict()
    assert taxonomy.truth_mapping.class_id("pedestrian") == NUSCENES.class_id("pedestrian")
    assert not taxonomy.truth_mapping.lists("person")


def test_a_data_sets_classes_may_have_other_names_in_truth(write):
    file = {"taxonomy": "kitti", "labels": {"car": "car"}, "truth": {"van": "car"}}
    assert load_mapping(write(file)).taxonomy.truth_mapping.class_id("van") == KITTI.class_id("car")


def one_class(**traits):
    return {"taxonomy": {"name": "own", "classes": [{"name": "car", **traits}]}, "labels": {"car": "car"}}


@pytest.mark.parametrize(
    ("document", "code", "says"),
    [
        ({"taxonomy": "nuscenes", "labels": {"car": "cra"}}, "SCH001", ["labels.car", "'cra'", "car, truck"]),
        ({"taxonomy": "nuscenes", "labels": {"p": "Pedestrain"}}, "SCH001", ["did you mean 'pedestrian'?"]),
        ({"taxonomy": "kitti", "labels": {"a": "car"}, "truth": {"v": "cra"}}, "SCH001", ["truth.v", "mean 'car'?"]),
        ({"taxonomy": "kitti", "labels": {"a": "car"}, "truth": {"v": 1}}, "SCH002", ["truth.v is wrong", "got 1"]),
        ({"taxonomy": "kitti", "labels": {"a": "background"}}, "SCH002", ["`labels` maps nothing"]),
        (
            {"taxonomy": "nuscens", "labels": {"car": "car"}},
            "SCH002",
            ["`taxonomy`", "'nuscens'", "did you mean 'nuscenes'?"],
        ),
        ({"taxonomy": "kitti", "labels": {"car": 3}}, "SCH002", ["labels.car is wrong", "string, got 3"]),
        ({"taxonomy": "kitti", "labels": {"car": None}}, "SCH002", ["labels.car is wrong", "string, got None"]),
        ({"taxonomy": "kitti", "labels": {}}, "SCH002", ["`labels` maps nothing"]),
        ({"taxonomy": "kitti", "labels": ["car"]}, "SCH002", ["labels is wrong", "an object, got ['car']"]),
        ({"taxonomy": OWN}, "SCH002", ["`labels` maps nothing", "`coco`"]),
        ({"labels": {"a": "car"}}, "SCH002", ["taxonomy is missing"]),
        (
            {"taxonomy": "kitti", "labels": {"a": "car"}, "label": 1},
            "SCH002",
            ["label is not a field", "docs/mapping.md"],
        ),
        ({"taxonomy": 5, "labels": {"car": "car"}}, "SCH002", ["in `taxonomy`", "an object, got 5"]),
        ({"taxonomy": {"name": "own"}, "labels": {"a": "b"}}, "SCH002", ["in `taxonomy`: classes is missing"]),
        ({"taxonomy": {"name": 1, "classes": []}, "labels": {"a": "b"}}, "SCH002", ["name is wrong", "got 1"]),
        ({"taxonomy": {"name": "own", "classes": "car"}, "labels": {"a": "b"}}, "SCH002", ["classes is wrong"]),
        ({"taxonomy": {"name": "own", "classes": []}, "labels": {"a": "b"}}, "SCH002", ["'own' needs 1 to 254"]),
        ({"taxonomy": {"name": "own", "classes": ["car"]}, "labels": {"a": "b"}}, "SCH002", ["classes.0 is", "'car'"]),
        ({"taxonomy": {"name": "", "classes": [{"name": "a"}]}, "labels": {"a": "a"}}, "SCH002", ["name is empty"]),
        (one_class(colour="red"), "SCH002", ["classes.0.colour is not a field", "docs/mapping.md"]),
        (one_class(crowded=True), "SCH002", ["classes.0.crowded is not a field, did you mean 'crowd'?"]),
        (one_class(vehicle=1), "SCH002", ["classes.0.vehicle is wrong", "boolean, got 1"]),
        (one_class(link_floor_m="1"), "SCH002", ["classes.0.link_floor_m is wrong", "number, got '1'"]),
        (one_class(link_floor_m=-1), "SCH002", ["classes.0.link_floor_m is -1", "positive"]),
        (one_class(link_floor_m=0), "SCH002", ["classes.0.link_floor_m is 0"]),
        (json.dumps(one_class(link_floor_m=7)).replace("7", "1e999"), "SCH002", ["1e999 is too large for a number"]),
        (one_class(name=""), "SCH002", ["classes.0.name is ''", "a name"]),
        (one_class(name=5), "SCH002", ["classes.0.name is wrong", "got 5"]),
        (one_class(link_floor_m=True), "SCH002", ["classes.0.link_floor_m is wrong", "got True"]),
        (one_class(large="yes"), "SCH002", ["classes.0.large is wrong", "boolean, got 'yes'"]),
        (one_class(size_lwh_m=[4.6, 1.9]), "SCH002", ["classes.0.size_lwh_m.2 is missing"]),
        (
            one_class(size_lwh_m=[4.6, 1.9, 0]),
            "SCH002",
            ["classes.0.size_lwh_m is (4.6, 1.9, 0.0)", "width and"],
        ),
        (one_class(coco="car"), "SCH002", ["classes.0.coco is wrong", "got 'car'"]),
        (one_class(coco=[1]), "SCH002", ["classes.0.coco.0 is wrong", "string, got 1"]),
        (one_class(coco=[""]), "SCH002", ["classes.0.coco is ('',)", "label names"]),
        ({"taxonomy": TWICE, "labels": {"a": "car"}}, "SCH002", ["COCO label 'car'", "several classes"]),
        (one_class(role="driver"), "SCH002", ["classes.0.role is wrong", "'rider'", "got 'driver'"]),
        (one_class(role=[]), "SCH002", ["classes.0.role is wrong"]),
        ({"taxonomy": {"name": "own", "classes": [{}]}, "labels": {"a": "b"}}, "SCH002", ["classes.0.name is missing"]),
        ([], "SCH002", ["an object, got []"]),
        ('{"taxonomy": "kitti", "labels": {"car": "car", "car": "truck"}}', "SCH002", ["'car' is there twice"]),
        ('{"taxonomy": "kitti", "labels": {"car": NaN}}', "SCH002", ["NaN"]),
        ('{"taxonomy": ', "SCH002", ["line 1"]),
        ("[" * 100_000, "SCH002", ["nested too deeply"]),
        ("\x00\xff", "SCH002", ["mapping.json"]),
    ],
    ids=lambda value: str(value)[:60] if isinstance(value, (dict, list)) else None,
)
def test_a_mistake_names_file_field_and_way_out(write, document, code, says):
    path = write(document)
    with pytest.raises(SchemaError) as caught:
        load_mapping(path)
    assert caught.value.code == code
    for text in [str(path), *says]:
        assert text in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SchemaError, match=r"SCH002.*nowhere\.json: cannot be read \(No such file"):
        load_mapping(tmp_path / "nowhere.json")


def test_a_folder_is_no_mapping(tmp_path):
    with pytest.raises(SchemaError, match=r"SCH002.*cannot be read"):
        load_mapping(tmp_path)


def test_coco_labels_are_a_trait_of_the_built_in_classes():
    nuscenes = default_mapping(NUSCENES).classes
    assert (nuscenes["person"], nuscenes["motorcycle"], len(nuscenes)) == ("pedestrian", "motorcycle", 6)
    kitti = default_mapping(KITTI, "coco").classes
    assert (kitti["person"], kitti["train"], kitti["bicycle"], len(kitti)) == ("pedestrian", "tram", "cyclist", 6)
    assert kitti["bus"] == "truck"
    whole = default_mapping(SEMANTICKITTI).classes
    assert (whole["bus"], whole["train"], len(whole)) == ("other_vehicle", "other_vehicle", 7)


def test_results_of_files_may_use_other_words_for_a_class_but_not_for_a_part_of_it():
    kitti = default_mapping(KITTI, "same")
    assert {label: kitti.classes.get(label) for label in ("van", "bus", "person", "train", "cyclist", "bicycle")} == {
        "van": "car",
        "bus": "truck",
        "person": None,
        "train": "tram",
        "cyclist": "cyclist",
        "bicycle": None,
    }
    assert default_mapping(NUSCENES, "same").classes == {name: name for name in NUSCENES.names}  # as version 0.1.0
    assert "van" not in default_mapping(KITTI).classes


def test_labels_that_map_to_nothing_are_counted_with_the_nearest_known_one():
    mapping = LabelMapping(NUSCENES, {"person": "pedestrian"})
    (text,) = unmapped_notices(mapping, {"dog": 2, "Pedestrain": 10} | {f"thing {k}" * 3: 1 for k in range(9)})
    assert "21 detected objects" in text
    assert "'Pedestrain' 10, did you mean 'pedestrian'?; 'dog' 2;" in text
    assert "to 'background' if they are to be left out" in text
    assert "and 1 more labels" in text
    assert unmapped_notices(mapping, {}) == ()
    (text,) = unmapped_notices(default_mapping(NUSCENES, "same"), {"person": 1})
    assert "'person' 1, did you mean 'pedestrian'?" in text


def test_a_taxonomy_without_coco_labels_has_no_mapping_from_them():
    with pytest.raises(SchemaError, match=r"SCH001.*'harbour'(.|\n)*--mapping"):
        default_mapping(Taxonomy("harbour", (ClassSpec("crane"),)))


def test_every_trait_is_settable(write):
    crane = {"name": "crane", "size_lwh_m": [20, 8, 30], "large": False, "coco": ["train", "boat"]}
    mapping = load_mapping(write({"taxonomy": {"name": "harbour", "classes": [crane]}}))
    (spec,) = mapping.taxonomy.classes
    assert (spec.typical_lwh_m, spec.is_large, spec.coco) == ((20, 8, 30), False, ("train", "boat"))
    assert mapping.classes == {"train": "crane", "boat": "crane"}


def test_same_names_map_to_themselves():
    mapping = default_mapping(NUSCENES, "same")
    assert [mapping.class_id(name) for name in NUSCENES.names] == list(range(10))


@pytest.mark.parametrize("page", ["mapping.md", "precomputed_masks.md"])
def test_the_mappings_of_the_documentation_load(write, page):
    text = (Path(__file__).parents[2] / "docs" / page).read_text()
    blocks = [block for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL) if '"taxonomy"' in block]
    assert blocks
    for block in blocks:
        assert load_mapping(write(block)).classes


@pytest.mark.parametrize("taxonomy", [NUSCENES, KITTI, SEMANTICKITTI], ids=lambda taxonomy: taxonomy.name)
def test_a_mapping_reaches_a_worker_process_whole(taxonomy):
    mapping = default_mapping(taxonomy)
    assert pickle.loads(pickle.dumps(mapping)) == mapping
