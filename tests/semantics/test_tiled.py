"""Looks at an image, with and without tiles, and what both bundled networks share."""

import numpy as np
import pytest

from pointsam import rle
from pointsam.base.errors import SchemaError
from pointsam.semantics import SemanticsContext, survey_semantics
from pointsam.semantics.base import Look
from pointsam.semantics.coco import COCO_NAMES
from pointsam.semantics.mapping import default_mapping
from pointsam.semantics.nanodet import NANODET, NanodetConfig
from pointsam.semantics.ssd import SSD, SsdConfig
from pointsam.semantics.tiled import TiledConfig, TiledSemantics
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
    with pytest.raises(SchemaError, match=r"SCH001.*no label of the bundled network(.|\n)*for --mapping"):
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


SHAPES = ((20, 30, 60, 80), (150, 40, 210, 90), (90, 20, 180, 110))
"""Boxes of the discs in `drawn_discs`: left, top, right, bottom."""


def drawn_discs():
    """(120,240,3) image with a disc in every box of SHAPES, the k-th of brightness 100 + k, and (3,120,240) masks."""
    v, u = np.mgrid[:120, :240] + 0.5
    image, discs = np.zeros((120, 240, 3), dtype=np.uint8), []
    for k, (left, top, right, bottom) in enumerate(SHAPES):
        across, down = (u - (left + right) / 2) / (right - left), (v - (top + bottom) / 2) / (bottom - top)
        disc = across**2 + down**2 < 0.25
        image[disc] = 100 + k
        discs.append(disc)
    return image, np.array([discs[0], discs[1] & ~discs[2], discs[2]])


class DiscFinder:
    """Finds every brightness of `drawn_discs`, with or without masks; `spoil` may change what it gives."""

    names = ("car", "car", "pedestrian")

    def __init__(self, masks=True, spoil=lambda found: found):
        self.masks, self.spoil, self.asked = masks, spoil, 0

    def look(self, image):
        pixels = np.asarray(image)[..., 0]
        masks = [pixels == 100 + k for k in range(3) if (pixels == 100 + k).any()]
        boxes = [rle.bbox_xyxy_px(rle.encode_mask(mask), *mask.shape) for mask in masks]
        scores = np.eye(3, dtype=np.float32)[[pixels[mask][0] - 100 for mask in masks]] * 0.9

        def mask_of(row):
            self.asked += 1
            return masks[row]

        boxes = np.array(boxes, dtype=np.float32).reshape(-1, 4)
        return self.spoil(Look(boxes, scores.reshape(-1, 3), mask_of if self.masks else None))


def semantics_of(finder, **options):
    mapping = LabelMapping(KITTI, {"car": "car", "pedestrian": "pedestrian"})
    return TiledSemantics("discs", "", finder, mapping, TiledConfig(**options))


@pytest.mark.parametrize("tile_px", [0, 100])
def test_masks_of_kept_boxes_lie_in_the_whole_image(tile_px, frame, view_of):
    image, discs = drawn_discs()
    found = semantics_of(DiscFinder(), tile_px=tile_px).detect(image, frame, view_of(120, 240))
    assert len(found) == len(found.rle) == 3
    for mask, box in zip(found.rle, found.box_xyxy_px, strict=True):
        assert rle.bbox_xyxy_px(mask, 120, 240) == tuple(box)
    assert set(found.rle) == {rle.encode_mask(disc) for disc in discs}


def test_a_mask_of_a_tile_is_the_mask_of_the_object(frame, view_of):
    """Only tiles see the small disc, because the whole image finds nothing."""
    image, discs = drawn_discs()

    def tiles_only(found):
        whole = found.masks is not None and len(found.boxes) == 3
        return Look(found.boxes[:0], found.scores[:0], found.masks) if whole else found

    found = semantics_of(DiscFinder(spoil=tiles_only), tile_px=100).detect(image, frame, view_of(120, 240))
    assert rle.encode_mask(discs[0]) in found.rle
    for mask in found.rle:
        assert any(mask == rle.encode_mask(disc) for disc in discs)


def test_masks_are_made_for_boxes_above_the_threshold_alone(frame, view_of):
    def doubtful(found):
        return Look(found.boxes, found.scores * np.float32([1, 0.1, 0.1]), found.masks)

    finder = DiscFinder(spoil=doubtful)
    assert len(semantics_of(finder).detect(drawn_discs()[0], frame, view_of(120, 240))) == finder.asked == 1


def test_masks_change_no_box(frame, view_of):
    image, view = drawn_discs()[0], view_of(120, 240)
    found, boxes = (semantics_of(DiscFinder(masks), tile_px=80).detect(image, frame, view) for masks in (True, False))
    assert boxes.rle is None
    assert found.box_xyxy_px.tobytes() == boxes.box_xyxy_px.tobytes()
    assert found.score.tobytes() == boxes.score.tobytes()


def test_a_box_with_an_empty_mask_is_left_out(frame, view_of):
    image, discs = drawn_discs()

    def hollow(found):
        return Look(found.boxes, found.scores, lambda row: found.masks(row) & (row != 1))

    found = semantics_of(DiscFinder(spoil=hollow)).detect(image, frame, view_of(120, 240))
    assert set(found.rle) == {rle.encode_mask(discs[0]), rle.encode_mask(discs[2])}


@pytest.mark.parametrize("tile_px", [0, 100])
def test_an_image_without_objects_has_no_masks(tile_px, frame, view_of):
    black = np.zeros((120, 240, 3), dtype=np.uint8)
    assert semantics_of(DiscFinder(), tile_px=tile_px).detect(black, frame, view_of(120, 240)).rle == ()


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda found: Look(found.boxes, found.scores * np.float32([1, 1, np.nan])), "a score of nan"),
        (lambda found: Look(found.boxes * np.float32(np.inf), found.scores), "a box of (nan|inf)"),
        (lambda found: Look(found.boxes, found.scores, lambda row: found.masks(row)[:-1]), "a mask of 240 x 119 px"),
    ],
)
def test_what_is_no_number_or_of_another_size_is_refused(spoil, told, frame, view_of):
    with pytest.raises(SchemaError, match=rf"SCH003.*the network gave {told}"):
        semantics_of(DiscFinder(spoil=spoil)).detect(drawn_discs()[0], frame, view_of(120, 240))
