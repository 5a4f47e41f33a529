"""The shards of a stage that a call processes: unfinished ones, and with --retry-failed those to make again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pipelines.labelling.request import Execution
from pipelines.made_by import print_other_code
from pointsam.base.errors import ChangedSourceError, PointSamError
from pointsam.base.progress import progress
from pointsam.datasets import read_frame
from pointsam.datasets.base import Dataset
from pointsam.store.document import Shard, ShardEntry
from pointsam.store.manifest import Run
from pointsam.store.reader import Labels
from pointsam.store.sources import UNREAD, Source, require_same_masks, require_unchanged
from pointsam.types import Frame


@dataclass(frozen=True)
class PendingWork:
    """The work of a call.

    Args:
        shards: shards to process, in the order of the plan.
        changed: frame_id -> error, of frames in other shards whose data have changed since they were labelled.
        again: frames that an earlier call quarantined, or whose data have changed, and that are labelled again.
    """

    shards: tuple[Shard, ...]
    changed: Mapping[str, str]
    again: frozenset[str]


def pending_work(
    run: Run,
    execution: Execution,
    dataset: Dataset,
    masks: Labels | None = None,
    further: Callable[[Frame], Mapping[str, Source]] = lambda _: {},
) -> PendingWork:
    """Compare the files of finished frames with those that they were made from, and select the shards to process.

    Args:
        run: the stage.
        execution: which shards, and whether failed and changed ones are made again.
        dataset: the data set.
        masks: reader of the masks that clusters are made from, None for other stages.
        further: files of a frame by name, besides its sensor files.

    Raises:
        StoreError: OUT001 if shards are left, and other code made the finished ones.
    """
    retry, entries = execution.retry_failed, run.entries()
    pending = {shard.name for shard in run.pending(execution.shard, retry_failed=retry)}
    index, count = execution.shard
    mine = run.shards[index::count]
    finished = [(shard, entries[shard.name]) for shard in mine if shard.name in entries]
    changed: dict[str, str] = {}
    total = sum(len(shard.frame_ids) for shard, _ in finished)
    with progress(total=total, desc="files of finished frames", unit="frame", disable=not total) as bar:
        for shard, entry in finished:
            found = _changed(run.stage, entry, dataset, masks, further)
            bar.update(len(shard.frame_ids))
            if found and retry:
                pending.add(shard.name)
            changed.update(found)
    shards = tuple(shard for shard in mine if shard.name in pending)
    if shards:
        run.require_same_code()
    elif run.other_code:
        print_other_code(run.out, run.stage, run.other_code)
    failed = {frame_id for _, entry in finished for frame_id in entry.stats.failures}
    return PendingWork(shards, {} if retry else changed, frozenset({*failed, *changed} if retry else ()))


def _changed(
    stage: str,
    entry: ShardEntry,
    dataset: Dataset,
    masks: Labels | None,
    further: Callable[[Frame], Mapping[str, Source]],
) -> dict[str, str]:
    """Errors of the frames of a finished shard whose data have changed, without frames that are quarantined anyway."""
    found = {}
    for frame_id, made in (entry.sources or {}).items():
        if frame_id in entry.stats.failures:
            continue
        try:
            frame = read_frame(dataset, frame_id)
            require_unchanged(made, frame, stage, lambda name: not name.startswith(UNREAD), further(frame))
            if masks is not None:
                require_same_masks(made, masks.sources("masks", frame_id), frame_id)
        except ChangedSourceError as error:
            found[frame_id] = str(error)
        except PointSamError:  # a frame that cannot be read now: its labels stay
            continue
    return found
