from dataclasses import replace

import numpy as np
import pytest

from pointsam.base.errors import SchemaError
from pointsam.semantics import bundled, load_semantics, semantics_sha256
from pointsam.semantics.bundled import BundledConfig, bundled_semantics
from pointsam.semantics.mapping import default_mapping
from pointsam.semantics.tiled import TiledSemantics
from pointsam.taxonomy import NUSCENES
from pointsam.types import Detections
from tests.semantics.test_ssd import SIGNS, drawn_sign

pytest.importorskip("onnxruntime")

MAPPING = default_mapping(NUSCENES)
CAR, TRUCK, PERSON = (NUSCENES.class_id(name) for name in ("car", "truck", "pedestrian"))


@pytest.fixture
def found_by(monkeypatch, frame, view_of):
    """What both networks together find: rows (box, class, score) of the SSD and of NanoDet."""

    def find(ssd, nanodet, **config):
        answers = {}
        for network, rows in (("ssd", ssd), ("nanodet", nanodet)):
            box, class_id, score = zip(*rows, strict=True) if rows else ((), (), ())
            found = Detections(
                np.array(box, dtype=np.float32).reshape(-1, 4),
                np.array(class_id, dtype=np.uint8),
                np.array(score, dtype=np.float32),
            )
            answers[network] = found
        monkeypatch.setattr(TiledSemantics, "detect", lambda self, *_: answers[self.name])
        image = np.zeros((90, 160, 3), dtype=np.uint8)
        return bundled_semantics(MAPPING, BundledConfig(**config)).detect(image, frame, view_of(90, 160))

    return find


def probability(score, slope, offset):
    return 1 / (1 + (score / (1 - score)) ** -slope * np.exp(-offset))


def test_both_networks_find_a_drawn_sign_as_one_object(frame, view_of):
    found = bundled_semantics(SIGNS, BundledConfig()).detect(drawn_sign(), frame, view_of(480, 640))
    assert found.class_id.tolist() == [SIGNS.taxonomy.class_id("sign")]
    np.testing.assert_allclose(found.box_xyxy_px[0], [205, 105, 395, 295], atol=15)
    assert 0.25 < found.score[0] < 1


def test_scores_are_probabilities_and_nanodet_weighs_twice(found_by):
    box = (10, 10, 50, 50)
    found = found_by([(box, CAR, 0.8)], [(box, CAR, 0.6)])
    ssd, nanodet = probability(0.8, *bundled._SSD_CURVE), probability(0.6, *bundled._NANODET_CURVE)
    np.testing.assert_allclose(found.score, [(ssd + 2 * nanodet) / 3], rtol=1e-5)
    np.testing.assert_allclose(found.box_xyxy_px, [box], atol=1e-4)


def test_a_box_of_the_ssd_alone_must_be_sure(found_by):
    box = (10, 10, 50, 50)
    assert len(found_by([(box, CAR, 0.7)], [])) == 0
    assert len(found_by([(box, CAR, 0.95)], [])) == 1


def test_vehicles_of_two_classes_are_one_object_and_people_are_not(found_by):
    box = (10, 10, 50, 50)
    found = found_by([(box, TRUCK, 0.9), (box, PERSON, 0.99)], [(box, CAR, 0.8)])
    assert found.class_id.tolist() == [CAR, PERSON]


def test_a_score_must_exceed_the_threshold(found_by):
    box = (10, 10, 50, 50)
    score = float(found_by([(box, CAR, 0.8)], [(box, CAR, 0.6)]).score[0])
    assert len(found_by([(box, CAR, 0.8)], [(box, CAR, 0.6)], score_threshold=score)) == 0


def test_scores_at_the_ends_stay_finite(found_by):
    found = found_by([((0, 0, 9, 9), CAR, 0.0), ((20, 20, 50, 50), CAR, 1.0)], [], score_threshold=0.0)
    assert np.isfinite(found.score).all()
    assert ((found.score >= 0) & (found.score <= 1)).all()


def test_the_digest_covers_both_files(monkeypatch):
    before = semantics_sha256("bundled")
    assert load_semantics("bundled", mapping=MAPPING).weights_sha256 == before
    for network in ("SSD", "NANODET"):
        with monkeypatch.context() as patch:
            patch.setattr(bundled, network, replace(getattr(bundled, network), sha256="0" * 64))
            assert semantics_sha256("bundled") != before


@pytest.mark.parametrize(
    "change",
    [{"nanodet_weight": 0.0}, {"nanodet_weight": float("nan")}, {"fusion_iou": 1.0}, {"score_threshold": -0.1}],
    ids=str,
)
def test_a_value_out_of_range_names_its_field(change):
    with pytest.raises(SchemaError, match=rf"SCH005.*bundled\.{next(iter(change))}"):
        BundledConfig(**change)


@pytest.mark.parametrize("network", ["ssd", "nanodet"])
def test_an_option_of_a_network_is_named_with_its_place(network):
    options = getattr(BundledConfig(), network)
    with pytest.raises(SchemaError, match=rf"SCH005.*bundled\.{network}\.tile_px"):
        BundledConfig(**{network: replace(options, tile_px=3)})
