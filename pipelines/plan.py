"""`--dry-run`: how much there is to do, and what it will cost, measured on one frame of the data."""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pipelines.jobs import run_clusters, run_masks
from pipelines.request import Request


@dataclass(frozen=True)
class Plan:
    """What a run is expected to take.

    Args:
        frames: key frames of the selection.
        images: images of the selection, from the probed frame's cameras.
        hours: wall time with the workers and device asked for.
        megabytes: of the output folder.
        probe: the frame that was measured.
        workers: processes the hours are for.
        notes: what went wrong with the probe, if anything.
    """

    frames: int
    images: int
    hours: float
    megabytes: float
    probe: str
    workers: int
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return asdict(self)

    def text(self) -> str:
        """For the terminal."""
        lines = [
            f"{self.frames} frames, {self.images} images",
            f"about {self.hours:.2f} hours with {self.workers} workers and {self.megabytes:.1f} MB of disk "
            f"(measured on frame {self.probe}; nothing was written)",
            *self.notes,
            "next: the same command without --dry-run",
        ]
        return "\n".join(lines)


def plan(request: Request) -> Plan:
    """Label the middle frame of the selection into a temporary folder, time it, and scale up.

    Args:
        request: as for the run; nothing is written to its output folder.
    """
    dataset = request.open()
    frames = request.select(dataset)
    probe = frames[len(frames) // 2][1]
    with tempfile.TemporaryDirectory() as folder:
        small = replace(request, out=Path(folder), frames=(probe,), workers=1, shard=(0, 1))
        masks = run_masks(replace(small, masks_from=None))
        clusters = run_clusters(replace(small, masks_from=None))
        num_bytes = sum(path.stat().st_size for path in Path(folder).rglob("*.parquet"))
    seconds = sum(masks.seconds.values()) + sum(clusters.seconds.values())
    share = len(frames[request.shard[0] :: request.shard[1]])
    failures = {**masks.failures, **clusters.failures}
    notes = tuple(f"the probed frame was set aside: {why}" for why in failures.values())
    return Plan(
        frames=share,
        images=share * masks.units,
        hours=seconds * share / request.workers / 3600,
        megabytes=num_bytes * share / 1e6,
        probe=probe,
        workers=request.workers,
        notes=notes,
    )
