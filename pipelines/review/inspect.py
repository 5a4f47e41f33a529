"""`pointsam-label inspect`: the clusters of a frame or an object through time, as a table and as a picture."""

from __future__ import annotations

import io
import sys
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.data import AS_FOUND, Reading
from pipelines.made_by import note_other_code
from pipelines.opened import label_stage, note_unfinished, open_run
from pipelines.remarks import label_notes
from pipelines.review.follow import TrackSummary, follow
from pipelines.review.parts import read_parts
from pointsam.base.errors import DatasetError
from pointsam.base.files import write_together
from pointsam.base.remote import DataPath
from pointsam.base.tables import text_table, without_nan
from pointsam.base.terminal import visible_line
from pointsam.base.words import counted
from pointsam.store.reader import Labels, LabelStage
from pointsam.types import FrameLabels, Membership

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True, eq=False)
class FrameSummary:
    """The clusters of one frame, for printing.

    Args:
        found: labels of the frame.
        members: the track of each cluster, None for labels of single frames.
    """

    found: FrameLabels
    members: tuple[Membership, ...] | None = None

    @property
    def frame_id(self) -> str:
        """The id of the frame."""
        return self.found.frame.frame_id

    def as_dict(self) -> dict[str, object]:
        """For --json, with null for what labels of 0.1.0 lack."""
        clusters = [asdict(cluster) for cluster in self.found.clusters]
        for cluster, member in zip(clusters, self.members or (), strict=False):
            cluster.update(asdict(member))
        return without_nan({**asdict(self.found.frame), "clusters": clusters})

    def text(self) -> str:
        """For the terminal."""
        frame = self.found.frame
        sweeps = f" ({' + '.join(map(str, frame.sweep_points))} of the LiDARs)" if len(frame.sweep_points) > 1 else ""
        counts = f"{counted(frame.num_points, 'point')}{sweeps}, {counted(frame.num_clusters, 'cluster')}"
        head = f"frame {visible_line(frame.frame_id)}, scene {visible_line(frame.scene)}, {counts}"
        if frame.status != "ok":
            return f"{head}\nquarantined: [{frame.error_code}] {frame.error}"
        seen = int((self.found.views > 0).sum())
        header: tuple[str, ...] = ("id", "class", "points", "cut", "grown", "range m", "size m")
        header = (*header, "prob", "pred IoU", "share", "masks")
        rows: list[tuple[object, ...]] = [
            (
                c.cluster_id,
                c.class_name,
                c.num_points,
                c.num_points_cut,
                c.num_points_grown,
                f"{c.range_m:.1f}",
                "x".join(f"{edge:.1f}" for edge in c.size_aabb_m),
                c.probability,
                c.pred_iou,
                c.class_share,
                " ".join(f"{camera}:{n}" for camera, n in Counter(c.cameras).items()),
            )
            for c in self.found.clusters
        ]
        if self.members is not None:
            header = (*header, "track", "origin")
            tracks = ((member.track_id if member.track_id >= 0 else "none", member.origin) for member in self.members)
            rows = [(*row, *track) for row, track in zip(rows, tracks, strict=True)]
        return f"{head}; {seen} points are visible to a camera\n{text_table(header, rows)}"


def frame_summary(out: Path, frame: str, stage: LabelStage | None = None) -> FrameSummary:
    """The clusters of a frame, by its id or its position in the run.

    Args:
        out: output folder.
        frame: id or position.
        stage: the stage whose labels are shown, None for the last one that is finished.

    Raises:
        DatasetError: DAT010 if the run has no such frame.
    """
    labels = Labels(out, label_stage(out, stage))
    note_other_code(labels, labels.stage)
    note_unfinished(labels, labels.stage)
    ids = labels.frame_ids()
    if frame not in ids and frame.isdecimal() and len(frame) < 10 and int(frame) < len(ids):
        frame = ids[int(frame)]
    if frame not in ids:
        raise DatasetError(
            "DAT010",
            f"{out} holds no finished frame {frame!r}",
            f"give one of its {len(ids)} frame ids or a position from 0, for example {ids[0] if ids else '(none yet)'}",
        )
    for note in label_notes(labels, labels.frame(frame).scene):
        print(f"note: {labels.out}: {note}", file=sys.stderr)
    if labels.stage == "tracks":
        tracked = labels.tracked(frame)
        return FrameSummary(tracked.found, tracked.members)
    return FrameSummary(labels.labels(frame))


def draw_labels(
    out: Path,
    frame_id: str,
    png: Path,
    data: DataPath | None = None,
    masks_from: Path | None = None,
    reading: Reading = AS_FOUND,
    stage: LabelStage | None = None,
) -> None:
    """Draw the cameras and the bird's-eye view of a frame, with ground-truth boxes if there are any.

    Args:
        out: output folder.
        frame_id: id of a finished frame.
        png: file to write.
        data: root of the data set, None for its place when the run was made.
        masks_from: folder of the masks that the clusters were made from, None for `out`.
        reading: how the data set is read; what is left out is as in the run.
        stage: as for `frame_summary`.

    Raises:
        DatasetError: DAT001 if the data set is no longer there, DAT010 if the frame is quarantined; what reading
            images and points raises.
        SchemaError: SCH004 if the clusters were made from other data or other masks.
    """
    from pointsam.report.compose import draw_frame

    run = open_run(out, data, masks_from, reading, noted=True, stage=stage)  # by `frame_summary`
    parts = read_parts(run, frame_id)
    picture = draw_frame(
        parts.frame,
        parts.images,
        parts.xyz_lidar_m,
        parts.found.labels,
        parts.masks,
        parts.boxes,
        run.labels.taxonomy,
        parts.found.grown,
    )
    _write(png, picture)


def inspect_track(
    out: Path, name: str, png: Path | None = None, data: DataPath | None = None, reading: Reading = AS_FOUND
) -> TrackSummary:
    """A track frame by frame; with `png`, also as crops of the cameras and its path from above.

    Args:
        out: output folder.
        name: SCENE:ID.
        png: file to write.
        data: root of the data set, None for its place when the run was made.
        reading: how the data set is read; what is left out is as in the run.

    Raises:
        DatasetError: DAT001 if the data set is no longer there and a picture is wanted; as `follow`.
        StoreError, SchemaError: as `follow`.
    """
    followed = follow(out, name, data, reading, needed=png is not None)
    if png is not None:
        from pipelines.review.follow_pictures import stacked, track_pictures

        _write(png, stacked(*track_pictures(followed)))
    return followed.summary()


def _write(png: Path, picture: Image.Image) -> None:
    content = io.BytesIO()
    picture.save(content, format="PNG")
    write_together([(png, content.getvalue())])
