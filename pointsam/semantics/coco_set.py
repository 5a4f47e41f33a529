"""2D results of a whole data set in COCO's format: instances_*.json, or a list of results with the images it is for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal, TypeVar

from pointsam.base.errors import DatasetError
from pointsam.base.mask_files import DOCS, as_object, fraction, malformed, read_masks
from pointsam.base.words import counted
from pointsam.semantics.objects import Found, Size, has_corners, needs_masks_error, other_size, shape_of
from pointsam.semantics.places import ImageName, parts_of
from pointsam.taxonomy import LabelMapping

T = TypeVar("T")

_MOST_FILES = 20
_FEW = 0.05
"""Share of boxes that may be wrong without suspicion that all are."""
_EXAMPLE = "a COCO file with images, annotations and categories"


@dataclass(eq=False)
class _Entry:
    """An image of a COCO file.

    Args:
        file: the COCO file.
        file_name: as the file states it.
        size: (height_px, width_px), None if it is not stated.
        place: (frame_id, camera), which our own exports state; None otherwise.
        objects: its objects: place in the file, JSON values, label name, and whether a score is required.
    """

    file: Path
    file_name: str
    size: Size | None
    place: tuple[str, str] | None
    objects: list[tuple[str, Mapping[str, object], str, bool]] = field(default_factory=list)

    @property
    def stem(self) -> str:
        return PurePosixPath((parts_of(self.file_name) or ("",))[-1]).stem

    def fits(self, image: ImageName) -> bool:
        """Whether it is an image of the data set that has the same stem.

        The paths must agree from their ends on: as far as this one reaches, or as far as the data root does. File
        names with a time stamp are unique, so that their folders do not matter.
        """
        if self.place is not None:
            return self.place == (image.frame_id, image.camera)
        folders, full = parts_of(self.file_name)[:-1], image.full[:-1]
        inside = full[len(full) - image.inside + 1 :]
        known = (full, (image.scene, image.camera))
        return (
            image.has_time
            or any(_ends(path, folders) for path in known)
            or any(len(path) > 0 and _ends(folders, path) for path in (inside, known[1]))
        )


def _ends(path: tuple[str, ...], end: tuple[str, ...]) -> bool:
    return len(end) <= len(path) and path[len(path) - len(end) :] == end


class CocoSet:
    """All images and objects of one or several COCO files.

    Args:
        files: the files. Each has images, annotations and categories; or one is a list of results, and another one has
            the images and categories, whose own annotations are then not used.
        mapping: label names to the run's classes.

    Raises:
        DatasetError: DAT002 if the files are of another kind, DAT004 if one cannot be read, DAT011 on a malformed one.
    """

    title = "CocoSet"
    instances = True

    def __init__(self, files: list[Path], mapping: LabelMapping) -> None:
        if len(files) > _MOST_FILES:
            raise DatasetError(
                "DAT002",
                f"{files[0].parent} holds {len(files)} JSON files at its top, which are too many for COCO files",
                f"put files of single images into folders by camera ({DOCS})",
            )
        self._files = files
        self._entries: dict[str, list[_Entry]] = {}
        contents = [(file, read_masks(file)) for file in files]
        results = [(file, value) for file, value in contents if isinstance(value, list)]
        tables = [(file, value) for file, value in contents if not isinstance(value, list)]
        if results and (len(results) > 1 or len(tables) != 1):
            raise DatasetError(
                "DAT002",
                f"{results[0][0]} is a list of results, which lacks the file names of its images and the names of its "
                f"categories, and {counted(len(tables), 'other file')} could state them",
                "put exactly one JSON file with `images` and `categories` next to it, as the one that the network was "
                f"run on ({DOCS})",
            )
        for file, value in tables:
            self._add(file, value, results[0] if results else None)

    def files(self, image: ImageName) -> list[Path]:
        """The COCO files."""
        return self._files

    def read(self, image: ImageName, size: Size) -> list[Found]:
        """The objects of an image, in the order of the file, without crowds.

        Raises:
            DatasetError: DAT004 if no entry is of this image, DAT011 if several are, or if an object is malformed.
        """
        entries = self._of(image)
        if not entries:
            raise DatasetError(
                "DAT004",
                f"{self._names()}: no entry of `images` is {image.in_data}",
                f"list every image, also those without objects ({DOCS})",
            )
        if len(entries) > 1:
            raise _twice(image, entries)
        (entry,) = entries
        if entry.size is not None and entry.size != size:
            raise other_size(entry.file, entry.size, size, f"image {entry.file_name!r} ")
        found = []
        for where, value, label, scored in entry.objects:
            score = fraction(entry.file, value, "score", where) if scored or value.get("score") is not None else 1.0
            found.append(shape_of(entry.file, value, where, size, label, score))
        return found

    def survey(self, images: Iterable[ImageName], needs_masks: bool) -> tuple[str, ...]:
        """As `layouts.Layout.survey`."""
        owner: dict[_Entry, ImageName] = {}
        absent: list[ImageName] = []
        total = 0
        for image in images:
            if not image.of_run and image.has_time:
                continue
            total += image.of_run
            entries = self._of(image)
            if len(entries) > 1 and image.of_run:
                raise _twice(image, entries)
            for entry in entries:
                first = owner.setdefault(entry, image)
                if first is not image and (first.of_run or image.of_run):
                    raise DatasetError(
                        "DAT002",
                        f"{entry.file}: file_name {entry.file_name!r} fits two images: that of frame {first.frame_id} "
                        f"of scene {first.scene} and that of frame {image.frame_id} of scene {image.scene}",
                        f"write file_name with its folders, as {image.in_data} ({DOCS})",
                    )
            if not entries and image.of_run:
                absent.append(image)
        everything = [entry for entries in self._entries.values() for entry in entries]
        used = {entry for entry, image in owner.items() if image.of_run}
        foreign = [entry for entry in everything if entry not in used]
        example = f", for example {foreign[0].file_name!r}" if foreign else ""
        if total and not used:
            image = absent[0]
            raise DatasetError(
                "DAT002",
                f"{self._names()}: none of its {counted(len(everything), 'image')} is an image of the run{example}",
                f"name them as the data set does, as {image.in_data} ({DOCS})",
            )
        for entry in everything if needs_masks else ():
            for where, value, _, _ in entry.objects if entry in used else ():
                if not (value.get("segmentation") or value.get("segments")):
                    raise needs_masks_error(entry.file, where)
        self._require_convention(entry for entry in everything if entry in used)
        notices = []
        if absent:
            notices.append(
                f"{len(absent)} of {counted(total, 'image')} of the run have no entry in {self._names()}, and their "
                f"frames are quarantined, for example {absent[0].in_data}"
            )
        if foreign:
            notices.append(
                f"{counted(len(foreign), 'image')} of {self._names()} are no images of the run and are not "
                f"used{example}"
            )
        return tuple(notices)

    def _require_convention(self, entries: Iterable[_Entry]) -> None:
        """Refuse files in which many boxes seem to state two corners: the others would be wrong unnoticed."""
        found = [
            (is_so, entry.file, where)
            for entry in entries
            for where, value, _, _ in entry.objects
            if entry.size is not None and (is_so := has_corners(value, entry.size)) is not None
        ]
        suspect = [(file, where) for is_so, file, where in found if is_so]
        if len(suspect) > _FEW * len(found):
            file, where = suspect[0]
            raise malformed(
                file,
                f"`bbox` of {len(suspect)} of {counted(len(found), 'box')} leaves its image and seems to be "
                f"[left, top, right, bottom], for example {where}",
                "[left, top, width, height], COCO's convention,",
            )

    def _names(self) -> str:
        return " and ".join(str(file) for file in self._files)

    def _of(self, image: ImageName) -> list[_Entry]:
        return [entry for entry in self._entries.get(image.stem, []) if entry.fits(image)]

    def _add(self, file: Path, value: object, results: tuple[Path, list[object]] | None) -> None:
        table = as_object(file, value, "the file")
        wanted = ("images", "categories") if results else ("images", "annotations", "categories")
        lacking = [name for name in wanted if not isinstance(table.get(name), list)]
        if lacking:
            raise DatasetError(
                "DAT002",
                f"{file}: no list of {' and '.join(lacking)}: not a COCO file of a set of images",
                f"give {_EXAMPLE}, or put files of single images into folders by camera ({DOCS})",
            )
        labels: dict[int | str, str] = {}
        for where, row in _rows(file, table, "categories"):
            if not isinstance(name := row.get("name"), str):
                raise malformed(file, f"{where}.name is {name!r:.60}", "a label name")
            _put(file, labels, row, where, name)
        entries: dict[int | str, _Entry] = {}
        for where, row in _rows(file, table, "images"):
            entry = _entry(file, row, where)
            _put(file, entries, row, where, entry)
            self._entries.setdefault(entry.stem, []).append(entry)
        source, objects = (results[0], _listed(*results)) if results else (file, _rows(file, table, "annotations"))
        for where, row in objects:
            key = _known(source, row, where, "image_id", entries, file)
            label = labels[_known(source, row, where, "category_id", labels, file)]
            entries[key].file = source
            if row.get("iscrowd") in (0, None, False):
                entries[key].objects.append((where, row, label, results is not None))


def _twice(image: ImageName, entries: list[_Entry]) -> DatasetError:
    names = " and ".join(f"{entry.file_name!r} in {entry.file}" for entry in entries[:2])
    return DatasetError(
        "DAT002",
        f"{names} are both the image {image.in_data}",
        f"keep one, or write file_name with its folders ({DOCS})",
    )


def _rows(file: Path, table: Mapping[str, object], name: str) -> Iterable[tuple[str, Mapping[str, object]]]:
    values = table[name]
    for k, value in enumerate(values if isinstance(values, list) else []):
        yield f"{name}[{k}]", as_object(file, value, f"{name}[{k}]")


def _listed(file: Path, values: list[object]) -> Iterable[tuple[str, Mapping[str, object]]]:
    for k, value in enumerate(values):
        yield f"[{k}]", as_object(file, value, f"[{k}]")


def _entry(file: Path, row: Mapping[str, object], where: str) -> _Entry:
    name, height, width = row.get("file_name"), row.get("height"), row.get("width")
    if not isinstance(name, str) or not parts_of(name):
        raise malformed(file, f"{where}.file_name is {name!r:.60}", "the name of the image")
    for side, number in (("height", height), ("width", width)):
        if number is not None and (type(number) is not int or number <= 0):
            raise malformed(file, f"{where}.{side} is {number!r:.60}", "a number of pixels")
    size = (height, width) if isinstance(height, int) and isinstance(width, int) else None
    frame_id, camera = row.get("frame_id"), row.get("camera")
    place = (frame_id, camera) if isinstance(frame_id, str) and isinstance(camera, str) else None
    return _Entry(file, name, size, place)


def _put(file: Path, rows: dict[int | str, T], row: Mapping[str, object], where: str, value: T) -> None:
    key = _key(file, row, where, "id")
    if key in rows:
        raise malformed(file, f"{where}.id {key!r:.60} is there twice", "every id once")
    rows[key] = value


def _known(
    file: Path,
    row: Mapping[str, object],
    where: str,
    name: Literal["image_id", "category_id"],
    rows: Mapping[int | str, object],
    table: Path,
) -> int | str:
    key = _key(file, row, where, name)
    if key not in rows:
        kind = "images" if name == "image_id" else "categories"
        raise malformed(file, f"{where}.{name} {key!r:.60} is not in `{kind}` of {table}", f"an id of `{kind}`")
    return key


def _key(file: Path, row: Mapping[str, object], where: str, name: str) -> int | str:
    key = row.get(name)
    if isinstance(key, bool) or not isinstance(key, int | str):
        raise malformed(file, f"{where}.{name} is {key!r:.60}", "an id")
    return key
