"""Predictions on disk: a Parquet table with one row per box, and a nuScenes results file."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from pointsam.base.arrays import FloatArray
from pointsam.base.document import canonical_json
from pointsam.base.errors import SchemaError
from pointsam.base.files import write_together
from pointsam.detect.boxes import iou_3d, iou_bev
from pointsam.detect.data.map_frame import MapFrame
from pointsam.detect.data.sample import oriented
from pointsam.detect.predictions import Predictions, concatenated
from pointsam.evaluate.detection import FrameBoxes
from pointsam.geometry.boxes import rows
from pointsam.geometry.se3 import SE3
from pointsam.types import Boxes

VERSION = 2
"""Version 1 has no `rotation_lidar_wxyz` and no `velocity_z_lidar_mps`."""
_READ = ("frame_id", "class_name", "center_lidar_m", "size_lwh_m", "yaw_rad", "score")
_NUSCENES_MOST = 500
"""Largest number of boxes of a sample in a nuScenes submission."""
_MOVES_MPS = 0.2
"""Speed above which an object counts as moving."""
_STANDING = {"bus": "vehicle.stopped"}
"""More standing buses are stopped than parked; of the other vehicles, more are parked."""


def _vector(length: int) -> pa.DataType:
    return pa.list_(pa.field("element", pa.float32(), nullable=False), length)


SCHEMA = pa.schema(
    [
        pa.field("frame_id", pa.string(), nullable=False),
        pa.field("class_id", pa.uint8(), nullable=False),
        pa.field("class_name", pa.string(), nullable=False),
        pa.field("score", pa.float32(), nullable=False),
        pa.field("center_lidar_m", _vector(3), nullable=False),
        pa.field("size_lwh_m", _vector(3), nullable=False),
        pa.field("yaw_rad", pa.float32(), nullable=False),
        pa.field("velocity_lidar_mps", _vector(2), nullable=False),
        pa.field("rotation_lidar_wxyz", _vector(4), nullable=False),
        pa.field("velocity_z_lidar_mps", pa.float32(), nullable=False),
    ]
)


@dataclass(frozen=True, eq=False)
class FramePredictions:
    """Predicted boxes of one frame in its map frame, highest score first: `Predictions` in numpy.

    Args:
        frame_id: the data set's id.
        boxes: (N,7).
        score: (N,).
        class_id: (N,).
        velocity: (N,2).
    """

    frame_id: str
    boxes: NDArray[np.float32]
    score: NDArray[np.float32]
    class_id: NDArray[np.int64]
    velocity: NDArray[np.float32]

    @staticmethod
    def of_batch(frame_ids: Sequence[str], predictions: Sequence[Predictions]) -> list[FramePredictions]:
        """From a detector's predictions of some frames; the host waits for the device once."""
        every = concatenated(predictions)
        columns = [every.boxes, every.score[:, None], every.velocity, every.class_id[:, None]]
        table = torch.cat(columns, dim=1).detach().cpu().numpy()  # a class_id is a whole number below 256
        parts = np.split(table, np.cumsum([len(some) for some in predictions])[:-1])
        return [
            FramePredictions(frame_id, own[:, :7], own[:, 7], own[:, 10].astype(np.int64), own[:, 8:10])
            for frame_id, own in zip(frame_ids, parts, strict=True)
        ]

    def frame_boxes(self) -> FrameBoxes:
        """The boxes in the form that evaluation takes."""
        boxes = self.boxes.astype(np.float64)
        return FrameBoxes(boxes[:, :3], boxes[:, 3:6], boxes[:, 6], self.class_id, self.score.astype(np.float64))


def box_overlaps(predicted: FloatArray, true: FloatArray) -> dict[str, NDArray[np.float64]]:
    """Exact overlaps (N,M) of (N,7) and (M,7) boxes: "3d" of volumes, "bev" in the ground plane."""
    a, b = (torch.from_numpy(np.ascontiguousarray(boxes, dtype=np.float64)).view(-1, 7) for boxes in (predicted, true))
    return {"3d": iou_3d(a, b).numpy(), "bev": iou_bev(a, b).numpy()}


def write_predictions(
    path: Path,
    predictions: Iterable[tuple[FramePredictions, MapFrame]],
    names: Sequence[str],
    about: Mapping[str, object],
) -> None:
    """Write a table of predictions, in the LiDAR frame, atomically.

    Args:
        path: path of the Parquet file.
        predictions: predictions of all frames, each with its map frame.
        names: class names by class_id.
        about: description of the run, JSON values; stored in the metadata.

    Raises:
        StoreError: OUT002 or OUT003 if it cannot be written.
    """
    metadata = {"pointsam.detections_version": str(VERSION), "pointsam.about": canonical_json(dict(about))}
    table = pa.concat_tables([SCHEMA.empty_table(), *(_table(frame, at, names) for frame, at in predictions)])
    sink = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(metadata), sink, compression="zstd")
    write_together([(path, sink.getvalue())])


def read_predictions(path: Path, names: Sequence[str]) -> dict[str, tuple[Boxes, NDArray[np.float64]]]:
    """Boxes in the LiDAR frame and their scores, by frame id, of a table that `write_predictions` wrote.

    Args:
        path: the file.
        names: class names by class_id of the data set.

    Raises:
        SchemaError: SCH003 if it is no such table, SCH004 on a class that the data set does not have.
    """
    way = "give detections.parquet of mixsup-train predict"
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise SchemaError("SCH003", f"{path}: cannot be read as Parquet ({error})", way) from error
    lacking = [name for name in _READ if name not in table.column_names]
    if lacking:
        raise SchemaError("SCH003", f"{path} has no column {', '.join(lacking)}", way)
    kinds = table["class_name"].to_pylist()
    foreign = sorted(set(kinds).difference(names))
    if foreign:
        raise SchemaError(
            "SCH004",
            f"{path} has boxes of {', '.join(foreign)}, which are not classes of the data set: {', '.join(names)}",
            "give predictions for these data, or their mapping file",
        )
    center, size = (np.array(table[name].to_pylist(), dtype=np.float64).reshape(-1, 3) for name in _READ[2:4])
    yaw, score = (table[name].to_numpy().astype(np.float64) for name in ("yaw_rad", "score"))
    rotation = _yawed(yaw)
    if "rotation_lidar_wxyz" in table.column_names and len(yaw):
        from scipy.spatial.transform import Rotation

        wxyz = np.array(table["rotation_lidar_wxyz"].to_pylist(), dtype=np.float64)
        rotation = Rotation.from_quat(wxyz[:, [1, 2, 3, 0]]).as_matrix()
    class_id = np.array([names.index(kind) for kind in kinds], dtype=np.uint8)
    frame = np.array(table["frame_id"].to_pylist(), dtype=object)
    found = {}
    for frame_id in dict.fromkeys(frame.tolist()):
        own = np.flatnonzero(frame == frame_id)
        texts = tuple(scored(names[class_id[k]], score[k]) for k in own)
        found[frame_id] = (Boxes(center[own], size[own], rotation[own], class_id[own], texts), score[own])
    return found


def predicted_data(path: Path) -> str | None:
    """Fingerprint of the data set that a table of `read_predictions` was made from; None if it does not say.

    Raises:
        OSError, ArrowException: if it cannot be read.
    """
    about = (pq.read_schema(path).metadata or {}).get(b"pointsam.about")
    with suppress(ValueError):
        words = json.loads(about or b"{}")
        source = words.get("dataset") if isinstance(words, dict) else None
        return source if isinstance(source, str) else None
    return None


def scored(name: str, score: float) -> str:
    """The text of a detection in pictures."""
    return f"{name} {score:.2f}"


def _yawed(yaw: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,3,3) rotations about z."""
    rows_of = np.zeros((len(yaw), 7))
    rows_of[:, 6] = yaw
    rotation: NDArray[np.float64] = oriented(rows_of).rotation
    return rotation


def _table(frame: FramePredictions, at: MapFrame, names: Sequence[str]) -> pa.Table:
    def vectors(values: FloatArray) -> pa.FixedSizeListArray:
        flat = pa.array(np.ascontiguousarray(values, dtype=np.float32).ravel())
        return pa.FixedSizeListArray.from_arrays(flat, type=_vector(values.shape[1]))

    boxes, velocity = at.lidar_boxes(frame.boxes), at.lidar_velocity(frame.velocity)
    yaw = frame.boxes[:, 6] if at.is_lidar else rows(boxes)[:, 6]
    columns = {
        "frame_id": [frame.frame_id] * len(frame.score),
        "class_id": frame.class_id.astype(np.uint8),
        "class_name": [names[k] for k in frame.class_id],
        "score": frame.score,
        "center_lidar_m": vectors(boxes.center_m),
        "size_lwh_m": vectors(boxes.size_lwh_m),
        "yaw_rad": np.ascontiguousarray(yaw, dtype=np.float32),
        "velocity_lidar_mps": vectors(velocity[:, :2]),
        "rotation_lidar_wxyz": vectors(_quaternions(boxes.rotation)),
        "velocity_z_lidar_mps": velocity[:, 2].astype(np.float32),
    }
    return pa.table(columns, schema=SCHEMA)


def _quaternions(rotation: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,4) unit quaternions w, x, y, z of (N,3,3) rotations."""
    from scipy.spatial.transform import Rotation

    if len(rotation) == 0:
        return np.zeros((0, 4))
    wxyz: NDArray[np.float64] = Rotation.from_matrix(rotation).as_quat()[:, [3, 0, 1, 2]]
    return wxyz


def nuscenes_results(
    predictions: Iterable[tuple[FramePredictions, SE3]], names: Sequence[str], empty: Sequence[str] = ()
) -> dict[str, object]:
    """The document that the nuScenes detection evaluator reads, as JSON values.

    Args:
        predictions: predictions of every frame of a split, each with its world_SE3_map.
        names: class names by class_id.
        empty: ids of frames of the split without predictions: the evaluator needs every frame of it.
    """
    meta = dict.fromkeys(("use_camera", "use_radar", "use_map", "use_external"), False) | {"use_lidar": True}
    results = {frame.frame_id: _rows(frame, pose, names) for frame, pose in predictions}
    return {"meta": meta, "results": {**results, **{frame_id: [] for frame_id in empty}}}


def _rows(frame: FramePredictions, world_SE3_map: SE3, names: Sequence[str]) -> list[dict[str, object]]:
    from scipy.spatial.transform import Rotation

    boxes = frame.boxes[:_NUSCENES_MOST].astype(np.float64)
    if len(boxes) == 0:
        return []
    centers = world_SE3_map.apply(boxes[:, :3])
    turns = Rotation.from_matrix(world_SE3_map.rotation) * Rotation.from_euler("z", boxes[:, 6:7])
    flat = np.column_stack([frame.velocity[: len(boxes)], np.zeros(len(boxes))])
    velocity = flat @ world_SE3_map.rotation.T
    out = []
    for k, (x, y, z, w) in enumerate(turns.as_quat()):
        name = names[frame.class_id[k]]
        out.append(
            {
                "sample_token": frame.frame_id,
                "translation": centers[k].tolist(),
                "size": boxes[k, [4, 3, 5]].tolist(),
                "rotation": [w, x, y, z],
                "velocity": velocity[k, :2].tolist(),
                "detection_name": name,
                "detection_score": float(frame.score[k]),
                "attribute_name": guessed_attribute(name, float(np.linalg.norm(velocity[k, :2]))),
            }
        )
    return out


def guessed_attribute(name: str, speed_mps: float) -> str:
    """The nuScenes attribute of an object, guessed from its speed as is common: detectors do not predict it."""
    moves = speed_mps > _MOVES_MPS
    if name in ("car", "truck", "bus", "trailer", "construction_vehicle"):
        return "vehicle.moving" if moves else _STANDING.get(name, "vehicle.parked")
    if name in ("bicycle", "motorcycle"):
        return "cycle.with_rider" if moves else "cycle.without_rider"
    if name == "pedestrian":
        return "pedestrian.moving" if moves else "pedestrian.standing"
    return ""


def write_json(path: Path, document: Mapping[str, object]) -> None:
    """Write a JSON document atomically.

    Raises:
        StoreError: OUT002 or OUT003 if it cannot be written.
    """
    write_together([(path, json.dumps(document).encode())])
