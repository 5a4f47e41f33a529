"""Tracking measures of labelled scenes against true objects, scene by scene, with bands over scenes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import SchemaError
from pointsam.evaluate import hota, tracking
from pointsam.evaluate.overlap import overlaps
from pointsam.evaluate.paired import over_units
from pointsam.evaluate.track_points import Numbers, labelled_tracks, true_objects
from pointsam.taxonomy import Taxonomy
from pointsam.types import PointLabels, PointTruth

FIGURES = (*tracking.FIGURES, *hota.FIGURES)
"""Names of the figures, in the order of `SceneCounts.figures`."""

_Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SceneCounts:
    """What is counted of one scene.

    Args:
        scene: the scene.
        frames: number of its sweeps that were counted.
        tracking: (11,C) by row of `tracking.ROWS`.
        hota: (4,A,C) by row of `hota.ROWS`.
    """

    scene: str
    frames: int
    tracking: _Floats
    hota: _Floats

    @property
    def flat(self) -> _Floats:
        """(K,) all counts; those of several scenes may be added."""
        return np.concatenate([self.tracking.ravel(), self.hota.ravel()])


@dataclass(frozen=True)
class ClassTracking:
    """Measures of one class; a ratio is NaN where nothing is counted.

    Args:
        name: the class.
        objects: number of objects with more than `min_points` points in a sweep, over all scenes.
        switches: number of switches.
        ptq, sptq, tq: PTQ, soft PTQ, and mean TQ of the objects.
        hota, det_a, ass_a: HOTA, DetA and AssA.
    """

    name: str
    objects: int
    switches: int
    ptq: float
    sptq: float
    tq: float
    hota: float
    det_a: float
    ass_a: float


@dataclass(frozen=True)
class TrackingQuality:
    """The result; the modules `tracking` and `hota` specify the figures.

    Args:
        figures: name of a figure of `FIGURES` -> value, and lower and upper bound of its band over scenes. Bounds are
            NaN for a single scene.
        classes: each class.
        num_scenes, num_frames: number of scenes and sweeps.
        min_points: smallest number of points of an unmatched segment that counts.
    """

    figures: Mapping[str, tuple[float, float, float]]
    classes: tuple[ClassTracking, ...]
    num_scenes: int
    num_frames: int
    min_points: int


class TrackingAccumulator:
    """Counts the scenes of a folder, one after another; it holds one scene, and a row of counts for each other one.

    Args:
        taxonomy: classes of labels and ground truth.
        min_points: smallest number of points that counts; the nuScenes benchmark has 15.
    """

    def __init__(self, taxonomy: Taxonomy, min_points: int = 15) -> None:
        self._taxonomy, self._min_points = taxonomy, min_points
        self._done: dict[str, SceneCounts] = {}
        self._open: _OpenScene | None = None

    def add(
        self,
        scene: str,
        frame_id: str,
        labels: PointLabels,
        tracks: Sequence[int],
        truth: PointTruth,
        names: Mapping[int, str],
    ) -> None:
        """Count one frame. Frames of a scene follow each other, in the order of time.

        Args:
            scene: its scene.
            frame_id: the frame.
            labels: (N,) its labels; instance_id is the cluster.
            tracks: (M) track of each cluster, negative for a cluster without one.
            truth: (N,) its ground truth.
            names: name of the true object of each instance_id, from `track_points.names_of_objects`.

        Raises:
            SchemaError: SCH004 if the scene was left before, or its ground truth is from two sources; SCH003 if labels,
                tracks and ground truth do not fit.
        """
        if self._open is None or self._open.scene != scene:
            self._close()
            if scene in self._done:
                raise SchemaError(
                    "SCH004", f"frame {frame_id}: scene {scene} is not in one piece", "pass the frames scene by scene"
                )
            self._open = _OpenScene(scene, truth.source, len(self._taxonomy.classes), self._min_points)
        if self._open.source != truth.source:
            raise SchemaError(
                "SCH004",
                f"frame {frame_id} has ground truth from {truth.source}, frames of scene {scene} before it from "
                f"{self._open.source}: their objects have other names",
                "take the ground truth of all frames from one source: --truth",
            )
        self._open.add(
            labelled_tracks(frame_id, labels, tracks, self._open.tracks),
            true_objects(truth, names, self._open.objects),
            self._taxonomy,
        )

    def scenes(self) -> tuple[SceneCounts, ...]:
        """The counts of each scene, in the order in which they were added."""
        self._close()
        return tuple(self._done.values())

    def result(self) -> TrackingQuality:
        """Measures of all frames added."""
        scenes, names = self.scenes(), self._taxonomy.names
        shapes = (len(tracking.ROWS), len(names)), (len(hota.ROWS), len(hota.ALPHAS), len(names))
        by_scene = np.array([one.flat for one in scenes]).reshape(len(scenes), 1, sum(map(np.prod, shapes)))
        value = over_units(by_scene, lambda counts: _figures(counts, shapes))[0][0]
        whole = sum((one.tracking for one in scenes), np.zeros(shapes[0]))
        ratios = [tracking.of_classes(whole), hota.of_classes(sum((one.hota for one in scenes), np.zeros(shapes[1])))]
        objects, switches = (whole[tracking.ROWS.index(row)].astype(int).tolist() for row in ("objects", "switches"))
        return TrackingQuality(
            {name: (float(v), float(low), float(high)) for name, (v, low, high) in zip(FIGURES, value, strict=True)},
            tuple(map(ClassTracking, names, objects, switches, *np.concatenate(ratios, axis=1).T.tolist())),
            len(scenes),
            sum(one.frames for one in scenes),
            self._min_points,
        )

    def _close(self) -> None:
        if self._open is not None:
            self._done[self._open.scene] = self._open.counts()
            self._open = None


class _OpenScene:
    """The scene whose frames are being added."""

    def __init__(self, scene: str, source: str, num_classes: int, min_points: int) -> None:
        self.scene, self.source, self.tracks, self.objects = scene, source, Numbers(), Numbers()
        self._frames = 0
        self._tracking, self._hota = (kind(num_classes, min_points) for kind in (tracking.SceneTracks, hota.SceneHota))

    def add(self, labels: PointLabels, truth: PointTruth, taxonomy: Taxonomy) -> None:
        seen = overlaps(labels, truth, taxonomy)
        self._tracking.add(seen)
        self._hota.add(seen)
        self._frames += 1

    def counts(self) -> SceneCounts:
        return SceneCounts(self.scene, self._frames, self._tracking.counts(), self._hota.counts())


def _figures(flat: _Floats, shapes: tuple[tuple[int, ...], ...]) -> _Floats:
    """(...,10) figures of (...,K) counts."""
    split = int(np.prod(shapes[0]))
    parts = (flat[..., :split], flat[..., split:])
    of_tracks, of_hota = (part.reshape(*flat.shape[:-1], *shape) for part, shape in zip(parts, shapes, strict=True))
    return np.concatenate([tracking.figures(of_tracks), hota.figures(of_hota)], axis=-1)
