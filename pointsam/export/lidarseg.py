"""nuScenes-lidarseg: one byte per point.

Layout
    DEST/lidarseg/EVAL_SET/TOKEN_lidarseg.bin    (N,) uint8 class of the benchmark, 0 = no object

TOKEN is the sample_data token of a key sweep. In frames of several LiDARs, there is a file for each sweep. Only the ten
thing classes (1 to 10) occur.

Source: nuscenes.eval.lidarseg, README.
"""

from __future__ import annotations

from pointsam.export.base import Format
from pointsam.export.frame import ExportFrame, Files
from pointsam.export.nuscenes_panoptic import CHALLENGE_CLASS, challenge_of_point


def lidarseg(item: ExportFrame, eval_set: str) -> Files:
    """The files of a frame.

    Raises:
        SchemaError: SCH004 on a class that the benchmark lacks.
    """
    classes = challenge_of_point(item.found.labels, item.taxonomy).astype("u1")
    parts = item.by_sweep(classes)
    return {f"lidarseg/{eval_set}/{token}_lidarseg.bin": part.tobytes() for token, part in parts.items()}


FORMAT: Format[None] = Format(lidarseg, lidar_tokens=True, classes=tuple(CHALLENGE_CLASS), every_frame=True)
