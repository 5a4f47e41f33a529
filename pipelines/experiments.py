"""The experiments that `mixsup-train experiment` knows: which trainings each is made of.

A training is named for what it is, so that experiments share those that they have in common.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pointsam.detect.budget import BudgetConfig
from pointsam.detect.coarse import CoarseConfig
from pointsam.detect.recipe import Recipe
from pointsam.errors import SchemaError
from pointsam.store.reader import Labels

ALL = "all boxes"
_NONE = CoarseConfig("none")
_NO_IGNORE = CoarseConfig("tables", unknown_unseen=False, unknown_dropped=False)
_FRACTIONS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
_BOX_SHARES = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


@dataclass(frozen=True)
class Setting:
    """One training, but for its seed.

    Args:
        name: for the table.
        budget: which boxes may be seen.
        coarse: what the other objects give.
        labels: output folder of a labelling run, where coarse labels are its tables.
        change: of the recipe.
        curve, x: of the figure, where the experiment draws curves.
    """

    name: str
    budget: BudgetConfig
    coarse: CoarseConfig = _NONE
    labels: Path | None = None
    change: Callable[[Recipe], Recipe] | None = None
    curve: str = ""
    x: float = 0.0

    @property
    def folder(self) -> str:
        """Of its runs."""
        return self.name.replace(" ", "_").replace("%", "pc").replace(",", "").replace("=", "-")


@dataclass(frozen=True)
class Inputs:
    """What settings are made of.

    Args:
        recipe: the detector.
        fraction: of the boxes.
        cost: of labels, in parts of boxing everything, that "cost" divides.
        labels: of a labelling run of the training split; without them the settings that want labels are left out.
        wrong: of labelling runs through wrong calibrations.
    """

    recipe: Recipe
    fraction: float = 0.1
    cost: float = 0.226
    labels: Path | None = None
    wrong: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Experiment:
    """A question.

    Args:
        question: that it answers.
        settings: its trainings.
        axis: name of the x axis where the figure shows curves; without it, bars.
    """

    question: str
    settings: Callable[[Inputs], list[Setting]]
    axis: str = ""


def _boxes(fraction: float) -> Setting:
    """Boxes alone: of some frames, since an object without a label is background to a detector."""
    if fraction == 1.0:
        return Setting(ALL, BudgetConfig(1.0), curve="boxes of whole frames", x=100.0)
    name = f"{_percent(fraction)} of the frames"
    return Setting(name, BudgetConfig(fraction, "frame"), curve="boxes of whole frames", x=100 * fraction)


def _mixed(fraction: float, name: str, coarse: CoarseConfig, labels: Path | None = None) -> Setting:
    budget = BudgetConfig(fraction, "class")
    full = f"{_percent(fraction)} and {name}"
    return Setting(full, budget, coarse, labels, curve=f"boxes and {name}", x=100 * fraction)


def _percent(share: float) -> str:
    return f"{100 * share:.3g}%"


def _pointsam(inputs: Inputs, ignore: bool = True) -> list[Setting]:
    if inputs.labels is None:
        return []
    if ignore:
        return [_mixed(inputs.fraction, "PointSAM, ignore regions", CoarseConfig("tables"), inputs.labels)]
    return [_mixed(inputs.fraction, "PointSAM", _NO_IGNORE, inputs.labels)]


def _simulated(inputs: Inputs) -> Setting:
    return _mixed(inputs.fraction, "simulated clusters", CoarseConfig("simulated"))


def _supervision(inputs: Inputs) -> list[Setting]:
    boxes = [_boxes(1.0), _boxes(inputs.fraction)]
    return [*boxes, _simulated(inputs), *_pointsam(inputs, False), *_pointsam(inputs)]


def _coarse(inputs: Inputs) -> list[Setting]:
    kinds = (("three clicks", CoarseConfig("clicks")), ("centers", CoarseConfig("centers")))
    humans = [_simulated(inputs), *(_mixed(inputs.fraction, name, coarse) for name, coarse in kinds)]
    return [_boxes(1.0), _boxes(inputs.fraction), *humans, *_pointsam(inputs)]


def _fractions(inputs: Inputs) -> list[Setting]:
    mixed = [_mixed(share, "simulated clusters", CoarseConfig("simulated")) for share in _FRACTIONS[:-1]]
    own = [_mixed(s, "PointSAM, ignore regions", CoarseConfig("tables"), inputs.labels) for s in _FRACTIONS[:-1]]
    return [*(_boxes(share) for share in _FRACTIONS), *mixed, *(own if inputs.labels is not None else [])]


def _split(inputs: Inputs) -> list[Setting]:
    out = [replace(_boxes(1.0), curve="", x=100.0)]
    for share in _BOX_SHARES:
        name = f"{_percent(inputs.cost)} of the cost, {_percent(share)} of the labels boxes"
        coarse = _NONE if share == 1.0 else CoarseConfig("simulated")
        budget = BudgetConfig(inputs.cost, "cost", box_share=share)
        out.append(Setting(name, budget, coarse, curve=f"{_percent(inputs.cost)} of the cost", x=100 * share))
    return out


def _noise(inputs: Inputs) -> list[Setting]:
    if inputs.labels is None or not inputs.wrong:
        raise SchemaError(
            "SCH005",
            "experiment noise: there are no labels of a wrong calibration",
            "give --labels OUT, and --wrong OTHER for each made by pointsam-label clusters --noise",
        )
    out = [_boxes(1.0), *_pointsam(inputs)]
    for folder in inputs.wrong:
        noise = Labels(folder).metadata("clusters")["calibration_perturbation"]
        name = f"PointSAM, ignore regions, {noise}"
        out.append(_mixed(inputs.fraction, name, CoarseConfig("tables"), folder))
    return out


def _assignment(inputs: Inputs) -> list[Setting]:
    """Each piece of the label assignment taken away from what `inputs` has best: PointSAM's labels, else simulated."""
    base = (_pointsam(inputs) or [_simulated(inputs)])[0]
    plain = replace(base, name=f"{base.name}, as boxes", coarse=replace(base.coarse, as_boxes=True))
    without = [plain, *_pointsam(inputs, False)]
    detector = inputs.recipe.detector
    if detector.center is not None:
        without.append(_changed(base, "true peaks", _with_true_peaks))
        if detector.center.reach:
            without.append(_changed(base, "no reach", _without_reach))
    if detector.anchor is not None:
        if detector.anchor.match == "centers":
            without.append(_changed(base, "overlap", _by_overlap))
        without.append(_changed(base, "overlap, one threshold", _one_threshold))
    return [_boxes(1.0), base, *without]


def _changed(base: Setting, name: str, change: Callable[[Recipe], Recipe]) -> Setting:
    return replace(base, name=f"{base.name}, {name}", change=change)


def _with_true_peaks(recipe: Recipe) -> Recipe:
    assert recipe.detector.center is not None
    return _detector(recipe, center=replace(recipe.detector.center, peak="true"))


def _without_reach(recipe: Recipe) -> Recipe:
    assert recipe.detector.center is not None
    return _detector(recipe, center=replace(recipe.detector.center, reach=0))


def _by_overlap(recipe: Recipe) -> Recipe:
    assert recipe.detector.anchor is not None
    return _detector(recipe, anchor=replace(recipe.detector.anchor, match="overlap"))


def _one_threshold(recipe: Recipe) -> Recipe:
    """Clusters meet anchors by the thresholds of boxes."""
    recipe = _by_overlap(recipe)
    assert recipe.detector.anchor is not None
    anchors = tuple(replace(some, cluster_iou=some.box_iou) for some in recipe.detector.anchor.anchors)
    return _detector(recipe, anchor=replace(recipe.detector.anchor, anchors=anchors))


def _detector(recipe: Recipe, **parts: object) -> Recipe:
    return replace(recipe, detector=replace(recipe.detector, **parts))  # type: ignore[arg-type]


EXPERIMENTS: Mapping[str, Experiment] = {
    "supervision": Experiment("What are clusters worth beside a tenth of the boxes?", _supervision),
    "coarse": Experiment("Which kind of coarse label is worth what it costs?", _coarse),
    "boxes": Experiment("How many boxes are needed, with clusters and without?", _fractions, "% of the boxes"),
    "cost": Experiment("How is a fixed cost best divided between boxes and clusters?", _split, "% of labels boxes"),
    "noise": Experiment("What does a wrong calibration of the labeler cost the detector?", _noise),
    "assignment": Experiment("What is each piece of the label assignment worth?", _assignment),
    "transfer": Experiment("Do detectors hold in another world than they were trained in?", _supervision),
}
