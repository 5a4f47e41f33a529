"""`pointsam-label export`: the labels of a run in another tool's format."""

from __future__ import annotations

from pathlib import Path

from pipelines.progress import progress
from pointsam.datasets.nuscenes import NuScenes
from pointsam.export.nuscenes_panoptic import export_frame, write_submission
from pointsam.store.reader import Labels


def export_nuscenes_panoptic(
    out: Path, data: Path, dest: Path, *, version: str | None, eval_set: str, overwrite: bool
) -> int:
    """Write every finished frame as nuScenes-panoptic, and the description the benchmark demands.

    Args:
        out: output folder of a run on nuScenes-format data.
        data: that data's root.
        dest: folder to write to.
        version: version folder of the tables, where there are several.
        eval_set: split the frames belong to.
        overwrite: replace files that are there.

    Returns:
        number of frames written; quarantined ones are left out.
    """
    labels = Labels(out)
    dataset = NuScenes(data, version)
    count = 0
    for frame in progress(labels.frames(), desc="export", unit="frame"):
        if frame.status == "ok":
            token = dataset.lidar_token(frame.frame_id)
            export_frame(labels.labels(frame.frame_id).labels, labels.taxonomy, dest, token, eval_set, overwrite)
            count += 1
    write_submission(dest, eval_set)
    return count
