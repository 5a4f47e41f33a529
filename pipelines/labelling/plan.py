"""`--dry-run`: the amount of work and its cost, measured on one frame of the data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace

from pipelines.labelling.images import images_of
from pipelines.labelling.jobs import Summary, run_clusters, run_masks
from pipelines.labelling.looks import run_looks
from pipelines.labelling.request import Execution, Request
from pipelines.opened import open_masks
from pointsam.base.arrays import evenly
from pointsam.base.errors import PointSamError
from pointsam.base.files import scratch_folder
from pointsam.base.words import duration
from pointsam.datasets import read_frame
from pointsam.datasets.base import Dataset
from pointsam.store.sources import digests_of, sources_of

_SAMPLED = 200
"""Frames whose files are looked for."""

_FOLLOWED = 6
"""Frames of a scene that are measured where tracks ask for looks; a track asks once three or four have a cluster."""


@dataclass(frozen=True)
class Plan:
    """The expected cost of a run.

    Args:
        frames: number of key frames.
        images: number of images, from the cameras of the measured frame.
        hours: wall time with these workers and this device, without frames that cannot be read; None if no frame
            could be measured.
        megabytes: size of the output folder, likewise.
        probe: id of the measured frame.
        workers: number of processes that the hours are for, by stage.
        crops: number of crops that second looks show to the detector, likewise; None without second looks.
        boxes: number of boxes of tracks that second looks give to the segmenter, from the tracks of the measured
            frames; None if tracks ask for none.
        measured_frames: number of measured frames.
        notes: frames that cannot be read, what is suspicious about the 2D results, and the error of the measured frame.
    """

    frames: int
    images: int
    hours: float | None
    megabytes: float | None
    probe: str
    workers: dict[str, int]
    notes: tuple[str, ...]
    crops: int | None = None
    boxes: int | None = None
    measured_frames: int = 1

    @property
    def measured(self) -> bool:
        """Whether a frame could be measured."""
        return self.hours is not None

    def as_dict(self) -> dict[str, object]:
        """For --json."""
        return asdict(self)

    def text(self) -> str:
        """For the terminal."""
        workers = " and ".join(f"{count} workers for {stage}" for stage, count in self.workers.items())
        cost = "time and disk are not known, because no frame could be measured (nothing was written)"
        if self.hours is not None:
            which = "frame" if self.measured_frames == 1 else f"{self.measured_frames} frames around"
            cost = (
                f"about {duration(self.hours * 3600)} with {workers} and {self.megabytes:.1f} MB of disk "
                f"(measured on {which} {self.probe}; nothing was written)"
            )
        count = f"{self.frames} frames, {self.images} images"
        if self.crops is not None:
            boxes = "" if self.boxes is None else f" and {self.boxes} boxes of tracks"
            count += f", about {self.crops} crops{boxes} for second looks"
        step = "the same command without --dry-run" if self.measured else "correct the file, then this command again"
        return "\n".join([count, cost, *self.notes, f"next: {step}"])


def plan(request: Request, stages: tuple[str, ...]) -> Plan:
    """Label a frame in the middle of the selection into a temporary folder, measure it, and scale up.

    If tracks ask for second looks, frames around it are labelled too, because one frame has no tracks.

    The share of frames that lack files is estimated from a sample. Such frames cost nothing and are never measured.

    Args:
        request: as for the run; nothing is written to its output folder.
        stages: stages of the run: "masks", "clusters" or both, and "looks" after both.
    """
    if stages[0] == "masks":
        dataset = request.data.open()
        frames = request.selection.of(dataset)
    else:
        masks, dataset = open_masks(request.masks_folder, request.data)
        frames = request.selection.of_masks(masks.labels, dataset)
    sampled = evenly([frame_id for _, frame_id in frames], _SAMPLED)
    readable = [frame_id for frame_id in sampled if _readable(dataset, frame_id, stages)]
    probe = readable[len(readable) // 2] if readable else frames[len(frames) // 2][1]
    follows = "looks" in stages and request.config.looks.tracks.enabled
    probes = _around(probe, frames, dataset, stages) if follows else (probe,)
    masks_from = request.masks_from or (None if "masks" in stages else request.out)
    with scratch_folder() as folder:
        small = replace(
            request,
            out=folder,
            selection=replace(request.selection, frames=probes, sample=None),
            execution=replace(request.execution, workers=1, engine="local", shard=(0, 1)),
            masks_from=masks_from,
        )
        run: dict[str, Callable[[], Summary]] = {
            "masks": lambda: run_masks(small, frames),
            "clusters": lambda: run_clusters(small),
            "looks": lambda: run_looks(small),
        }
        done = [run[stage]() for stage in stages]
        num_bytes = sum(path.stat().st_size for path in folder.rglob("*.parquet"))
    workers = {stage: request.execution.workers_for(stage) for stage in stages}
    seconds = sum(_seconds(summary, workers[summary.stage], request.execution) for summary in done)
    index, count = request.execution.shard
    share = len(frames[index::count])
    # The first stage that fails names the cause; the next one only reports that it has no masks.
    failures = next((summary.failures for summary in done if summary.failures), {})
    notes = tuple(f"warning: {notice}" for summary in done for notice in summary.notices)
    notes += tuple(f"the run would quarantine the measured frame: {why}" for why in failures.values())
    if len(readable) < len(sampled):
        sample = " that were sampled" if len(sampled) < len(frames) else ""
        lacking = f"{len(sampled) - len(readable)} of {len(sampled)} frames{sample}"
        notes = (
            f"{lacking} lack files that are read, and take no time",
            *notes,
        )
    if stages[0] == "masks" and len(stages) > 1 and request.config.tracks.enabled:
        notes = (*notes, "tracks come on top: a part of a second a frame, and as much disk as the clusters again")
    looks = next((summary for summary in done if summary.stage == "looks"), None)
    good = None if failures else share * len(readable) / len(sampled)
    scale = None if good is None else good / len(probes)
    return Plan(
        frames=share,
        images=share * len(images_of(dataset, probe)),
        hours=None if scale is None else seconds * scale / 3600,
        megabytes=None if scale is None else num_bytes * scale / 1e6,
        probe=probe,
        workers=workers,
        notes=notes,
        crops=None if scale is None or looks is None else round(looks.counts["crops"] * scale),
        boxes=None if scale is None or looks is None or not follows else round(looks.counts["boxes of tracks"] * scale),
        measured_frames=len(probes),
    )


def _around(
    probe: str, frames: Sequence[tuple[str, str]], dataset: Dataset, stages: tuple[str, ...]
) -> tuple[str, ...]:
    """A frame and those before and after it in its scene whose files are there."""
    scene = dataset.scene(probe)
    its = [frame_id for of, frame_id in frames if of == scene]
    first = max(min(its.index(probe) - _FOLLOWED // 2, len(its) - _FOLLOWED), 0)
    near = its[first : first + _FOLLOWED]
    return tuple(frame_id for frame_id in near if frame_id == probe or _readable(dataset, frame_id, stages))


def _seconds(summary: Summary, workers: int, execution: Execution) -> float:
    """Wall time of a stage with this number of workers. Threads share one GPU, which encodes and decodes for all."""
    shared = summary.seconds if execution.engine_for(summary.stage) == "threads" else {}
    on_gpu = shared.get("encode", 0.0) + shared.get("decode", 0.0)
    return max(sum(summary.seconds.values()) / workers, on_gpu)


def _readable(dataset: Dataset, frame_id: str, stages: tuple[str, ...]) -> bool:
    """Whether the files of a frame are there: its images for masks, its sweeps for clusters."""
    try:
        frame = read_frame(dataset, frame_id)
    except PointSamError:
        return False
    kinds = tuple({"masks": "image ", "clusters": "sweep ", "looks": "image "}[stage] for stage in stages)
    wanted = {name for name in sources_of(frame) if name.startswith(kinds)}
    return digests_of(frame, wanted.__contains__).keys() == wanted
