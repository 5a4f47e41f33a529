"""Stages whose unit of work is a scene: the work that is left, and doing it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from pipelines.engine import ordered_map
from pipelines.labelling.jobs import Summary
from pipelines.labelling.request import Execution
from pipelines.labelling.scene_list import Scenes
from pipelines.poses import NO_ODOMETRY, odometry_version
from pipelines.remarks import scene_lines
from pointsam.base.progress import progress
from pointsam.store.document import Shard, ShardEntry, ShardStats
from pointsam.store.manifest import Run
from pointsam.store.reader import Labels
from pointsam.store.sources import ODOMETRY

FOLLOWED = "followed frames"
"""The name under which the sources of a frame hold the digest of the frames that were followed together with it."""


@dataclass(frozen=True)
class SceneTask:
    """A scene, or a part of one whose frames are alone.

    Args:
        scene: its name.
        shards: its shards, all of them.
        made_of: digest of the files with the labels that it starts from.
        together: whether its frames follow one another in time; if not, each is alone.
        unordered: frames that are not followed, because they have the time of another one.
        remarks: what users should know of the scene, whatever is found in it.
        lost: whether workers died of it, so that it must not be tried again.
    """

    scene: str
    shards: tuple[Shard, ...]
    made_of: str
    together: bool = True
    unordered: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    lost: bool = False

    @property
    def frame_ids(self) -> list[str]:
        """Its frames."""
        return [frame_id for shard in self.shards for frame_id in shard.frame_ids]

    def given_up(self) -> SceneTask:
        """The task for a worker that only reports it."""
        return replace(self, lost=True)


@dataclass(frozen=True)
class DoneShard:
    """A shard of a finished scene, ready for `Run.commit_files`."""

    shard: Shard
    files: Sequence[tuple[Path, bytes]]
    failed: int
    stats: ShardStats
    sources: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class DoneScene:
    """A finished scene.

    Args:
        task: its task.
        shards: its shards.
        counts: what was made or changed, by name.
        remarks: what users should know of it, besides those of its task.
    """

    task: SceneTask
    shards: tuple[DoneShard, ...]
    counts: Mapping[str, int]
    remarks: tuple[str, ...]


def scene_tasks(
    run: Run, labels: Labels, scenes: Scenes, execution: Execution, remarks: Mapping[str, tuple[str, ...]]
) -> list[SceneTask]:
    """The work that is left: scenes that are not done, whose labels were made again since, or that have no poses and
    were followed without the odometry that is installed now.

    Args:
        run: the stage.
        labels: the labels that it starts from.
        scenes: their scenes.
        execution: which part of the work; every n-th scene, or every n-th shard of frames that are alone.
        remarks: remarks on the scenes.

    Raises:
        StoreError: OUT001 if work is left, and other code made the finished scenes.
    """
    shards: dict[str, list[Shard]] = {}
    for shard in run.shards:
        shards.setdefault(shard.scene, []).append(shard)
    index, count = execution.shard
    found = [
        SceneTask(
            scene,
            tuple(shards[scene]),
            labels.content(labels.stage, scenes.ready[scene]),
            unordered=scenes.unordered.get(scene, ()),
            remarks=remarks.get(scene, ()),
        )
        for scene in list(shards)[index::count]
        if scene in scenes.ready
    ]
    done = set(labels.frame_ids())
    for shard in run.shards[index::count]:
        if shard.scene in scenes.timeless and done.issuperset(shard.frame_ids):
            made_of, its = labels.content(labels.stage, shard.frame_ids), remarks.get(shard.scene, ())
            found.append(SceneTask(shard.scene, (shard,), made_of, together=False, remarks=its))
    entries = run.entries()
    tasks = [task for task in found if _is_left(task, entries, labels.stage, execution.retry_failed)]
    if tasks:
        run.require_same_code()
    return tasks


def _is_left(task: SceneTask, entries: Mapping[str, ShardEntry], base: str, retry_failed: bool) -> bool:
    found = [entries.get(shard.name) for shard in task.shards]
    current = all(entry is not None and _stated(entry, base) == {task.made_of} for entry in found)
    followed = set[str]().union(*(_stated(entry, FOLLOWED) for entry in found if entry is not None))
    failed = retry_failed and any(entry is not None and entry.failed for entry in found)
    registered = set[str]().union(*(_stated(entry, ODOMETRY) for entry in found if entry is not None)) - {""}
    installed = odometry_version()
    other_poses = installed != NO_ODOMETRY and bool(registered - {installed})
    return not current or len(followed) > 1 or failed or other_poses


def _stated(entry: ShardEntry, name: str) -> set[str]:
    """What the sources of the frames of a shard state by a name."""
    return {sources.get(name, "") for sources in (entry.sources or {}).values()}


def drive_scenes(
    run: Run,
    tasks: Sequence[SceneTask],
    execution: Execution,
    work: Callable[[SceneTask], DoneScene],
    start: Callable[..., None],
    worker: object,
) -> Summary:
    """Process scenes, and commit each one when it is done. The summary has the remarks on all finished scenes.

    Args:
        run: the stage.
        tasks: its work.
        execution: where to run.
        work: processes a scene with this process's worker.
        start: registers this process's worker, from the number of threads and `worker`.
        worker: opens a worker.
    """
    start_s = time.perf_counter()
    summary = Summary(run.stage)
    results = ordered_map(
        work,
        tasks,
        execution.workers_for(run.stage),
        start,
        (execution.threads, worker),
        execution.engine_for(run.stage),
        float(execution.uses_gpu(run.stage)),
        SceneTask.given_up,
    )
    todo = sum(len(task.frame_ids) for task in tasks)
    with closing(results), progress(total=todo, desc=run.stage, unit="frame") as bar:
        for scene in results:
            run.keep_remarks(scene.task.scene, (*scene.task.remarks, *scene.remarks))
            for one in scene.shards:
                run.commit_files(one.shard, one.files, one.failed, one.stats, one.sources)
                bar.update(len(one.shard.frame_ids))
                summary.add_stats(one.stats)
            for name, count in scene.counts.items():
                summary.counts[name] = summary.counts.get(name, 0) + count
    stats = run.stats()
    summary.failures.update({frame: why for one in stats.values() for frame, why in one.failures.items()})
    summary.shards_left = len(run.shards) - len(stats)
    summary.wall_seconds = time.perf_counter() - start_s
    summary.remarks = scene_lines(run.remarks())
    return summary
