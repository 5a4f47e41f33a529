"""Figures that need no ground truth: did labels get worse?

A figure is `per` times a count over another count, both summed over frames. No figure is a quality: a fleet is compared
with its own past, or one run with another on the same frames. `worse` says which way a figure goes when labels get
worse; 0 means that it may go either way.

Specification
    breaks, class changes, size jumps, cameras disagree, odd sizes, flickers, beginnings   of a hundred clusters that
                        are asked for the clue of this name (`pointsam.evaluate.clues`), those that show it.
    left points         of a hundred points that are asked, those that left their object.
    unsure              mean of 1 - probability over the clusters that have one, in per cent: the share of wrong
                        clusters that the probability expects.
    views without mask  of a hundred views of points that masks gave to a cluster, those in which no mask covers the
                        point.
    cut points          of a hundred points that masks of clusters covered, those that refinement removed.
    labelled points     of a hundred points that a camera sees, those with a cluster.
    clusters a frame    number of clusters over the number of frames with labels.
    bare components     of a hundred components above the ground with the size of an object, those without a cluster;
                        NaN where they were not counted.
    quarantined frames  of a hundred frames, those without labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import SchemaError
from pointsam.evaluate.clues import CLUES, clues_of
from pointsam.evaluate.paired import over_units, units_of
from pointsam.evaluate.tracked_frames import TrackedFrame
from pointsam.taxonomy import Taxonomy

_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Figure:
    """A figure.

    Args:
        name: its name.
        per: the factor of its ratio.
        worse: 1 if it rises when labels get worse, -1 if it falls, 0 if it may do either.
        of: what its denominator counts.
    """

    name: str
    per: float
    worse: int
    of: str


FIGURES = (
    Figure("breaks", 100, 1, "frames of tracks that another frame follows"),
    Figure("class changes", 100, 1, "steps of tracks"),
    Figure("size jumps", 100, 1, "steps of tracks to the next frame"),
    Figure("left points", 100, 1, "points of tracks of three clusters or more"),
    Figure("cameras disagree", 100, 1, "clusters of several cameras"),
    Figure("odd sizes", 100, 1, "clusters of a class with a known size"),
    Figure("flickers", 100, 1, "clusters of tracks between two other frames"),
    Figure("beginnings", 100, 1, "clusters of tracks in frames that follow another"),
    Figure("unsure", 100, 1, "clusters with a probability"),
    Figure("views without mask", 100, 0, "views of points that masks labelled"),
    Figure("cut points", 100, 0, "points under masks of clusters"),
    Figure("labelled points", 100, 0, "points that a camera sees"),
    Figure("clusters a frame", 1, 0, "frames with labels"),
    Figure("bare components", 100, 1, "components of an object's size"),
    Figure("quarantined frames", 100, 1, "frames"),
)
"""The figures; those of clues come first, in the order of `CLUES`."""


@dataclass(frozen=True, eq=False)
class SelfCheck:
    """What is counted of the frames of a folder.

    Args:
        scenes: scene of each frame; frames of a scene follow each other.
        frame_ids: id of each frame.
        counts: (N,15,2) part and whole of each figure, by frame.
    """

    scenes: tuple[str, ...]
    frame_ids: tuple[str, ...]
    counts: _Floats

    @property
    def figures(self) -> _Floats:
        """(15,) figures of all frames, NaN where the whole is 0."""
        return figures(self.counts.sum(axis=0))

    def of_scenes(self) -> Iterator[tuple[str, _Floats]]:
        """Each scene and its (15,) figures."""
        for scene, rows in groupby(range(len(self.scenes)), key=self.scenes.__getitem__):
            yield scene, figures(self.counts[list(rows)].sum(axis=0))


@dataclass(frozen=True, eq=False)
class Change:
    """A figure of two runs on the frames that both have.

    Args:
        figure: the figure.
        ours, other: its values.
        difference: ours - other, and lower and upper bound of its band over the units; NaN for a single unit.
        verdict: "worse" or "better" if the band excludes 0 and the figure has a direction, "changed" if it has none,
            otherwise "".
    """

    figure: Figure
    ours: float
    other: float
    difference: tuple[float, float, float]
    verdict: str


def figures(counts: _Floats) -> _Floats:
    """(...,15) figures of (...,15,2) counts; NaN where the whole is 0."""
    part, whole = counts[..., 0], counts[..., 1]
    per = np.array([figure.per for figure in FIGURES])
    value: _Floats = np.where(whole > 0, per * part / np.where(whole > 0, whole, 1), np.nan)
    return value


def self_check(frames: Iterable[TrackedFrame], taxonomy: Taxonomy) -> SelfCheck:
    """Count all frames; one scene is in memory.

    Args:
        frames: frames, scene by scene, in the order of time.
        taxonomy: classes of the labels.

    Raises:
        SchemaError: SCH004 if the frames of a scene do not follow each other.
    """
    scenes, frame_ids, counts = list[str](), list[str](), [np.zeros((0, len(FIGURES), 2))]
    for scene, group in groupby(frames, key=lambda frame: frame.scene):
        some = list(group)
        if scene in scenes:
            raise SchemaError(
                "SCH004", f"frame {some[0].frame_id}: scene {scene} is not in one piece", "pass frames scene by scene"
            )
        scenes += [scene] * len(some)
        frame_ids += [frame.frame_id for frame in some]
        counts.append(_counts(some, taxonomy))
    return SelfCheck(tuple(scenes), tuple(frame_ids), np.concatenate(counts))


def compare(ours: SelfCheck, other: SelfCheck, length: int | None = None) -> tuple[Change, ...]:
    """The figures of two runs, on the frames that both have.

    Args:
        ours: a run.
        other: the run that it is compared with.
        length: number of frames of a unit that the bootstrap draws, None for whole scenes (`paired.units_of`).
    """
    places = [{key: k for k, key in enumerate(zip(run.scenes, run.frame_ids, strict=True))} for run in (ours, other)]
    both = [key for key in places[0] if key in places[1]]
    counts = np.stack(
        [run.counts[[place[key] for key in both]] for run, place in zip((other, ours), places[::-1], strict=True)],
        axis=1,
    )
    unit = units_of([scene for scene, _ in both], length)
    by_unit = np.zeros((int(unit.max(initial=-1)) + 1, *counts.shape[1:]))
    np.add.at(by_unit, unit, counts)
    value, difference = over_units(by_unit, figures)
    return tuple(_change(figure, value[:, k, 0], difference[1, k]) for k, figure in enumerate(FIGURES))


def _change(figure: Figure, value: _Floats, difference: _Floats) -> Change:
    delta, low, high = (float(v) for v in difference)
    side = int(low > 0) - int(high < 0)
    names = (
        {0: "changed", figure.worse: "worse", -figure.worse: "better"}
        if figure.worse
        else {1: "changed", -1: "changed"}
    )
    return Change(figure, float(value[1]), float(value[0]), (delta, low, high), names[side] if side else "")


def _counts(frames: Sequence[TrackedFrame], taxonomy: Taxonomy) -> _Floats:
    """(F,15,2) counts of the frames of one scene."""
    clues = clues_of(frames, taxonomy)
    out = np.zeros((len(frames), len(FIGURES), 2))
    for k in range(len(CLUES)):
        for column, of in enumerate((clues.found, clues.asked)):
            out[:, k, column] = np.bincount(clues.frame, of[:, k], len(frames))
    for f, frame in enumerate(frames):
        out[f, len(CLUES) :] = _of_frame(frame)
    return out


def _of_frame(frame: TrackedFrame) -> list[tuple[float, float]]:
    clusters = frame.clusters
    known = [one.probability for one in clusters if not np.isnan(one.probability)]
    masked = sum(one.num_points - one.num_points_grown for one in clusters if one.num_cameras)
    cut = sum(one.num_points_cut for one in clusters if one.num_cameras)
    views, covered = (sum(getattr(one, name) for one in clusters) for name in ("num_views", "num_covered"))
    return [
        (len(known) - sum(known), len(known)),
        (views - covered, views),
        (cut, masked + cut),
        (frame.labelled_points, frame.seen_points),
        (len(clusters), frame.ok),
        frame.components[::-1],
        (not frame.ok, 1),
    ]
