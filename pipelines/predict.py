"""Detect, score and write: `mixsup-train predict` and `eval`, and the validation of `fit`."""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.detect_recipe import recipe_of
from pipelines.progress import progress
from pipelines.tables import text_table
from pointsam.datasets.base import Dataset
from pointsam.datasets.io import read_points
from pointsam.detect.checkpoint import Checkpoint
from pointsam.detect.detections import Detections, nuscenes_results, write_detections, write_json
from pointsam.detect.detector import Detector
from pointsam.detect.infer import detect_frames
from pointsam.detect.recipe import Recipe
from pointsam.errors import DatasetError, SchemaError
from pointsam.evaluate.detection import RANGE_BINS_M, DetectionAccumulator, DetectionQuality, FrameBoxes
from pointsam.geometry.boxes import count_points
from pointsam.taxonomy import BACKGROUND

BEST, LAST = "best.safetensors", "last.safetensors"
_ERRORS = {"trans_err": "mATE", "scale_err": "mASE", "orient_err": "mAOE", "vel_err": "mAVE", "attr_err": "mAAE"}
_OFFICIAL_SPLITS = ("train", "val", "mini_train", "mini_val")


@dataclass(frozen=True)
class Loaded:
    """A trained detector and its recipe."""

    recipe: Recipe
    detector: Detector
    path: Path


def load_run(run: Path, dataset: Dataset, device: str) -> Loaded:
    """The best checkpoint of a run, else the last.

    Raises:
        SchemaError: SCH003 if there is none, SCH004 if it was trained on other classes than the data set has.
    """
    path = run / BEST if (run / BEST).exists() else run / LAST
    checkpoint = Checkpoint(path)
    recipe = recipe_of(checkpoint.about["recipe"], str(path))
    names = tuple(spec["name"] for spec in checkpoint.about["taxonomy"]["classes"])
    if names != dataset.taxonomy.names:
        raise SchemaError(
            "SCH004",
            f"{path} tells {list(names)} apart, {dataset.root} has {list(dataset.taxonomy.names)}",
            "give a data set with the classes it was trained on",
        )
    detector = Detector(recipe.detector, dataset.taxonomy).to(device)
    checkpoint.load_model(detector)
    return Loaded(recipe, detector, path)


def detections(
    detector: Detector, recipe: Recipe, dataset: Dataset, frame_ids: Sequence[str], workers: int, bad: dict[str, str]
) -> Iterator[Detections]:
    """Detect frame by frame, in order; frames that cannot be read are put into `bad`."""
    found = detect_frames(detector, dataset, frame_ids, recipe.data.points, workers)
    for result in progress(found, desc="detect", unit="frame", total=len(frame_ids)):
        if isinstance(result, Detections):
            yield result
        else:
            bad[result[0]] = result[1]


@dataclass(frozen=True)
class Score:
    """How good detections are.

    Args:
        quality: average precision by distance of middles.
        official: nuScenes' own figures, None where its evaluator does not apply.
        note: why not.
        bad: frames that could not be read.
    """

    quality: DetectionQuality
    official: dict[str, Any] | None
    note: str
    bad: dict[str, str]

    def as_dict(self) -> dict[str, Any]:
        """For --json: NaN becomes null."""
        text = json.dumps({"quality": asdict(self.quality), "nuscenes": self.official, "bad": self.bad})
        document: dict[str, Any] = json.loads(text.replace("NaN", "null"))
        return document

    def text(self) -> str:
        """For the terminal."""
        ranges = [f"{low:.0f}-{high:.0f} m" if high < 1000 else f"> {low:.0f} m" for low, high in RANGE_BINS_M]
        header = ("class", "objects", "AP", *ranges, "trans. m", "scale", "yaw rad")
        rows: list[tuple[object, ...]] = [
            (c.name, c.num_objects, c.ap, *c.by_range, c.translation_m, c.scale, c.yaw_rad)
            for c in self.quality.classes
        ]
        count = sum(c.num_objects for c in self.quality.classes)
        rows.append(("all", count, self.quality.mean_ap, *[float("nan")] * (3 + len(ranges))))
        lines = [
            text_table(header, rows),
            f"{self.quality.num_frames} frames; AP by distance of middles, mean of 0.5, 1, 2 and 4 m (nuScenes)",
        ]
        if self.official is not None:
            o = self.official
            lines.append(
                f"nuScenes' evaluator: mAP {o['mAP']:.4f}, NDS {o['NDS']:.4f}, mATE {o['mATE']:.3f}, "
                f"mASE {o['mASE']:.3f}, mAOE {o['mAOE']:.3f}, mAVE {o['mAVE']:.3f}, mAAE {o['mAAE']:.3f}"
            )
        else:
            lines.append(f"nuScenes' evaluator was not run: {self.note}")
        if self.bad:
            lines.append(
                f"{len(self.bad)} frames could not be read and were not scored, the first: {next(iter(self.bad))}"
            )
        return "\n".join(lines)


def truth_of(dataset: Dataset, frame_id: str) -> FrameBoxes:
    """True boxes of a frame, with their numbers of points.

    Raises:
        DatasetError: DAT011 where the data set has none.
    """
    boxes = dataset.boxes(frame_id)
    if boxes is None:
        raise DatasetError("DAT011", f"{dataset.root}: frame {frame_id!r} has no boxes", "score a split that has them")
    points = count_points(read_points(dataset.frame(frame_id).sweep), boxes)
    ours = boxes.class_id != BACKGROUND
    yaw = np.arctan2(boxes.rotation[:, 1, 0], boxes.rotation[:, 0, 0])
    return FrameBoxes(
        boxes.center_m[ours],
        boxes.size_lwh_m[ours],
        yaw[ours],
        boxes.class_id[ours].astype(np.int64),
        points[ours].astype(np.float64),
    )


def score(dataset: Dataset, found: Sequence[Detections], split: str, bad: dict[str, str]) -> Score:
    """Score detections of a split by our own rule, and by nuScenes' where it applies."""
    accumulator = DetectionAccumulator(dataset.taxonomy.names)
    for frame in found:
        accumulator.add(frame.frame_boxes(), truth_of(dataset, frame.frame_id))
    official, note = _official(dataset, found, split, bad)
    return Score(accumulator.result(), official, note, bad)


def _official(
    dataset: Dataset, found: Sequence[Detections], split: str, bad: dict[str, str]
) -> tuple[dict[str, Any] | None, str]:
    """The devkit's figures, or None and why."""
    if dataset.name != "nuscenes":
        return None, "the data set is not nuScenes"
    if find_spec("nuscenes") is None:
        return None, "it is not installed: pip install 'pointsam[nuscenes]'"
    if bad or not any(len(frame.score) for frame in found):
        return None, "frames are missing" if bad else "nothing was found"
    ours = {frame.frame_id for frame in found}
    version: str = dataset.version  # type: ignore[attr-defined]
    kind = "mini_" if version.endswith("mini") else ""
    fits = [s for s in _OFFICIAL_SPLITS if s.startswith("mini_") == bool(kind) and _frames(dataset, s) == ours]
    if not fits:
        return None, f"the frames of {split!r} are not those of one of its splits in {version}"
    from nuscenes.eval.common.config import config_factory
    from nuscenes.eval.detection.evaluate import DetectionEval
    from nuscenes.nuscenes import NuScenes

    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        path = Path(folder) / "results.json"
        write_json(path, nuscenes_results(_posed(dataset, found), dataset.taxonomy.names))
        devkit = NuScenes(version, str(dataset.root), verbose=False)
        config = config_factory("detection_cvpr_2019")
        evaluation = DetectionEval(devkit, config, str(path), fits[0], folder, verbose=False)
        metrics, _ = evaluation.evaluate()
    summary = metrics.serialize()
    errors = {_ERRORS[name]: value for name, value in summary["tp_errors"].items()}
    return {
        "split": fits[0],
        "mAP": summary["mean_ap"],
        "NDS": summary["nd_score"],
        **errors,
        "AP": summary["mean_dist_aps"],
    }, ""


def _frames(dataset: Dataset, split: str) -> set[str]:
    try:
        return set(dataset.frame_ids(split))
    except DatasetError:
        return set()


def _posed(dataset: Dataset, found: Sequence[Detections]) -> Iterator[tuple[Detections, Any]]:
    for frame in found:
        sweep = dataset.frame(frame.frame_id).sweep
        yield frame, sweep.world_SE3_ego @ sweep.ego_SE3_lidar


def predict(run: Path, dataset: Dataset, split: str | None, dest: Path, device: str, workers: int) -> dict[str, Any]:
    """Detect a split and write it: `detections.parquet`, and for nuScenes `results_nusc.json`.

    Returns:
        What was written, JSON values.
    """
    loaded = load_run(run, dataset, device)
    bad: dict[str, str] = {}
    frame_ids = dataset.frame_ids(split)
    found = list(detections(loaded.detector, loaded.recipe, dataset, frame_ids, workers, bad))
    about = {"recipe": loaded.recipe.name, "dataset": dataset.fingerprint(), "split": split}
    files = [dest / "detections.parquet"]
    write_detections(files[0], found, dataset.taxonomy.names, about)
    if dataset.name == "nuscenes":
        files.append(dest / "results_nusc.json")
        write_json(files[1], nuscenes_results(_posed(dataset, found), dataset.taxonomy.names))
    boxes = sum(len(frame.score) for frame in found)
    return {"frames": len(found), "boxes": boxes, "bad": bad, "files": [str(path) for path in files]}


def evaluate_run(run: Path, dataset: Dataset, split: str, device: str, workers: int) -> Score:
    """Detect a split with the best checkpoint of a run and score it."""
    loaded = load_run(run, dataset, device)
    bad: dict[str, str] = {}
    frame_ids = dataset.frame_ids(split)
    found = list(detections(loaded.detector, loaded.recipe, dataset, frame_ids, workers, bad))
    return score(dataset, found, split, bad)
