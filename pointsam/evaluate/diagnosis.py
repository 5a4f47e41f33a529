"""Why boxes score nearly nothing, guessed from the predictions beside the objects.

Most detectors with no score on own data have learned something, and are scored in another convention: heights count
from the ground, length and width have changed places, headings count from another axis, classes are in another order,
or the points and the boxes are in different frames. Each leaves a mark in the predictions that lie near objects.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pointsam.evaluate.detection import FrameBoxes

LOW_AP = 0.05
"""Average precision below which a class is looked at."""
_NEAR_M, _FAR_M = 2.0, 4.0
_SHARE, _MOST, _FEW = 0.5, 0.4, 0.1
_SEARCH_M = 30.0
_PER_OBJECT = 2
"""Number of predictions of a frame that are looked at, for each of its objects: the best ones."""
_LONG, _TURN_RAD = 1.3, np.pi / 3
_LOW_SCORE, _NO_SCORE = 0.3, 0.1
_FACTOR = 1.6

_Frames = Sequence[FrameBoxes]
_Move = Callable[[NDArray[np.float64]], NDArray[np.float64]]
_MOVES: dict[str, NDArray[np.float64]] = {
    "turned by 90 degrees about the LiDAR": np.array([[0.0, -1.0], [1.0, 0.0]]),
    "turned by -90 degrees about the LiDAR": np.array([[0.0, 1.0], [-1.0, 0.0]]),
    "turned by 180 degrees about the LiDAR": np.array([[-1.0, 0.0], [0.0, -1.0]]),
    "mirrored, with left and right exchanged": np.array([[1.0, 0.0], [0.0, -1.0]]),
    "mirrored, with front and back exchanged": np.array([[-1.0, 0.0], [0.0, 1.0]]),
    "with x and y exchanged": np.array([[0.0, 1.0], [1.0, 0.0]]),
}


@dataclass(frozen=True)
class Finding:
    """A possible reason.

    Args:
        what: what was found.
        count: number of objects (or predictions, if `of` says so) for which it holds.
        total: number of those that were looked at.
        of: what `total` counts.
        way: what to look at.
        likely: whether it explains the score.
    """

    what: str
    count: int
    total: int
    of: str
    way: str
    likely: bool


@dataclass(frozen=True, eq=False)
class _Pairs:
    """The nearest prediction of each object, of those within a distance: N pairs, and where the objects are."""

    found: FrameBoxes
    true: FrameBoxes


def diagnose(
    found: _Frames, true: _Frames, names: Sequence[str], range_m: tuple[float, ...] | None = None
) -> tuple[Finding, ...]:
    """Possible reasons for a low score; the likely ones first, then by their share.

    Args:
        found: predictions, by frame.
        true: objects, by frame; those of classes that score well may be left out.
        names: class names by class_id.
        range_m: x0, y0, z0, x1, y1, z1 of the detector's grid; None if it is not known.
    """
    total, number = sum(len(t.score) for t in true), sum(len(f.score) for f in found)
    if not total:
        return ()
    if not number:
        return (
            Finding(
                "there are no predictions",
                0,
                total,
                "objects",
                "train longer, drop fewer (mixsup-train eval --min-score 0.01), or look at the data: mixsup-train show",
                True,
            ),
        )
    best = [_best(f, t) for f, t in zip(found, true, strict=True)]
    of_boxes = _of_pairs(_pairs(best, true, _FAR_M), total)
    if max(f.score.max(initial=0) for f in found) < _NO_SCORE:  # an unfinished training has wrong boxes anyway
        of_boxes = [replace(one, likely=False) for one in of_boxes]
    findings = [
        *_outside(true, range_m),
        *_moved(best, true, total),
        *_classes(best, true, names, total),
        *of_boxes,
        _missed(found, true, total),
        *_scores(found, number),
    ]
    shown = [one for one in findings if one.count]
    if not any(one.likely for one in shown):  # nothing but an unfinished training explains it
        shown = [replace(one, likely=one.of == "objects" and one.count >= _SHARE * total) for one in shown]
    return tuple(sorted(shown, key=lambda one: (not one.likely, -one.count / max(one.total, 1))))


def _best(found: FrameBoxes, true: FrameBoxes) -> FrameBoxes:
    """The predictions of highest score, as many as would be right twice over."""
    kept = np.zeros(len(found.score), dtype=bool)
    kept[np.argsort(-found.score, kind="stable")[: _PER_OBJECT * len(true.score) + 1]] = True
    return found[kept]


def _apart(found: FrameBoxes, true: FrameBoxes, same_class: bool = True) -> NDArray[np.float64]:
    """(G,D) distance in the ground plane; infinite between classes."""
    apart: NDArray[np.float64] = np.linalg.norm(true.center_m[:, None, :2] - found.center_m[None, :, :2], axis=2)
    return np.where(true.class_id[:, None] == found.class_id, apart, np.inf) if same_class else apart


def _pairs(found: _Frames, true: _Frames, limit_m: float) -> _Pairs:
    parts: tuple[list[FrameBoxes], list[FrameBoxes]] = ([], [])
    for f, t in zip(found, true, strict=True):
        if len(f.score) and len(t.score):
            apart = _apart(f, t)
            near = apart.min(axis=1) < limit_m
            parts[0].append(_rows(f, apart.argmin(axis=1)[near]))
            parts[1].append(t[near])
    return _Pairs(_joined(parts[0]), _joined(parts[1]))


def _rows(boxes: FrameBoxes, index: NDArray[np.intp]) -> FrameBoxes:
    return FrameBoxes(*(getattr(boxes, name)[index] for name in boxes.__dataclass_fields__))


def _joined(parts: Sequence[FrameBoxes]) -> FrameBoxes:
    none = FrameBoxes(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0), np.zeros(0, dtype=np.int64), np.zeros(0))
    every = (none, *parts)
    return FrameBoxes(*(np.concatenate([getattr(p, name) for p in every]) for name in none.__dataclass_fields__))


def _near(found: _Frames, true: _Frames, move: _Move) -> int:
    """Number of objects with a prediction of their class nearby, once the predictions are moved."""
    return sum(
        int((_apart(replace(f, center_m=move(f.center_m)), t).min(axis=1) < _NEAR_M).sum())
        for f, t in zip(found, true, strict=True)
        if len(f.score) and len(t.score)
    )


def _outside(true: _Frames, range_m: tuple[float, ...] | None) -> list[Finding]:
    if range_m is None:
        return []
    center = np.concatenate([t.center_m for t in true])
    inside = ((center >= range_m[:3]) & (center < range_m[3:])).all(axis=1)
    gone = int((~inside).sum())
    way = "change detector.grid.range_m; mixsup-train suggest finds a range"
    what = f"objects outside of the detector's grid, {list(range_m)}"
    return [Finding(what, gone, len(center), "objects", way, gone >= _SHARE * len(center))]


def _moved(found: _Frames, true: _Frames, total: int) -> list[Finding]:
    """Another frame: predictions lie on objects once all are turned, mirrored or shifted in the same way."""
    plain = _near(found, true, lambda xyz: xyz)

    def turned_by(turn: NDArray[np.float64]) -> _Move:
        return lambda xyz: np.column_stack([xyz[:, :2] @ turn.T, xyz[:, 2]])

    tried = {name: _near(found, true, turned_by(turn)) for name, turn in _MOVES.items()}
    shift = _common_shift(found, true)
    if shift is not None:
        there = np.array([*shift, 0.0])
        tried[f"shifted by {shift[0]:.1f} m along x and {shift[1]:.1f} m along y"] = _near(
            found, true, lambda xyz: xyz + there
        )
    name, count = max(tried.items(), key=lambda one: one[1])
    if count < _MOST * total or count < 2 * plain + 2:
        return []
    way = "boxes and points are in different frames: check the frame of the labels and the LiDAR's mounting"
    return [Finding(f"predictions on objects only if they are {name}", count, total, "objects", way, True)]


def _common_shift(found: _Frames, true: _Frames) -> tuple[float, float] | None:
    """The offset that most pairs of a prediction and an object of its class have; None without pairs."""
    offsets = [np.zeros((0, 2))]
    for f, t in zip(found, true, strict=True):
        apart = t.center_m[:, None, :2] - f.center_m[None, :, :2]
        offsets.append(apart[(t.class_id[:, None] == f.class_id) & (np.abs(apart).max(axis=2) < _SEARCH_M)])
    every = np.concatenate(offsets)
    if not len(every):
        return None
    cell, count = np.unique(np.floor(every / _NEAR_M).astype(np.int64), axis=0, return_counts=True)
    centre = (cell[count.argmax()] + 0.5) * _NEAR_M
    x, y = np.median(every[np.linalg.norm(every - centre, axis=1) < 1.5 * _NEAR_M], axis=0)
    return float(x), float(y)


def _classes(found: _Frames, true: _Frames, names: Sequence[str], total: int) -> list[Finding]:
    swapped = Counter[tuple[int, int]]()
    for f, t in zip(found, true, strict=True):
        if not (len(f.score) and len(t.score)):
            continue
        apart = _apart(f, t, same_class=False)
        alone = (_apart(f, t).min(axis=1) >= _FAR_M) & (apart.min(axis=1) < _NEAR_M)
        other = f.class_id[apart.argmin(axis=1)]
        swapped.update(zip(t.class_id[alone].tolist(), other[alone].tolist(), strict=True))
    if not swapped:
        return []
    (true_id, found_id), most = swapped.most_common(1)[0]
    count = sum(swapped.values())
    what = f"objects found as another class, mostly {names[true_id]} as {names[found_id]} ({most})"
    way = "compare the order of the classes and the mapping file of labels, budget and ground truth"
    return [Finding(what, count, total, "objects", way, count >= _SHARE * total)]


def _of_pairs(pairs: _Pairs, num_objects: int) -> list[Finding]:
    """What is wrong with the boxes of predictions that are in the right place."""
    found, true, total = pairs.found, pairs.true, len(pairs.true.score)
    if not total:
        return []
    dz, height = found.center_m[:, 2] - true.center_m[:, 2], true.size_lwh_m[:, 2]
    typical = float(np.median(dz))
    off = (np.abs(dz) > height / 3) & (np.sign(dz) == np.sign(typical))
    a, b = found.size_lwh_m[:, :2], true.size_lwh_m[:, :2]
    long = np.maximum(b[:, 0] / b[:, 1], b[:, 1] / b[:, 0]) > _LONG
    straight, crossed = (np.abs(np.log(np.maximum(a, 1e-3) / other)).sum(axis=1) for other in (b, b[:, ::-1]))
    exchanged = long & (crossed < straight)
    turn = np.abs((found.yaw_rad - true.yaw_rad + np.pi / 2) % np.pi - np.pi / 2)
    across = long & (turn > _TURN_RAD)
    sizes = np.sort(a, axis=1) / np.sort(b, axis=1)
    factor = np.column_stack([sizes, found.size_lwh_m[:, 2] / height])
    wrong = (np.abs(np.log(np.maximum(factor, 1e-3))) > np.log(_FACTOR)).all(axis=1)
    kind = "objects with a prediction nearby"
    much, most = int(long.sum()), total
    way = "the z of one of them is the bottom of the box, or counts from another height"
    yaw = "headings count from another axis, or in another sense"
    rows = [
        (f"boxes {abs(typical):.1f} m too {'high' if typical > 0 else 'low'}", int(off.sum()), most, way),
        ("length and width exchanged", int((exchanged & ~across).sum()), much, "check the order of the sizes"),
        ("headings off by 90 degrees", int((across & ~exchanged).sum()), much, yaw),
        (
            "length and width exchanged, and headings off by 90 degrees",
            int((across & exchanged).sum()),
            much,
            "the boxes cover the same ground; their x axis is the other side",
        ),
        (f"sizes wrong by a factor of {np.median(factor):.2f}", int(wrong.sum()), most, "check the unit of the sizes"),
    ]
    least = _FEW * num_objects
    return [Finding(what, n, of, kind, way, n >= max(_SHARE * of, least)) for what, n, of, way in rows]


def _missed(found: _Frames, true: _Frames, total: int) -> Finding:
    count = sum(
        len(t.score) if not len(f.score) else int((_apart(f, t, same_class=False).min(axis=1) >= _FAR_M).sum())
        for f, t in zip(found, true, strict=True)
    )
    way = "train longer, with more boxes, or look at the data: mixsup-train show"
    return Finding(f"objects without any prediction within {_FAR_M:.0f} m", count, total, "objects", way, False)


def _scores(found: _Frames, number: int) -> list[Finding]:
    score = np.concatenate([f.score for f in found])
    low = int((score < _LOW_SCORE).sum())
    what = f"scores below {_LOW_SCORE}; the highest is {score.max():.2f}"
    way = "the detector is not sure of anything yet: train longer, or with more boxes"
    return [Finding(what, low, number, "predictions", way, low == number)]
