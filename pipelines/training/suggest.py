"""`mixsup-train suggest`: a recipe that fits a data set, with the reason of every value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipelines.training.suggest_map import Choice, fit_grid, fit_head
from pipelines.training.survey import Survey
from pointsam.base.errors import SchemaError
from pointsam.base.words import counted
from pointsam.detect.recipe import Recipe
from pointsam.taxonomy import ClassSpec, Taxonomy

MIN_POINTS = 5
FEWEST, FEW = 5, 50
"""Objects of a class below which it is left out, and below which there is a warning."""
INTENSITIES = (1.0, 255.0, 4095.0, 65535.0)
"""Largest values of common sensors: fractions, bytes, 12 bits and 16 bits."""
_ALL, _MOST, _MANY = 0.99, 0.9, 0.3
_STEPS = 300
"""Steps of a training below which a detector has hardly begun to find anything."""
_PASTED_OF = 5
"""A pasted object is one of at least so many: fewer repeat too often."""


@dataclass(frozen=True)
class Suggestion:
    """A recipe, the reasons of its values, and what looks wrong."""

    recipe: Recipe
    choices: tuple[Choice, ...]
    warnings: tuple[str, ...]


def suggest(
    found: Survey, base: Recipe, taxonomy: Taxonomy, has_labels: bool, min_points: int = MIN_POINTS
) -> Suggestion:
    """A recipe for a data set.

    Args:
        found: what the data set shows.
        base: the recipe to start from.
        taxonomy: classes of the data set.
        has_labels: whether there are clusters to train on.
        min_points: objects with fewer points do not count, except for their class.

    Raises:
        SchemaError: SCH005 if no class has enough objects.
    """
    choices, warnings = list[Choice](), list[str]()
    specs = _classes(found, taxonomy, choices, warnings)
    ids = np.array([taxonomy.class_id(spec.name) for spec in specs])
    kept = np.isin(found.class_id, ids) & (found.num_points >= min_points)
    in_view_only = _in_view_only(found, kept, base, choices)
    kept &= found.seen if in_view_only else True
    if not kept.any():
        raise SchemaError(
            "SCH005",
            f"none of {counted(len(kept), 'object')} holds {counted(min_points, 'point')}",
            "check the frame and the unit of the boxes: mixsup-train show; or give a lower --min-points",
        )
    recipe = base.for_classes(specs)
    recipe, forward = fit_grid(recipe, found, kept, choices, warnings)
    recipe = replace(recipe, detector=fit_head(recipe.detector, found, kept, specs, ids, choices))
    recipe = _data(recipe, found, kept, specs, forward, in_view_only, has_labels, choices, warnings)
    recipe = replace(_schedule(recipe, found, choices), name=f"{base.name}-suggested")
    _outside(recipe, found, kept, specs, ids, choices, warnings)
    return Suggestion(recipe, tuple(choices), tuple(warnings))


def _classes(found: Survey, taxonomy: Taxonomy, choices: list[Choice], warnings: list[str]) -> list[ClassSpec]:
    """Classes with enough objects, with the sizes that these have."""
    enough = [spec for spec in taxonomy.classes if found.counts.get(spec.name, 0) >= FEWEST]
    specs = list[ClassSpec]()
    for spec in enough:
        mine = found.class_id == taxonomy.class_id(spec.name)
        size = np.median(found.size_lwh_m[mine], axis=0) if mine.any() else None
        known = spec.typical_lwh_m if size is None else tuple(max(0.05, round(float(side), 2)) for side in size)
        specs.append(replace(spec, size_lwh_m=known))  # type: ignore[arg-type]
    met = [f"{spec.name} {found.counts[spec.name]}" for spec in taxonomy.classes if spec.name in found.counts]
    none = [spec.name for spec in taxonomy.classes if spec.name not in found.counts]
    listed = "; ".join([", ".join(met)] * bool(met) + [f"none of {', '.join(none)}"] * bool(none))
    if not specs:
        raise SchemaError(
            "SCH005",
            f"no class has {FEWEST} {found.source} or more: {listed}",
            "annotate more objects, give another --split, or state the classes in a mapping file: --mapping",
        )
    choices.append(
        Choice("classes", ", ".join(spec.name for spec in specs), f"at least {FEWEST} {found.source}: {listed}")
    )
    few = [f"{spec.name} {found.counts[spec.name]}" for spec in specs if found.counts[spec.name] < FEW]
    if few:
        warnings.append(f"few {found.source} of {', '.join(few)}: expect little; {FEW} or more are a start")
    left = [spec.name for spec in taxonomy.classes if 0 < found.counts.get(spec.name, 0) < FEWEST]
    if left:
        warnings.append(f"left out, with fewer than {FEWEST} {found.source}: {', '.join(left)}")
    return specs


def _in_view_only(found: Survey, kept: NDArray[np.bool_], base: Recipe, choices: list[Choice]) -> bool:
    """Whether objects are annotated only where a camera sees them."""
    seen = float(found.seen[kept].mean()) if kept.any() else 1.0
    only = base.data.points.in_view_only
    if seen < _MOST:
        only = False
    elif seen > _ALL and found.in_view < _MOST:
        only = True
    why = f"cameras see {seen:.0%} of the objects and {found.in_view:.0%} of the points"
    choices.append(Choice("data.points.in_view_only", str(only).lower(), why))
    return only


def _data(
    recipe: Recipe,
    found: Survey,
    kept: NDArray[np.bool_],
    specs: Sequence[ClassSpec],
    forward: bool,
    in_view_only: bool,
    has_labels: bool,
    choices: list[Choice],
    warnings: list[str],
) -> Recipe:
    """The recipe with its training data: points, pasted objects, augmentation and coarse labels."""
    data = recipe.data
    full, why = _intensity(found, warnings)
    past = min(data.points.past_sweeps, found.past_sweeps)
    points = replace(data.points, intensity_full=full, past_sweeps=past, in_view_only=in_view_only)
    choices.append(Choice("data.points.intensity_full", f"{full:g}", why))
    have = f"a quarter of the frames have {found.past_sweeps} or more, {recipe.name} takes {data.points.past_sweeps}"
    choices.append(Choice("data.points.past_sweeps", str(past), have))
    least = int(np.clip(np.percentile(found.num_points[kept], 25), 1, data.paste.min_points))
    names = [spec.name for spec in specs]
    counts = {
        name: min(count, found.counts[name] // _PASTED_OF) for name, count in data.paste.counts.items() if name in names
    }
    paste = replace(data.paste, min_points=least, counts=counts)
    sparse = f"a quarter of the {found.source} hold fewer than {np.percentile(found.num_points[kept], 25):.0f} points"
    choices.append(Choice("data.paste.min_points", str(least), sparse))
    text = ", ".join(f"{name} {count}" for name, count in counts.items()) or "-"
    choices.append(Choice("data.paste.counts", text, f"at most one of {_PASTED_OF} objects that there are"))
    augment = replace(data.augment, flip_x=data.augment.flip_x and not forward)
    if augment != data.augment:
        choices.append(Choice("data.augment.flip_x", "false", "the map has only what is ahead"))
    coarse = data.coarse
    if not has_labels:
        coarse = replace(coarse, kind="none")
        choices.append(Choice("data.coarse.kind", "none", "no --labels: only boxes are trained on"))
    elif coarse.kind != "tables":
        coarse = replace(coarse, kind="tables")
        choices.append(Choice("data.coarse.kind", "tables", "clusters of --labels"))
    return replace(recipe, data=replace(data, points=points, paste=paste, augment=augment, coarse=coarse))


def _schedule(recipe: Recipe, found: Survey, choices: list[Choice]) -> Recipe:
    """The recipe with more epochs where there are few frames; validation and the end of pasting keep their share."""
    train, paste = recipe.train, recipe.data.paste
    steps = max(1, found.frames * recipe.data.repeat // train.batch_size)
    epochs = max(train.epochs, math.ceil(_STEPS / steps))
    more = epochs / train.epochs
    an_epoch = f"{counted(found.frames, 'frame')} make about {counted(steps, 'step')} of an epoch"
    why = f"{recipe.name} has {train.epochs}; {an_epoch}, and at least {_STEPS} are taken"
    choices.append(Choice("train.epochs", str(epochs), why))
    paste = replace(paste, off_last_epochs=round(paste.off_last_epochs * more))
    train = replace(train, epochs=epochs, eval_epochs=round(train.eval_epochs * more))
    return replace(recipe, train=train, data=replace(recipe.data, paste=paste))


def _intensity(found: Survey, warnings: list[str]) -> tuple[float, str]:
    """The largest intensity of the sensor, and why."""
    low, _, high = found.intensity
    if high <= low:
        warnings.append(f"all intensities are {high:g}: they tell nothing; check the columns of the points (--columns)")
        return 1.0, "intensities are constant"
    if low < 0:
        warnings.append(
            f"intensities reach from {low:g} to {high:g}: networks expect 0 and more; check the columns of the points, "
            "and convert decibels to a linear scale"
        )
    most = max(high, -low)
    full = next((one for one in INTENSITIES if most <= one), None) or 2.0 ** math.ceil(math.log2(most))
    return full, f"intensities from {low:g} to {high:g}"


def _outside(
    recipe: Recipe,
    found: Survey,
    kept: NDArray[np.bool_],
    specs: Sequence[ClassSpec],
    ids: NDArray[np.int64],
    choices: list[Choice],
    warnings: list[str],
) -> None:
    """Say how many objects the map holds, and which classes it cuts off; and how many objects hold no point."""
    range_m = recipe.detector.grid.range_m
    inside = ((found.center_m >= range_m[:3]) & (found.center_m < range_m[3:])).all(axis=1)
    for spec, class_id in zip(specs, ids, strict=True):
        mine = kept & (found.class_id == class_id)
        gone = int((mine & ~inside).sum())
        if gone > 0.1 * mine.sum():
            warnings.append(f"{gone} of {int(mine.sum())} {found.source} of {spec.name} are outside of the map")
    empty = int((found.num_points == 0).sum())
    if empty > _MANY * len(kept):
        warnings.append(
            f"{empty} of {counted(len(kept), 'object')} hold no point: check the frame, unit and headings of the boxes"
        )
    share = f"{int((kept & inside).sum())} of {int(kept.sum())}"
    choices.append(
        Choice("", share, f"{found.source} with enough points in {found.num_frames} frames are inside of the map")
    )
