"""A run as a Rerun recording: cameras, masks, points, clusters and boxes on a time line.

Entities
    lidar                    frame of the key sweep; the time lines are `frame` (position in the run) and `time`
    lidar/points             the points, coloured by cluster, after tracking by track, so that an object keeps its
                             colour; paler where growth added them
    lidar/fitted             boxes fitted to clusters, named by class and cluster; after tracking by class and track
    lidar/paths              after tracking: the path of each moving object of the frame through its scene, past and
                             future, in the frame of the sweep
    lidar/true               ground-truth boxes, if there are any
    lidar/detected           boxes of a detector, with their scores (`mixsup-train show`)
    lidar/CAMERA             pose of the camera at its exposure, in the frame of the sweep
    lidar/CAMERA/image       its image, with `masks` in the colours of classes, and `points`

Source: the Rerun SDK (rerun.io), an optional extra: pip install "pointsam[rerun]".
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pointsam import rle
from pointsam.base.errors import BackendError
from pointsam.datasets.io import encoded_image
from pointsam.export.base import Format
from pointsam.export.frame import ExportFrame
from pointsam.export.objects import token
from pointsam.geometry.projection import cam_SE3_lidar, project
from pointsam.report.points import cluster_colours
from pointsam.report.style import UNLABELLED, class_rgb, cluster_rgb
from pointsam.taxonomy import BACKGROUND
from pointsam.types import NO_INSTANCE, Boxes, CameraView

if TYPE_CHECKING:
    import rerun

_OPACITY = 110
_START_BYTES, _END = 12, bytes(16)
"""Of a stream of version 0.23 of the SDK: size of its head, and the empty message that ends it."""


class Recording:
    """A recording file that is written frame by frame.

    Args:
        path: path of the .rrd file.

    The SDK's own writer only logs when the disk is full, so the bytes are written here.

    Raises:
        BackendError: BCK005 without the Rerun SDK.
        OSError: if the file cannot be written; from `add` and at the end too.
    """

    def __init__(self, path: Path) -> None:
        try:
            import rerun
        except ImportError as error:
            raise BackendError("BCK005", "no Rerun SDK", 'pip install "pointsam[rerun]"') from error
        self._rerun = rerun
        self._stream = rerun.RecordingStream("pointsam", recording_id=path.stem)
        self._encoded = rerun.binary_stream(self._stream)
        self._file = path.open("xb")

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, *_: object) -> None:
        with self._file as file:
            self._write()
            self._stream.disconnect()
            file.write(_END)

    def add(self, item: ExportFrame) -> None:
        """Write one frame."""
        rr, labels = self._rerun, item.found.labels
        self._stream.set_time("frame", sequence=item.number)
        self._stream.set_time("time", timestamp=item.frame.sweep.t_us * 1e-6)
        xyz = item.points[:, :3]
        colours = np.full((len(xyz), 3), UNLABELLED, dtype=np.uint8)
        member = labels.instance_id != NO_INSTANCE
        colours[member] = cluster_colours(item.number_of_point[member] - 1, item.found.grown[member])
        present = np.isfinite(xyz).all(axis=1)
        self._log("lidar/points", rr.Points3D(xyz[present], colors=colours[present], radii=0.04))
        self._log("lidar/fitted", self._boxes(item.boxes, _names(item)))
        if item.objects is not None:
            self._log("lidar/paths", self._paths(item))
        if item.true_boxes is not None:
            kept = item.true_boxes.class_id != BACKGROUND
            self._log("lidar/true", self._boxes(item.true_boxes, None, kept))
        if item.detected is not None:
            self._log("lidar/detected", self._boxes(item.detected, list(item.detected.token)))
        for view in item.frame.cameras:
            self._camera(item, view, xyz, colours, member)
        self._write()

    def _write(self) -> None:
        """Write what was logged since the last call. Each reading is a stream of its own, with a start and an end."""
        content = self._encoded.read() or b""
        start = 0 if self._file.tell() == 0 else _START_BYTES
        self._file.write(content[start:].removesuffix(_END))

    def _camera(
        self,
        item: ExportFrame,
        view: CameraView,
        xyz: NDArray[np.float32],
        colours: NDArray[np.uint8],
        member: NDArray[np.bool_],
    ) -> None:
        rr, camera = self._rerun, view.camera
        pose = cam_SE3_lidar(item.frame.sweep, view).inverse()
        size = [camera.width_px, camera.height_px]
        self._log(f"lidar/{view.name}", rr.Transform3D(translation=pose.translation_m, mat3x3=pose.rotation))
        self._log(f"lidar/{view.name}/image", rr.Pinhole(image_from_camera=camera.K, resolution=size))
        content, media_type = encoded_image(view.source)
        self._log(f"lidar/{view.name}/image", rr.EncodedImage(contents=content, media_type=media_type))
        if view.name in item.masks:
            png = io.BytesIO()
            Image.fromarray(_mask_image(item, view), mode="RGBA").save(png, format="PNG", compress_level=3)
            masks = rr.EncodedImage(contents=png.getvalue(), media_type="image/png", draw_order=1.0)
            self._log(f"lidar/{view.name}/image/masks", masks)
        seen = project(xyz, item.frame, view)
        shown = seen.valid & member
        self._log(f"lidar/{view.name}/image/points", rr.Points2D(seen.uv_px[shown], colors=colours[shown], radii=2.0))

    def _paths(self, item: ExportFrame) -> rerun.LineStrips3D:
        found = item.moving_paths_m()
        return self._rerun.LineStrips3D(
            list(found.values()),
            colors=[cluster_rgb(track_id) for track_id in found],
            labels=[token(item.found.frame.scene, track_id) for track_id in found],
            radii=0.05,
        )

    def _boxes(self, boxes: Boxes, names: list[str] | None, kept: NDArray[np.bool_] | None = None) -> rerun.Boxes3D:
        from scipy.spatial.transform import Rotation

        some = np.ones(len(boxes), dtype=bool) if kept is None else kept
        turns = Rotation.from_matrix(boxes.rotation[some]).as_quat() if some.any() else np.zeros((0, 4))
        white = np.full((int(some.sum()), 3), 235, dtype=np.uint8)
        colours = np.array([class_rgb(int(k)) for k in boxes.class_id[some]], dtype=np.uint8).reshape(-1, 3)
        return self._rerun.Boxes3D(
            centers=boxes.center_m[some],
            half_sizes=boxes.size_lwh_m[some] / 2,
            quaternions=turns,
            colors=white if names is None else colours,
            labels=names,
        )

    def _log(self, entity: str, value: rerun.AsComponents) -> None:
        self._stream.log(entity, value)


def _names(item: ExportFrame) -> list[str]:
    """Class and cluster of each cluster, or class and track."""
    if item.objects is None:
        return [f"{cluster.class_name} {cluster.cluster_id}" for cluster in item.found.clusters]
    return [
        f"{cluster.class_name}, no track" if one.token is None else f"{cluster.class_name} {one.token}"
        for cluster, one in zip(item.found.clusters, item.objects, strict=True)
    ]


def _mask_image(item: ExportFrame, view: CameraView) -> NDArray[np.uint8]:
    """(H,W,4) masks that built clusters, in the colours of their classes, small masks on top."""
    height, width = view.camera.height_px, view.camera.width_px
    image = np.zeros((height, width, 4), dtype=np.uint8)
    pieces = [
        (*rle.decode_crop(item.masks[view.name].masks.rle[mask_id], height, width), cluster.class_id)
        for cluster in item.found.clusters
        for camera, mask_id in zip(cluster.cameras, cluster.mask_ids, strict=True)
        if camera == view.name
    ]
    for rows, columns, inside, class_id in sorted(pieces, key=lambda piece: -int(piece[2].sum())):
        image[rows, columns][inside] = (*class_rgb(class_id), _OPACITY)
    return image


FORMAT: Format[None] = Format(
    stream=Recording,
    suffix=".rrd",
    masks=True,
    matrices=True,
    note="open it with the viewer of the same release: rerun FILE",
)
