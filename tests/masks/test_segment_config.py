import pytest

from pointsam.base.errors import SchemaError
from pointsam.masks import SegmentConfig


def test_the_defaults_are_the_published_thresholds():
    config = SegmentConfig()
    assert (config.pred_iou_threshold, config.stability_threshold, config.stability_offset) == (0.7, 0.8, 1.0)
    assert (config.nms_iou, config.mask_threshold) == (0.7, 0.0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *((name, end) for name in ("pred_iou_threshold", "stability_threshold", "nms_iou") for end in (0.0, 1.0)),
        ("stability_offset", 0.01),
        ("chunk", 1),
        ("chunk", None),
        ("precision", "float16"),
    ],
)
def test_the_ends_of_a_range_are_in_it(field, value):
    assert getattr(SegmentConfig(**{field: value}), field) == value


@pytest.mark.parametrize(
    "bad",
    [
        {"pred_iou_threshold": 1.01},
        {"stability_threshold": -0.01},
        {"nms_iou": -0.01},
        {"stability_offset": 0.0},
        {"chunk": 0},
        {"precision": "int8"},
    ],
)
def test_a_value_out_of_range_is_refused_by_name(bad):
    with pytest.raises(SchemaError, match=next(iter(bad))) as caught:
        SegmentConfig(**bad)
    assert caught.value.code == "SCH005"
