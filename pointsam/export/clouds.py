"""Point clouds with cluster and class: binary PLY and PCD, one file per frame.

Layout
    DEST/NAME.ply or DEST/NAME.pcd    x, y, z, intensity, cluster (int32, -1 = none), class (uint8, 255 = none), grown
                                      (uint8, 1 = added by growth), colour (paler where grown); after tracking
                                      also track (int32, -1 = none), and the colour is that of the track; in frames of
                                      several LiDARs also sweep (uint8, 0 = the reference LiDAR)
Points are in the frame of the reference LiDAR.
"""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import BackendError
from pointsam.base.files import scratch_folder
from pointsam.base.open3d_loader import load_open3d
from pointsam.export.base import Format
from pointsam.export.frame import ExportFrame, Files
from pointsam.report.points import cluster_colours
from pointsam.report.style import UNLABELLED
from pointsam.types import NO_INSTANCE
from pointsam.types.tracks import NO_TRACK


def ply(item: ExportFrame) -> Files:
    """A frame as PLY (Stanford triangle format, binary little-endian), written by open3d.

    Raises:
        BackendError: BCK005 if open3d is not installed, BCK008 if it cannot write the frame.
    """
    open3d = load_open3d()
    tensor = open3d.core.Tensor.from_numpy
    cloud = open3d.t.geometry.PointCloud(tensor(np.ascontiguousarray(item.points[:, :3], dtype=np.float32)))
    cloud.point["colors"] = tensor(_colours(item))
    for name, values in _scalars(item).items():
        cloud.point[name] = tensor(values[:, None])
    with scratch_folder() as folder:
        path = folder / "cloud.ply"
        if not open3d.t.io.write_point_cloud(str(path), cloud):
            raise BackendError("BCK008", f"open3d could not write frame {item.name} as PLY", "export it --to pcd")
        return {f"{item.name}.ply": path.read_bytes()}


def pcd(item: ExportFrame) -> Files:
    """A frame as PCD 0.7 (Point Cloud Library, binary), written by pypcd4; the colour is packed as in PCL.

    Raises:
        BackendError: BCK005 if pypcd4 is not installed.
    """
    try:
        from pypcd4.pypcd4 import PointCloud
    except ImportError as error:
        raise BackendError("BCK005", f"PCD needs pypcd4 ({error})", "pip install 'pointsam[clouds]'") from error

    colour = _colours(item).astype(np.uint32)
    rgb = colour[:, 0] << 16 | colour[:, 1] << 8 | colour[:, 2]
    columns = {**dict(zip("xyz", item.points[:, :3].T, strict=True)), **_scalars(item), "rgb": rgb}
    types = [np.float32] * 3 + [values.dtype for values in list(columns.values())[3:]]
    content = io.BytesIO()
    PointCloud.from_points(list(columns.values()), list(columns), types).save(content)
    return {f"{item.name}.pcd": content.getvalue()}


def _scalars(item: ExportFrame) -> dict[str, NDArray[np.generic]]:
    labels, frame = item.found.labels, item.found.frame
    track = {} if item.objects is None else {"track": item.of_points(item.track_ids, NO_TRACK).astype(np.int32)}
    sweep = {"sweep": frame.sweep_index} if len(frame.sweep_points) > 1 else {}
    return {
        "intensity": item.points[:, 3].astype(np.float32),
        "cluster": labels.instance_id.astype(np.int32),
        "class": labels.class_id.astype(np.uint8),
        "grown": item.found.grown.astype(np.uint8),
        **track,
        **sweep,
    }


def _colours(item: ExportFrame) -> NDArray[np.uint8]:
    ids, grown = item.number_of_point - 1, item.found.grown
    colours: NDArray[np.uint8] = np.broadcast_to(np.array(UNLABELLED, dtype=np.uint8), (len(ids), 3)).copy()
    member = ids != NO_INSTANCE
    colours[member] = cluster_colours(ids[member], grown[member])
    return colours


PLY: Format[None] = Format(lambda item, _: ply(item))
PCD: Format[None] = Format(lambda item, _: pcd(item))
