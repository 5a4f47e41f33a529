"""The boxes of a drive: a JSON file for each frame, KITTI's label files, or OpenLABEL."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from functools import cached_property

from pointsam.base.document import parse_json
from pointsam.base.errors import DatasetError
from pointsam.base.remote import DataPath, read_bytes
from pointsam.datasets.folder.boxes import BoxRow, malformed, rows_of
from pointsam.datasets.folder.calibration import Calibration
from pointsam.datasets.folder.openlabel import LabelledFrame, frames_of, is_openlabel
from pointsam.datasets.folder.recording import Recording
from pointsam.datasets.folder.stamps import inferred_unit, microseconds
from pointsam.datasets.kitti.labels import NO_TRACK, read_labels
from pointsam.datasets.kitti.listing import Listing

JSON, TEXT = "boxes", "label_2"
"""Folders of boxes: JSON files, and KITTI's."""
OPENLABEL = "openlabel.json"


class BoxFiles:
    """The boxes of a drive.

    Args:
        folder: of the drive.
        calibration: what the calibration file states of boxes.
        reference: the sweeps of the reference LiDAR, whose names and times files of boxes have.
    """

    def __init__(self, folder: DataPath, calibration: Calibration, reference: Recording) -> None:
        self._folder, self._calibration, self._reference = folder, calibration, reference
        self._json = Listing(folder / JSON, (".json",))
        self._text = Listing(folder / TEXT, (".txt",))
        self._lost: list[str] = []

    @cached_property
    def exist(self) -> bool:
        """Whether the drive has boxes."""
        return bool(self._json.stems or self._text.stems) or (self._folder / OPENLABEL).is_file()

    @property
    def kinds(self) -> list[str]:
        """Kinds of files of boxes that are there, of which the first is read."""
        one = (self._folder / OPENLABEL).is_file()
        kinds = ((OPENLABEL, one), (f"{JSON}/*.json", self._json.stems), (f"{TEXT}/*.txt", self._text.stems))
        return [name for name, there in kinds if there]

    @property
    def frame(self) -> str | None:
        """Name of the frame that boxes without one are in; that of KITTI's label files is the first camera."""
        stated = self._calibration.boxes.frame
        if stated is None and not self._json.stems and self._text.stems:
            name, camera = next(iter(self._calibration.cameras.items()), ("", None))
            return None if camera is None else camera.frame or name
        return stated

    def rows(self, stem: str) -> list[BoxRow] | None:
        """The boxes of a sweep of the reference LiDAR; None if there is no file of them.

        Raises:
            DatasetError: DAT004 or DAT011 naming file, box and field.
            CalibrationError: CAL001 on a rotation that is none.
        """
        if self._sequence is not None:
            return self._in_sequence(stem)
        angles = self._calibration.boxes.angles
        if self._json.stems:
            name = self._of_sweep.get(stem)
            if name is None:
                return None
            path = self._json.path(name)
            values = _values(path)
            if is_openlabel(values):
                return _of_one_frame(frames_of(values, str(path), angles), path)
            return rows_of(values, str(path), angles)
        name = self._of_sweep.get(stem)
        return None if name is None else _of_kitti(self._text.path(name))

    def without_sweep(self) -> tuple[list[str], int, str]:
        """Files or frames of boxes that belong to no sweep, the number of all, and what they are.

        Raises:
            DatasetError, CalibrationError: as `rows`, on a file that may hold the boxes of all sweeps.
        """
        if self._sequence is not None:
            return self._lost, len(self._lost) + len(self._sequence), "frame"
        taken, files = set(self._of_sweep.values()), self._files
        return [files.path(name).name for name in files.stems if name not in taken], len(files.stems), "file"

    @property
    def _files(self) -> Listing:
        return self._json if self._json.stems else self._text

    @cached_property
    def _of_sweep(self) -> dict[str, str]:
        """The file of each sweep that has one: of the same name, else of the nearest stamp or equal number.

        Each file belongs to one sweep at most, and each sweep has one file at most.
        """
        found = {stem: stem for stem in self._reference.stems if stem in self._files}
        keys = {stem: self._key(stem) for stem in self._reference.stems}
        sweeps = sorted((key, stem) for stem, key in keys.items() if key is not None)
        files = self._calibration.files
        most = round(files.tolerance_s * 1e6) if files.match == "stamp" else 0
        pairs = []
        for name in self._files.stems:
            key = None if name in found else self._key(name)
            if key is not None:
                at = bisect_left(sweeps, (key, ""))
                near = min(sweeps[max(at - 1, 0) : at + 1], key=lambda one: abs(one[0] - key), default=None)
                if near is not None and abs(near[0] - key) <= most:
                    pairs.append((abs(near[0] - key), name, near[1]))
        for _, name, stem in sorted(pairs):
            found.setdefault(stem, name)
        return found

    def _key(self, text: str) -> int | None:
        unit = self._calibration.boxes.unit or self._calibration.files.unit or inferred_unit([text]) or "us"
        return microseconds(text, unit)

    @cached_property
    def _sequence(self) -> dict[int, LabelledFrame] | None:
        """Frames of the one OpenLABEL file of the drive by position in the reference; None if there is no such file."""
        names = self._json.stems
        path = self._folder / OPENLABEL
        if not path.is_file():
            if len(names) != 1 or names[0] in self._reference:
                return None
            path = self._json.path(names[0])
        values = _values(path)
        if not is_openlabel(values):
            return None
        found, self._lost = dict[int, LabelledFrame](), []
        for frame in frames_of(values, str(path), self._calibration.boxes.angles):
            place = self._place(frame, str(path))
            if place is None:
                self._lost.append(frame.key)
            else:
                found[place] = frame
        return found

    def _place(self, frame: LabelledFrame, where: str) -> int | None:
        """Position of the sweep of a frame: by its stamp, else by its number."""
        if frame.stamp is not None and self._reference.t_us.any():
            unit = self._calibration.boxes.unit or inferred_unit([frame.stamp])
            t_us = None if unit is None else microseconds(frame.stamp, unit)
            if t_us is None:
                raise malformed(
                    where, f"frame {frame.key}: the unit of {frame.stamp!r} is not known", "state boxes.unit"
                )
            return self._reference.nearest(t_us, round(self._calibration.files.tolerance_s * 1e6))
        if not frame.key:
            raise malformed(where, "it has no frames", f"name it {JSON}/SWEEP.json, as the sweep that it belongs to")
        if frame.key in self._reference:
            return self._reference.place(frame.key)
        if not (frame.key.isascii() and frame.key.isdigit()):
            raise malformed(where, f"frame {frame.key!r} is no number", "OpenLABEL numbers its frames")
        if self._calibration.files.match == "index":
            return self._reference.same(frame.key)
        return int(frame.key) if int(frame.key) < len(self._reference) else None

    def _in_sequence(self, stem: str) -> list[BoxRow] | None:
        assert self._sequence is not None
        frame = self._sequence.get(self._reference.place(stem))
        return None if frame is None else list(frame.rows)


def _of_one_frame(frames: Sequence[LabelledFrame], path: DataPath) -> list[BoxRow]:
    """The boxes of a file that belongs to one sweep."""
    if len(frames) > 1:
        what = f"it holds {len(frames)} frames, and by its name it belongs to one sweep"
        raise malformed(str(path), what, f"write a file for each frame, or all frames of the drive to {OPENLABEL}")
    return [row for frame in frames for row in frame.rows]


def _of_kitti(path: DataPath) -> list[BoxRow]:
    return [
        BoxRow(
            row.kind,
            row.rect_SE3_box(),
            (row.size_hwl_m[2], row.size_hwl_m[1], row.size_hwl_m[0]),
            track=None if row.track == NO_TRACK else str(row.track),
        )
        for row in read_labels(path)
        if not row.is_region
    ]


def _values(path: DataPath) -> object:
    try:
        return parse_json(read_bytes(path, "file of boxes"))
    except ValueError as error:
        raise DatasetError("DAT011", f"{path}: not valid JSON: {error}", "correct the file") from error
