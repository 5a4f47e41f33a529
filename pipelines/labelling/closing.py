"""The summary at the end of a run: clusters, cost, quarantined frames, and the next command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from shlex import join, quote
from textwrap import indent

from pipelines.documents import MasksDocument
from pipelines.labelling.jobs import Summary
from pipelines.labelling.request import Request
from pipelines.opened import last_stage, read_as_in
from pointsam.base.arrays import evenly
from pointsam.base.errors import PointSamError
from pointsam.base.tables import text_table
from pointsam.base.terminal import visible_line
from pointsam.datasets import read_frame
from pointsam.datasets.points import read_frame_points
from pointsam.geometry.projection import project
from pointsam.store.reader import Labels

_SHOWN = 3
"""Quarantined frames of each code that are listed."""

_PROBED = 20
"""Frames whose detections are counted if there is no cluster."""

_PROJECTED = 3
"""Frames whose points are projected, to find cameras that see none."""

_FITTED_TO = ("bundled", "ssd", "oracle")
"""Sources of classes whose scores the probability of the package was fitted to, with box prompts."""

_FITTED_SEGMENTER = "mobile_sam"
"""The segmenter of these labels."""


@dataclass(frozen=True)
class Closing:
    """The summary of a call.

    Args:
        summaries: one of each stage that ran.
        clusters: class name -> (clusters, points) in the whole output folder, empty if only masks were made.
        next_command: the command to run next.
        failures: frame_id -> code, message and hint of every quarantined frame.
        warnings: what is suspicious about the labels.
        notes: what their readers should know.
    """

    summaries: tuple[Summary, ...]
    clusters: dict[str, tuple[int, int]]
    next_command: str
    failures: dict[str, str]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, object]:
        """For --json."""
        return {**asdict(self), "summaries": [asdict(summary) for summary in self.summaries]}

    def text(self) -> str:
        """For the terminal."""
        blocks = []
        if self.clusters:
            blocks.append(text_table(("class", "clusters", "points"), [(n, *c) for n, c in self.clusters.items()]))
        blocks += [_cost(summary) for summary in self.summaries]
        blocks += [f"warning: {warning}" for warning in self.warnings]
        blocks += [f"note: {note}" for note in self.notes]
        if self.failures:
            head = (
                f"{len(self.failures)} frames quarantined; correct them, then --retry-failed "
                "(changed tables: a new --out):"
            )
            blocks.append("\n".join([head, *by_code(self.failures, "--json lists all")]))
        return "\n\n".join([*blocks, f"next: {self.next_command}"])


def by_code(failures: Mapping[str, str], rest: str) -> list[str]:
    """Lines that count failures by code, the most frequent first, with examples.

    Args:
        failures: frame_id -> code, message and hint.
        rest: where all of them are listed.
    """
    frames: dict[str, list[str]] = {}
    for frame_id, why in failures.items():
        frames.setdefault(why.partition("]")[0].lstrip("["), []).append(frame_id)
    lines = []
    for code, frame_ids in sorted(frames.items(), key=lambda item: -len(item[1])):
        lines.append(f"  {code}: {len(frame_ids)} of them")
        for frame_id in frame_ids[:_SHOWN]:
            lines.append(f"  frame {visible_line(frame_id)}: {indent(failures[frame_id], '  ').lstrip()}")
        if len(frame_ids) > _SHOWN:
            lines.append(f"  and {len(frame_ids) - _SHOWN} more with {code}; {rest}")
    return lines


def closing(request: Request, summaries: Sequence[Summary]) -> Closing:
    """Summarise what the stages wrote.

    Args:
        request: the call.
        summaries: one of each stage that ran.
    """
    clusters: dict[str, tuple[int, int]] = {}
    next_command = (
        f"pointsam-label clusters {quote(str(request.data.root))} --out {quote(str(request.out))}{_options(request)}"
    )
    if summaries[-1].stage != "masks":
        labels = Labels(request.out, last_stage(Labels(request.out)))
        clusters = dict.fromkeys(labels.taxonomy.names, (0, 0))
        first = ""
        for frame_id, name, size in labels.cluster_sizes():
            first = first or frame_id
            count, points = clusters[name]
            clusters[name] = (count + 1, points + size)
        next_command = f"pointsam-label inspect {quote(str(request.out))} {quote(first or '0')} --png frame.png"
        next_command += f" --masks-from {quote(str(request.masks_from))}" if request.masks_from else ""
    # The first stage that quarantined a frame has the cause.
    failures = {frame_id: why for summary in reversed(summaries) for frame_id, why in summary.failures.items()}
    warnings = _warnings(request, summaries, clusters)
    # Tracks alone are made without the folder of the masks, and their clusters had these notes.
    notes = (
        *(_notes(request, clusters) if _made_clusters(summaries) else ()),
        *dict.fromkeys(remark for summary in summaries for remark in summary.remarks),
    )
    return Closing(tuple(summaries), clusters, next_command, failures, warnings, notes)


def _made_clusters(summaries: Sequence[Summary]) -> bool:
    return any(summary.stage == "clusters" for summary in summaries)


def _notes(request: Request, clusters: dict[str, tuple[int, int]]) -> tuple[str, ...]:
    """A note if the probability of the clusters was fitted to other labels: of other networks, or with growth."""
    if request.probability is not None or not any(count for count, _ in clusters.values()):
        return ()
    folder = Labels(request.masks_folder)
    if "masks" not in folder.stages:  # `tracks` of clusters whose masks are elsewhere
        return ()
    masks = folder.document(MasksDocument).config
    fitted_to = []
    if masks.semantics not in _FITTED_TO or masks.prompts != "boxes":
        fitted_to.append(f"from boxes of {', '.join(_FITTED_TO)}, not from {masks.prompts} of {masks.semantics}")
    if masks.backend != _FITTED_SEGMENTER:
        fitted_to.append(f"with masks of {_FITTED_SEGMENTER}, not of {masks.backend}")
    if not request.config.clusters.grow.enabled:
        fitted_to.append("with growth, which is off (clusters.grow.enabled)")
    if not fitted_to:
        return ()
    return (
        f"the column probability was fitted to labels {', and '.join(fitted_to)}: fit it to labels with ground truth, "
        "pointsam-label fit-probability (docs/probability.md)",
    )


def _warnings(request: Request, summaries: Sequence[Summary], clusters: dict[str, tuple[int, int]]) -> tuple[str, ...]:
    """What is suspicious about the 2D results, and a warning if frames were labelled and no cluster was made."""
    notices = tuple(notice for summary in summaries for notice in summary.notices)
    return notices + _blind_cameras(request, summaries) + _no_cluster(request, summaries, clusters)


def _blind_cameras(request: Request, summaries: Sequence[Summary]) -> tuple[str, ...]:
    """A warning on cameras that see no point in any of a few frames: their calibration, or that of the LiDAR, is wrong.

    Frames that cannot be read now are left out.
    """
    if not any(summary.stage == "clusters" and summary.units for summary in summaries):
        return ()
    good = [frame.frame_id for frame in Labels(request.out).frames() if frame.status == "ok"]
    dataset = read_as_in(request.masks_folder, request.data).open()
    sees: dict[str, bool] = {}
    probed = 0
    for frame_id in evenly(good, _PROJECTED):
        with suppress(PointSamError):
            frame = read_frame(dataset, frame_id)
            xyz = read_frame_points(frame).xyz_lidar_m
            seen = {view.name: bool(project(xyz, frame, view).valid.any()) for view in frame.cameras}
            sees |= {name: sees.get(name, False) or one for name, one in seen.items()}
            probed += 1
    blind = [camera for camera, seen in sees.items() if not seen]
    if not blind:
        return ()
    return (
        f"no point is in the image of {', '.join(blind)} in any of {probed} frames: check the calibration with "
        f"pointsam-label check {quote(str(request.data.root))}",
    )


def _no_cluster(
    request: Request, summaries: Sequence[Summary], clusters: dict[str, tuple[int, int]]
) -> tuple[str, ...]:
    """A warning if no cluster was made although frames were labelled, with the likely cause."""
    if not _made_clusters(summaries) or any(count for count, _ in clusters.values()):
        return ()
    good = [frame.frame_id for frame in Labels(request.out).frames() if frame.status == "ok"]
    if not good:
        return ()
    masks = Labels(request.masks_folder)
    probed = good[:_PROBED]
    found = sum(len(image.detections.class_id) for frame_id in probed for image in masks.masks(frame_id).values())
    data = quote(str(request.data.root))
    if found:
        cause = (
            f"{found} objects were detected in the images of the first {len(probed)}, but no points are in their "
            f"masks. Check the calibration: pointsam-label check {data}"
        )
    elif any(summary.unmapped for summary in summaries):
        cause = "the labels of the detected objects are no class of the run, see the warning above"
    else:
        cause = (
            f"no object of any class was detected in the images of the first {len(probed)}. Check the source of the "
            "classes (--semantics, --masks-dir) and the label names of --mapping"
        )
    return (f"{len(good)} frames have no cluster at all: {cause}",)


def _options(request: Request) -> str:
    """Options that the next stage needs for the same data, calibration and recipe."""
    recipe = request.config.recipe
    words = [*request.data.reading.words(), *([] if recipe == "default" else ["--recipe", recipe])]
    words += request.data.noise.words()
    words += [] if request.calibration is None else ["--calibration", str(request.calibration)]
    return f" {join(words)}" if words else ""


def _cost(summary: Summary) -> str:
    if summary.units == 0:
        done = f"{summary.stage}: nothing left to do"
    else:
        steps = ", ".join(f"{name} {spent:.2f}" for name, spent in summary.seconds.items())
        unit = "images" if summary.stage == "masks" else "frames"
        done = (
            f"{summary.stage}: {summary.units} {unit} in {summary.wall_seconds:.1f} s "
            f"({summary.units / summary.wall_seconds:.2f} per second), largest worker {summary.peak_mb:.0f} MB\n"
            f"  seconds by step, all workers: {steps}"
        )
        if summary.counts:
            done += "\n  " + ", ".join(f"{count} {name}" for name, count in summary.counts.items())
    left = f"\n  {summary.shards_left} shards are left to other --shard calls" if summary.shards_left else ""
    return done + left
