"""Named recipes: complete configurations with the published schedules (docs/method.md B.4, B.5, B.7, B.10).

Recipes of real data sets differ from the published ones in six points, which `as_published` reverts: clusters come
from PointSAM's tables, regions where labels may be missing are excluded from the losses, frames are also drawn for
their clusters (as many as published), pasted objects stand on the ground that the points show (KITTI), a second stage
trains on 256 of 1,000 proposals, and networks compute in half precision. What remains different is in
docs/training.md. Recipes of synthetic worlds are our own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from pointsam.detect.assign.anchor_map import AnchorClass
from pointsam.detect.data.augment import AugmentConfig
from pointsam.detect.data.coarse import CoarseConfig
from pointsam.detect.data.paste import PasteConfig
from pointsam.detect.data.sample import PointsConfig
from pointsam.detect.data.training_set import DataConfig
from pointsam.detect.detector import DetectorConfig
from pointsam.detect.heads.anchor import AnchorHeadConfig
from pointsam.detect.heads.center import CenterHeadConfig
from pointsam.detect.heads.refine import RefineConfig
from pointsam.detect.heads.roi import RoiHeadConfig
from pointsam.detect.nets.encoders import EncoderConfig, NeckConfig
from pointsam.detect.nets.grid import Grid
from pointsam.detect.recipe import Recipe, TrainConfig

_GROUPS = (
    ("car",),
    ("truck", "construction_vehicle"),
    ("bus", "trailer"),
    ("barrier",),
    ("motorcycle", "bicycle"),
    ("pedestrian", "traffic_cone"),
)
_SMALL_PEAKS = {"pedestrian": 2, "traffic_cone": 2}
_NUSCENES_CLASSES = tuple(name for group in _GROUPS for name in group)
_NUSCENES_PASTE = dict(zip(_NUSCENES_CLASSES, (2, 3, 7, 4, 6, 2, 6, 6, 2, 2), strict=True))
_SYNTHETIC_PASTE = dict.fromkeys(_NUSCENES_PASTE, 2) | {"motorcycle": 3, "bicycle": 3}
"""Few of the rare classes: with seven pasted construction vehicles in each of a few hundred frames, a detector predicts
them everywhere."""
_CODE_WEIGHTS = (1.0,) * 8 + (0.2, 0.2)
"""CenterPoint's weights, lower for the velocity. The published recipes use MixSup's, lower for the heading."""
_REACH = 1
"""Where a cluster covers half of its object, the heat map peaks one location beside the object's centre."""
_LARGE, _SMALL = (0.8, 0.1), (0.6, 0.15)
"""Cluster thresholds of large and small objects (docs/method.md B.7, KITTI)."""
_NUSCENES_ANCHORS = (
    AnchorClass("car", (4.63, 1.97, 1.74), -0.95, (0.6, 0.45), _LARGE),
    AnchorClass("truck", (6.93, 2.51, 2.84), -0.6, (0.55, 0.4), _LARGE),
    AnchorClass("construction_vehicle", (6.37, 2.85, 3.19), -0.225, (0.5, 0.35), _LARGE),
    AnchorClass("bus", (10.5, 2.94, 3.47), -0.085, (0.55, 0.4), _LARGE),
    AnchorClass("trailer", (12.29, 2.90, 3.87), 0.115, (0.5, 0.35), _LARGE),
    AnchorClass("barrier", (0.50, 2.53, 0.98), -1.33, (0.55, 0.4), _SMALL),
    AnchorClass("motorcycle", (2.11, 0.77, 1.47), -1.085, (0.5, 0.3), _SMALL),
    AnchorClass("bicycle", (1.70, 0.60, 1.28), -1.18, (0.5, 0.35), _SMALL),
    AnchorClass("pedestrian", (0.73, 0.67, 1.77), -0.935, (0.6, 0.4), _SMALL),
    AnchorClass("traffic_cone", (0.41, 0.41, 1.07), -1.285, (0.6, 0.4), _SMALL),
)
_KITTI_ANCHORS = (
    AnchorClass("car", (3.9, 1.6, 1.56), -1.0, (0.6, 0.45), (0.8, 0.1)),
    AnchorClass("pedestrian", (0.8, 0.6, 1.73), 0.265, (0.5, 0.35), (0.6, 0.15)),
    AnchorClass("cyclist", (1.76, 0.6, 1.73), 0.265, (0.5, 0.35), (0.6, 0.15)),
)
_WAYMO_ANCHORS = (
    AnchorClass("vehicle", (4.7, 2.1, 1.7), 0.85, (0.55, 0.4), (0.7, 0.05)),
    AnchorClass("pedestrian", (0.91, 0.86, 1.73), 0.865, (0.5, 0.35), (0.6, 0.15)),
    AnchorClass("cyclist", (1.78, 0.84, 1.78), 0.89, (0.5, 0.35), (0.6, 0.15)),
)
_HEAT_BIAS = -2.19
"""Published initial bias of the heat, a probability of 0.1. Synthetic recipes start at 0.01 (PRIOR_LOGIT)."""
_PLAIN = EncoderConfig("voxel", voxel_channels=(16, 32, 64, 64), residual=False, first_layers=1)
_WIDE_NECK = NeckConfig((5, 5), (1, 2), (128, 256), (256, 256), 1)
_SMALL_NECK = NeckConfig((2, 2, 2), (2, 2, 2), (32, 64, 96), (32, 32, 32), 2)
_PILLARS = Grid((-51.2, -51.2, -5.0, 51.2, 51.2, 3.0), (0.4, 0.4, 8.0))


def synthetic_small() -> Recipe:
    """CenterPoint on wide pillars; trains in minutes on a CPU."""
    head = CenterHeadConfig(
        _GROUPS,
        _SMALL_PEAKS,
        default_radius=2,
        reach=_REACH,
        heading="axis",
        channels=32,
        code_weights=_CODE_WEIGHTS,
    )
    detector = DetectorConfig(_PILLARS, EncoderConfig("pillar", 32), _SMALL_NECK, head, refine=RefineConfig())
    data = DataConfig(
        points=PointsConfig(past_sweeps=2),
        paste=PasteConfig(_SYNTHETIC_PASTE, off_last_epochs=3),
        resample="none",
    )
    train = TrainConfig(epochs=20, learning_rate=0.004, eval_epochs=10, workers=1)
    return Recipe("synthetic-small", detector, data, train)


def synthetic_small_second() -> Recipe:
    """SECOND on wide pillars; trains in minutes on a CPU."""
    base = synthetic_small()
    head = AnchorHeadConfig(_NUSCENES_ANCHORS, channels=64, match="centers", balance=True, nms_iou=0.2)
    detector = replace(base.detector, head=head)
    return replace(base, name="synthetic-small-second", detector=detector)


def synthetic() -> Recipe:
    """CenterPoint on pillars of 0.2 m, for one GPU."""
    base = nuscenes_centerpoint_pillar()
    head = CenterHeadConfig(_GROUPS, _SMALL_PEAKS, reach=_REACH, heading="axis", code_weights=_CODE_WEIGHTS)
    detector = replace(base.detector, head=head, refine=RefineConfig())
    data = DataConfig(PointsConfig(past_sweeps=9), paste=PasteConfig(_SYNTHETIC_PASTE))
    train = replace(base.train, epochs=30, batch_size=8, learning_rate=0.002, eval_epochs=10)
    return replace(base, name="synthetic", detector=detector, data=data, train=train)


def nuscenes_centerpoint_voxel() -> Recipe:
    """CenterPoint on voxels of 0.075 m, the paper's main detector."""
    grid = Grid((-54.0, -54.0, -5.0, 54.0, 54.0, 3.0), (0.075, 0.075, 0.2))
    detector = DetectorConfig(grid, EncoderConfig("voxel", residual=True), _WIDE_NECK, _nuscenes_head())
    return Recipe("nuscenes-centerpoint-voxel", detector, _nuscenes_data(), TrainConfig(batch_size=6, precision="bf16"))


def nuscenes_centerpoint_pillar() -> Recipe:
    """CenterPoint on pillars of 0.2 m; the paper has none, so its head and schedule are those with voxels."""
    grid = Grid((-51.2, -51.2, -5.0, 51.2, 51.2, 3.0), (0.2, 0.2, 8.0))
    detector = DetectorConfig(grid, EncoderConfig("pillar"), NeckConfig(), _nuscenes_head())
    return Recipe(
        "nuscenes-centerpoint-pillar", detector, _nuscenes_data(), TrainConfig(batch_size=6, precision="bf16")
    )


def _nuscenes_head() -> CenterHeadConfig:
    return CenterHeadConfig(_GROUPS, _SMALL_PEAKS, heat_bias=_HEAT_BIAS, most_of_group=83, most=83 * len(_GROUPS))


def _nuscenes_data() -> DataConfig:
    return DataConfig(
        PointsConfig(past_sweeps=9, repeat_missing=True),
        paste=PasteConfig(_NUSCENES_PASTE, of_two="neither"),
        repeat=2,
        count="boxes",
    )


def kitti_second() -> Recipe:
    """SECOND."""
    grid = Grid((0.0, -40.0, -3.0, 70.4, 40.0, 1.0), (0.05, 0.05, 0.1))
    head = _published_anchors(_KITTI_ANCHORS, nms_iou=0.01)
    detector = DetectorConfig(grid, _PLAIN, _WIDE_NECK, head)
    paste = PasteConfig(
        {"car": 15, "pedestrian": 10, "cyclist": 10},
        whole_scene=False,
        off_last_epochs=0,
        of_two="neither",
        road="points",
        rated_only=True,
    )
    data = DataConfig(
        PointsConfig(intensity_full=1.0, in_view_only=True),
        augment=AugmentConfig(flip_x=False, scale=(0.95, 1.05), shift_m=0.0),
        paste=paste,
        repeat=3,
        count="boxes",
    )
    return Recipe("kitti-second", detector, data, TrainConfig(epochs=80, learning_rate=0.003, precision="bf16"))


def _published_anchors(anchors: tuple[AnchorClass, ...], nms_iou: float) -> AnchorHeadConfig:
    return AnchorHeadConfig(
        anchors, velocity_weight=0.0, candidates=4096, nms_iou=nms_iou, most=500, places="edges", nms_across=True
    )


def kitti_two_stage() -> Recipe:
    """SECOND with a second stage on points, comparable to PV-RCNN."""
    base = kitti_second()
    head = replace(
        _published_anchors(_KITTI_ANCHORS, nms_iou=0.01),
        proposal_candidates=1000,
        test_proposal_candidates=1024,
        test_proposal_nms_iou=0.7,
    )
    detector = replace(base.detector, head=head, roi=RoiHeadConfig(most=500, nms_across=True))
    train = replace(base.train, batch_size=2, learning_rate=0.01)
    return replace(base, name="kitti-two-stage", detector=detector, train=train)


def waymo_centerpoint() -> Recipe:
    """CenterPoint without residual blocks."""
    head = CenterHeadConfig(
        (("vehicle", "pedestrian", "cyclist"),),
        {"pedestrian": 2, "cyclist": 2},
        box_weight=2.0,
        code_weights=(1.0,) * 8 + (0.0, 0.0),
        nms_iou=0.7,
        most=500,
        heat_bias=_HEAT_BIAS,
    )
    detector = DetectorConfig(_waymo_grid(), _PLAIN, _WIDE_NECK, head)
    return Recipe(
        "waymo-centerpoint", detector, _waymo_data(), TrainConfig(epochs=30, learning_rate=0.003, precision="bf16")
    )


def waymo_second() -> Recipe:
    """SECOND."""
    head = _published_anchors(_WAYMO_ANCHORS, nms_iou=0.7)
    detector = DetectorConfig(_waymo_grid(), _PLAIN, _WIDE_NECK, head)
    return Recipe(
        "waymo-second", detector, _waymo_data(), TrainConfig(epochs=30, learning_rate=0.003, precision="bf16")
    )


def _waymo_grid() -> Grid:
    return Grid((-75.2, -75.2, -2.0, 75.2, 75.2, 4.0), (0.1, 0.1, 0.15))


def _waymo_data() -> DataConfig:
    return DataConfig(
        PointsConfig(intensity_full=1.0),
        augment=AugmentConfig(scale=(0.95, 1.05), shift_m=0.0),
        paste=PasteConfig({"vehicle": 15, "pedestrian": 10, "cyclist": 10}, margin_m=1.0, of_two="neither"),
        count="boxes",
    )


def as_published(recipe: Recipe) -> Recipe:
    """The published rules: clusters simulated at every access, no ignore regions, frames drawn for their boxes alone,
    road planes on KITTI, 512 proposals of 9,000, and single precision.
    """
    coarse = CoarseConfig("simulated", redraw=True, unknown_unseen=False, unknown_dropped=False)
    paste = recipe.data.paste
    paste = replace(paste, road="planes" if paste.road == "points" else paste.road)
    data = replace(recipe.data, coarse=coarse, resample="boxes", paste=paste)
    detector = recipe.detector
    if detector.roi is not None and isinstance(detector.head, AnchorHeadConfig):
        detector = replace(detector, head=replace(detector.head, proposals=512, proposal_candidates=9000))
    train = replace(recipe.train, precision="fp32")
    return replace(recipe, name=f"{recipe.name}-paper", detector=detector, data=data, train=train)


_PUBLISHED = (
    nuscenes_centerpoint_voxel,
    nuscenes_centerpoint_pillar,
    kitti_second,
    kitti_two_stage,
    waymo_centerpoint,
    waymo_second,
)


def _paper(build: Callable[[], Recipe]) -> Recipe:
    return as_published(build())


def _all() -> dict[str, Callable[[], Recipe]]:
    ours = (synthetic_small, synthetic_small_second, synthetic, *_PUBLISHED)
    named: dict[str, Callable[[], Recipe]] = {build().name: build for build in ours}
    return named | {_paper(build).name: partial(_paper, build) for build in _PUBLISHED}


RECIPES: Mapping[str, Callable[[], Recipe]] = _all()
