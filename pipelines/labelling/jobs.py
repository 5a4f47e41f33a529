"""The two stages of labelling as resumable batch jobs: images to masks, masks to clusters."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, cast

from pipelines.documents import ClustersDocument, LabelDocument, MasksDocument
from pipelines.engine import ordered_map
from pipelines.labelling.check import require_no_errors, sweep_motion
from pipelines.labelling.images import image_names, images_of, whole_frame
from pipelines.labelling.pending import PendingWork, pending_work
from pipelines.labelling.request import Execution, Request
from pipelines.labelling.worker import ClusterWorker, MaskWorker, start, work_on
from pipelines.made_by import code_of
from pipelines.opened import open_masks, read_as_in
from pipelines.tasks import Row, Task, TaskResult
from pointsam import __version__
from pointsam.base.document import json_values
from pointsam.base.progress import progress
from pointsam.base.remote import DataPath
from pointsam.base.runtime import require_device
from pointsam.calibration.correction import corrects
from pointsam.geometry.motion import SweepMotion
from pointsam.masks import segmenter_plugin
from pointsam.semantics import (
    SemanticsContext,
    mapping_of,
    model_origins,
    result_files,
    semantics_sha256,
    survey_semantics,
)
from pointsam.semantics.mapping import unmapped_notices
from pointsam.stages.probability import BUNDLED, read_probability
from pointsam.store.document import Shard, ShardStats
from pointsam.store.manifest import Run, plan_shards
from pointsam.store.schema import clusters_table, frames_table, masks_table, points_table
from pointsam.store.sources import merged
from pointsam.types import ImageMasks

if TYPE_CHECKING:
    import pyarrow as pa

SHARD_FRAMES = 20
"""Key frames per shard: the work that a kill can lose. nuScenes has 40 per scene."""


@dataclass
class Summary:
    """The work of one call on a stage.

    Args:
        stage: "masks", "clusters" or "tracks".
        units: number of images or frames that this call processed.
        shards_left: number of shards that other machines (`--shard i/n`) still have to process.
        failures: frame_id -> code, message and hint, of all shards of this call, also those done by earlier calls.
        seconds: time by step, summed over workers.
        wall_seconds: duration of this call.
        peak_mb: resident memory of the largest worker.
        unmapped: number of detected objects by label, for labels that map to no class, likewise of all shards.
        notices: what is suspicious about the 2D results, or about the masks that clusters are made from.
        remarks: what readers should know, but nothing is wrong.
        counts: what this call made, by name, where frames do not say it.
    """

    stage: str
    units: int = 0
    shards_left: int = 0
    failures: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    wall_seconds: float = 0.0
    peak_mb: float = 0.0
    unmapped: dict[str, int] = field(default_factory=dict)
    notices: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, batch: Sequence[TaskResult[object]]) -> None:
        """Add the results of a shard."""
        self.units += len(batch)
        self.peak_mb = max([self.peak_mb, *(done.peak_mb for done in batch)])
        for done in batch:
            for step, spent in done.seconds.items():
                self.seconds[step] = self.seconds.get(step, 0.0) + spent

    def add_stats(self, stats: ShardStats) -> None:
        """Add the statistics of a shard whose frames are its units."""
        self.units += len(stats.seconds)
        self.peak_mb = max(self.peak_mb, stats.peak_mb)
        for steps in stats.seconds.values():
            for step, spent in steps.items():
                self.seconds[step] = self.seconds.get(step, 0.0) + spent


def run_masks(request: Request, run_frames: Sequence[tuple[str, str]] | None = None) -> Summary:
    """Run the 2D stage: detections and candidate masks of every image of the pending shards.

    Args:
        request: the call.
        run_frames: (scene, frame_id) of the whole run if `request` is a part of it: the 2D results are checked against
            their images. None for the frames of `request`.
    """
    data, config, execution = request.data, request.config.masks, request.execution
    if execution.device != "cpu" and execution.engine == "local":  # Ray's driver may lack the GPU of its workers
        require_device(execution.device)  # before the data set is opened, which can take a minute
    semantics_dir = request.semantics_dir
    plain = data.plain()
    frames = request.selection.of(plain)
    require_no_errors(plain, [frame_id for _, frame_id in frames], request.accepted)
    dataset = data.seen(plain)
    options = config.semantics_options()
    mapping = mapping_of(config.semantics, dataset.taxonomy, request.mapping, semantics_dir, options)
    weights = {
        "segmenter": segmenter_plugin(config.backend).weights_sha256(request.weights),
        "semantics": semantics_sha256(config.semantics, semantics_dir, options),
    }
    document = MasksDocument(
        tool_version=__version__,
        recipe=request.config.recipe,
        dataset=data.made_from(dataset),
        taxonomy=mapping.taxonomy,
        labels=mapping.classes,
        weights_sha256=weights,
        threads=execution.threads,
        device=execution.device.partition(":")[0],
        config=config,
        accepted=request.accepted or None,
        **data.calibration(),
    )
    data.require_fit(dataset, [frame_id for _, frame_id in frames])
    context = SemanticsContext(mapping, semantics_dir, data_root=str(dataset.root), needs_masks=config.needs_masks)
    names = image_names(dataset, frames if run_frames is None else run_frames)
    notices = survey_semantics(config.semantics, context, names, options)
    run, metadata = begin(request.out, frames, document, weights, data.noise.text(), data.root, _origins(request))
    models = (semantics_dir, request.weights, execution.worker_device, execution.threads)
    results = result_files(config.semantics, semantics_dir, str(dataset.root))
    summary = drive(
        run,
        execution,
        pending_work(run, execution, dataset, further=lambda frame: results(frame, None)),
        partial(MaskWorker, data, config, mapping, *models),
        lambda frame_id: images_of(dataset, frame_id),
        lambda rows: {"masks": masks_table(rows, metadata)},
    )
    summary.notices = (*notices, *unmapped_notices(mapping, summary.unmapped))
    return summary


def _origins(request: Request) -> dict[str, object] | None:
    """Where the networks are from, as JSON values by part; None if only their digests are known."""
    config = request.config.masks
    segmenter = segmenter_plugin(config.backend).origins
    found = {
        "segmenter": () if segmenter is None else segmenter(request.weights),
        "semantics": model_origins(config.semantics, request.semantics_dir, config.semantics_options()),
    }
    return {part: json_values(models) for part, models in found.items() if models} or None


def run_clusters(request: Request) -> Summary:
    """Run the 3D stage: clusters of every frame of the pending shards, from stored masks."""
    data, config = read_as_in(request.masks_folder, request.data), request.config.clusters
    masks, dataset = open_masks(request.masks_folder, data)
    probability = read_probability(request.probability or BUNDLED)
    document = ClustersDocument(
        tool_version=__version__,
        recipe=request.config.recipe,
        dataset=masks.document.dataset,
        taxonomy=masks.taxonomy,
        masks_key=masks.key,
        config=config,
        probability_sha256=probability.sha256,
        **data.calibration(),
    )
    frames = request.selection.of_masks(masks.labels, dataset)
    data.require_fit(dataset, [frame_id for _, frame_id in frames])
    weights = {**masks.document.weights_sha256, "probability": probability.sha256}
    perturbation = masks.perturbation_with(data.noise)
    motion = sweep_motion(dataset, [frame_id for _, frame_id in frames])
    run, metadata = begin(request.out, frames, document, weights, perturbation, data.root, motion=motion)
    work = pending_work(run, request.execution, dataset, masks.labels)
    summary = drive(
        run,
        request.execution,
        work,
        partial(ClusterWorker, data, config, request.masks_folder, probability.model, work.again),
        whole_frame,
        lambda rows: {
            "frames": frames_table([row.frame for row in rows], metadata),
            "points": points_table(rows, metadata),
            "clusters": clusters_table(rows, metadata),
        },
    )
    if corrects(masks.document.calibration) and data.corrections is None:
        summary.notices = (
            "the masks were made with a corrected calibration, and these clusters with that of the data set: give "
            "--calibration and another --out to correct it here too",
        )
    return summary


def begin(
    out: Path,
    frames: Sequence[tuple[str, str]],
    document: LabelDocument,
    weights: Mapping[str, str],
    perturbation: str,
    data_root: DataPath,
    models: Mapping[str, object] | None = None,
    motion: SweepMotion | None = None,
) -> tuple[Run, dict[str, object]]:
    """Start a stage of an output folder, or continue it.

    Args:
        out: the output folder.
        frames: (scene, frame_id) of every frame to process.
        document: the document of the stage; equal documents give equal tables.
        weights: sha256 of each network's weights.
        perturbation: the calibration error, "none" without one.
        data_root: root of the data set.
        models: where the networks are from, as of `Run.open`.
        motion: what becomes of the motion of the vehicle within sweeps; run.json states it unless the data set has
            removed it.

    Returns:
        The run, and the metadata of its tables.

    Raises:
        StoreError, SchemaError: as `Run.open`.
    """
    metadata = document.metadata(weights, perturbation)
    shards = plan_shards(frames, SHARD_FRAMES)
    stated = None if motion == "removed by the data set" else motion
    run = Run.open(out, document.stage, document, shards, metadata, data_root, code_of(document), models, stated)
    return run, metadata


def drive(
    run: Run,
    execution: Execution,
    work: PendingWork,
    worker: Callable[[], Callable[[Sequence[Task]], list[TaskResult[Row]]]],
    parts: Callable[[str], list[tuple[str, str]]],
    tables: Callable[[list[Row]], dict[str, pa.Table]],
) -> Summary:
    """Process every pending shard, and commit each one when its last task is done.

    The progress bar counts the quarantined frames of this call by code.

    Args:
        run: the run from `begin`.
        execution: where to run, and which shards.
        work: the pending shards.
        worker: opens a worker; called once per process.
        parts: frame_id -> (frame_id, camera) of its tasks, at least one.
        tables: rows of a shard -> its tables by name.
    """
    start_s = time.perf_counter()
    pending, summary = work.shards, Summary(run.stage)
    batch, quarantined = list[TaskResult[Row]](), dict[str, str]()
    results = ordered_map(
        work_on,
        _tasks(pending, parts, whole_frames=execution.uses_gpu(run.stage)),
        execution.workers_for(run.stage),
        start,
        (execution.threads, worker),
        execution.engine_for(run.stage),
        float(execution.uses_gpu(run.stage)),
        _given_up,
    )
    todo = sum(len(shard.frame_ids) for shard in pending)
    rows = cast(Generator[list[TaskResult[Row]], None, None], results)  # `work_on` calls this worker
    with closing(rows), progress(total=todo, desc=run.stage, unit="frame") as bar:
        for done in chain.from_iterable(rows):
            batch.append(done)
            bar.update(done.task.last_of_frame)
            if done.error is not None and done.task.frame_id not in quarantined:
                quarantined[done.task.frame_id] = done.error.code
                bar.set_postfix(refresh=False, **Counter(quarantined.values()))
            if done.task.completes is not None:
                run.commit(done.task.completes, tables([d.row for d in batch]), _stats(batch), _sources(batch))
                summary.add(batch)
                batch = []
    stats = run.stats()
    index, count = execution.shard
    for shard in run.shards[index::count]:
        summary.failures.update(stats[shard.name].failures)
        for label, count in (stats[shard.name].unmapped or {}).items():
            summary.unmapped[label] = summary.unmapped.get(label, 0) + count
    summary.failures.update(work.changed)
    summary.shards_left = len(run.shards) - len(stats)
    summary.wall_seconds = time.perf_counter() - start_s
    return summary


def _tasks(
    shards: Sequence[Shard], parts: Callable[[str], list[tuple[str, str]]], whole_frames: bool
) -> Iterator[tuple[Task, ...]]:
    """The tasks of all shards: one after another, or those of a frame together, which a GPU processes at once."""
    for shard in shards:
        listed = [part for frame_id in shard.frame_ids for part in parts(frame_id)]
        group: list[Task] = []
        for k, (frame_id, camera) in enumerate(listed):
            last = k + 1 == len(listed)
            group.append(Task(frame_id, camera, last or listed[k + 1][0] != frame_id, shard if last else None))
            if group[-1].last_of_frame or not whole_frames:
                yield tuple(group)
                group = []


def _given_up(tasks: tuple[Task, ...]) -> tuple[Task, ...]:
    return tuple(task.given_up() for task in tasks)


def _sources(batch: Sequence[TaskResult[object]]) -> dict[str, dict[str, str]]:
    """frame_id -> digests of the data that it was made from."""
    by_frame: dict[str, list[Mapping[str, str]]] = {}
    for done in batch:
        by_frame.setdefault(done.task.frame_id, []).append(done.sources)
    return {frame_id: merged(parts) for frame_id, parts in by_frame.items()}


def _stats(batch: Sequence[TaskResult[object]]) -> ShardStats:
    """Statistics for the manifest: seconds by frame and step, failures by frame, and memory of the largest worker."""
    seconds: dict[str, dict[str, float]] = {}
    for done in batch:
        frame = seconds.setdefault(done.task.frame_id, {})
        for step, spent in done.seconds.items():
            frame[step] = round(frame.get(step, 0.0) + spent, 4)
    failures = {done.task.frame_id: str(done.error) for done in batch if done.error is not None}
    unmapped: Counter[str] = Counter()
    for done in batch:
        unmapped.update(done.row.detections.unmapped if isinstance(done.row, ImageMasks) else {})
    return ShardStats(seconds, failures, round(max(done.peak_mb for done in batch), 1), dict(unmapped) or None)
