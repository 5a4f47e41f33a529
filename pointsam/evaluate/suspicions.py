"""Where labels are probably wrong, most likely first, with the reasons: the order in which a person should look.

Specification
    Cluster   its score is the chance of an error: 1 - (1 - w) (1 - c), where w is the chance that its points are wrong
              and c that its class is. The odds of w are those of 1 - probability (of `Weights.unknown` without one),
              times a factor for each of the clues in `Weights.odds` that it shows (`pointsam.evaluate.clues`). 1 - c is
              the product of 1 - chance over those in `Weights.chance`. A cluster that is certain to be right, with no
              clue of a wrong class, is left out.
    Missing   a frame in which a track has no cluster, although it has one before and after: a missed object, with the
              weight `missing`.
    Frame     a quarantined frame has the score 1. The score of another frame is the sum of the scores in it: about the
              number of errors that it holds.
    Order     by falling score; equal ones by frame, in the order given, then by cluster.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pointsam.base.words import counted
from pointsam.evaluate.clues import CLUES, Clues, clues_of, typical_size_m
from pointsam.evaluate.tracked_frames import TrackedFrame
from pointsam.taxonomy import Taxonomy


@dataclass(frozen=True)
class Weights:
    """What each reason says. Factors and chances are fitted to a synthetic world (docs/evaluation.md).

    A factor of 1 changes no score: once the probability knows its track, the clue says nothing more, but people want to
    read it.

    Args:
        unknown: chance that the points of a cluster without a probability are wrong; an estimate.
        odds: factor of the odds that the points are wrong, by clue.
        chance: chance that the class is wrong, by clue.
        missing: chance that a frame that a track passes over has the object; an estimate.
    """

    unknown: float = 0.2
    odds: Mapping[str, float] = field(
        default_factory=lambda: {"odd size": 8.0, "flicker": 1.0, "left points": 1.0, "size jump": 1.0, "break": 1.0}
    )
    chance: Mapping[str, float] = field(default_factory=lambda: {"class change": 0.3, "cameras disagree": 0.2})
    missing: float = 0.5


@dataclass(frozen=True)
class Suspicion:
    """Something to look at.

    Args:
        scene, frame_id: where it is.
        cluster_id: the cluster, -1 for a missed object or a whole frame.
        track_id: its track, negative for none.
        class_name: class of the cluster, or of the track's cluster before a missed object; empty for a frame.
        score: see the specification.
        reasons: text of each reason: its probability, then the clues.
    """

    scene: str
    frame_id: str
    cluster_id: int
    track_id: int
    class_name: str
    score: float
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class FrameSuspicion:
    """A frame to look at.

    Args:
        scene, frame_id: the frame.
        score: see the specification.
        suspicions: what it holds, most likely first.
    """

    scene: str
    frame_id: str
    score: float
    suspicions: tuple[Suspicion, ...]


def suspicions(
    frames: Sequence[TrackedFrame], taxonomy: Taxonomy, weights: Weights | None = None
) -> tuple[Suspicion, ...]:
    """What to look at in one scene, most likely errors first. Those of several scenes are merged by `ranked`.

    Args:
        frames: its frames in the order of time, quarantined ones too.
        taxonomy: classes of the labels.
        weights: weights of the reasons.
    """
    weights = weights or Weights()
    clues = clues_of(frames, taxonomy)
    found = [
        Suspicion(frame.scene, frame.frame_id, -1, -1, "", 1.0, ("the frame is quarantined: it has no labels",))
        for frame in frames
        if not frame.ok
    ]
    known = {*weights.odds, *weights.chance}
    for k, cluster in enumerate(clues.clusters):
        shown = [name for name, number in zip(CLUES, clues.found[k].tolist(), strict=True) if number and name in known]
        score = _score(cluster.probability, shown, weights)
        if score > 0:
            frame, reasons = frames[clues.frame[k]], [_text(name, clues, k, taxonomy) for name in shown]
            unknown = math.isnan(cluster.probability)
            reasons.insert(0, "no probability is known" if unknown else f"probability {cluster.probability:.2f}")
            name, ids = taxonomy.names[cluster.class_id], (cluster.cluster_id, cluster.track_id)
            found.append(Suspicion(frame.scene, frame.frame_id, *ids, name, score, tuple(reasons)))
    for f, k in clues.gaps.tolist():
        frame, cluster = frames[f], clues.clusters[k]
        text = (f"its track is in frames before and after, and not here: last in {frames[clues.frame[k]].frame_id}",)
        name = taxonomy.names[cluster.class_id]
        found.append(Suspicion(frame.scene, frame.frame_id, -1, cluster.track_id, name, weights.missing, text))
    place = {frame.frame_id: f for f, frame in enumerate(frames)}
    return tuple(sorted(found, key=lambda one: (-one.score, place[one.frame_id], one.cluster_id, one.track_id)))


def ranked(scenes: Sequence[Sequence[Suspicion]]) -> tuple[Suspicion, ...]:
    """Those of all scenes, by falling score; equal ones in the order given."""
    return tuple(sorted((one for scene in scenes for one in scene), key=lambda one: -one.score))


def by_frame(found: Sequence[Suspicion]) -> tuple[FrameSuspicion, ...]:
    """The frames of some suspicions, by falling score; equal ones in the order of their first suspicion.

    Args:
        found: suspicions in their order.
    """
    held: dict[tuple[str, str], list[Suspicion]] = {}
    for one in found:
        held.setdefault((one.scene, one.frame_id), []).append(one)
    frames = [FrameSuspicion(*key, sum(one.score for one in some), tuple(some)) for key, some in held.items()]
    return tuple(sorted(frames, key=lambda frame: -frame.score))


def _score(probability: float, shown: Sequence[str], weights: Weights) -> float:
    """The score of a cluster, by its probability and the clues that it shows."""
    wrong = weights.unknown if math.isnan(probability) else min(max(1 - probability, 0.0), 1.0)
    factor = math.prod(weights.odds.get(name, 1.0) for name in shown)
    wrong = wrong * factor / (wrong * factor + 1 - wrong)
    return 1 - (1 - wrong) * math.prod(1 - weights.chance.get(name, 0.0) for name in shown)


def _text(clue: str, clues: Clues, k: int, taxonomy: Taxonomy) -> str:
    cluster = clues.clusters[k]
    before = clues.clusters[clues.before[k]] if clues.before[k] >= 0 else cluster
    name = taxonomy.names[cluster.class_id]
    if clue == "break":
        return "its track breaks after this frame"
    if clue == "class change":
        return f"{name} here, {taxonomy.names[before.class_id]} in the frame of its track before"
    if clue == "size jump":
        sizes = [_size(one.length_m, one.height_m) for one in (before, cluster)]
        return f"{sizes[0]} in the frame before, {sizes[1]} here"
    if clue == "left points":
        left = clues.found[k, CLUES.index(clue)]
        return f"{counted(int(left), 'point')} of {cluster.num_points} outside of the usual extent of its track"
    if clue == "cameras disagree":
        share = f"{cluster.class_share:.0%} of its masked points"
        return f"masks of {cluster.num_cameras} cameras disagree: {share} have one of {name}"
    if clue == "odd size":
        usual = _size(*typical_size_m(taxonomy, cluster.class_id))
        return f"{_size(cluster.length_m, cluster.height_m)}; a {name} is {usual}"
    return "seen in this frame only, between frames without it"


def _size(length_m: float, height_m: float) -> str:
    return f"{length_m:.1f} m long and {height_m:.1f} m high"
