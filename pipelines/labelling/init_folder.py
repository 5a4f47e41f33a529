"""`pointsam-label init`: looks at a plain folder, drafts its calibration file, and draws points over images."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote

from pipelines.data import DataSpec
from pipelines.labelling.check import CheckReport, run_check
from pipelines.labelling.request import Selection
from pointsam.base.errors import DatasetError, PointSamError, StoreError
from pointsam.base.files import require_free, write_together
from pointsam.base.remote import DataPath
from pointsam.base.words import counted
from pointsam.base.yaml_text import parse_yaml
from pointsam.checks.folder_draft import draft
from pointsam.checks.folder_stated import stated_in
from pointsam.checks.folder_survey import FolderFound, survey
from pointsam.datasets import read_frame
from pointsam.datasets.base import Dataset
from pointsam.datasets.folder import PARTS, drives_in
from pointsam.datasets.folder.calibration import NAMES, find_calibration, raw_values, to_complete
from pointsam.datasets.io import read_image
from pointsam.datasets.points import read_frame_points

_OPENED, _TRIED = 20, 200


@dataclass(frozen=True)
class InitReport:
    """What `init` found and did.

    Args:
        root: the folder.
        found: what the folder seems to hold.
        written: the calibration file that was written; None if it was there.
        missing: fields that must be completed.
        checked: what `check` found; None before the calibration is complete.
        drawn: the picture and the frame that it shows; None if nothing was drawn.
        not_drawn: why no frame could be drawn; None if one was, or none was asked for.
        next_command: what to do next.
    """

    root: str
    found: FolderFound
    written: str | None
    missing: tuple[str, ...]
    next_command: str
    checked: CheckReport | None = None
    drawn: tuple[str, str] | None = None
    not_drawn: str | None = None
    sensors: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        counts = {f"images/{one.name}": one.count for one in self.found.cameras}
        counts |= {f"clouds/{one.name}": one.count for one in self.found.lidars}
        object.__setattr__(self, "sensors", counts)

    def text(self) -> str:
        """For the terminal."""
        lines = list(self.found.lines())
        if self.written is not None:
            lines.append(f"wrote {self.written}")
        if self.missing:
            shown = [*self.missing[:12], *([f"and {len(self.missing) - 12} more"] if len(self.missing) > 12 else [])]
            lines.append(f"{counted(len(self.missing), 'field')} to be completed: {', '.join(shown)}")
        if self.checked is not None:
            lines.append(self.checked.text())
        if self.drawn is not None:
            lines.append(f"drew frame {self.drawn[1]} to {self.drawn[0]}")
        if self.not_drawn is not None:
            lines.append(f"drew nothing: {self.not_drawn}")
        return "\n".join(lines)

    def as_dict(self) -> dict[str, object]:
        """For --json."""
        return {
            "data": self.root,
            "drives": list(self.found.drives),
            "sensors": self.sensors,
            "match": self.found.match,
            "unit": self.found.unit,
            "found": list(self.found.lines()),
            "written": self.written,
            "to_complete": list(self.missing),
            "drawn": None if self.drawn is None else list(self.drawn),
            "not_drawn": self.not_drawn,
            "check": None if self.checked is None else self.checked.as_dict(),
        }


def init_folder(data: DataSpec, png: Path | None, frame: str | None, overwrite: bool) -> InitReport:
    """Look at a folder, draft its calibration file if it has none, and check and draw it if the file is complete.

    Args:
        data: the folder.
        png: picture to write.
        frame: frame to draw; None for the one nearest to the middle that can be drawn.
        overwrite: whether an existing picture is replaced, or without `png` the calibration file by a new draft.

    Raises:
        DatasetError: DAT001 or DAT002 if it is no folder of this layout; DAT010 on an unknown frame.
        CalibrationError: CAL003 on a calibration file that is malformed.
        StoreError: OUT002 or OUT003 if a file cannot be written, or would replace one of the data, or on a root in an
            object store without calibration.
    """
    root = data.root
    if png is not None:
        _require_picture(png, root, overwrite)
    files = [path for path in (find_calibration(root / name if name else root) for name in _places(data)) if path]
    anew = not files or (overwrite and png is None)
    found = survey(root, None if anew else stated_in(files[0]))
    if anew:
        if not isinstance(root, Path):
            raise StoreError("OUT002", f"{root}: nothing is written to an object store", f"put a {NAMES[0]} there")
        there = find_calibration(root)
        path = root / (NAMES[0] if there is None else there.name)
        require_free(path, overwrite)
        write_together([(path, _draft(found, path))])
        missing = tuple(to_complete(raw_values(path)))
        way = f"complete {path}, then: pointsam-label init {quote(str(root))} --png points.png"
        return InitReport(str(root), found, str(path), missing, way)
    several = len(files) > 1
    missing = tuple(f"{path}: {name}" if several else name for path in files for name in to_complete(raw_values(path)))
    if missing:
        way = f"complete these fields, then: pointsam-label init {quote(str(root))} --png points.png"
        return InitReport(str(root), found, None, missing, way)
    dataset = data.open()
    drawn, not_drawn = (None, None) if png is None else _draw(dataset, png, frame)
    checked = run_check(data, Selection(()), _OPENED, ())
    command = "check" if checked.broken or not checked.usable else "run"
    lidar = [] if data.reading.lidar is None else ["--lidar", data.reading.lidar]
    words = [quote(str(root)), *lidar, *(["--out", "OUT"] if command == "run" else [])]
    way = f"pointsam-label {command} {' '.join(words)}"
    way = way if png else f"{way} (look at the points first: --png FILE)"
    return InitReport(str(root), found, None, (), way, checked, drawn, not_drawn)


def _places(data: DataSpec) -> Sequence[str]:
    """The root, and the drives that may have a calibration of their own."""
    return ["", *(name for name in drives_in(data.root) if name)]


def _draft(found: FolderFound, path: Path) -> bytes:
    """A draft in the form of its file."""
    text = draft(found)
    return f"{json.dumps(parse_yaml(text.encode()), indent=2)}\n".encode() if path.suffix == ".json" else text.encode()


def _draw(dataset: Dataset, png: Path, frame_id: str | None) -> tuple[tuple[str, str] | None, str | None]:
    """Draw a frame, or the one nearest to the middle that can be drawn; the picture and its frame, else why not."""
    ids = dataset.frame_ids()
    if frame_id is not None:
        if frame_id not in ids:
            raise DatasetError("DAT010", f"{dataset.root}: no frame {frame_id!r}", f"frames are such as {ids[0]}")
        _draw_frame(dataset, png, frame_id)
        return (str(png), frame_id), None
    middle = len(ids) // 2
    tried = sorted(range(len(ids)), key=lambda k: abs(k - middle))[:_TRIED]
    why = list[str]()
    for chosen in (ids[k] for k in tried):
        try:
            _draw_frame(dataset, png, chosen)
        except PointSamError as error:
            if not error.of_frame:
                raise
            why.append(f"[{error.code}] {error.message}")
        else:
            return (str(png), chosen), None
    return None, f"none of {counted(len(tried), 'frame')} around the middle can be drawn; {why[0]}"


def _draw_frame(dataset: Dataset, png: Path, chosen: str) -> None:
    from pointsam.report.projected import draw_projected

    frame = read_frame(dataset, chosen)
    images = {view.name: read_image(view.source) for view in frame.cameras}
    points = read_frame_points(frame)
    try:
        boxes = dataset.boxes(chosen)
    except PointSamError as error:  # check names it; the points are to be seen all the same
        if not error.of_frame:
            raise
        boxes = None
    picture = draw_projected(frame, images, points.keep(points.present), boxes, dataset.taxonomy)
    content = io.BytesIO()
    picture.save(content, format="PNG")
    write_together([(png, content.getvalue())])


def _require_picture(png: Path, root: DataPath, overwrite: bool) -> None:
    """Refuse to write a picture over a file of the data, or over any other file that is not to be replaced.

    Raises:
        StoreError: OUT003.
    """
    place, inside = png.resolve(), Path(str(root)).resolve()
    below = place.relative_to(inside).parts if inside in place.parents else ()
    if png.is_file() and below and (png.name in NAMES or any(part in PARTS for part in below)):
        raise StoreError("OUT003", f"{png} is a file of the data", "choose another name")
    require_free(png, overwrite)
