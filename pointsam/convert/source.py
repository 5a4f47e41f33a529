"""A frame of any data set with its ground truth, and the content of its files."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pointsam.base.mask_files import TRUTH
from pointsam.base.remote import DataPath, read_bytes
from pointsam.datasets.base import Dataset, HasCategories, HasKnownClasses, HasTracks, HasUnknownClasses
from pointsam.datasets.io import encoded_image, read_columns, read_image
from pointsam.geometry.se3 import SE3
from pointsam.taxonomy import BACKGROUND
from pointsam.types import CameraView, Frame, PointTruth, Sweep

_FEW = 16
"""Past sweeps that are asked for first."""


@dataclass(frozen=True, eq=False)
class SourceBox:
    """A ground-truth box.

    Args:
        lidar_SE3_box: from the box (x along its length, y along its width, z up, origin at its centre) to the reference
            LiDAR.
        size_lwh_m: length, width, height.
        category: the source's own name of what it is; None if it is not known.
        kind: its class in the source's taxonomy; None for a void box.
        track: the object, the same in all frames of a scene; None if it is not known.
        level: index in the levels of visibility; -1 if it is not known.
    """

    lidar_SE3_box: SE3
    size_lwh_m: NDArray[np.float64]
    category: str | None
    kind: str | None
    track: str | None
    level: int


class Source:
    """A data set to convert.

    Args:
        dataset: the data set.
        frame_ids: the frames to convert.
    """

    def __init__(self, dataset: Dataset, frame_ids: Sequence[str]) -> None:
        self.dataset = dataset
        names = list(dataset.known_classes) if isinstance(dataset, HasKnownClasses) else []
        names += list(dataset.unknown_classes(frame_ids)) if isinstance(dataset, HasUnknownClasses) else []
        fine = isinstance(dataset, HasCategories) and names
        self._finer = dataset.with_categories(names) if fine and isinstance(dataset, HasCategories) else dataset

    def boxes(self, frame_id: str) -> tuple[SourceBox, ...] | None:
        """The boxes of a frame; None if it has no box labels.

        Raises:
            DatasetError, CalibrationError: as `Dataset.boxes`.
        """
        found, fine = self.dataset.boxes(frame_id), self._finer.boxes(frame_id)
        if found is None or fine is None:
            return None
        tracks = self.dataset.tracks(frame_id) if isinstance(self.dataset, HasTracks) else None
        levels = self.dataset.visibility(frame_id)
        kinds, categories = self.dataset.taxonomy.names, self._finer.taxonomy.names
        return tuple(
            SourceBox(
                SE3(found.rotation[k], found.center_m[k]),
                found.size_lwh_m[k],
                None if fine.class_id[k] == BACKGROUND else categories[fine.class_id[k]],
                None if found.class_id[k] == BACKGROUND else kinds[found.class_id[k]],
                None if tracks is None else tracks[k],
                -1 if levels is None else int(levels[k]),
            )
            for k in range(len(found))
        )

    def frame(self, frame_id: str, after_us: Mapping[str, int] | None = None, last: bool = False) -> SourceFrame:
        """A frame.

        Args:
            frame_id: the frame.
            after_us: as in `FramePlan`.
            last: as in `FramePlan`.

        Raises:
            DatasetError, CalibrationError: as `Dataset.frame`.
        """
        return self.of(self.dataset.frame(frame_id), after_us, last)

    def of(self, frame: Frame, after_us: Mapping[str, int] | None = None, last: bool = False) -> SourceFrame:
        """A frame that has been built; arguments as of `frame`."""
        return SourceFrame(self, frame, after_us, last)


@dataclass(frozen=True, eq=False)
class SourceFrame:
    """A frame, of which all else is read when it is asked for."""

    source: Source
    frame: Frame
    after_us: Mapping[str, int] | None
    last: bool

    @cached_property
    def boxes(self) -> tuple[SourceBox, ...] | None:
        """As `Source.boxes`."""
        return self.source.boxes(self.frame.frame_id)

    @property
    def levels(self) -> tuple[str, ...]:
        """Names of the levels of visibility of boxes."""
        return self.source.dataset.visibility_levels

    @cached_property
    def truth(self) -> PointTruth | None:
        """Ground truth of every point that does not follow from boxes; None if there is none."""
        found = self.source.dataset.point_truth(self.frame.frame_id)
        return None if found is None or found.source == "boxes" else found

    @property
    def class_names(self) -> tuple[str, ...]:
        """Classes of `truth`."""
        return self.source.dataset.taxonomy.names

    def between(self) -> list[Sweep]:
        """Sweeps since the frame before it, by time; for the last frame of a scene the next one too.

        Later sweeps, of which the interface of a data set gives none, are left out.
        """
        if not self.frame.sweep.t_us and not self.frame.neighbours:
            return []
        begin = {} if self.after_us is None else self.after_us
        count = _FEW
        while True:
            past = self.source.dataset.past_sweeps(self.frame.frame_id, count)
            reached = [
                len(own) < count or own[-1].t_us <= begin.get(own[-1].sensor, own[-1].t_us - 1)
                for sensor in dict.fromkeys(sweep.sensor for sweep in past)
                for own in [[sweep for sweep in past if sweep.sensor == sensor]]
            ]
            if all(reached):
                break
            count *= 2
        found = [sweep for sweep in past if sweep.t_us > begin.get(sweep.sensor, sweep.t_us - 1)]
        after = self.frame.neighbours.get(1)
        if self.last and after is not None and after.t_us > self.frame.sweep.t_us:
            found.append(after)
        return sorted(found, key=lambda sweep: (sweep.t_us, sweep.sensor))

    def image_files(self, view: CameraView, place: str, suffixes: Sequence[str]) -> dict[str, bytes]:
        """The file of an image: its bytes as they are, or as PNG if the layout does not read its kind.

        Args:
            view: the image.
            place: path of the file without suffix.
            suffixes: suffixes that the layout reads; the first is that of PNG.

        Raises:
            DatasetError: DAT004 or DAT005 if it cannot be read.
        """
        suffix = PurePosixPath(view.source.file_name).suffix.lower()
        if suffix in suffixes:
            return {place + suffix: encoded_image(view.source)[0]}
        sink = io.BytesIO()
        Image.fromarray(read_image(view.source)).save(sink, "PNG")
        return {place + suffixes[0]: sink.getvalue()}

    def truth2d_files(self, view: CameraView, place: str) -> dict[str, bytes]:
        """The ground-truth instances of an image; none if the source has none.

        Args:
            view: the image.
            place: path of the files below truth2d/, without suffix.
        """
        folder = self.source.dataset.root / TRUTH
        options = (folder / self.frame.scene / view.name, folder / view.name)
        own: DataPath = next((path for path in options if (path / f"{view.stem}.png").is_file()), options[1])
        files = {f"{TRUTH}/{place}{suffix}": own / (view.stem + suffix) for suffix in (".png", ".json")}
        return {name: read_bytes(path, "instance map") for name, path in files.items() if path.is_file()}


def point_bytes(sweep: Sweep, columns: Sequence[str]) -> bytes:
    """Rows of little-endian float32. A column that the source does not have is 0.

    Raises:
        DatasetError: as `pointsam.datasets.io.read_columns`.
    """
    known = (*sweep.source.columns, *(("time_s",) if sweep.implies_times else ()))
    here = [name for name in columns if name in known]
    values = read_columns(sweep, here)
    rows = np.zeros((len(values), len(columns)), dtype="<f4")
    rows[:, [list(columns).index(name) for name in here]] = values
    return rows.tobytes()
