from dataclasses import asdict, replace

import pytest

from pointsam.base.config import assignments
from pointsam.base.errors import SchemaError
from pointsam.masks import SegmentConfig
from pointsam.semantics.bundled import BundledConfig
from pointsam.semantics.oracle import OracleConfig
from pointsam.semantics.ssd import SsdConfig
from pointsam.stages.recipes import RECIPES, MasksConfig, with_overrides

PUBLISHED = {  # docs/method.md A.0
    "masks.prompt.sweeps": (0, 1, -1),
    "masks.prompt.close_m": 1.0,
    "masks.prompt.max_prompts": 256,
    "masks.ssd.score_threshold": 0.3,
    "masks.segment.pred_iou_threshold": 0.7,
    "masks.segment.stability_threshold": 0.8,
    "masks.segment.stability_offset": 1.0,
    "masks.segment.mask_threshold": 0.0,
    "masks.segment.nms_iou": 0.7,
    "masks.prompts": "points",
    "masks.semantic_overlap": "published",
    "masks.riders.enabled": False,
    "clusters.paint.order": "area",
    "clusters.paint.cover_threshold": 0.3,
    "clusters.lift.min_depth_m": 1.0,
    "clusters.lift.occlusion": False,
    "clusters.refine.range_coef": 0.04,
    "clusters.refine.min_points": 0,
    "clusters.refine.split_classes": True,
    "clusters.refine.same_image_veto": False,
    "clusters.refine.dims": 3,
    "clusters.merge.rule": "sequential",
    "clusters.merge.ratio": 0.5,
    "clusters.trim.enabled": False,
    "clusters.limit.enabled": False,
    "clusters.grow.enabled": False,
}


def field(config, dotted):
    value = config.as_dict()
    for name in dotted.split("."):
        value = value[name]
    return value


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_paper_recipe_has_every_published_default(name):
    assert field(RECIPES["paper"](), name) == PUBLISHED[name]


def test_assignments_are_what_changes_one_recipe_to_the_other():
    paper, ours = (RECIPES[name]().clusters for name in ("paper", "default"))
    texts = assignments(asdict(paper), asdict(ours), "clusters.")
    assert "clusters.refine.rings=3.5" in texts
    assert with_overrides(RECIPES["paper"](), texts).clusters == ours
    assert assignments(asdict(ours), asdict(ours)) == []


def test_a_field_is_changed_by_its_dotted_name_and_nothing_else():
    paper = RECIPES["paper"]()
    changed = with_overrides(paper, ["clusters.refine.range_coef=0.05", "masks.prompts=both"])
    assert (changed.clusters.refine.range_coef, changed.masks.prompts) == (0.05, "both")
    assert (
        with_overrides(changed, ["clusters.refine.range_coef=0.04", "masks.prompts=points"]).as_dict()
        == paper.as_dict()
    )


@pytest.mark.parametrize(
    "assignment",
    [
        "clusters.refine.kappa=1",
        "refine=1",
        "clusters.refine=1",
        "clusters.refine.range_coef",
        "a.b.c.d=1",
        "recipe=paper",
    ],
)
def test_an_unknown_field_is_refused_with_the_known_ones(assignment):
    with pytest.raises(SchemaError) as raised:
        with_overrides(RECIPES["paper"](), [assignment])
    assert raised.value.code == "SCH005"
    assert "clusters.refine.range_coef" in raised.value.hint


@pytest.mark.parametrize("assignment", ["clusters.refine.range_coef=wide", "masks.prompts=lines", "masks.seed=1.5"])
def test_a_value_of_the_wrong_kind_is_refused_with_the_field(assignment):
    with pytest.raises(SchemaError) as raised:
        with_overrides(RECIPES["paper"](), [assignment])
    assert assignment.partition("=")[0] in raised.value.message


@pytest.mark.parametrize(
    "assignment",
    [
        "clusters.lift.min_depth_m=NaN",
        "clusters.paint.cover_threshold=1e999",
        "masks.prompt.max_prompts=0",
        "masks.prompt.sweeps=[]",
        "clusters.merge.ratio=0",
        "clusters.trim.min_body=0",
        "clusters.trim.reach_m=-1",
    ],
)
def test_a_value_that_no_frame_could_use_is_refused_before_the_run(assignment):
    with pytest.raises(SchemaError, match="SCH005"):
        with_overrides(RECIPES["paper"](), [assignment])


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_survives_its_document(name):
    masks = RECIPES[name]().masks
    assert MasksConfig.from_dict(masks.as_dict(), "test").as_dict() == masks.as_dict()


def test_options_go_to_the_back_end_in_its_own_class():
    ssd = ["masks.semantics=ssd", "masks.ssd.tile_px=500", "masks.segment.chunk=2"]
    masks = with_overrides(RECIPES["default"](), ssd).masks
    assert masks.semantics_options() == SsdConfig(tile_px=500, score_threshold=0.4)
    assert masks.segmenter_options() == SegmentConfig(chunk=2)
    oracle = with_overrides(RECIPES["paper"](), ["masks.oracle.masks=true", "masks.semantics=oracle"]).masks
    assert oracle.semantics_options() == OracleConfig(masks=True)


def test_networks_of_a_source_of_classes_have_options_of_their_own():
    masks = with_overrides(RECIPES["default"](), ["masks.bundled.ssd.tile_px=0", "masks.bundled.fusion_iou=0.6"]).masks
    expected = BundledConfig(ssd=replace(BundledConfig().ssd, tile_px=0), fusion_iou=0.6)
    assert masks.semantics_options() == expected
    assert MasksConfig.from_dict(masks.as_dict(), "test").semantics_options() == expected


def test_options_of_a_source_that_is_not_in_use_are_refused():
    with pytest.raises(SchemaError, match=r"SCH005.*masks\.ssd\.tile_px=0.*bundled(.|\n)*--semantics ssd"):
        with_overrides(RECIPES["default"](), ["masks.ssd.tile_px=0"])
    with pytest.raises(SchemaError, match=r"SCH005.*oracle"):
        with_overrides(RECIPES["paper"](), ["masks.oracle.masks=true"])
    with pytest.raises(SchemaError, match=r"SCH005.*masks\.nanodet\.tile_px=0.*bundled(.|\n)*--semantics nanodet"):
        with_overrides(RECIPES["default"](), ["masks.nanodet.tile_px=0"])


@pytest.mark.parametrize("field", ["masks.bundled.nanodet_weight", "masks.bundled.ssd.tile_px", "masks.seed"])
def test_true_is_no_number(field):
    with pytest.raises(SchemaError, match=rf"SCH005.*{field}=true: true is no number"):
        with_overrides(RECIPES["default"](), [f"{field}=true"])


def test_an_unknown_field_is_named_with_the_nearest_one():
    with pytest.raises(SchemaError, match=r"names no field, did you mean 'masks\.bundled\.ssd\.tile_px'\?"):
        with_overrides(RECIPES["default"](), ["masks.bundled.ssd.tile=400"])


def test_an_option_that_its_back_end_refuses_is_named():
    with pytest.raises(SchemaError, match=r"SCH005.*--set masks\.ssd\.tile_px=wide: masks\.ssd\.tile_px"):
        with_overrides(RECIPES["paper"](), ["masks.ssd.tile_px=wide"])


def test_an_unknown_back_end_is_refused_before_the_run():
    with pytest.raises(SchemaError, match=r"SCH005.*'htc'"):
        with_overrides(RECIPES["paper"](), ["masks.semantics=htc"])


def test_a_document_opens_without_the_back_ends_that_it_names():
    """Labels are evaluated and exported on machines that did not make them."""
    document = RECIPES["paper"]().masks.as_dict() | {"backend": "theirs", "theirs": {"colour": "red"}}
    masks = MasksConfig.from_dict(document, "run.json")
    assert (masks.backend, masks.options["theirs"]) == ("theirs", {"colour": "red"})


def test_a_section_that_no_back_end_names_is_refused():
    document = RECIPES["paper"]().masks.as_dict()
    with pytest.raises(SchemaError, match=r"SCH005.*run\.json: masks\.promt"):
        MasksConfig.from_dict({**document, "promt": document["prompt"]}, "run.json")


THEIRS = """
from dataclasses import dataclass
from pointsam.semantics.base import SemanticsPlugin

@dataclass(frozen=True)
class Options:
    colour: str = "red"

PLUGIN = SemanticsPlugin(Options, None, None)
"""


def test_a_back_end_of_another_package_is_configured_like_ours(install):
    install("theirs", [("semantics", "gauge", "their_classes:PLUGIN")], {"their_classes": THEIRS})
    paper = RECIPES["paper"]()
    masks = with_overrides(paper, ["masks.gauge.colour=blue", "masks.semantics=gauge"]).masks
    assert masks.semantics_options().colour == "blue"
    assert masks.as_dict() == {**paper.masks.as_dict(), "semantics": "gauge", "gauge": {"colour": "blue"}}
    with pytest.raises(SchemaError, match=r"SCH005.*masks\.gauge\.colour"):
        with_overrides(paper, ["masks.gauge.colour=blue"])  # not in use, so without effect


@pytest.mark.parametrize("name", ["prompt", "segment"])
def test_options_that_would_hide_others_are_refused(install, name):
    install("theirs", [("semantics", name, "their_classes:PLUGIN")], {"their_classes": THEIRS})
    with pytest.raises(SchemaError, match=rf"SCH005.*both use the options masks\.{name}"):
        with_overrides(RECIPES["paper"](), [f"masks.semantics={name}"])
