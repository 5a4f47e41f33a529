"""`pointsam-label queue`: the frames and clusters that a person should look at first, with the reasons."""

from __future__ import annotations

import csv
import io
import shlex
from dataclasses import asdict, dataclass
from pathlib import Path

from pipelines.data import AS_FOUND, Reading
from pipelines.opened import OpenedRun, open_run, stage_words
from pipelines.review.followed import FollowedFrames
from pointsam.base.files import page_bytes, require_free, write_together
from pointsam.base.remote import DataPath
from pointsam.base.tables import Table
from pointsam.base.terminal import visible_line
from pointsam.evaluate.quality import unfinished_notes
from pointsam.evaluate.suspicions import FrameSuspicion, Suspicion, by_frame, ranked, suspicions
from pointsam.store.reader import LabelStage

_SHOWN = 20
_COLUMNS = ("rank", "scene", "frame_id", "cluster_id", "track_id", "class_name", "score", "reasons")


@dataclass(frozen=True)
class ReviewQueue:
    """What to look at.

    Args:
        out: the folder.
        stage: the stage whose labels were read.
        found: clusters, missed objects and quarantined frames, the most likely errors first.
        frames: the frames with any of them, those with most errors first.
        left_out: number of entries after those of `found`.
        frames_left_out: number of frames after those of `frames`.
        notes: what of the checks is missing.
        next_command: the command to run next.
    """

    out: Path
    stage: str
    found: tuple[Suspicion, ...]
    frames: tuple[FrameSuspicion, ...]
    left_out: int
    frames_left_out: int
    notes: tuple[str, ...]
    next_command: str

    def as_dict(self) -> dict[str, object]:
        """For --json."""
        frames = [
            {"scene": one.scene, "frame_id": one.frame_id, "score": one.score, "entries": len(one.suspicions)}
            for one in self.frames
        ]
        found = [{"rank": k, **asdict(one)} for k, one in enumerate(self.found, start=1)]
        left_out = {"left_out": self.left_out, "frames_left_out": self.frames_left_out}
        about = {"out": str(self.out), "stage": self.stage, **left_out, "notes": list(self.notes)}
        return {**about, "frames": frames, "entries": found}

    def csv(self) -> str:
        """One row per entry; reasons are joined by "; "."""
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(_COLUMNS)
        for k, one in enumerate(self.found, start=1):
            names = (one.scene, one.frame_id, one.cluster_id, one.track_id, one.class_name)
            rows.writerow((k, *names, f"{one.score:.6f}", "; ".join(one.reasons)))
        return text.getvalue()

    def text(self) -> str:
        """For the terminal."""
        rows = [
            (str(k), one.score, _what(one), one.scene, one.frame_id, "; ".join(one.reasons))
            for k, one in enumerate(self.found[:_SHOWN], start=1)
        ]
        frames = [(one.scene, one.frame_id, one.score, len(one.suspicions)) for one in self.frames[:_SHOWN]]
        every = len(self.found) + self.left_out
        if not rows:
            return "\n\n".join([f"{self.out}: nothing looks wrong", *(f"note: {note}" for note in self.notes)])
        entries = [
            f"{self.out}: the first {len(rows)} of {every} entries, most likely errors first",
            *(
                f"{rank:>4}  {score:.2f}  {what}, scene {visible_line(scene)}, frame {visible_line(frame)}\n"
                f"            {why}"
                for rank, score, what, scene, frame, why in rows
            ),
            "score: estimated chance of an error, of the points or of the class",
        ]
        ranked_frames = Table(
            f"frames: the first {len(frames)} of {len(self.frames) + self.frames_left_out}",
            ("scene", "frame", "score", "entries"),
            frames,
            "score: sum over the entries of a frame, about the number of its errors",
        )
        return "\n\n".join(["\n".join(entries), ranked_frames.text(), *(f"note: {note}" for note in self.notes)])


def run_queue(
    out: Path,
    data: DataPath | None = None,
    csv_file: Path | None = None,
    most: int | None = None,
    overwrite: bool = False,
    reading: Reading = AS_FOUND,
    stage: LabelStage | None = None,
) -> ReviewQueue:
    """Rank what may be wrong in the labels of a folder.

    Args:
        out: the output folder.
        data: root of the data set, None for its place when the run was made.
        csv_file: file for the entries.
        most: largest number of entries and of frames, None for all.
        overwrite: replace an existing file.
        reading: how the data set is read; what is left out is as in the run.
        stage: the stage whose labels are read, None for the last one that is finished.

    Raises:
        StoreError: OUT003 if the file exists or cannot be written; and what `open_run` raises.
    """
    if csv_file is not None:
        require_free(csv_file, overwrite)
    run = open_run(out, data, reading=reading, stage=stage)
    found, frames, notes = ranked_run(run)
    kept, kept_frames = found[:most], frames[:most]
    left_out = len(found) - len(kept), len(frames) - len(kept_frames)
    words = ["pointsam-label", "report", str(out), *([] if data is None else [str(data)]), "--dest", "page", "--queue"]
    words += [*stage_words(stage), *reading.words()]
    words += [] if "masks" in run.labels.stages else ["--masks-from", "MASKS"]
    queue = ReviewQueue(out, run.labels.stage, kept, kept_frames, *left_out, notes, shlex.join(words))
    if csv_file is not None:
        write_together([(csv_file, page_bytes(queue.csv()))])
    return queue


def ranked_run(run: OpenedRun) -> tuple[tuple[Suspicion, ...], tuple[FrameSuspicion, ...], tuple[str, ...]]:
    """What may be wrong in a run: single entries, their frames, and notes on what could not be checked."""
    frames = FollowedFrames(run)
    found = ranked([suspicions(scene, run.labels.taxonomy) for scene in frames.scenes()])
    notes = frames.notes()
    if run.labels.stage != "tracks":
        notes.append(
            "labels of single frames have no tracks, whose breaks and flickers say most (pointsam-label tracks)"
        )
    return found, by_frame(found), (*notes, *unfinished_notes(run.labels.unfinished()))


def reasons_of(frame: FrameSuspicion, most: int = 3) -> str:
    """The first reasons of a frame, for a caption."""
    listed = [f"{_what(one)}: {'; '.join(one.reasons)}" for one in frame.suspicions[:most]]
    more = len(frame.suspicions) - most
    return ". ".join([*listed, *([f"And {more} more"] if more > 0 else [])])


def _what(one: Suspicion) -> str:
    if one.cluster_id >= 0:
        return f"{one.class_name} {one.cluster_id}"
    return f"missed {one.class_name}" if one.class_name else "frame"
