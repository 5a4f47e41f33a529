"""Layouts of data sets that no plug-in reads, and incomplete ones, to name what a root holds.

Names of files and folders identify a layout; only one calibration file is read. `Layout` describes a row of the tables;
to add a layout, add a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from pointsam.base.errors import BrokenRuleError, DatasetError, MissingFolderError, PointSamError
from pointsam.base.remote import DataPath, names_in, read_bytes

_ALONE, _DEEPER, _DEEPEST = ("",), ("", "*/"), ("", "*/", "*/*/")
_WIDEST = 40
"""Folders that are looked into where a pattern holds a star: one of many drives is enough to know the layout."""

_TO_KITTI = (
    "convert it to KITTI's object layout (docs/own_data.md): training/velodyne/000000.bin, image_2/000000.png and "
    "calib/000000.txt"
)
_TO_TRACKING = (
    "write each drive as a sequence of KITTI tracking: velodyne/0000/000000.bin, image_02/0000/000000.png, "
    "calib/0000.txt and oxts/0000.txt (docs/own_data.md)"
)
_TO_RAW = (
    "name the folders as the release does (DATE/DATE_drive_0001_sync, and DATE/calib_cam_to_cam.txt beside it), and "
    "give the folder that holds that of the date (docs/own_data.md)"
)
_TO_NUSCENES = "convert it to nuScenes' tables, which have several cameras, poses and times (docs/own_data.md)"


@dataclass(frozen=True)
class Layout:
    """A layout that can be recognised but not read.

    Args:
        name: name of the layout, for messages.
        signs: patterns of paths; a path that matches one of them identifies the layout. A star stands for any part of a
            name.
        remedy: what to do.
        within: where the patterns start: the root, or folders below it.
        parts: further parts that are needed, as pairs of name and path relative to where the signs start. Missing ones
            are named.
        text: pattern of a file and a word in it that identify the layout too.
    """

    name: str
    signs: tuple[str, ...]
    remedy: str
    within: tuple[str, ...] = _ALONE
    parts: tuple[tuple[str, str], ...] = ()
    text: tuple[str, str] | None = None


LIKE_KITTI = (
    Layout(
        "Waymo as its converters write KITTI (image_0 to image_4)",
        ("training/image_4", "testing/image_4"),
        "its image_2 is another camera than KITTI's, and its sweeps have six values: write image_0, P0 and "
        "Tr_velo_to_cam_0 as image_2, P2 and Tr_velo_to_cam, and give --dataset kitti --columns "
        "x,y,z,intensity,elongation,_",
        text=("training/calib/*.txt", "Tr_velo_to_cam_0"),
    ),
)
"""Layouts that a plug-in recognises as its own and would read wrongly."""

FOREIGN = (
    Layout("KITTI raw under other names", ("velodyne_points", "oxts/dataformat.txt"), _TO_RAW, _DEEPEST[1:]),
    Layout("KITTI-360", ("data_3d_raw", "data_2d_raw"), _TO_TRACKING),
    Layout(
        "the Waymo Open Dataset", ("*.tfrecord", "*.tfrecords", "lidar/*.parquet", "camera_image/*.parquet"),
        _TO_NUSCENES, _DEEPEST,
    ),
    Layout(
        "Argoverse 2", ("sensors/lidar/*.feather", "city_SE3_egovehicle.feather"), _TO_NUSCENES, _DEEPEST,
        parts=(("images", "sensors/cameras"), ("sweeps", "sensors/lidar")),
    ),
    Layout("Argoverse 1", ("ring_front_center", "stereo_front_left"), _TO_NUSCENES, _DEEPEST),
    Layout("ONCE", ("lidar_roof",), _TO_NUSCENES, _DEEPEST),
    Layout("PandaSet", ("lidar/*.pkl.gz", "lidar/*.pkl"), _TO_NUSCENES, _DEEPER, parts=(("images", "camera"),)),
    Layout("A2D2", ("camera_lidar_semantic_bboxes", "camera_lidar"), _TO_NUSCENES),
    Layout("CADC", ("labeled/lidar_points",), _TO_NUSCENES, _DEEPEST),
    Layout("DAIR-V2X", ("vehicle-side", "infrastructure-side", "data_info.json"), _TO_KITTI, _DEEPER),
    Layout("a recording of ROS", ("*.bag", "*.mcap", "*.db3"), f"export clouds and images, then {_TO_KITTI}", _DEEPER),
    Layout(
        "a custom data set of OpenPCDet or MMDetection3D (points/)",
        ("points/*.npy", "points/*.bin", "points/*.pcd"), _TO_KITTI,
        _DEEPER, parts=(("images", "images"), ("calibrations", "calibs")),
    ),
    Layout(
        "a scene of SUSTechPOINTS (lidar/)",
        ("lidar/*.pcd", "lidar/*.bin", "lidar/*.ply"), _TO_KITTI, _DEEPER,
        parts=(("images", "camera"), ("calibrations", "calib")),
    ),
)  # fmt: skip
"""Layouts without an adapter."""

INCOMPLETE = (
    Layout(
        "KITTI tracking", ("training/image_02", "training/label_02", "testing/image_02", "training/oxts"),
        "unpack data_tracking_velodyne.zip into this root", parts=(("sweeps", "training/velodyne/0000"),),
    ),
    Layout(
        "KITTI raw",
        ("*_sync/image_02", "*/*_sync/image_02", "*_sync/oxts", "*/*_sync/oxts", "*_sync/tracklet_labels.xml"),
        "unpack all archives of the drive into this root, and keep the names of their folders; the root holds the "
        "folder of the date", parts=(("sweeps", "2011_09_26/2011_09_26_drive_0001_sync/velodyne_points"),),
    ),
    Layout(
        "KITTI object", ("training/image_2", "training/label_2", "training/calib", "testing/image_2"),
        "unpack data_object_velodyne.zip into this root", parts=(("sweeps", "training/velodyne"),),
    ),
    Layout(
        "KITTI odometry", ("sequences/*/image_2", "sequences/*/calib.txt", "sequences/*/labels", "sequences/*/image_0"),
        "unpack data_odometry_velodyne.zip into this root", parts=(("sweeps", "sequences/00/velodyne"),),
    ),
    Layout(
        "nuScenes", ("samples/LIDAR_TOP", "samples/CAM_FRONT", "sweeps/LIDAR_TOP"),
        "unpack the archive with the tables (v1.0-mini.tgz, v1.0-trainval_meta.tgz) into this root",
        parts=(("tables", "v1.0-trainval"),),
    ),
)  # fmt: skip
"""Layouts with an adapter, identified by other parts than the one that its plug-in looks for."""

_ARCHIVES = ("*.zip", "*.tar", "*.tgz", "*.tar.gz", "*.tar.bz2", "*.tar.xz", "*.7z", "*.rar")


def unread(root: DataPath, layouts: Sequence[Layout] = FOREIGN, depth: int = 2) -> PointSamError | None:
    """The error for a root whose layout is known and has no adapter.

    Args:
        root: the root.
        layouts: rows of a table.
        depth: how far below the root patterns may start.
    """
    search = _Search(root)
    for layout in layouts:
        sign = search.sign(layout, depth)
        if sign is None:
            continue
        lacks = [f"{what} ({place})" for what, place in layout.parts if not search.has(sign, place)]
        missing = f"; {' and '.join(lacks)} are missing, too" if lacks else ""
        way = f"{layout.remedy}; or write a plug-in (docs/plugins.md)"
        what = f"{root}: this is {layout.name}, for which PointSAM has no adapter: it has {sign.path}{missing}"
        return BrokenRuleError("DAT014", what, way)
    return None


def incomplete(root: DataPath) -> PointSamError | None:
    """The error for a root that lacks a part of a layout that is read."""
    search = _Search(root)
    for layout in INCOMPLETE:
        sign = search.sign(layout)
        if sign is not None:
            lacks = " and ".join(f"{what} (such as {place})" for what, place in layout.parts)
            return MissingFolderError(
                "DAT001",
                f"{root}: this is {layout.name}, it has {sign.path}, but its {lacks} are missing",
                f"{layout.remedy}{_unpacked(search)}",
            )
    return None


def packed(root: DataPath) -> PointSamError | None:
    """The error for a root with archives that are not unpacked."""
    names = _Search(root).archives()
    if not names:
        return None
    what = f"{root}: no known data set, but {len(names)} archives that are not unpacked: {_some(names)}"
    return DatasetError("DAT002", what, "unpack all archives of the data set into one root, and give this root")


@dataclass(frozen=True)
class _Sign:
    """A path that identifies a layout.

    Args:
        start: folder below the root where its pattern starts; "" for the root.
        path: the path, relative to the root.
    """

    start: str
    path: str


class _Search:
    """Searches for patterns below a root. Each folder is listed once; one that cannot be listed counts as empty."""

    def __init__(self, root: DataPath) -> None:
        self._root, self._names = root, dict[str, list[str]]()

    def sign(self, layout: Layout, depth: int = 0) -> _Sign | None:
        """The first path that identifies the layout; None if there is none."""
        for start in layout.within[: depth + 1]:
            for pattern in layout.signs:
                found = self._first("", [*start.split("/")[:-1], *pattern.split("/")])
                if found is not None:
                    return _Sign("/".join(found.split("/")[: start.count("/")]), found)
        if layout.text is not None:
            pattern, word = layout.text
            found = self._first("", pattern.split("/"))
            if found is not None and word.encode() in self._content(found):
                return _Sign("", found)
        return None

    def has(self, sign: _Sign, place: str) -> bool:
        """Whether there is a part of the layout, relative to where its sign starts."""
        return self._first("", [*(sign.start.split("/") if sign.start else []), *place.split("/")]) is not None

    def archives(self) -> list[str]:
        """Names of the archives in the root."""
        return [name for name in self._listed("") if any(fnmatchcase(name.lower(), kind) for kind in _ARCHIVES)]

    def _first(self, below: str, parts: Sequence[str]) -> str | None:
        """The first path that fits, relative to the root."""
        head, *rest = parts
        fits = [name for name in self._listed(below) if fnmatchcase(name.lower(), head.lower())]
        for name in fits[:_WIDEST] if rest else fits[:1]:
            path = f"{below}/{name}" if below else name
            found = self._first(path, rest) if rest else path
            if found is not None:
                return found
        return None

    def _listed(self, below: str) -> list[str]:
        if below not in self._names:
            try:
                names = names_in(self._root / below if below else self._root)
            except DatasetError:  # no permission
                names = []
            self._names[below] = [name for name in names if not name.startswith(".")]
        return self._names[below]

    def _content(self, path: str) -> bytes:
        try:
            return read_bytes(self._root / path, "file")
        except DatasetError:
            return b""


def _unpacked(search: _Search) -> str:
    names = search.archives()
    return f"; archives that are not unpacked are {_some(names)}" if names else ""


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
