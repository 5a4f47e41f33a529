"""Points thinned to one in each voxel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def thin(xyz_m: NDArray[np.float64], voxel_m: float) -> NDArray[np.float64]:
    """(V,3) one of (N,3) points in each voxel, the first by x, y and z; sorted. The order of the points has no effect.

    Args:
        xyz_m: the points, finite.
        voxel_m: side of the voxels.
    """
    voxel = np.floor(xyz_m / voxel_m).astype(np.int64)
    order = np.lexsort((*xyz_m.T[::-1], *voxel.T[::-1]))
    fresh = np.ones(len(order), dtype=np.bool_)
    fresh[1:] = (np.diff(voxel[order], axis=0) != 0).any(axis=1)
    return np.asarray(xyz_m[order[fresh]])
