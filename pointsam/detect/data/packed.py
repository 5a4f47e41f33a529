"""Clusters of frames that were read before, compressed: a frame of the tables is decoded with its whole shard.

N points, M clusters.
"""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from pointsam.detect.data.coarse import CoarseLabels, of_points
from pointsam.types import NO_INSTANCE

_UNKNOWN = -2
"""Stored in place of NO_INSTANCE for unknown points, which belong to no cluster."""
_MOST_BYTES = 1 << 28


class PackedClusters:
    """Clusters by frame, in some 10 kB each; a frame that no longer fits is not kept.

    Args:
        most_bytes: largest total size.
    """

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._left, self._frames = most_bytes, dict[str, tuple[bytes, NDArray[np.uint8]]]()

    def __contains__(self, frame_id: str) -> bool:
        return frame_id in self._frames

    def add(self, frame_id: str, clusters: CoarseLabels) -> None:
        """Keep the clusters of a frame, all of which have points."""
        ids = np.where(clusters.unknown, np.int32(_UNKNOWN), clusters.cluster_id)
        content = zlib.compress(ids.tobytes(), 1)
        if len(content) <= self._left:
            self._left -= len(content)
            self._frames[frame_id] = content, clusters.class_id

    def get(self, frame_id: str, xyz_m: NDArray[np.float32]) -> CoarseLabels | None:
        """The clusters of a frame as they were added, None if they were not.

        Args:
            frame_id: the frame.
            xyz_m: (N,3) its points.
        """
        if frame_id not in self._frames:
            return None
        content, class_id = self._frames[frame_id]
        ids = np.frombuffer(zlib.decompress(content), dtype=np.int32)
        return of_points(xyz_m, np.maximum(ids, NO_INSTANCE), class_id, ids == _UNKNOWN)
