"""nuScenes' tables: any cameras and LiDARs, times, poses, boxes with tracks, and panoptic labels of points."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from pointsam.base.errors import DatasetError
from pointsam.convert.base import Files, FramePlan, Loss, Losses, is_timed
from pointsam.convert.names import CATEGORY_OF, NO_CATEGORY, category_of, in_nuscenes
from pointsam.convert.nuscenes_tables import CATEGORIES, FrameRows, Row, posed, sensor_row, tables
from pointsam.convert.parts import parts_of
from pointsam.convert.source import SourceFrame, point_bytes
from pointsam.datasets.nuscenes.annotations import VISIBILITY, VISIBILITY_TOKENS
from pointsam.datasets.nuscenes.exposures import COLUMNS
from pointsam.datasets.nuscenes.join import CAMERAS
from pointsam.datasets.nuscenes.lidars import LIDAR
from pointsam.geometry.boxes import count_points
from pointsam.geometry.motion import is_moved
from pointsam.taxonomy import BACKGROUND
from pointsam.types import NO_INSTANCE, Boxes, CameraView, Frame, PointTruth, Sweep

BACKDROP = "static.manmade"
"""Category of points that are no object."""
_IMAGES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
_INSTANCES = 1000
_POINT_BYTES = 4 * len(COLUMNS)

CHANNEL = Loss(f"the reference LiDAR becomes {LIDAR}, the name that tools for nuScenes know")
ORDER = Loss("cameras get nuScenes' order: its own first, then by name", True)
MOTION = Loss("times of points are left out, so that ego motion within the sweep is not compensated", True)
COLUMN_TIMES = Loss("times of columns of the image are left out: the tables hold times of rows", True)
GAP = Loss("points get the ring 0, because the source has none, and the stated gap between rings is left out", True)
RING = Loss("points get the ring 0, because the source has none")
EXTRA = Loss("columns of points are left out")
TWISTED = Loss("that sweeps are not compensated for ego motion is not stated; without times of points nothing uses it")
TIMES = Loss("frames have no times; all time stamps are 0")
STUFF_NAMES = Loss(f"points that are no object become {BACKDROP}, and void ones {NO_CATEGORY}")
NO_BOXES = Loss("frames without labels of boxes count as frames without objects", of_some=True)
TYPES = Loss("classes that nuScenes does not have keep their name, and are void", unit="box")
NAMELESS = Loss(f"void boxes whose name is not known become {NO_CATEGORY}", unit="box")
LEVELS = Loss("levels of visibility other than nuScenes' are left out", unit="box")
TRACKS = Loss("boxes without a track get no velocity", unit="box")
DIVIDED = Loss("scenes that are in several splits, or in part in one, are divided: the tables list splits by scenes")


@dataclass(frozen=True)
class NuscenesWriter:
    """Writes nuScenes' tables.

    Args:
        lidars: names of the LiDARs in the source, the reference first.
        timed: whether frames have times.
        version: name of the version folder.
        parts: name of the scene in the tables by id of the frame, of the frames of scenes that splits divide.
    """

    lidars: tuple[str, ...]
    timed: bool = True
    version: str = "v1.0-converted"
    parts: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def of(frames: Sequence[Frame], splits: Mapping[str, Sequence[int]]) -> NuscenesWriter:
        """The writer for some frames, with the positions of the frames of each split."""
        lidars = dict.fromkeys(sweep.sensor for frame in frames for sweep in frame.sweeps)
        return NuscenesWriter(tuple(lidars), is_timed(frames), parts=parts_of(frames, splits))

    @property
    def next_options(self) -> str:
        """Names all LiDARs, if there are several."""
        return f"--lidar {','.join(map(self._channel, self.lidars))}" if len(self.lidars) > 1 else ""

    def survey(self, frame: Frame, losses: Losses) -> None:
        """Count what the layout cannot hold of a frame."""
        names = [view.name for view in frame.cameras]
        losses.add(CHANNEL, frame.sweep.sensor != LIDAR)
        losses.add(ORDER, names != sorted(names, key=_rank))
        losses.add(
            COLUMN_TIMES, any(view.shutter is not None and view.shutter.axis != "rows" for view in frame.cameras)
        )
        for sweep in frame.sweeps:
            columns = sweep.source.columns
            losses.add(MOTION, is_moved(frame, sweep))
            losses.add(TWISTED, not (sweep.motion_compensated or is_moved(frame, sweep)))
            if "ring" not in columns:
                losses.add(GAP if sweep.ring_gap_rad else RING)
            more = [name for name in columns if name not in COLUMNS and name != "_"]
            losses.add(replace(EXTRA, what=f"{EXTRA.what}: {', '.join(more)}"), bool(more))
        losses.add(TIMES, not self.timed)
        losses.add(DIVIDED, frame.frame_id in self.parts)

    def survey_truth(self, source: SourceFrame, losses: Losses) -> None:
        """Count what the layout cannot hold of the ground truth of a frame."""
        losses.add(STUFF_NAMES, source.truth is not None)
        losses.add(NO_BOXES, source.boxes is None)
        boxes = source.boxes or ()
        losses.add(TYPES, sum(not in_nuscenes(box) for box in boxes))
        losses.add(NAMELESS, sum(box.category is None and box.kind is None for box in boxes))
        losses.add(TRACKS, sum(box.track is None for box in boxes))
        if source.levels != VISIBILITY:
            losses.add(LEVELS, sum(box.level >= 0 for box in boxes))

    def plans(self, plans: Sequence[FramePlan], frames: Sequence[Frame]) -> list[FramePlan]:
        """The plans with names of images, which stay as they are where they are unique for their camera."""
        count = Counter((view.name, view.stem) for frame in frames for view in frame.cameras)
        named = []
        for plan, frame in zip(plans, frames, strict=True):
            stems = {
                v.name: v.stem if count[v.name, v.stem] == 1 else f"{plan.frame_id}__{v.stem}" for v in frame.cameras
            }
            named.append(replace(plan, images=stems))
        return named

    def files(self, plan: FramePlan, source: SourceFrame) -> tuple[Files, object]:
        """The files of a frame, and its rows."""
        frame, files = source.frame, dict[str, bytes]()
        scene = self.parts.get(plan.frame_id, plan.scene)
        rows = FrameRows(plan.frame_id, plan.scene, scene, frame.sweep.t_us, bool(frame.neighbours))
        for view in frame.cameras:
            stem = plan.images[view.name]
            content = source.image_files(view, f"samples/{view.name}/{stem}", _IMAGES)
            files |= content | source.truth2d_files(view, f"{view.name}/{stem}")
            rows.add(view.t_us, view.world_SE3_ego, _camera(view), next(iter(content)), key=True)
            rows.data[-1] |= {"height": view.camera.height_px, "width": view.camera.width_px}
        for k, sweep in enumerate(source.between()):
            channel = self._channel(sweep.sensor)
            name = f"sweeps/{channel}/{plan.number:06d}_{k:02d}__{channel}__{sweep.t_us}.pcd.bin"
            files[name] = point_bytes(sweep, COLUMNS)
            rows.add(sweep.t_us, sweep.world_SE3_ego, self._lidar(sweep), name, key=False)
        counts, keys = [], []
        for sweep in frame.sweeps:
            channel = self._channel(sweep.sensor)
            name = f"samples/{channel}/{plan.number:06d}__{channel}__{sweep.t_us}.pcd.bin"
            files[name] = point_bytes(sweep, COLUMNS)
            rows.add(sweep.t_us, sweep.world_SE3_ego, self._lidar(sweep), name, key=True)
            counts.append(len(files[name]) // _POINT_BYTES)
            keys.append((rows.data[-1]["token"], name))
        if source.truth is not None:
            parts = np.split(_panoptic(source.truth, source.class_names), np.cumsum(counts)[:-1])
            for (key, _), labels in zip(keys, parts, strict=True):
                name = f"panoptic/{self.version}/{key}_panoptic.npz"
                files[name] = _packed(labels)
                rows.panoptic.append({"token": key, "filename": name})
        if source.boxes is not None:
            rows.boxes = _boxes(source, np.frombuffer(files[keys[0][1]], dtype="<f4").reshape(-1, len(COLUMNS))[:, :3])
        return files, rows

    def close(self, rows: Sequence[object], splits: Mapping[str, Sequence[int]]) -> Files:
        """The tables."""
        return tables([row for row in rows if isinstance(row, FrameRows)], self.version, splits)

    def _channel(self, sensor: str) -> str:
        return LIDAR if sensor == self.lidars[0] else sensor

    def _lidar(self, sweep: Sweep) -> Row:
        return sensor_row(self._channel(sweep.sensor), "lidar", sweep.ego_SE3_lidar)


def _rank(camera: str) -> tuple[int, str]:
    return CAMERAS.index(camera) if camera in CAMERAS else len(CAMERAS), camera


def _camera(view: CameraView) -> Row:
    """A camera; the fields of the lens are left out where it is a pinhole and its shutter a global one."""
    camera, lens = view.camera, dict[str, object]()
    if camera.model is not None:
        lens = {"camera_distortion": list(camera.distortion), "camera_lens": camera.lens}
    if view.shutter is not None and view.shutter.axis == "rows":
        lens["camera_readout_s"] = [view.shutter.first_s, view.shutter.last_s]
    return sensor_row(view.name, "camera", view.ego_SE3_cam, **{"camera_intrinsic": camera.K.tolist(), **lens})


def _boxes(source: SourceFrame, xyz: NDArray[np.float32]) -> list[Row]:
    """Boxes in the world at the time of the reference sweep."""
    found, sweep = source.boxes or (), source.frame.sweep
    world_SE3_lidar = sweep.world_SE3_ego @ sweep.ego_SE3_lidar
    inside = count_points(
        xyz,
        Boxes(
            np.array([box.lidar_SE3_box.translation_m for box in found]).reshape(-1, 3),
            np.array([box.size_lwh_m for box in found]).reshape(-1, 3),
            np.array([box.lidar_SE3_box.rotation for box in found]).reshape(-1, 3, 3),
            np.zeros(len(found), dtype=np.uint8),
            tuple(map(str, range(len(found)))),
        ),
    )
    known = source.levels == VISIBILITY
    return [
        {
            "track": box.track,
            "category": category_of(box),
            **posed(world_SE3_lidar @ box.lidar_SE3_box),
            "size": box.size_lwh_m[[1, 0, 2]].tolist(),
            "visibility": VISIBILITY_TOKENS[box.level] if known and box.level >= 0 else "",
            "num_lidar_pts": int(count),
        }
        for box, count in zip(found, inside.tolist(), strict=True)
    ]


def _panoptic(truth: PointTruth, class_names: Sequence[str]) -> NDArray[np.uint16]:
    """(N,) category * 1000 + instance; instances are numbered from 1 in each category.

    Raises:
        DatasetError: DAT011 on more instances than the labels can number.
    """
    labels = truth.labels
    value = np.full(len(labels), CATEGORIES.index(BACKDROP) * _INSTANCES, dtype=np.uint16)
    for class_id in np.unique(labels.class_id[labels.class_id != BACKGROUND]).tolist():
        category = CATEGORY_OF.get(class_names[class_id])
        its = (labels.class_id == class_id) & (labels.instance_id != NO_INSTANCE)
        number = np.unique(labels.instance_id[its], return_inverse=True)[1].reshape(-1) + 1
        if len(number) and int(number.max()) >= _INSTANCES:
            raise DatasetError("DAT011", f"{number.max()} objects of class {class_names[class_id]}", "leave it out")
        if category is not None:
            value[its] = CATEGORIES.index(category) * _INSTANCES + number
        else:
            value[its] = CATEGORIES.index(NO_CATEGORY) * _INSTANCES
    value[truth.void] = CATEGORIES.index(NO_CATEGORY) * _INSTANCES
    return value


def _packed(labels: NDArray[np.uint16]) -> bytes:
    sink = io.BytesIO()
    np.savez_compressed(sink, data=labels)
    return sink.getvalue()
