"""The two stages of labelling as resumable batch jobs: images to masks, masks to clusters."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from pipelines.calibrated import require_fit, require_rigs
from pipelines.documents import ClustersDocument, MasksDocument
from pipelines.engine import ordered_map
from pipelines.labelling.request import Request
from pipelines.labelling.worker import ClusterWorker, MaskWorker, start, work_on
from pipelines.tasks import Done, Task
from pointsam import __version__
from pointsam.base.errors import PointSamError, SchemaError
from pointsam.base.progress import progress
from pointsam.base.runtime import evenly, require_device
from pointsam.calibration.correction import StoredCorrection
from pointsam.calibration.perturb import CLEAN, Noise
from pointsam.datasets.base import Dataset
from pointsam.masks.weights import sha256_of, verify
from pointsam.semantics import semantics_sha256
from pointsam.store.document import DatasetId, Shard, ShardStats
from pointsam.store.manifest import Run, plan_shards
from pointsam.store.reader import Labels
from pointsam.store.schema import clusters_table, frames_table, masks_table, points_table

SHARD_FRAMES = 20
"""Key frames a shard: what a kill can cost. nuScenes has 40 a scene."""


@dataclass
class Summary:
    """What one call did to a stage.

    Args:
        stage: "masks" or "clusters".
        units: images or frames done by this call.
        shards_left: shards that other machines (`--shard i/n`) still have to make.
        failures: frame_id -> code, message and hint, in the shards of this call, whether it made them or found them.
        seconds: by step, summed over workers.
        wall_seconds: of this call.
        peak_mb: resident memory of the largest worker.
    """

    stage: str
    units: int = 0
    shards_left: int = 0
    failures: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    wall_seconds: float = 0.0
    peak_mb: float = 0.0

    def add(self, batch: Sequence[Done[Any]]) -> None:
        """Count the parts of a shard."""
        self.units += len(batch)
        self.peak_mb = max([self.peak_mb, *(done.peak_mb for done in batch)])
        for done in batch:
            for step, spent in done.seconds.items():
                self.seconds[step] = self.seconds.get(step, 0.0) + spent


def run_masks(request: Request) -> Summary:
    """Stage one: detections and candidate masks of every image of the pending shards."""
    if request.device != "cpu" and request.engine == "local":  # Ray's driver may have no GPU where its workers have
        require_device(request.device)  # opening a large data set can take a minute, hearing this must not
    dataset = request.open()
    config = request.config.masks
    mapping = request.label_mapping(dataset)
    weights = {
        "segmenter": verify(config.backend) if request.weights is None else sha256_of(request.weights),
        "semantics": semantics_sha256(config.semantics, request.semantics_dir),
    }
    document = MasksDocument(
        tool_version=__version__,
        recipe=request.config.recipe,
        dataset=DatasetId(dataset.name, request.version, dataset.fingerprint()),
        taxonomy=mapping.taxonomy,
        labels=mapping.classes,
        weights_sha256=weights,
        threads=request.threads,
        device=request.device.partition(":")[0],
        config=config,
        noise=None if request.noise == CLEAN else request.noise,
        calibration=_stored(request),
    )
    shards = plan_shards(_fitting(request, dataset, "masks"), SHARD_FRAMES)
    metadata = document.metadata(weights, request.noise.text())
    run = Run.open(request.out, "masks", document, shards, metadata, data_root=request.data)
    return drive(
        request,
        run,
        (MaskWorker, request),
        lambda shard: [part for frame_id in shard.frame_ids for part in images_of(dataset, frame_id)],
        lambda rows: {"masks": masks_table(rows, metadata)},
    )


def run_clusters(request: Request) -> Summary:
    """Stage two: clusters of every frame of the pending shards, from stored masks."""
    source, dataset = opened(request)
    made = source.document(MasksDocument)
    document = ClustersDocument(
        tool_version=__version__,
        recipe=request.config.recipe,
        dataset=made.dataset,
        taxonomy=made.taxonomy,
        masks_key=source.key("masks"),
        config=request.config.clusters,
        noise=None if request.noise == CLEAN else request.noise,
        calibration=_stored(request),
    )
    shards = plan_shards(_fitting(request, dataset, "clusters"), SHARD_FRAMES)
    metadata = document.metadata(made.weights_sha256, perturbation(source, request.noise))
    run = Run.open(request.out, "clusters", document, shards, metadata, data_root=request.data)
    return drive(
        request,
        run,
        (ClusterWorker, request, made.taxonomy),
        lambda shard: [(frame_id, "") for frame_id in shard.frame_ids],
        lambda rows: {
            "frames": frames_table([row.frame for row in rows], metadata),
            "points": points_table(rows, metadata),
            "clusters": clusters_table(rows, metadata),
        },
    )


def opened(request: Request) -> tuple[Labels, Dataset]:
    """The masks of a request, and the data that they were made of.

    Raises:
        SchemaError: SCH004 if they were made of other data.
        StoreError: OUT004 if there are none.
    """
    source, dataset = Labels(request.masks_from or request.out), request.open()
    if source.dataset("masks").fingerprint != dataset.fingerprint():
        raise SchemaError(
            "SCH004",
            f"the masks in {source.out} were made of another data set, or of other tables, than {request.data}",
            "give the root that the masks were made of, or make new masks: pointsam-label masks DATA --out OTHER",
        )
    return source, dataset


def select(request: Request, dataset: Dataset, stage: str) -> list[tuple[str, str]]:
    """(scene, frame_id) of the frames of a stage; without a choice, clusters are made of every frame with masks."""
    if stage == "clusters" and not (request.frames or request.split):
        return evenly(Labels(request.masks_from or request.out).selection("masks"), request.sample)
    return request.select(dataset)


def _fitting(request: Request, dataset: Dataset, stage: str) -> list[tuple[str, str]]:
    """As `select`; a calibration that fits none, or a file that lacks the rig of one, is refused before all writing."""
    frames = select(request, dataset, stage)
    frame_ids = [frame_id for _, frame_id in frames]
    if request.calibration is not None:
        require_rigs(dataset, frame_ids)
    if request.noise != CLEAN or request.calibration is not None:
        require_fit(dataset, frame_ids, {"the calibration asked for": CLEAN})
    return frames


def perturbation(masks: Labels, noise: Noise) -> str:
    """What is said of what is made of masks with a calibration error: theirs too, unless it is the same."""
    made, own = masks.metadata("masks").calibration_perturbation, noise.text()
    if made in ("none", own):
        return own
    return f"masks: {made}" + ("" if own == "none" else f"; {own}")


def _stored(request: Request) -> dict[str, StoredCorrection] | None:
    correction = request.correction()
    return None if correction is None else {rig: one.stored() for rig, one in correction.items()}


def images_of(dataset: Dataset, frame_id: str) -> list[tuple[str, str]]:
    """(frame_id, camera) of a frame; a frame that cannot be built is one part, in which the worker meets the error."""
    try:
        return [(frame_id, view.name) for view in dataset.frame(frame_id).cameras]
    except PointSamError:
        return [(frame_id, "")]


def drive(
    request: Request,
    run: Run,
    worker: tuple[Any, ...],
    parts: Callable[[Shard], list[tuple[str, str]]],
    tables: Callable[[list[Any]], dict[str, Any]],
) -> Summary:
    """Do the parts of every pending shard, and commit each shard as soon as its last part is there."""
    begin = time.perf_counter()
    gpus = 1.0 if run.stage == "masks" and request.device != "cpu" else 0.0
    pending = run.pending(request.shard, retry_failed=request.retry_failed)
    summary = Summary(run.stage)
    plan, batch = iter(pending), list[Done[Any]]()
    todo = sum(len(shard.frame_ids) for shard in pending)
    workers = request.workers_for(run.stage)
    results = ordered_map(work_on, _tasks(pending, parts), workers, start, worker, request.engine, gpus)
    with closing(results), progress(total=todo, desc=run.stage, unit="frame") as bar:
        for done in results:
            batch.append(done)
            bar.update(done.task.last_of_frame)
            if done.task.last_of_shard:
                shard = next(plan)
                run.commit(shard, tables([d.row for d in batch]), _stats(batch))
                summary.add(batch)
                batch = []
    index, count = request.shard
    stats = Labels(request.out).stats(run.stage)
    for shard in run.shards[index::count]:
        summary.failures.update(stats[shard.name].failures)
    summary.shards_left = len(run.shards) - len(stats)
    summary.wall_seconds = time.perf_counter() - begin
    return summary


def _tasks(shards: Sequence[Shard], parts: Callable[[Shard], list[tuple[str, str]]]) -> Iterator[Task]:
    for shard in shards:
        listed = parts(shard)
        for k, (frame_id, camera) in enumerate(listed):
            last = k + 1 == len(listed)
            yield Task(frame_id, camera, last or listed[k + 1][0] != frame_id, last)


def _stats(batch: Sequence[Done[Any]]) -> ShardStats:
    """For the manifest: seconds by frame and step, failures by frame, and the largest worker."""
    seconds: dict[str, dict[str, float]] = {}
    for done in batch:
        frame = seconds.setdefault(done.task.frame_id, {})
        for step, spent in done.seconds.items():
            frame[step] = round(frame.get(step, 0.0) + spent, 4)
    failures = {done.task.frame_id: str(done.error) for done in batch if done.error is not None}
    return ShardStats(seconds, failures, round(max(done.peak_mb for done in batch), 1))
