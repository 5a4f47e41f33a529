import pytest

from pointsam.base.errors import SchemaError
from pointsam.masks import SegmentConfig


def test_the_defaults_are_the_published_thresholds():
    config = SegmentConfig()
    assert (config.pred_iou_threshold, config.stability_threshold, config.stability_offset) == (0.7, 0.8, 1.0)
    assert (config.nms_iou, config.mask_threshold) == (0.7, 0.0)


@pytest.mark.parametrize(
    "bad",
    [{"pred_iou_threshold": 1.5}, {"nms_iou": -0.1}, {"stability_offset": 0.0}, {"chunk": 0}, {"precision": "int8"}],
)
def test_a_value_out_of_range_is_refused_by_name(bad):
    with pytest.raises(SchemaError, match=next(iter(bad))) as caught:
        SegmentConfig(**bad)
    assert caught.value.code == "SCH005"
