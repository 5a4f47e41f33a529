"""What the user asked for, as one value that every worker can act on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipelines.calibrated import with_calibration
from pointsam.base.errors import DatasetError
from pointsam.base.runtime import cores, evenly
from pointsam.calibration.correction import RigCorrection
from pointsam.calibration.file import read_correction
from pointsam.calibration.perturb import CLEAN, Noise
from pointsam.datasets import open_dataset
from pointsam.datasets.base import Dataset
from pointsam.semantics import semantics_plugin
from pointsam.semantics.mapping import default_mapping, load_mapping
from pointsam.stages.recipes import LabelConfig
from pointsam.taxonomy import LabelMapping


@dataclass(frozen=True)
class Request:
    """One call of `pointsam-label run`, `masks` or `clusters`.

    Args:
        data: data set root.
        out: output folder.
        config: recipe with overrides.
        dataset: name of the data set module, None to look.
        version: version folder, where the data set has several.
        frames: frame ids, empty for all of `split`.
        split: split or scene name, None for everything.
        sample: how many frames of these, spread evenly; None for all.
        mapping: file that takes the 2D labels to classes, None for the built-in one.
        masks_dir: folder of precomputed 2D results, or of the truth that "oracle" reads, None for its known place.
        weights: checkpoint of the segmenter, None for the known place.
        device: "cpu" or "cuda[:i]".
        threads: of each worker; part of the request and not of the machine, because sums depend on it.
        workers: processes, None for as many as suit the stage.
        engine: where they run: "local" or "ray".
        shard: (i, n) takes every n-th shard from i.
        retry_failed: also redo shards that hold quarantined frames.
        masks_from: output folder whose masks the clusters are made of, None for `out`.
        noise: what is wrong with the calibration, for studies.
        calibration: file of `pointsam-label calibrate` that mends it.
    """

    data: Path
    out: Path
    config: LabelConfig
    dataset: str | None = None
    version: str | None = None
    frames: tuple[str, ...] = ()
    split: str | None = None
    sample: int | None = None
    mapping: Path | None = None
    masks_dir: Path | None = None
    weights: Path | None = None
    device: str = "cpu"
    threads: int = 1
    workers: int | None = None
    engine: str = "local"
    shard: tuple[int, int] = (0, 1)
    retry_failed: bool = False
    masks_from: Path | None = None
    noise: Noise = CLEAN
    calibration: Path | None = None

    def open(self) -> Dataset:
        """The data set, with the calibration that `noise` and `calibration` make of it."""
        dataset = open_dataset(self.data, self.dataset, version=self.version)
        return with_calibration(dataset, self.noise, self.correction())

    def correction(self) -> dict[str, RigCorrection] | None:
        """What `calibration` holds.

        Raises:
            SchemaError: SCH003 or SCH005 if it is no such file.
        """
        return None if self.calibration is None else read_correction(self.calibration)

    @property
    def worker_device(self) -> str:
        """The device as a worker sees it: Ray shows each worker only the GPU that it gave it, as number 0."""
        return self.device.partition(":")[0] if self.engine == "ray" else self.device

    @property
    def semantics_dir(self) -> Path | None:
        """The files that the source of classes reads, None where it has none."""
        known = semantics_plugin(self.config.masks.semantics).folder
        return self.data / known if self.masks_dir is None and known is not None else self.masks_dir

    def workers_for(self, stage: str) -> int:
        """Processes of a stage: as asked, else one a core, but a single one where a GPU does the work."""
        if self.workers is not None:
            return self.workers
        if stage == "masks" and self.device != "cpu":
            return 1
        return cores()

    def label_mapping(self, dataset: Dataset) -> LabelMapping:
        """From the user's file; else from the label names that the source of classes has: COCO's, or the classes'."""
        if self.mapping is not None:
            return load_mapping(self.mapping)
        return default_mapping(dataset.taxonomy, semantics_plugin(self.config.masks.semantics).labels)

    def select(self, dataset: Dataset) -> list[tuple[str, str]]:
        """(scene, frame_id) of every frame asked for, in the data set's order.

        Raises:
            DatasetError: DAT009 or DAT010 as `Dataset.frame_ids`, DAT010 on a frame that is unknown or not in `split`.
        """
        chosen = dataset.frame_ids(self.split)
        wanted = set(self.frames)
        for frame_id in sorted(wanted.difference(chosen)):
            dataset.frame(frame_id)  # raises if there is none
            where = f"split {self.split!r}" if self.split else "the frames that no --split means"
            raise DatasetError(
                "DAT010",
                f"frame {frame_id!r} of {dataset.root} is not in {where}",
                "name the split that holds the frame with --split, or leave the frame out",
            )
        if wanted:
            chosen = [frame_id for frame_id in chosen if frame_id in wanted]
        return [(dataset.scene(frame_id), frame_id) for frame_id in evenly(chosen, self.sample)]
