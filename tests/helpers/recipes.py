"""Detectors small enough for a test: 64 x 64 pillars or voxels about the tiny world of `helpers.training`."""

import json
from dataclasses import replace

from helpers.training import CLASSES, make_budget, make_labels, make_world

from pipelines.training.recipe_file import document_of
from pointsam.detect.assign.anchor_map import AnchorClass
from pointsam.detect.data.augment import AugmentConfig
from pointsam.detect.data.budget_file import write_budget
from pointsam.detect.data.coarse import CoarseConfig
from pointsam.detect.data.paste import PasteConfig
from pointsam.detect.data.training_set import DataConfig
from pointsam.detect.detector import DetectorConfig
from pointsam.detect.heads.anchor import AnchorHeadConfig
from pointsam.detect.heads.center import CenterHeadConfig
from pointsam.detect.heads.refine import RefineConfig
from pointsam.detect.heads.roi import RoiHeadConfig
from pointsam.detect.nets.encoders import EncoderConfig, NeckConfig
from pointsam.detect.nets.grid import Grid
from pointsam.detect.recipe import Recipe, TrainConfig

PILLARS = Grid((-25.6, -25.6, -5.0, 25.6, 25.6, 3.0), (0.8, 0.8, 8.0))
VOXELS = Grid((-25.6, -25.6, -5.0, 25.6, 25.6, 3.0), (0.1, 0.1, 0.2))
CENTER = CenterHeadConfig((("car", "pedestrian"), ("bicycle",)), {}, default_radius=1, channels=32)
ANCHOR = AnchorHeadConfig(
    (
        AnchorClass("car", (4.5, 1.9, 1.7), -0.95, (0.6, 0.45), (0.6, 0.1)),
        AnchorClass("pedestrian", (0.7, 0.7, 1.8), -0.9, (0.5, 0.35), (0.6, 0.15)),
        AnchorClass("bicycle", (1.8, 0.6, 1.4), -1.1, (0.5, 0.35), (0.6, 0.15)),
    )
)
NECK = NeckConfig((1, 1), (1, 2), (24, 32), (16, 16), 1)
STILL = AugmentConfig(False, False, 0.0, (1.0, 1.0), 0.0)


def detector(kind):
    """One of center-pillar, center-refined, center-voxel, second, second-centers, two-stage, two-stage-center."""
    pillar, voxel = EncoderConfig("pillar", 24), EncoderConfig("voxel", voxel_channels=(8, 8, 16, 16), voxel_out=16)
    parts = {
        "center-pillar": {"grid": PILLARS, "encoder": pillar, "head": CENTER},
        "center-refined": {
            "grid": PILLARS,
            "encoder": pillar,
            "head": replace(CENTER, heading="axis"),
            "refine": RefineConfig(channels=16),
        },
        "center-voxel": {"grid": VOXELS, "encoder": voxel, "head": CENTER},
        "second": {"grid": PILLARS, "encoder": pillar, "head": ANCHOR},
        "second-centers": {"grid": PILLARS, "encoder": pillar, "head": replace(ANCHOR, match="centers")},
        "two-stage": {
            "grid": PILLARS,
            "encoder": pillar,
            "head": replace(ANCHOR, proposals=48, candidates=200),
            "roi": RoiHeadConfig(cells=3, point_channels=16, channels=64),
        },
        "two-stage-center": {
            "grid": PILLARS,
            "encoder": pillar,
            "head": replace(CENTER, proposals=48, candidates=200),
            "roi": RoiHeadConfig(cells=3, point_channels=16, channels=64),
        },
    }[kind]
    return DetectorConfig(neck=NECK, **parts)


def tiny(kind="center-pillar", **train):
    """A recipe of a few steps."""
    data = DataConfig(
        coarse=CoarseConfig("tables"),
        paste=PasteConfig(dict.fromkeys(CLASSES, 3), off_last_epochs=1),
        resample="none",
    )
    defaults = {"epochs": 2, "batch_size": 2, "learning_rate": 0.002, "workers": 0, "eval_epochs": 2}
    return Recipe("tiny", detector(kind), data, TrainConfig(**{**defaults, **train}))


def make_inputs(folder, **changed):
    """A root, labels, a budget and tiny.json, a recipe of two epochs of four steps, in a folder; returns the folder.

    Args:
        folder: an empty folder.
        changed: settings of the recipe, as for `tiny`.
    """
    world = make_world(folder / "root", scenes=("scene-0061", "scene-0103"))
    make_labels(folder / "labels", world)
    write_budget(folder / "budget.parquet", make_budget(world))
    (folder / "tiny.json").write_text(json.dumps(document_of(tiny(**changed))))
    return folder
