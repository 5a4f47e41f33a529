"""LabelMe's JSON files, as X-AnyLabeling and others write them too: shapes with labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeGuard

from pointsam.base.mask_files import as_object, fraction, label_of, malformed
from pointsam.base.remote import DataPath
from pointsam.semantics.objects import Found, Size, other_size, polygon_mask, shape_of

_SHAPES = ("polygon", "rectangle")


def is_labelme(values: object) -> TypeGuard[dict[str, object]]:
    """Whether the values of a JSON file are those of LabelMe."""
    return isinstance(values, dict) and "shapes" in values


def has_boxes(values: Mapping[str, object]) -> bool:
    """Whether a file of LabelMe has rectangles."""
    shapes = values.get("shapes")
    return any(
        isinstance(shape, dict) and shape.get("shape_type") == "rectangle"
        for shape in (shapes if isinstance(shapes, list) else ())
    )


def labelme_objects(path: DataPath, values: Mapping[str, object], size: Size) -> list[Found]:
    """The shapes of a file: polygons are masks, rectangles are boxes.

    Polygons with the same label and the same `group_id` are parts of one object. Shapes without a score have 1.

    Args:
        path: the file.
        values: its content.
        size: (height_px, width_px) of the image.

    Raises:
        DatasetError: DAT011 naming file and field, also on shapes of other types.
    """
    stated = (values.get("imageHeight"), values.get("imageWidth"))
    height, width = stated
    if type(height) is int and type(width) is int and stated != size:
        raise other_size(path, (height, width), size)
    shapes = values["shapes"]
    if not isinstance(shapes, list):
        raise malformed(path, "`shapes` is not a list", "a list of shapes, [] for an image without objects,")
    parts: dict[object, tuple[str, str, float, list[object]]] = {}
    found: dict[object, Found | None] = {}
    for i, value in enumerate(shapes):
        where = f"shapes[{i}]"
        shape = as_object(path, value, where)
        label = label_of(path, shape, where)
        score = 1.0 if shape.get("score") is None else fraction(path, shape, "score", where)
        kind, points = shape.get("shape_type", "polygon"), shape.get("points")
        if kind not in _SHAPES:
            raise malformed(path, f"{where}.shape_type is {kind!r:.60}", f"shapes of type {' or '.join(_SHAPES)}")
        if not isinstance(points, list) or not all(isinstance(point, list) and len(point) == 2 for point in points):
            raise malformed(path, f"{where}.points is {points!r:.60}", "a list of points [x, y]")
        flat = [number for point in points for number in point]
        if kind == "rectangle":
            found[i] = _rectangle(path, flat, where, size, label, score)
            continue
        group = shape.get("group_id")
        key: object = i if group is None else (label, str(group))
        found.setdefault(key, None)
        first, _, best, polygons = parts.get(key, (where, label, score, []))
        parts[key] = (first, label, max(best, score), [*polygons, flat])
    for key, (where, label, score, polygons) in parts.items():
        found[key] = Found(label, score, polygon_mask(path, polygons, where, size))
    return [one for one in found.values() if one is not None]


def _rectangle(path: DataPath, flat: list[object], where: str, size: Size, label: str, score: float) -> Found:
    """A rectangle by two opposite corners, or by all four."""
    numbers = [n for n in flat if isinstance(n, int | float) and not isinstance(n, bool)]
    if len(numbers) != len(flat) or len(flat) not in (4, 8):
        raise malformed(path, f"{where}.points is not a rectangle", "two opposite corners, or four")
    left_right, top_bottom = sorted(numbers[0::2]), sorted(numbers[1::2])
    corners = [left_right[0], top_bottom[0], left_right[-1], top_bottom[-1]]
    return shape_of(path, {"box_xyxy": corners}, where, size, label, score)
