"""A request of the user: frames, data, recipe, and how the work is distributed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipelines.data import DataSpec
from pointsam.base.arrays import evenly
from pointsam.base.errors import DatasetError, SchemaError
from pointsam.base.progress import announced
from pointsam.base.runtime import cores
from pointsam.datasets.base import Dataset
from pointsam.semantics import semantics_plugin
from pointsam.stages.recipes import LabelConfig
from pointsam.store.reader import Labels


@dataclass(frozen=True)
class Selection:
    """Which frames.

    Args:
        frames: frame ids, empty for all of `split`.
        split: split or scene name, None for all frames.
        sample: number of these frames to use, evenly spaced; None for all.
    """

    frames: tuple[str, ...] = ()
    split: str | None = None
    sample: int | None = None

    def of(self, dataset: Dataset) -> list[tuple[str, str]]:
        """(scene, frame_id) of every selected frame, in the data set's order.

        Raises:
            DatasetError: DAT009 or DAT010 as `Dataset.frame_ids`, DAT010 on a frame that is unknown or not in `split`.
        """
        with announced("listing the frames"):
            chosen = dataset.frame_ids(self.split)
        wanted = set(self.frames)
        for frame_id in sorted(wanted.difference(chosen)):
            dataset.frame(frame_id)  # raises if there is none
            where = f"split {self.split!r}" if self.split else "the frames that are used without --split"
            raise DatasetError(
                "DAT010",
                f"frame {frame_id!r} of {dataset.root} is not in {where}",
                "pass the split of the frame as --split, or omit the frame",
            )
        if wanted:
            chosen = [frame_id for frame_id in chosen if frame_id in wanted]
        return [(dataset.scene(frame_id), frame_id) for frame_id in evenly(chosen, self.sample)]

    def of_masks(self, masks: Labels, dataset: Dataset) -> list[tuple[str, str]]:
        """As `of`; without frames and split, every frame that has masks."""
        if self.frames or self.split:
            return self.of(dataset)
        return evenly(masks.selection("masks"), self.sample)


@dataclass(frozen=True)
class Execution:
    """Where the work runs, and which part of it.

    Args:
        device: "cpu" or "cuda[:i]".
        threads: threads per worker; fixed by the request, because sums depend on it.
        workers: number of processes, or of threads beside a GPU; None for the stage's default.
        engine: "local" processes or "ray".
        shard: (i, n) for every n-th shard from i.
        retry_failed: also redo shards that hold quarantined frames.
    """

    device: str = "cpu"
    threads: int = 1
    workers: int | None = None
    engine: str = "local"
    shard: tuple[int, int] = (0, 1)
    retry_failed: bool = False

    @property
    def worker_device(self) -> str:
        """The device in a worker. Ray shows each worker only its own GPU, as number 0."""
        return self.device.partition(":")[0] if self.engine == "ray" else self.device

    def uses_gpu(self, stage: str) -> bool:
        """Whether each worker of a stage needs a GPU."""
        return stage in ("masks", "looks") and self.device != "cpu"

    def engine_for(self, stage: str) -> str:
        """The engine of a stage: where one process owns a GPU, its threads read, detect and compress for it."""
        return "threads" if self.uses_gpu(stage) and self.engine == "local" else self.engine

    def workers_for(self, stage: str) -> int:
        """Number of workers of a stage. The default is one per core, and on Ray one for masks on a GPU."""
        if self.workers is not None:
            return self.workers
        return 1 if self.uses_gpu(stage) and self.engine == "ray" else cores()


@dataclass(frozen=True)
class Request:
    """One call of `pointsam-label run`, `masks`, `clusters` or `noise`.

    Args:
        data: the data set, and its calibration.
        out: output folder.
        config: recipe with overrides.
        selection: which frames.
        execution: where and how the work runs.
        mapping: file that maps 2D labels to classes, None for the built-in mapping.
        masks_dir: folder of precomputed 2D results, or of the ground truth that "oracle" reads; None for the default.
        weights: checkpoint of the segmenter, None for the published one.
        masks_from: output folder with the masks of the clusters, None for `out`.
        accepted: ids of the rules of `check` that the data may break.
        calibration: file that the corrections of `data` come from, None for none.
        probability: file of `pointsam-label fit-probability`, None for the one in the package.
    """

    data: DataSpec
    out: Path
    config: LabelConfig
    selection: Selection = Selection()
    execution: Execution = Execution()
    mapping: Path | None = None
    masks_dir: Path | None = None
    weights: Path | None = None
    masks_from: Path | None = None
    accepted: tuple[str, ...] = ()
    calibration: Path | None = None
    probability: Path | None = None

    @property
    def masks_folder(self) -> Path:
        """The output folder with the masks of the clusters."""
        return self.masks_from or self.out

    @property
    def semantics_dir(self) -> Path | None:
        """The folder that the source of classes reads, None where it has none. It must be on this machine.

        Raises:
            SchemaError: SCH005 if the user names one, and the source reads none.
        """
        source, root = self.config.masks.semantics, self.data.root
        plugin = semantics_plugin(source)
        if self.masks_dir is not None and not plugin.takes_folder:
            raise SchemaError(
                "SCH005",
                f"--masks-dir {self.masks_dir}: the classes come from {source}, which reads no 2D results",
                "add --semantics precomputed (docs/precomputed_masks.md), or leave --masks-dir out",
            )
        known = plugin.folder
        if self.masks_dir is None and known is not None and isinstance(root, Path):
            return root / known
        return self.masks_dir
