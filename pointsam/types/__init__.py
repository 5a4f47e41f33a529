"""The values that flow between stages: frozen, validated, numpy only.

Frames of reference: `lidar` (the key sweep's sensor), `cam` (x right, y down, z forward), `ego`, `world`.
Images are indexed [v, u]; pixels are (u, v) = (column, row).
"""

from pointsam.types.frames import CameraView, Frame, FramePoints, ImageSource, PointSource, RollingShutter, Sweep
from pointsam.types.images import Detections, ImageMasks, InstanceMap, Masks
from pointsam.types.labels import NO_INSTANCE, Boxes, Cluster, FrameLabels, FrameRow, PointLabels, PointTruth
from pointsam.types.tracks import NO_TRACK, Membership, TrackedLabels, TrackRow

__all__ = [
    "NO_INSTANCE",
    "NO_TRACK",
    "Boxes",
    "CameraView",
    "Cluster",
    "Detections",
    "Frame",
    "FrameLabels",
    "FramePoints",
    "FrameRow",
    "ImageMasks",
    "ImageSource",
    "InstanceMap",
    "Masks",
    "Membership",
    "PointLabels",
    "PointSource",
    "PointTruth",
    "RollingShutter",
    "Sweep",
    "TrackRow",
    "TrackedLabels",
]
