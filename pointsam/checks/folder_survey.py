"""What a plain folder seems to hold, before its calibration is known: sensors, times, columns, extents, clocks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pointsam.base.errors import DatasetError, PointSamError
from pointsam.base.remote import DataPath, is_folder, names_in
from pointsam.base.words import counted
from pointsam.checks.folder_clocks import clocks_of, times_of
from pointsam.checks.folder_stated import Match, Stated
from pointsam.checks.raw_rows import guess
from pointsam.checks.rules.orientation import orientation_of
from pointsam.datasets.columns import row_layout
from pointsam.datasets.folder import PARTS, drives_in, left_out
from pointsam.datasets.folder.box_files import JSON, OPENLABEL, TEXT
from pointsam.datasets.folder.calibration import COLUMNS, Unit
from pointsam.datasets.folder.poses import NAMES, read_poses
from pointsam.datasets.io import ImageFile, RawPoints, image_size, point_source, read_points
from pointsam.datasets.kitti.listing import Listing
from pointsam.datasets.kitti.suffixes import IMAGES, SWEEPS
from pointsam.geometry.se3 import SE3
from pointsam.types import Sweep

_THIN = 3.0


@dataclass(frozen=True)
class FoundCamera:
    """A folder of images.

    Args:
        name: of the folder.
        count: number of images in the first drive that has it.
        size: width and height of the first image, pixels; None if it cannot be read.
        notes: what is odd, in words.
    """

    name: str
    count: int
    size: tuple[int, int] | None
    notes: tuple[str, ...] = ()

    def text(self) -> str:
        """For the terminal."""
        size = "; the first is unreadable" if self.size is None else f" of {self.size[0]} x {self.size[1]} px"
        return f"images/{self.name}: {counted(self.count, 'image')}{size}"


@dataclass(frozen=True)
class FoundLidar:
    """A folder of clouds.

    Args:
        name: of the folder.
        count: number of clouds in the first drive that has it.
        suffix: of the first cloud.
        columns: what `columns` should say of files that do not state them; () if it is not known; None for files that
            state them.
        evidence: why, in words.
        points: number of points of the first cloud.
        notes: extent, axis that points up, what is odd; in words.
    """

    name: str
    count: int
    suffix: str
    columns: tuple[str, ...] | None
    evidence: str
    points: int = 0
    notes: tuple[str, ...] = ()

    def text(self) -> str:
        """For the terminal."""
        return f"clouds/{self.name}: {self.count} {self.suffix}; {self.evidence}"


@dataclass(frozen=True)
class FolderFound:
    """What a folder seems to hold.

    Args:
        drives: names of its drives; "" for the root itself.
        cameras: folders of images.
        lidars: folders of clouds.
        match: how files seem to belong together.
        unit: unit of the times that names state; None if it is not known.
        times: the evidence, in words.
        poses: file of poses and its format, in words; "" if there is none.
        boxes: files of boxes, in words; "" if there are none.
        boxes_have_frame: whether these are KITTI's, whose frame is that of the first camera.
        notes: clocks that differ, drives with other sensors, and folders that are no drives.
    """

    drives: tuple[str, ...]
    cameras: tuple[FoundCamera, ...]
    lidars: tuple[FoundLidar, ...]
    match: Match
    unit: Unit | None
    times: str
    poses: str = ""
    boxes: str = ""
    boxes_have_frame: bool = False
    notes: tuple[str, ...] = ()

    def lines(self) -> Iterator[str]:
        """For the terminal."""
        if self.drives != ("",):
            yield f"{counted(len(self.drives), 'drive')}: {', '.join(self.drives[:5])}{' ...' * (len(self.drives) > 5)}"
        sensors: tuple[FoundCamera | FoundLidar, ...] = (*self.cameras, *self.lidars)
        for sensor in sensors:
            yield sensor.text()
            yield from (f"  {note}" for note in sensor.notes)
        yield f"times: {self.times}"
        yield f"poses: {self.poses or 'none (poses.txt or poses.csv)'}"
        yield f"boxes: {self.boxes or 'none'}"
        yield from (f"note: {note}" for note in self.notes)


def survey(root: DataPath, stated: Stated | None = None) -> FolderFound:
    """Look at a folder. Names are listed, and one image and one cloud of each sensor are read.

    Args:
        root: the folder.
        stated: what its calibration file states, which is then not guessed; None without one.

    Raises:
        DatasetError: DAT001 if it is no folder, DAT002 if it holds no drive, or no camera or LiDAR.
    """
    if not is_folder(root):
        raise DatasetError("DAT001", f"{root}: no such folder", "check the path")
    drives = tuple(drives_in(root))
    if not drives:
        there = ", ".join(names_in(root)[:8]) or "nothing"
        raise DatasetError(
            "DAT002",
            f"{root}: no {PARTS[0]}/CAMERA and {PARTS[1]}/LIDAR, in it or in its folders; it holds {there}",
            "arrange the files as docs/folder.md says",
        )
    folders = [root / name if name else root for name in drives]
    cameras = tuple(
        _camera(name, _first(folders, PARTS[0], name, IMAGES)) for name in _names(folders, PARTS[0], IMAGES)
    )
    lidars = tuple(
        _lidar(name, _first(folders, PARTS[1], name, SWEEPS), stated) for name in _names(folders, PARTS[1], SWEEPS)
    )
    if not cameras or not lidars:
        part, kinds = (PARTS[0], IMAGES) if not cameras else (PARTS[1], SWEEPS)
        raise DatasetError(
            "DAT002", f"{root}: no folder of {part}/ holds files ({', '.join(kinds)})", "see docs/folder.md"
        )
    named = () if stated is None else stated.lidars
    place = {name: k - len(named) for k, name in enumerate(named)}
    lidars = tuple(sorted(lidars, key=lambda one: (place.get(one.name, 0), *_rank(one))))
    names = [one.name for one in cameras], [one.name for one in lidars]
    match, unit, times = times_of(folders[0], *names, stated)
    unread = [f"{name} is left out: {why}" for name, why in left_out(root)]
    notes = [
        *unread,
        *_uneven(drives, folders),
        *(clocks_of(folders[0], *names, unit, stated) if match == "stamp" else []),
    ]
    boxes, have_frame = _boxes(folders[0])
    return FolderFound(drives, cameras, lidars, match, unit, times, _poses(folders[0]), boxes, have_frame, tuple(notes))


def _rank(lidar: FoundLidar) -> tuple[bool, int, str]:
    """A LiDAR on the roof is first, then those of many points."""
    return "top" not in lidar.name.lower(), -lidar.points, lidar.name


def _names(folders: Sequence[DataPath], part: str, suffixes: tuple[str, ...]) -> list[str]:
    """Names of the sensors of all drives."""
    names = sorted({name for folder in folders for name in names_in(folder / part) if not name.startswith(".")})
    return [name for name in names if any(Listing(folder / part / name, suffixes).stems for folder in folders)]


def _first(folders: Sequence[DataPath], part: str, name: str, suffixes: tuple[str, ...]) -> Listing:
    listings = (Listing(folder / part / name, suffixes) for folder in folders)
    return next(listing for listing in listings if listing.stems)


def _camera(name: str, listing: Listing) -> FoundCamera:
    stems, notes, size = listing.stems, list[str](), None
    image = ImageFile(listing.path(stems[0]))
    try:
        height, width = image_size(image)
        size = (width, height)
        turned = orientation_of(image)
        if turned:
            notes.append(f"{turned}; images are read as they are stored: store them upright")
        other = ImageFile(listing.path(stems[-1]))
        if image_size(other) != (height, width):
            notes.append(f"{other.file_name} has another size than {image.file_name}")
    except DatasetError as error:
        notes.append(error.message)
    return FoundCamera(name, len(stems), size, tuple(notes))


def _lidar(name: str, listing: Listing, stated: Stated | None) -> FoundLidar:
    path = listing.path(listing.stems[len(listing.stems) // 2])
    kinds = Counter(listing.path(stem).suffix.lower() for stem in listing.stems)
    suffix = kinds.most_common(1)[0][0]
    notes = [f"files of several kinds: {', '.join(sorted(kinds))}"] if len(kinds) > 1 else []
    columns: tuple[str, ...] | None = None
    try:
        if suffix in (".bin", ".npy"):
            columns = None if stated is None else stated.columns.get(name)
            if stated is not None and columns is not None:
                evidence = f"{stated.file} states {', '.join(columns)}"
            else:
                columns, evidence = _guessed(path, suffix)
        else:
            evidence = f"its header states {', '.join(point_source(path, COLUMNS).columns)}"
        if columns == ():
            return FoundLidar(name, len(listing.stems), suffix, (), evidence, 0, tuple(notes))
        xyz = read_points(Sweep(point_source(path, columns or COLUMNS), 0, SE3.identity(), SE3.identity()))
    except PointSamError as error:
        return FoundLidar(name, len(listing.stems), suffix, columns or (), f"[{error.code}] {error.message}")
    return FoundLidar(name, len(listing.stems), suffix, columns, evidence, len(xyz), (*notes, *_extent(xyz)))


def _guessed(path: DataPath, suffix: str) -> tuple[tuple[str, ...], str]:
    """Columns of a file that does not state them, and why; () if they are not known."""
    if suffix == ".npy":
        for width in range(3, 9):
            values = (*COLUMNS, *("_" * (width - len(COLUMNS))))[:width]
            try:
                point_source(path, values).read(COLUMNS[:3])
            except DatasetError:
                continue
            return values, f"{width} values per point, taken for {', '.join(values)}"
        return (), "an array of an unusual shape: state columns"
    found = guess(RawPoints(path, COLUMNS).content(), COLUMNS)
    if found is None:
        return COLUMNS, f"they fit float32 {', '.join(COLUMNS)}"
    if not found.columns:
        return (), f"the first {found.what}"
    columns = tuple(found.columns.split(","))
    row_layout(columns)
    return columns, f"the first {found.what}: taken for {', '.join(columns)}"


def _extent(xyz: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> Iterator[str]:
    placed = xyz[np.isfinite(xyz[:, 0]) & xyz.any(axis=1)]
    if not len(placed):
        return
    low, high = np.quantile(placed, (0.05, 0.95), axis=0)
    spread, reach = high - low, np.linalg.norm(placed, axis=1)
    yield (
        f"{counted(len(xyz), 'point')} in one file, half of them within {np.median(reach):.1f} m, 99 % within "
        f"{np.percentile(reach, 99):.0f} m"
    )
    thin = int(np.argmin(spread))
    clear = spread[thin] * _THIN < np.delete(spread, thin).min()
    axes = ", ".join(f"{axis} {value:.1f} m" for axis, value in zip("xyz", spread, strict=True))
    if not clear:
        yield f"no axis stands out as upright (90 % of the points span {axes})"
    else:
        most = np.median(placed[:, thin])
        side = "most points are below the sensor" if most < 0 else "most points are above 0: the axis may point down"
        yield f"{'xyz'[thin]} seems upright (90 % of the points span {axes}); {side}"


def _uneven(drives: Sequence[str], folders: Sequence[DataPath]) -> Iterator[str]:
    """Drives that lack a sensor of the others."""
    for part, kinds in zip(PARTS, (IMAGES, SWEEPS), strict=True):
        for name in _names(folders, part, kinds):
            lacks = [
                d for d, folder in zip(drives, folders, strict=True) if not Listing(folder / part / name, kinds).stems
            ]
            if lacks:
                yield f"{part}/{name} is missing in {counted(len(lacks), 'drive')}, for example {lacks[0]}"


def _poses(folder: DataPath) -> str:
    path = next((folder / name for name in NAMES if (folder / name).is_file()), None)
    if path is None:
        return ""
    try:
        table = read_poses(path)
    except PointSamError as error:
        return f"{path.name}: [{error.code}] {error.message}"
    form = {"tum": "TUM", "kitti": "KITTI", "csv": "CSV"}[table.form]
    lost = f", {len(table.lost)} of them with NaN or infinity" if table.lost else ""
    return f"{path.name}, {form}, {counted(table.count, 'pose')}{lost}"


def _boxes(folder: DataPath) -> tuple[str, bool]:
    """The files of boxes in words, and whether KITTI's are read, which state their frame."""
    json, kitti = len(Listing(folder / JSON, (".json",)).stems), len(Listing(folder / TEXT, (".txt",)).stems)
    one = (folder / OPENLABEL).is_file()
    kinds = ((f"{JSON}/*.json", json), (f"{TEXT}/*.txt (KITTI)", kitti))
    texts = [f"{counted(count, 'file')} {what}" for what, count in kinds if count]
    return ", ".join([*texts, *([OPENLABEL] if one else [])]), kitti > 0 and not json and not one
