"""What both bundled networks share."""

import numpy as np
import pytest

from pointsam.base.errors import SchemaError
from pointsam.semantics import SemanticsContext, survey_semantics
from pointsam.semantics.coco import COCO_NAMES
from pointsam.semantics.mapping import default_mapping
from pointsam.semantics.nanodet import NANODET, NanodetConfig
from pointsam.semantics.ssd import SSD, SsdConfig
from pointsam.taxonomy import KITTI, NUSCENES, LabelMapping
from tests.semantics.test_ssd import SIGNS, drawn_sign

pytest.importorskip("onnxruntime")

BOTH = pytest.mark.parametrize(("network", "config", "low"), [(SSD, SsdConfig, 0.02), (NANODET, NanodetConfig, 0.05)])


def test_classes_that_no_label_of_coco_means_are_named():
    mapping = LabelMapping(KITTI, {"Car": "car", "pedestrian": "pedestrian", "cone": "background", "tram": "tram"})
    (told,) = NANODET.survey(mapping)
    assert "never finds pedestrian (mapped from 'pedestrian'; it says 'person'), tram (mapped from 'tram'" in told
    assert NANODET.survey(LabelMapping(KITTI, {"person": "pedestrian", "rider": "pedestrian"})) == ()
    assert SSD.survey(default_mapping(NUSCENES)) == ()


@pytest.mark.parametrize("name", ["ssd", "nanodet", "bundled"])
def test_a_mapping_is_checked_before_a_network_is_loaded(name, monkeypatch):
    monkeypatch.setattr("pointsam.semantics.onnx.network.open_session", lambda *_: pytest.fail("it was loaded"))
    mappings = [LabelMapping(KITTI, labels) for labels in ({"car": "car", "Tram": "tram"}, {"Lieferwagen": "truck"})]
    assert len(survey_semantics(name, SemanticsContext(mappings[0]), ())) == 1
    with pytest.raises(SchemaError, match=r"SCH001.*no label of the bundled network(.|\n)*precomputed"):
        survey_semantics(name, SemanticsContext(mappings[1]), ())


@BOTH
def test_boxes_lie_in_the_image_and_scores_above_the_threshold(network, config, low, frame, view_of):
    everything = LabelMapping(SIGNS.taxonomy, dict.fromkeys(COCO_NAMES.values(), "other"))
    model = network.load(everything, config(score_threshold=low, tile_px=200))
    found = model.detect(drawn_sign(), frame, view_of(480, 640))
    assert len(found) > 5
    assert (found.box_xyxy_px >= 0).all()
    assert (found.box_xyxy_px <= [640, 480, 640, 480]).all()
    assert (found.score > np.float32(low)).all()
    assert (np.diff(found.score) <= 0).all()


@BOTH
def test_equal_images_give_equal_bytes_on_one_and_two_threads(network, config, low, frame, view_of):
    options, image, view = config(score_threshold=low / 2, tile_px=320), drawn_sign(), view_of(480, 640)
    one, two = (network.load(SIGNS, options, threads).detect(image, frame, view) for threads in (1, 2))
    assert len(one) > 0
    assert one.box_xyxy_px.tobytes() == two.box_xyxy_px.tobytes()
    assert one.score.tobytes() == two.score.tobytes()
