import pickle

import pytest

from pointsam.base.errors import SchemaError
from pointsam.taxonomy import BACKGROUND, NUSCENES, ClassSpec, LabelMapping, Taxonomy

CAR, CONE = NUSCENES.class_id("car"), NUSCENES.class_id("traffic_cone")


@pytest.mark.parametrize("label", ["traffic_cone", "Traffic Cone", "TRAFFIC-CONE", "trafficCone", " traffic  cone"])
def test_case_spaces_underscores_and_hyphens_do_not_matter(label):
    mapping = LabelMapping(NUSCENES, {"traffic_cone": "traffic_cone"})
    assert mapping.class_id(label) == CONE
    assert mapping.lists(label)


def test_labels_that_differ_only_by_case_stay_exact():
    mapping = LabelMapping(NUSCENES, {"car": "car", "Car": "truck", "VAN": "car", "Van": "car"})
    assert [mapping.class_id(label) for label in ("car", "Car", "CAR")] == [CAR, NUSCENES.class_id("truck"), BACKGROUND]
    assert not mapping.lists("CAR")
    assert mapping.class_id("van") == CAR


def test_a_label_may_be_background_on_purpose():
    mapping = pickle.loads(pickle.dumps(LabelMapping(NUSCENES, {"car": "car", "sky": "background"})))
    assert [mapping.class_id(label) for label in ("Sky", "road")] == [BACKGROUND, BACKGROUND]
    assert [mapping.lists(label) for label in ("Sky", "road")] == [True, False]


def test_background_may_be_the_name_of_a_class():
    taxonomy = Taxonomy("odd", (ClassSpec("background"),))
    assert LabelMapping(taxonomy, {"wall": "background"}).class_id("wall") == 0


def test_an_unknown_class_names_the_nearest_one():
    with pytest.raises(SchemaError, match=r"SCH001.*did you mean 'pedestrian'\?"):
        NUSCENES.class_id("Pedestrain")


def test_truth_of_an_unknown_class_is_refused():
    with pytest.raises(SchemaError, match=r"SCH001.*'lorry'"):
        Taxonomy("own", (ClassSpec("car"),), {"truck": "lorry"})


def test_truth_does_not_change_labels_and_is_not_compared():
    assert Taxonomy("own", (ClassSpec("car"),), {"van": "car"}) == Taxonomy("own", (ClassSpec("car"),))
