"""The official evaluation: nuScenes by its devkit, KITTI by average precision at 40 recalls, and Waymo's.

The first two belong to a data set. Waymo's belongs to its classes: those of the `waymo-*` recipes, on any data.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipelines.training.official_waymo import has_waymo_classes, waymo
from pipelines.training.scores import Figures, number
from pointsam.base.errors import DatasetError, MissingFolderError
from pointsam.base.files import scratch_folder
from pointsam.base.tables import text_table
from pointsam.datasets import read_cloud_frame
from pointsam.datasets.base import Dataset, HasDevkitVersion
from pointsam.datasets.kitti.labels import HasKittiLabels
from pointsam.datasets.mapped import MappedDataset
from pointsam.detect.data.map_frame import MapFrame
from pointsam.detect.predictions_file import FramePredictions, box_overlaps, nuscenes_results, write_json
from pointsam.evaluate.detection import FrameBoxes
from pointsam.evaluate.kitti import LEVELS, MIN_IOU, SIMILAR, KittiFrame, average_precision_r40
from pointsam.geometry.boxes import corners, rows
from pointsam.geometry.projection import cam_SE3_lidar
from pointsam.geometry.se3 import SE3
from pointsam.taxonomy import NUSCENES
from pointsam.types import Boxes, Frame

_SPLITS = ("train", "val", "mini_train", "mini_val")
_ERRORS = {"trans_err": "mATE", "scale_err": "mASE", "orient_err": "mAOE", "vel_err": "mAVE", "attr_err": "mAAE"}


class _DevkitData(Dataset, HasDevkitVersion, Protocol):
    pass


class _KittiData(Dataset, HasKittiLabels, Protocol):
    pass


@dataclass(frozen=True)
class Official:
    """Result of an official evaluation.

    Args:
        text: the printed result; the reason if the evaluation was not run.
        figures: figures for documents; None if the evaluation was not run.
    """

    text: str
    figures: Figures | None = None


def official(
    dataset: Dataset,
    found: Sequence[FramePredictions],
    truth: Sequence[FrameBoxes],
    bad: dict[str, str],
    untrained: Collection[str] = (),
) -> Official:
    """Evaluate predictions as the publisher of the data set does.

    Args:
        dataset: the data set. Waymo's classes select Waymo's evaluation, else a protocol selects one:
            `HasKittiLabels`, `HasDevkitVersion` or none.
        found: predictions in all frames that could be read.
        truth: true boxes of the same frames; their score is the number of their points.
        bad: frame_id -> why the frame could not be read.
        untrained: classes that the detector does not predict.

    Raises:
        DatasetError: DAT011 if a frame with KITTI's evaluation has no labels.
    """
    if has_waymo_classes(dataset, untrained):
        return Official(*waymo(dataset, found, truth, untrained))
    if isinstance(dataset, HasKittiLabels):
        return _kitti(dataset, found, untrained)
    if isinstance(dataset, HasDevkitVersion):
        return _nuscenes(dataset, found, bad, untrained)
    return Official(
        f"Data of type {dataset.name} have no official evaluation: the tables of AP by centre distance and by overlap "
        "in 3D above are their scores."
    )


def _nuscenes(
    dataset: _DevkitData, found: Sequence[FramePredictions], bad: dict[str, str], untrained: Collection[str]
) -> Official:
    def without(why: str) -> Official:
        return Official(f"The nuScenes devkit was not run: {why}")

    foreign = [name for name in dataset.taxonomy.names if name not in NUSCENES.names]
    if foreign:
        return without(f"it has no class {', '.join(foreign)}")
    if isinstance(dataset, MappedDataset) and not dataset.keeps_names:
        return without("ground truth of other classes is mapped to those of the detector")
    if find_spec("nuscenes") is None:
        return without("it is not installed: pip install 'pointsam[nuscenes]'")
    if not isinstance(dataset.root, Path):
        return without(f"it reads local folders only, and the data are at {dataset.root}")
    if bad or not any(len(frame.score) for frame in found):
        return without("frames are missing" if bad else "there are no predictions")
    ours = {frame.frame_id for frame in found}
    version = dataset.devkit_version
    mini = version.endswith("mini")
    fits = [split for split in _SPLITS if split.startswith("mini_") == mini and _frames(dataset, split) == ours]
    if not fits:
        return without(f"the frames are not those of an official split of {version}")
    from nuscenes import nuscenes as devkit
    from nuscenes.eval.common.config import config_factory
    from nuscenes.eval.detection.evaluate import DetectionEval

    with scratch_folder() as folder, _silence():
        path = folder / "results.json"
        write_json(path, nuscenes_results(posed(dataset, found), dataset.taxonomy.names))
        tables = devkit.NuScenes(version, str(dataset.root), verbose=False)
        config = config_factory("detection_cvpr_2019")
        metrics, _ = DetectionEval(tables, config, str(path), fits[0], str(folder), verbose=False).evaluate()
    summary = metrics.serialize()
    errors = {_ERRORS[name]: value for name, value in summary["tp_errors"].items()}
    figures = {"mAP": summary["mean_ap"], "NDS": summary["nd_score"], **errors}
    text = ", ".join(f"{name} {value:.4f}" for name, value in figures.items())
    absent = [name for name in NUSCENES.names if name in untrained or name not in dataset.taxonomy.names]
    if absent:
        text += f" (the devkit counts classes that the detector does not predict as 0: {', '.join(absent)})"
    by_class = {name: number(value) for name, value in summary["mean_dist_aps"].items()}
    values = {name: number(value) for name, value in figures.items()}
    return Official(f"nuScenes devkit on {fits[0]}: {text}", {"split": fits[0], **values, "AP": by_class})


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Hide what the devkit prints."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


def _frames(dataset: Dataset, split: str) -> set[str]:
    try:
        return set(dataset.frame_ids(split))
    except DatasetError:
        return set()


def posed(dataset: Dataset, found: Sequence[FramePredictions]) -> Iterator[tuple[FramePredictions, SE3]]:
    """Predictions with their world_SE3_map."""
    for one in found:
        frame = read_cloud_frame(dataset, one.frame_id)
        yield one, MapFrame.of(frame).pose(frame.sweep.world_SE3_ego @ frame.sweep.ego_SE3_lidar)


def _kitti(dataset: _KittiData, found: Sequence[FramePredictions], untrained: Collection[str]) -> Official:
    if isinstance(dataset, MappedDataset) and not dataset.keeps_names:
        return Official("KITTI's evaluation was not run: its ground truth is mapped to classes of another meaning")
    try:
        views = {frame.frame_id: dataset.frame(frame.frame_id) for frame in found}
    except (DatasetError, MissingFolderError) as error:
        return Official(f"KITTI's evaluation was not run: it needs the size of every image; {error.message}")
    figures = dict[str, dict[str, float | None]]()
    table: list[tuple[object, ...]] = []
    predicted = set(dataset.taxonomy.names).difference(untrained)
    absent = [kind for kind in MIN_IOU if kind.lower() not in predicted]
    for kind, min_iou in MIN_IOU.items():
        if kind in absent:
            continue
        class_id = dataset.taxonomy.class_id(kind.lower())
        for view in ("3d", "bev"):
            frames = [_kitti_frame(dataset, views[one.frame_id], one, kind, class_id, view) for one in found]
            values = {level.name: average_precision_r40(frames, level, min_iou) for level in LEVELS}
            figures[f"{kind} {view}"] = {name: number(value) for name, value in values.items()}
            table.append((f"{kind} {view}, IoU {min_iou}", *values.values()))
    head = ("KITTI AP R40", *(level.name for level in LEVELS))
    lines = [text_table(head, table) if table else "KITTI's evaluation was not run"]
    bare = [kind for kind in MIN_IOU if all(v is None for v in figures.get(f"{kind} 3d", {"": 0.0}).values())]
    if bare:
        lines.append(
            f"no object counts: {', '.join(bare)}: KITTI counts objects whose 2D box in the label file is higher than "
            f"{min(level.min_height_px for level in LEVELS)} px, and that are not largely hidden or cut off"
        )
    if absent:
        lines.append(f"not predicted, and not evaluated: {', '.join(absent)}")
    return Official("\n".join(lines), figures or None)


def _kitti_frame(
    dataset: _KittiData, frame: Frame, found: FramePredictions, kind: str, class_id: int, view: str
) -> KittiFrame:
    labels = dataset.label_rows(found.frame_id)
    if labels is None:
        raise DatasetError("DAT011", f"{dataset.root}: frame {found.frame_id!r} has no labels", "use training frames")
    boxes = dataset.boxes(found.frame_id)
    assert boxes is not None  # there are labels
    at = MapFrame.of(frame)
    true = rows(at.boxes(boxes))
    objects = [label for label in labels if not label.is_region]  # as `boxes` has them
    ours = np.array([label.kind in (kind, SIMILAR.get(kind)) for label in objects], dtype=bool)
    some = [label for label, keep in zip(objects, ours, strict=True) if keep]
    mine = found.class_id == class_id
    height = _heights_px(frame, at.lidar_boxes(found.boxes[mine]))
    return KittiFrame(
        box_overlaps(found.boxes[mine], true[ours])[view],
        found.score[mine].astype(np.float64),
        height,
        np.array([label.kind != kind for label in some], dtype=bool),
        np.array([label.box_xyxy_px[3] - label.box_xyxy_px[1] for label in some], dtype=np.float64),
        np.array([label.occluded for label in some], dtype=np.int64),
        np.array([label.truncated for label in some], dtype=np.float64),
    )


def _heights_px(frame: Frame, boxes: Boxes) -> NDArray[np.float64]:
    """(N,) height of boxes in the image, px, clipped at its borders; 0 for boxes that reach behind the camera or lens.

    Args:
        frame: a frame with one camera.
        boxes: N boxes in the LiDAR frame.
    """
    view = frame.cameras[0]
    in_cam = cam_SE3_lidar(frame.sweep, view).apply(corners(boxes).reshape(-1, 3))
    v = np.clip(view.camera.project(in_cam)[0][:, 1].reshape(-1, 8), 0, view.camera.height_px)
    height: NDArray[np.float64] = np.nan_to_num(v.max(axis=1) - v.min(axis=1))
    return height
