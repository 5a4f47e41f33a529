from pathlib import Path

import numpy as np
import pytest

from pointsam import rle
from pointsam.base.errors import DatasetError
from pointsam.semantics.objects import object_of, polygon_mask

SIZE = (60, 80)
FILE = Path("000000.json")
SQUARE = [10, 20, 30, 20, 30, 40, 10, 40]


def read(**entry):
    return object_of(FILE, {"label": "car", "score": 0.5, **entry}, "[3]", SIZE)


def pixels(found):
    return rle.decode_mask(found.rle, *SIZE)


def expected():
    mask = np.zeros(SIZE, dtype=np.bool_)
    mask[20:40, 10:30] = True
    return mask


@pytest.mark.parametrize(
    "entry",
    [
        {"segmentation": [SQUARE]},
        {"segmentation": SQUARE},
        {"segmentation": [[10, 20], [30, 20], [30, 40], [10, 40]]},
        {"segments": {"x": [10.0, 30, 30, 10], "y": [20, 20, 40, 40.0]}, "box": {}},
    ],
    ids=["COCO", "flat", "points", "Ultralytics"],
)
def test_polygons_of_any_form_are_masks(entry):
    np.testing.assert_array_equal(pixels(read(**entry)), expected())


def test_a_polygon_of_several_parts_is_one_mask():
    found = pixels(read(segmentation=[SQUARE, [50, 10, 60, 10, 60, 20, 50, 20]]))
    np.testing.assert_array_equal(found[:, :40], expected()[:, :40])
    assert found[10:20, 50:60].all()
    assert found.sum() == 500


def test_run_lengths_may_be_compressed_or_not():
    counts = rle.encode_mask(expected())
    runs = rle.check(counts, SIZE[0] * SIZE[1]).tolist()
    for given in (counts.decode(), runs):
        assert read(segmentation={"size": list(SIZE), "counts": given}).rle == counts


def test_run_lengths_may_hold_empty_runs():
    runs = [0, 0, 100, 0, 0, 60 * 80 - 100]
    assert pixels(read(segmentation={"size": list(SIZE), "counts": runs})).sum() == 60 * 80 - 100


@pytest.mark.parametrize(
    "entry",
    [
        {"bbox": [10, 20, 20, 20]},
        {"bbox": [10, 20, 20, 20], "segmentation": []},
        {"bbox": [10, 20, 20, 20], "segmentation": None},
        {"box_xyxy": [10, 20, 30, 40]},
        {"box": {"x1": 10, "y1": 20, "x2": 30, "y2": 40}},
    ],
)
def test_boxes_state_their_convention_by_their_name(entry):
    found = read(**entry)
    assert found.box_xyxy_px == (10, 20, 30, 40)
    assert found.rle is None


def test_a_box_that_leaves_the_image_a_little_is_clipped():
    assert read(bbox=[-3, 50, 20, 10.5]).box_xyxy_px == (0, 50, 17, 60)
    assert read(box_xyxy=[70, 50, 200 - 60, 80]).box_xyxy_px == (70, 50, 80, 60)


def test_a_mask_wins_over_the_box_beside_it():
    np.testing.assert_array_equal(pixels(read(segmentation=[SQUARE], bbox=[0, 0, 1, 1])), expected())


def test_the_words_of_other_tools_for_label_and_score():
    entry = {"name": "car", "confidence": 0.25, "bbox": [1, 2, 3, 4]}
    assert object_of(FILE, entry, "[0]", SIZE)[:2] == ("car", 0.25)
    assert object_of(FILE, {**entry, "category_name": "van"}, "[0]", SIZE).label == "van"


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({}, "[3] has neither a mask nor a box"),
        ({"bbox": None}, "neither a mask nor a box"),
        ({"bbox": [1, 2, 3, 4], "box_xyxy": [1, 2, 3, 4]}, "[3] has bbox and box_xyxy"),
        ({"box": [1, 2, 3, 4]}, "[3].box does not say whether it holds corners or width and height"),
        ({"box": {"x1": 1, "xmax": 2}}, "[3].box has no y1, x2, y2"),
        ({"bbox": [1, 2, 3]}, "3 numbers"),
        ({"bbox": "1 2 3 4"}, "[3].bbox is '1 2 3 4'"),
        ({"bbox": [1, 2, "3", 4]}, "[3].bbox is"),
        ({"bbox": [1, 2, True, 4]}, "[3].bbox is"),
        ({"bbox": [1, 2, float("inf"), 4]}, "[3].bbox is"),
        ({"bbox": [1, 2, float("nan"), 4]}, "[3].bbox is"),
        ({"bbox": [1, 2, 10**400, 4]}, "[3].bbox is"),
        ({"bbox": [40, 30, 70, 55]}, "seems to be [left, top, right, bottom]"),
        ({"bbox": [0.1, 0.2, 0.3, 0.4]}, "fractions of the image"),
        ({"box_xyxy": [0.1, 0.2, 0.3, 0.4]}, "fractions of the image"),
        ({"bbox": [10, 20, 0, 5]}, "has no area"),
        ({"bbox": [10, 20, -5, 5]}, "has no area"),
        ({"box_xyxy": [30, 40, 10, 20]}, "has no area"),
        ({"bbox": [500, 20, 20, 20]}, "far outside of the image of 80 x 60 px"),
        ({"bbox": [90, 20, 20, 20]}, "lies outside of the image"),
        ({"segmentation": [[1, 2, 3, 4]]}, "[3].segmentation[0] has 4 numbers"),
        ({"segmentation": [[1, 2, 3, 4, 5, 6, 7]]}, "[3].segmentation[0] has 7 numbers"),
        ({"segmentation": [[0.1, 0.1, 0.5, 0.1, 0.5, 0.5]]}, "fractions of the image"),
        ({"segmentation": [[1e8, 2, 3, 4, 5, 6]]}, "far outside"),
        ({"segmentation": [[1, 2, None, 4, 5, 6]]}, "[3].segmentation[0] is"),
        ({"segmentation": ["x"]}, "[3].segmentation[0] is 'x'"),
        ({"segmentation": [[[1, 2], [3, 4], [5, 6]]]}, "[3].segmentation[0] is"),
        ({"segmentation": 5}, "[3].segmentation is not a JSON object"),
        ({"segmentation": "`1"}, "[3].segmentation is not a JSON object"),
        ({"segments": [1]}, "[3].segments is not a JSON object"),
        ({"segments": {"x": [1, 2, 3], "y": [1, 2]}}, "3 x and 2 y"),
        ({"segments": {"x": [1, 2], "y": [1, 2]}}, "4 numbers"),
        ({"label": 3, "bbox": [1, 2, 3, 4]}, "[3].label is 3"),
    ],
)
def test_what_is_no_object_names_the_field(entry, says):
    with pytest.raises(DatasetError) as caught:
        read(**entry)
    assert caught.value.code == "DAT011"
    assert says in str(caught.value)
    assert "000000.json" in str(caught.value)


def test_an_entry_with_the_id_of_a_category_needs_its_name():
    with pytest.raises(DatasetError, match=r"DAT011.*\[0\]\.category_id is 3"):
        object_of(FILE, {"category_id": 3, "score": 1, "bbox": [1, 2, 3, 4]}, "[0]", SIZE)


def test_random_polygons_are_masks_that_fill_their_image():
    rng = np.random.default_rng(0)
    for _ in range(300):
        count = int(rng.integers(3, 9))
        xy = rng.uniform(-80, 160, (count, 2)) * (1, 0.75)
        if rng.random() < 0.3:
            xy = np.round(xy)
        if xy.min() < 0 or xy.max() > 1:
            rle.check(polygon_mask(FILE, [xy.ravel().tolist()], "[0]", SIZE), 60 * 80)


def test_random_values_raise_coded_errors_only():
    rng = np.random.default_rng(1)
    atoms = [None, True, 0, -1, 3, 1e300, 0.5, 59, "", "car", "`1", [], {}, [1, 2], [1, 2, 3, 4], [[1, 2, 3, 4, 5, 6]]]
    names = [
        "label",
        "name",
        "score",
        "bbox",
        "box",
        "box_xyxy",
        "segmentation",
        "segments",
        "size",
        "counts",
        "x",
        "y",
    ]

    def value(depth):
        kind = rng.integers(4) if depth else 0
        if kind == 1:
            return [value(depth - 1) for _ in range(rng.integers(5))]
        if kind == 2:
            return {names[k]: value(depth - 1) for k in rng.integers(len(names), size=4)}
        return atoms[rng.integers(len(atoms))]

    refused = 0
    for _ in range(3000):
        entry = {names[k]: value(3) for k in rng.integers(len(names), size=5)} | {"label": "car", "score": 1}
        try:
            found = object_of(FILE, entry, "[0]", SIZE)
            assert (found.rle is None) != (found.box_xyxy_px is None)
        except DatasetError:
            refused += 1
    assert refused > 1000
