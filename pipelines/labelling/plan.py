"""`--dry-run`: the amount of work and its cost, measured on one frame of the data."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from pipelines.labelling.jobs import images_of, run_clusters, run_masks
from pipelines.labelling.request import Request
from pipelines.opened import open_masks
from pointsam.base.files import scratch_folder


@dataclass(frozen=True)
class Plan:
    """The expected cost of a run.

    Args:
        frames: number of key frames.
        images: number of images, from the cameras of the measured frame.
        hours: wall time with these workers and this device.
        megabytes: size of the output folder.
        probe: id of the measured frame.
        workers: number of processes that the hours are for, by stage.
        notes: errors of the measured frame.
    """

    frames: int
    images: int
    hours: float
    megabytes: float
    probe: str
    workers: dict[str, int]
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, object]:
        """For --json."""
        return asdict(self)

    def text(self) -> str:
        """For the terminal."""
        workers = " and ".join(f"{count} workers for {stage}" for stage, count in self.workers.items())
        time = f"{self.hours:.1f} hours" if self.hours >= 1 else f"{self.hours * 60:.1f} minutes"
        lines = [
            f"{self.frames} frames, {self.images} images",
            f"about {time} with {workers} and {self.megabytes:.1f} MB of disk "
            f"(measured on frame {self.probe}; nothing was written)",
            *self.notes,
            "next: the same command without --dry-run",
        ]
        return "\n".join(lines)


def plan(request: Request, stages: tuple[str, ...]) -> Plan:
    """Label the middle frame of the selection into a temporary folder, measure it, and scale up.

    Args:
        request: as for the run; nothing is written to its output folder.
        stages: stages of the run: "masks", "clusters" or both.
    """
    if stages[0] == "masks":
        dataset = request.data.open()
        frames = request.selection.of(dataset)
    else:
        masks, dataset = open_masks(request.masks_folder, request.data)
        frames = request.selection.of_masks(masks.labels, dataset)
    probe = frames[len(frames) // 2][1]
    masks_from = request.masks_from or (None if "masks" in stages else request.out)
    with scratch_folder() as folder:
        small = replace(
            request,
            out=folder,
            selection=replace(request.selection, frames=(probe,)),
            execution=replace(request.execution, workers=1, engine="local", shard=(0, 1)),
            masks_from=masks_from,
        )
        done = [{"masks": run_masks, "clusters": run_clusters}[stage](small) for stage in stages]
        num_bytes = sum(path.stat().st_size for path in folder.rglob("*.parquet"))
    workers = {stage: request.execution.workers_for(stage) for stage in stages}
    seconds = sum(sum(summary.seconds.values()) / workers[summary.stage] for summary in done)
    index, count = request.execution.shard
    share = len(frames[index::count])
    failures = {frame_id: why for summary in done for frame_id, why in summary.failures.items()}
    notes = tuple(f"the measured frame is quarantined: {why}" for why in failures.values())
    return Plan(
        frames=share,
        images=share * len(images_of(dataset, probe)),
        hours=seconds * share / 3600,
        megabytes=num_bytes * share / 1e6,
        probe=probe,
        workers=workers,
        notes=notes,
    )
