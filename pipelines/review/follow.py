"""An object through time: its table for the terminal, and its pictures."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from pipelines.data import AS_FOUND, Reading
from pipelines.made_by import note_other_code
from pipelines.opened import OpenedRun, note_unfinished, open_run
from pipelines.remarks import label_notes
from pipelines.review.objects import TrackedScene, lidar_poses
from pointsam.base.errors import DatasetError
from pointsam.base.remote import DataPath
from pointsam.base.tables import text_table, without_nan
from pointsam.base.terminal import visible_line
from pointsam.base.words import counted
from pointsam.export.objects import ObjectPath, token
from pointsam.geometry.se3 import SE3
from pointsam.store.reader import Labels
from pointsam.types import TrackRow

_HINT = "give SCENE:ID, such as scene-0061:12; inspect OUT FRAME lists the tracks of a frame"


@dataclass(frozen=True)
class Step:
    """A track in one frame between its first and its last one.

    Args:
        frame_id, t_us: the frame.
        origin: "kept", "extended" or "recovered"; "missed" without a cluster, "quarantined" without labels.
        single_class: class of the cluster in the single-frame labels, empty without one.
        num_points: number of points; 0 without a cluster.
        range_m: distance from the LiDAR.
        speed_mps: speed of the object in the world, NaN where it is not known.
        probability: that of the cluster.
    """

    frame_id: str
    t_us: int
    origin: str
    single_class: str = ""
    num_points: int = 0
    range_m: float = math.nan
    speed_mps: float = math.nan
    probability: float = math.nan


@dataclass(frozen=True, eq=False)
class TrackSummary:
    """A track, for printing.

    Args:
        scene: its scene.
        track: the track.
        steps: its frames in the order of time.
    """

    scene: str
    track: TrackRow
    steps: tuple[Step, ...]

    def as_dict(self) -> dict[str, object]:
        """For --json."""
        row = {name: getattr(self.track, name) for name in TrackRow.__dataclass_fields__}
        row["class_votes"] = dict(self.track.class_votes)
        name = {"instance_token": token(self.scene, self.track.track_id), "scene": self.scene}
        return without_nan({**name, **row, "frames": [asdict(step) for step in self.steps]})

    def text(self) -> str:
        """For the terminal."""
        track = self.track
        state = f"moving at {track.speed_mps:.1f} m/s (median)" if track.moving else "standing"
        found = f"found in {counted(track.num_frames, 'frame')}, recovered in {track.num_recovered}"
        lines = [f"track {visible_line(self.scene)}:{track.track_id}, {track.class_name}, {state}; {found}"]
        total = sum(track.class_votes.values())
        votes = sorted(track.class_votes.items(), key=lambda vote: (-vote[1], vote[0]))
        shares = (f"{name} {weight:.1f} ({weight / total:.0%})" if total else name for name, weight in votes)
        changes = f"; the class changes {counted(track.class_changes, 'time')}" if track.class_changes else ""
        lines.append(f"votes (probability times points): {', '.join(shares) or 'none'}{changes}")
        if track.cut:
            lines.append(f"cut: {track.cut}")
        header = ("frame", "time s", "origin", "class alone", "points", "range m", "speed m/s", "prob")
        start = self.steps[0].t_us if self.steps else 0
        rows = [
            (
                visible_line(step.frame_id),
                f"{(step.t_us - start) * 1e-6:.2f}",
                step.origin,
                step.single_class or "-",
                step.num_points or "-",
                _number(step.range_m),
                _number(step.speed_mps),
                step.probability,
            )
            for step in self.steps
        ]
        return "\n".join([*lines, text_table(header, rows)])


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.1f}"


@dataclass(frozen=True, eq=False)
class Followed:
    """A track of a scene.

    Args:
        scene: the objects of the scene.
        track: the track.
        labels: reader of the folder, at the stage of tracks.
        run: the folder with its data, None if they are not there.
        poses: frame_id -> world_SE3_lidar, empty without data.
    """

    scene: TrackedScene
    track: TrackRow
    labels: Labels
    run: OpenedRun | None
    poses: Mapping[str, SE3]

    @cached_property
    def path(self) -> ObjectPath:
        """Its path; empty without data."""
        return self.scene.path(self.track, self.poses)

    def summary(self) -> TrackSummary:
        """The track frame by frame."""
        seen = {one.frame.frame_id: one for one in self.scene.sightings(self.track.track_id)}
        alone, known = Labels(self.labels.out), set(self.path.t_us.tolist())
        steps = []
        for row in sorted(self.scene.frames, key=lambda row: row.t_us):
            if not self.track.first_t_us <= row.t_us <= self.track.last_t_us:
                continue
            if row.frame_id not in seen:
                steps.append(Step(row.frame_id, row.t_us, "missed" if row.status == "ok" else "quarantined"))
                continue
            cluster, member = seen[row.frame_id].cluster, seen[row.frame_id].member
            single = alone.clusters(row.frame_id)[member.single_id].class_name if member.single_id >= 0 else ""
            velocity = self.path.velocity_at(row.t_us)
            speed = math.hypot(velocity[0], velocity[1]) if row.t_us in known or not self.track.moving else math.nan
            steps.append(
                Step(
                    row.frame_id,
                    row.t_us,
                    member.origin,
                    single,
                    cluster.num_points,
                    cluster.range_m,
                    speed,
                    cluster.probability,
                )
            )
        return TrackSummary(self.scene.scene, self.track, tuple(steps))


def follow(
    out: Path,
    name: str,
    data: DataPath | None = None,
    reading: Reading = AS_FOUND,
    needed: bool = False,
) -> Followed:
    """Find a track.

    Prints a note to stderr if the data set is not there and not needed: speeds are then not known.

    Args:
        out: output folder.
        name: SCENE:ID.
        data: root of the data set, None for its place when the run was made.
        reading: how the data set is read; what is left out is as in the run.
        needed: whether the data set must be there.

    Raises:
        StoreError: OUT004 if the folder has no tracks.
        DatasetError: DAT010 if there is no such scene or track; what opening the data set raises.
        SchemaError: SCH004 if the labels were made from other data.
    """
    labels = Labels(out, "tracks")
    labels.key("tracks")
    scene_name, _, number = name.rpartition(":")
    scene = TrackedScene(labels, scene_name)
    track = scene.tracks.get(int(number)) if number.isdecimal() and len(number) < 10 else None
    if track is None:
        what = f"{out}: scene {scene_name!r} has no track {number!r}; its {len(scene.tracks)} tracks count from 0"
        raise DatasetError("DAT010", what, _HINT)
    note_other_code(labels, "tracks")
    note_unfinished(labels, "tracks")
    for note in label_notes(labels, scene_name):
        print(f"note: {labels.out}: {note}", file=sys.stderr)
    try:
        run = open_run(out, data, None, reading, noted=True, stage="tracks")
    except DatasetError as error:
        if needed or data is not None or error.code != "DAT001":
            raise
        print(f"note: speeds are left out: {error.message} ({error.hint})", file=sys.stderr)
        return Followed(scene, track, labels, None, {})
    return Followed(scene, track, labels, run, lidar_poses(run, scene))
