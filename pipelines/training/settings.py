"""The settings of each experiment of `mixsup-train experiment`.

The name of a setting describes its training, so that experiments with the same setting share the runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from pipelines.documents import ClustersDocument
from pointsam.base.errors import SchemaError
from pointsam.base.ranges import require
from pointsam.detect.data.budget import CLUSTER_COST, BudgetConfig
from pointsam.detect.heads.union import HeadUnion
from pointsam.detect.recipe import Recipe
from pointsam.store.reader import Labels

ALL = "all boxes"
_Coarse = Mapping[str, object]
_NONE: _Coarse = {"kind": "none"}
_SIMULATED: _Coarse = {"kind": "simulated"}
_TABLES: _Coarse = {"kind": "tables"}
_NO_IGNORE: _Coarse = {"kind": "tables", "unknown_unseen": False, "unknown_dropped": False}
_FRACTIONS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
_TRUE = "true calibration"
_BOX_SHARES = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


@dataclass(frozen=True)
class Setting:
    """One training, without its seed.

    Args:
        name: unique name, in tables, figures and run folders.
        budget: configuration of the budget, which selects the boxes that the training may use.
        coarse: fields of the recipe's coarse labels that differ.
        labels: output folder of a labelling run, if the coarse labels are its tables.
        change: function that changes the recipe.
        curve, x: curve and position in the figure, if the experiment draws curves.
        in_other_world: whether it is trained in the other world.
    """

    name: str
    budget: BudgetConfig
    coarse: _Coarse = field(default_factory=lambda: dict(_NONE))
    labels: Path | None = None
    change: Callable[[Recipe], Recipe] | None = None
    curve: str = ""
    x: float = 0.0
    in_other_world: bool = False

    @property
    def folder(self) -> str:
        """Name of its run folders, without the seed."""
        name = self.name.replace(", corrected", ", mended")  # the folder of version 0.1.0, so that its runs are reused
        return name.replace(" ", "_").replace("%", "pc").replace(",", "").replace("=", "-")


@dataclass(frozen=True)
class Inputs:
    """Detector, labels and amounts that settings use.

    Args:
        recipe: the detector.
        fraction: fraction of the boxes, above 0 up to 1.
        cost: cost that the experiment "cost" divides, relative to boxes for all objects, above 0 up to 1.
        labels: output folder of a labelling run of the training split; without it, settings that need labels are left
            out.
        wrong: output folders of labelling runs with calibration errors.

    Raises:
        SchemaError: SCH005 on a fraction or a cost out of range.
    """

    recipe: Recipe
    fraction: float = 0.1
    cost: float = 0.15
    labels: Path | None = None
    wrong: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        require(0 < self.fraction <= 1, "--fraction", self.fraction, "a fraction of the boxes, above 0 up to 1")
        require(0 < self.cost <= 1, "--cost", self.cost, "a cost relative to boxes for all objects, above 0 up to 1")


@dataclass(frozen=True)
class Experiment:
    """A question and the settings that answer it.

    Args:
        question: heading of the page.
        settings: function that makes the settings.
        axis: name of the x axis if the figure shows curves; "" for bars.
        two_worlds: whether some settings are trained in the other world.
    """

    question: str
    settings: Callable[[Inputs], list[Setting]]
    axis: str = ""
    two_worlds: bool = False


def _boxes(fraction: float) -> Setting:
    """All boxes of some frames, because an object without a label would be trained as background."""
    if fraction == 1.0:
        return Setting(ALL, BudgetConfig(1.0), curve="boxes of whole frames", x=100.0)
    name = f"{_percent(fraction)} of the frames"
    return Setting(name, BudgetConfig(fraction, "frame"), curve="boxes of whole frames", x=100 * fraction)


def _mixed(fraction: float, name: str, coarse: _Coarse, labels: Path | None = None) -> Setting:
    budget = BudgetConfig(fraction, "class")
    full = f"{_percent(fraction)} and {name}"
    return Setting(full, budget, coarse, labels, curve=f"boxes and {name}", x=100 * fraction)


def _percent(share: float) -> str:
    return f"{100 * share:.3g}%"


def _pointsam(inputs: Inputs, fraction: float | None = None) -> list[Setting]:
    if inputs.labels is None:
        return []
    return [_mixed(fraction or inputs.fraction, "PointSAM, ignore regions", _TABLES, inputs.labels)]


def _pointsam_alone(inputs: Inputs) -> list[Setting]:
    return [] if inputs.labels is None else [_mixed(inputs.fraction, "PointSAM", _NO_IGNORE, inputs.labels)]


def _simulated(fraction: float) -> Setting:
    return _mixed(fraction, "simulated clusters", _SIMULATED)


def _supervision(inputs: Inputs) -> list[Setting]:
    pointsam = [*_pointsam_alone(inputs), *_pointsam(inputs)]
    return [_boxes(1.0), _boxes(inputs.fraction), _simulated(inputs.fraction), *pointsam]


def _transfer(inputs: Inputs) -> list[Setting]:
    there = replace(_boxes(1.0), name=f"{ALL} of the other world", in_other_world=True)
    return [*_supervision(inputs), there]


def _coarse(inputs: Inputs) -> list[Setting]:
    kinds = {"three clicks": "clicks"} | ({"centers": "centers"} if inputs.recipe.takes_centers else {})
    other = [_mixed(inputs.fraction, name, {"kind": kind}) for name, kind in kinds.items()]
    boxes = [_boxes(1.0), _boxes(inputs.fraction)]
    return [*boxes, _simulated(inputs.fraction), *other, *_pointsam(inputs)]


def _fractions(inputs: Inputs) -> list[Setting]:
    alone = [_boxes(share) for share in (*_FRACTIONS, 1.0)]
    pointsam = [setting for share in _FRACTIONS for setting in _pointsam(inputs, share)]
    return [*alone, *map(_simulated, _FRACTIONS), *pointsam]


def _split(inputs: Inputs) -> list[Setting]:
    """Divisions of the cost. Fractions of boxes are skipped if even all frames together would cost less."""
    out = [replace(_boxes(1.0), curve="")]
    for share in _BOX_SHARES:
        if share + CLUSTER_COST * (1 - share) >= inputs.cost:
            name = f"{_percent(inputs.cost)} of the cost, {_percent(share)} of the labels boxes"
            budget = BudgetConfig(inputs.cost, "cost", box_share=share)
            coarse = _NONE if share == 1.0 else _SIMULATED
            out.append(Setting(name, budget, coarse, curve=f"{_percent(inputs.cost)} of the cost", x=100 * share))
    return out


def _noise(inputs: Inputs) -> list[Setting]:
    if inputs.labels is None or not inputs.wrong:
        raise SchemaError(
            "SCH005",
            "experiment noise needs labels with calibration errors",
            "give --labels OUT, and --wrong OTHER for each output of pointsam-label clusters --noise",
        )
    made = [_made_through(Labels(folder)) for folder in inputs.wrong]
    if _TRUE in made or len(set(made)) < len(made):
        listed = ", ".join(f"{folder}: {name}" for folder, name in zip(inputs.wrong, made, strict=True))
        raise SchemaError(
            "SCH005",
            f"experiment noise: {listed}",
            "give each calibration error once as --wrong, and the labels with the true calibration as --labels",
        )
    wrong = zip(made, inputs.wrong, strict=True)
    share = inputs.fraction
    return [_boxes(1.0), *_pointsam(inputs), *(_mixed(share, name, _TABLES, folder) for name, folder in wrong)]


def _made_through(labels: Labels) -> str:
    """What distinguishes labels of one data set: their calibration error, whether it was corrected, and SAR."""
    document = labels.document(ClustersDocument)
    wrong = labels.metadata("clusters").calibration_perturbation
    parts = [_TRUE if wrong == "none" else wrong]
    parts += ["corrected"] * (document.calibration is not None)
    parts += ["without SAR"] * (not document.config.refine.enabled)
    return ", ".join(parts)


def _assignment(inputs: Inputs) -> list[Setting]:
    """The label assignment without each of its parts, with PointSAM's labels or else with simulated clusters."""
    base = (_pointsam(inputs) or [_simulated(inputs.fraction)])[0]
    as_boxes = replace(base, name=f"{base.name}, as boxes", coarse={**base.coarse, "as_boxes": True})
    without = [
        replace(base, name=f"{base.name}, {name}", change=partial(_with_head, head))
        for name, head in inputs.recipe.detector.head.ablations().items()
    ]
    return [_boxes(1.0), base, as_boxes, *_pointsam_alone(inputs), *without]


def _with_head(head: HeadUnion, recipe: Recipe) -> Recipe:
    """A recipe with another head."""
    return replace(recipe, detector=replace(recipe.detector, head=head))


EXPERIMENTS: Mapping[str, Experiment] = {
    "supervision": Experiment("What are clusters worth in addition to a few boxes?", _supervision),
    "coarse": Experiment("Which kind of coarse label is worth its cost?", _coarse),
    "boxes": Experiment("How many boxes are needed, with and without clusters?", _fractions, "% of the boxes"),
    "cost": Experiment("How is a fixed cost best divided between boxes and clusters?", _split, "% of labels boxes"),
    "noise": Experiment("How much do calibration errors of the labels cost the detector?", _noise),
    "assignment": Experiment("What is each part of the label assignment worth?", _assignment),
    "transfer": Experiment("Do detectors generalise to another world?", _transfer, two_worlds=True),
}
