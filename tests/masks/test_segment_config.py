import pytest

from pointsam.base.errors import SchemaError
from pointsam.masks import SegmentConfig
from pointsam.stages.recipes import RECIPES, with_overrides


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


def test_new_options_are_set_and_do_not_change_the_key_of_older_runs():
    recipe = RECIPES["default"]()
    assert not {"batch", "compile", "filters"} & recipe.as_dict()["masks"]["segment"].keys()
    names = ("masks.segment.batch=2", "masks.segment.compile=true", "masks.segment.filters=network")
    changed = with_overrides(recipe, names)
    options = changed.masks.segmenter_options()
    assert (options.batch, options.compile, options.filters) == (2, True, "network")
    assert {"batch": 2, "compile": True, "filters": "network"}.items() <= changed.as_dict()["masks"]["segment"].items()
    unset = with_overrides(changed, [name.partition("=")[0] + "=null" for name in names])
    assert unset.as_dict() == recipe.as_dict()


@pytest.mark.parametrize("option", ["batch=0", "filters=pixels", "compile=maybe"])
def test_a_value_out_of_range_is_refused(option):
    with pytest.raises(SchemaError, match=f"SCH005.*{option.partition('=')[0]}"):
        with_overrides(RECIPES["default"](), [f"masks.segment.{option}"])
