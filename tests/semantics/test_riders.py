import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pointsam import rle
from pointsam.semantics.mapping import default_mapping
from pointsam.semantics.riders import RiderConfig, ride
from pointsam.semantics.ssd import SSD, SsdConfig
from pointsam.taxonomy import KITTI, NUSCENES
from pointsam.types import Detections

ON = RiderConfig(enabled=True)
PERSON, BICYCLE, MOTORCYCLE, CAR = (NUSCENES.class_id(n) for n in ("pedestrian", "bicycle", "motorcycle", "car"))

# One metre is 100 pixels: a bicycle 1.8 m long and 1 m high, its rider's feet 0.2 m above the ground.
CYCLE = (100, 200, 280, 300)
RIDER = (150, 130, 220, 280)


def detections(*rows, masks=None):
    box, class_id, score = zip(*rows, strict=True) if rows else ((), (), ())
    return Detections(
        np.array(box, dtype=np.float32).reshape(-1, 4),
        np.array(class_id, dtype=np.uint8),
        np.array(score, dtype=np.float32),
        masks,
    )


def rows(found):
    return sorted(
        zip(map(tuple, found.box_xyxy_px.tolist()), found.class_id.tolist(), found.score.tolist(), strict=True)
    )


def joins(rider, cycle=CYCLE):
    return len(ride(detections((rider, PERSON, 0.5), (cycle, BICYCLE, 0.5)), NUSCENES, ON)) == 1


def test_a_rider_and_his_bicycle_are_one_bicycle_with_both_boxes_and_the_higher_score():
    found = ride(detections((RIDER, PERSON, 0.75), (CYCLE, BICYCLE, 0.5)), NUSCENES, ON)
    assert rows(found) == [((100, 130, 280, 300), BICYCLE, 0.75)]


def test_a_rider_seen_from_behind_is_wider_than_the_wheel():
    assert joins((160, 130, 220, 285), cycle=(175, 200, 205, 300))


@pytest.mark.parametrize(
    "person",
    [(285, 130, 345, 300), (265, 130, 335, 300)],
    ids=["clear of it", "overlapping by a quarter"],
)
def test_somebody_beside_a_bicycle_does_not_ride_it(person):
    assert not joins(person)


def test_somebody_nearer_to_the_camera_does_not_ride():
    assert not joins((150, 100, 230, 340))


def test_somebody_far_behind_does_not_ride():
    assert not joins((180, 170, 200, 225))


def test_somebody_who_does_not_rise_above_the_bicycle_does_not_ride():
    assert not joins((150, 190, 220, 290))


def test_a_giant_does_not_ride():
    assert not joins((150, 40, 230, 300))


@pytest.mark.parametrize(
    ("rides", "stands_by"),
    [
        ((250, 130, 310, 280), (251, 130, 311, 280)),
        ((70, 130, 130, 280), (69, 130, 129, 280)),
        ((150, 175, 220, 300), (150, 176, 220, 300)),
        ((150, 150, 220, 240), (150, 150, 220, 239)),
        ((150, 130, 220, 310), (150, 130, 220, 311)),
        ((150, 80, 220, 300), (150, 79, 220, 300)),
    ],
    ids=["right", "left", "rise", "hides", "feet", "height"],
)
def test_a_rider_may_be_as_far_off_as_the_limits_say(rides, stands_by):
    assert joins(rides)
    assert not joins(stands_by)


def test_half_of_the_narrower_of_the_two_is_beside_the_other():
    narrow = (100, 200, 200, 300)
    assert joins((20, 130, 150, 280), cycle=narrow)
    assert not joins((20, 130, 149, 280), cycle=narrow)


def test_off_is_off():
    found = detections((RIDER, PERSON, 0.75), (CYCLE, BICYCLE, 0.5))
    assert ride(found, NUSCENES, RiderConfig()) is found


def test_a_semantic_map_has_no_riders():
    mask = (rle.encode_mask(np.ones((4, 4), dtype=np.bool_)),) * 2
    found = detections((RIDER, PERSON, 1.0), (CYCLE, BICYCLE, 1.0), masks=mask)
    semantic = Detections(found.box_xyxy_px, found.class_id, found.score, mask, instances=False)
    assert ride(semantic, NUSCENES, ON) is semantic


def test_of_two_people_the_one_who_overlaps_more_rides():
    beside = (215, 130, 290, 305)
    found = ride(detections((beside, PERSON, 0.9), (RIDER, PERSON, 0.6), (CYCLE, BICYCLE, 0.5)), NUSCENES, ON)
    assert rows(found) == sorted(
        [(beside, PERSON, pytest.approx(0.9)), ((100, 130, 280, 300), BICYCLE, pytest.approx(0.6))]
    )


def test_two_cyclists_in_a_row_stay_two():
    shift = np.array([120, 0, 120, 0])
    pairs = [(box, c, 0.5) for k in (0, 1) for box, c in ((RIDER + k * shift, PERSON), (CYCLE + k * shift, BICYCLE))]
    found = ride(detections(*pairs), NUSCENES, ON)
    assert [row[1] for row in rows(found)] == [BICYCLE, BICYCLE]
    assert [row[0][0] for row in rows(found)] == [100, 220]


def test_masks_unite():
    masks = np.zeros((2, 6, 5), dtype=np.bool_)
    masks[0, :4, 1:3] = True
    masks[1, 3:, :] = True
    coded = tuple(rle.encode_mask(mask) for mask in masks)
    found = ride(detections((RIDER, PERSON, 0.5), (CYCLE, BICYCLE, 0.5), masks=coded), NUSCENES, ON)
    assert found.rle == (rle.encode_mask(masks.any(axis=0)),)


def test_a_parked_bicycle_is_no_kitti_cyclist_but_a_nuscenes_bicycle():
    cyclist = KITTI.class_id("cyclist")
    assert len(ride(detections((CYCLE, cyclist, 0.9)), KITTI, ON)) == 0
    assert len(ride(detections((CYCLE, BICYCLE, 0.9)), NUSCENES, ON)) == 1


def test_a_kitti_cyclist_has_its_rider():
    person, cyclist = KITTI.class_id("pedestrian"), KITTI.class_id("cyclist")
    found = ride(detections((CYCLE, cyclist, 0.5), (RIDER, person, 0.75)), KITTI, ON)
    assert rows(found) == [((100, 130, 280, 300), cyclist, 0.75)]


def test_the_parked_bicycles_of_a_real_kitti_image_go_and_its_pedestrian_stays(kitti_root, frame, view_of):
    from PIL import Image

    image = np.array(Image.open(kitti_root / "training" / "image_2" / "000000.png"))
    found = SSD.load(default_mapping(KITTI), SsdConfig(tile_px=400)).detect(image, frame, view_of(*image.shape[:2]))
    after = ride(found, KITTI, ON)
    person, cyclist = KITTI.class_id("pedestrian"), KITTI.class_id("cyclist")
    assert cyclist in found.class_id
    assert cyclist not in after.class_id
    assert np.sum(after.class_id == person) == np.sum(found.class_id == person) > 0


@st.composite
def streets(draw):
    """People and cycles thrown about so that many of them ride, share a cycle or tie."""
    found = []
    for _ in range(draw(st.integers(0, 5))):
        x, y = draw(st.integers(0, 3)) * 40, draw(st.integers(0, 3)) * 20
        size = draw(st.sampled_from([0.5, 1, 1.25]))
        kind = draw(
            st.sampled_from([(CYCLE, BICYCLE), (CYCLE, MOTORCYCLE), (RIDER, PERSON), (RIDER, PERSON), (CYCLE, CAR)])
        )
        box = tuple(size * (c + (x, y)[i % 2]) for i, c in enumerate(kind[0]))
        found.append((box, kind[1], draw(st.sampled_from([0.25, 0.5]))))
    return found


@settings(max_examples=30)
@given(streets(), st.randoms(use_true_random=False))
def test_the_order_of_the_detections_does_not_show(street, random):
    mixed = random.sample(street, len(street))
    assert rows(ride(detections(*street), NUSCENES, ON)) == rows(ride(detections(*mixed), NUSCENES, ON))


@settings(max_examples=30)
@given(streets())
def test_a_second_ride_changes_nothing(street):
    once = ride(detections(*street), NUSCENES, ON)
    assert rows(ride(once, NUSCENES, ON)) == rows(once)


@settings(max_examples=30)
@given(streets())
def test_every_joint_object_costs_one_rider_and_nothing_else_changes(street):
    before = detections(*street)
    after = ride(before, NUSCENES, ON)
    count = lambda found, *classes: int(np.isin(found.class_id, classes).sum())  # noqa: E731
    assert len(before) - len(after) == count(before, PERSON) - count(after, PERSON) >= 0
    assert count(after, BICYCLE, MOTORCYCLE) == count(before, BICYCLE, MOTORCYCLE)
    assert count(after, CAR) == count(before, CAR)
