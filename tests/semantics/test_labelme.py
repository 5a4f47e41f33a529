from pathlib import Path

import pytest

from pointsam import rle
from pointsam.base.errors import DatasetError
from pointsam.semantics.labelme import has_boxes, is_labelme, labelme_objects

SIZE = (60, 80)
SQUARE = [[10, 20], [30, 20], [30, 40], [10, 40]]


def shape(**change):
    return {"label": "car", "points": SQUARE, "shape_type": "polygon", "group_id": None, "flags": {}} | change


def read(*shapes, **change):
    values = {"version": "5.4", "imageHeight": 60, "imageWidth": 80, "shapes": list(shapes)} | change
    return labelme_objects(Path("000000.json"), values, SIZE)


def test_polygons_are_masks_and_rectangles_are_boxes():
    polygon, two, four = read(
        shape(),
        shape(label="person", shape_type="rectangle", points=[[30, 40], [10, 20]], score=0.5),
        shape(shape_type="rectangle"),
    )
    assert (polygon.label, polygon.score, rle.area_px(polygon.rle, *SIZE)) == ("car", 1.0, 400)
    assert (two.label, two.score, two.rle, two.box_xyxy_px) == ("person", 0.5, None, (10, 20, 30, 40))
    assert four.box_xyxy_px == (10, 20, 30, 40)


def test_polygons_of_a_group_are_one_object():
    other = [[50, 10], [60, 10], [60, 20], [50, 20]]
    found = read(shape(group_id=1), shape(group_id=2), shape(group_id=1, points=other), shape(group_id=1, label="van"))
    assert [(one.label, rle.area_px(one.rle, *SIZE)) for one in found] == [("car", 500), ("car", 400), ("van", 400)]


def test_an_image_without_shapes_is_empty():
    assert read() == []
    assert read(imageHeight=None, imageWidth=None) == []


def test_only_files_with_shapes_are_of_labelme():
    assert is_labelme({"shapes": []})
    assert not is_labelme([])
    assert not is_labelme({})


def test_rectangles_are_found_before_a_file_is_read_in_full():
    assert has_boxes({"shapes": [1, shape(), shape(shape_type="rectangle")]})
    assert not has_boxes({"shapes": [shape()]})
    assert not has_boxes({"shapes": None})


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"imageWidth": 81}, "81 x 60 px, but the image has 80 x 60 px"),
        ({"shapes": {}}, "`shapes` is not a list"),
        ({"shapes": [1]}, "shapes[0] is not"),
        ({"shapes": [{}]}, "shapes[0].label is None"),
        ({"shapes": [shape(shape_type="circle")]}, "shapes[0].shape_type is 'circle'"),
        ({"shapes": [shape(shape_type=[])]}, "shapes[0].shape_type is []"),
        ({"shapes": [shape(points=None)]}, "shapes[0].points is None"),
        ({"shapes": [shape(points=[1, 2])]}, "shapes[0].points is"),
        ({"shapes": [shape(points=[[1, 2], [3, 4]])]}, "has 4 numbers"),
        ({"shapes": [shape(points=[["a", 2], [3, 4], [5, 6]])]}, "shapes[0][0] is"),
        ({"shapes": [shape(shape_type="rectangle", points=[[1, 2]])]}, "shapes[0].points is not a rectangle"),
        ({"shapes": [shape(shape_type="rectangle", points=[["a", 2], [3, 4]])]}, "is not a rectangle"),
        ({"shapes": [shape(score=2)]}, "shapes[0].score is 2"),
        ({"shapes": [shape(score="high")]}, "shapes[0].score is 'high'"),
    ],
)
def test_a_malformed_file_names_the_field(values, says):
    with pytest.raises(DatasetError) as caught:
        read(**values)
    assert caught.value.code == "DAT011"
    assert says in str(caught.value)
    assert "000000.json" in str(caught.value)
