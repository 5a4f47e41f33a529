"""Files of a folder by the frame that they belong to. A folder is listed once, not asked for every file.

Hidden files (`._000000.bin` of macOS, `.DS_Store`) are not seen. Suffixes are known in any letter case. File names are
compared in Unicode's composed form, because macOS stores them decomposed.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from functools import cached_property

from pointsam.base.errors import DatasetError, MissingFolderError
from pointsam.base.paths import name_problem
from pointsam.base.remote import DataPath, names_in
from pointsam.base.words import counted
from pointsam.datasets.base import TableProblem
from pointsam.datasets.io import ImageFile
from pointsam.datasets.kitti.files import text_lines
from pointsam.datasets.kitti.suffixes import OF_FRAMES, SWEEPS

_MOST_DIGITS = 9
_DIGITS = re.compile(r"([0-9]+)")


def _stems(stem: str) -> Iterator[str]:
    """A stem, and what is left of it without further suffixes (000000.bin of 000000.bin.gz)."""
    while stem:
        yield stem
        stem = stem.rpartition(".")[0]


def unread_sweeps(folders: Iterable[tuple[Listing, Listing]]) -> Iterator[TableProblem]:
    """Sweeps of a kind that is not read, whose frames would be left out without a word.

    Args:
        folders: the sweeps and the images of each folder of frames.
    """
    found = [sweeps.folder / name for sweeps, images in folders for name in sweeps.unread(images)]
    if found:
        kinds = ", ".join(SWEEPS)
        what = f"{counted(len(found), 'frame')} left out: sweeps are read from {kinds}, not from {found[0].name}"
        yield TableProblem("missing-files", str(found[0].parent), what)


class Listing:
    """The files of one folder, which is listed at first use. Of two files with one stem, the first suffix wins.

    Args:
        folder: the folder; it may be missing.
        suffixes: suffixes of the files, in small letters, the preferred one first.
    """

    def __init__(self, folder: DataPath, suffixes: tuple[str, ...]) -> None:
        self.folder, self._suffixes = folder, suffixes

    def __contains__(self, stem: str) -> bool:
        return stem in self._file

    @cached_property
    def stems(self) -> tuple[str, ...]:
        """Names of the files without suffix, in composed form and natural order.

        Raises:
            DatasetError: DAT004 if the folder cannot be read.
        """
        return tuple(sorted(self._file, key=natural))

    @cached_property
    def _file(self) -> dict[str, str]:
        """Name of the file by stem."""
        found: dict[str, tuple[int, str]] = {}
        for stem, suffix, name in self._names:
            if suffix in self._suffixes:
                found[stem] = min(found.get(stem, (len(self._suffixes), "")), (self._suffixes.index(suffix), name))
        return {stem: name for stem, (_, name) in found.items()}

    def doubles(self) -> list[tuple[str, str]]:
        """Names of files that are not read, because another file has their stem, and of that file."""
        kept = {(stem, name) for stem, name in self._file.items()}
        own = ((stem, name) for stem, suffix, name in self._names if suffix in self._suffixes)
        return [(name, self._file[stem]) for stem, name in own if (stem, name) not in kept]

    @cached_property
    def _names(self) -> list[tuple[str, str, str]]:
        """Stem, suffix in small letters, and name of all that is not hidden."""
        names = [name for name in names_in(self.folder) if not name.startswith(".")]
        parts = [(*name.rpartition("."), name) for name in names]
        return [(composed(stem), dot + suffix.lower(), name) for stem, dot, suffix, name in parts]

    def around(self, stem: str) -> dict[int, str]:
        """Stem before (-1) and after (+1) a stem, in natural order; at an end, the stem itself."""
        place = self.stems.index(stem)
        return {-1: self.stems[max(place - 1, 0)], 1: self.stems[min(place + 1, len(self.stems) - 1)]}

    def before(self, stem: str, count: int) -> list[str]:
        """Up to `count` stems before a stem, in natural order, the latest first."""
        place = self.stems.index(stem)
        return list(self.stems[max(0, place - count) : place][::-1])

    def path(self, stem: str) -> DataPath:
        """The file of a frame; where there is none, the file that is missing."""
        return self.folder / self._file.get(stem, stem + self._suffixes[0])

    def require(self, what: str) -> None:
        """Refuse a folder in which nothing can be found, which concerns all of its frames.

        Args:
            what: what the files are ("images").

        Raises:
            MissingFolderError: DAT001 naming the folder and what it holds instead.
        """
        if not self._file:
            there = f"holds no {what}{self.instead()}" if self._names else f"with the {what} is missing or empty"
            raise MissingFolderError(
                "DAT001",
                f"{self.folder}: this folder {there}; no frame can be read without it",
                f"unpack the {what} of the data set into this folder ({self._expected()})",
            )

    def image(self, stem: str) -> ImageFile:
        """The image of a frame.

        Raises:
            DatasetError: DAT004 if it is missing, naming what was looked for and what is there.
        """
        if stem not in self._file:
            beside = [name for other, _, name in self._names if other == stem]
            there = f"found {', '.join(beside)}" if beside else f"there is no file of this name{self.instead()}"
            raise DatasetError(
                "DAT004",
                f"{self.path(stem)}: image is missing; looked for {self._expected()}, and {there}",
                "complete the download, or convert the images to PNG or JPEG",
            )
        return ImageFile(self.path(stem))

    def unread(self, frames: Listing) -> list[str]:
        """Names of files of another kind that would be those of frames.

        Args:
            frames: other files of the frames, such as the images.
        """
        others = ((stem, name) for stem, suffix, name in self._names if suffix not in self._suffixes)
        return [name for stem, name in others if any(one in frames and one not in self._file for one in _stems(stem))]

    def instead(self) -> str:
        """The other files of the folder, by suffix, as part of a sentence; "" if there are none."""
        kinds = Counter(
            f"{suffix} files" if stem else "other entries"
            for stem, suffix, _ in self._names
            if suffix not in self._suffixes
        )
        most = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(3))
        return f" (the folder holds {most})" if most else ""

    def _expected(self) -> str:
        return f"{', '.join(self._suffixes)} in any letter case"


def require_names(listing: Listing) -> None:
    """Refuse stems that cannot be ids: ids become parts of file names and of tables.

    Raises:
        DatasetError: DAT011 naming the first.
    """
    for stem in listing.stems:
        problem = name_problem(stem)
        if problem:
            raise DatasetError(
                "DAT011", f"{listing.folder}: {stem!r} cannot be the id of a frame: {problem}", "rename its files"
            )


def natural(name: str) -> tuple[bool, list[tuple[str, int]], str]:
    """A key that sorts numbers by their value, then names, the numbers in them by their value (scan_2, scan_10)."""
    parts = _DIGITS.split(name)
    number = name.isascii() and name.isdigit()
    return not number, [(text, int(digits)) for text, digits in zip(parts[::2], [*parts[1::2], "0"], strict=True)], name


def composed(name: str) -> str:
    """A name in Unicode's composed form."""
    return unicodedata.normalize("NFC", name)


def split_names(path: DataPath, known: Collection[str]) -> list[str]:
    """Names that a list such as ImageSets/train.txt holds, one a line or several, without repeats, in natural order.

    Comments (#) and empty lines are passed over. A name may have spaces if it is alone in its line, and the suffix of a
    file of the frame.

    Args:
        path: the list.
        known: names of frames. Names that are not known are kept as they stand.

    Raises:
        DatasetError: DAT004 if it cannot be read.
    """
    names: set[str] = set()
    for line in text_lines(path, "split"):
        text = line.split("#")[0]
        whole = [name for name in (_bare(composed(line), known), _bare(composed(text).strip(), known)) if name in known]
        names.update(whole[:1] or (_bare(composed(word), known) for word in text.split()))
    return sorted(names, key=natural)


def _bare(name: str, known: Collection[str]) -> str:
    """A name without the suffix of a file of its frame, unless it is known with it."""
    stem, dot, suffix = name.rpartition(".")
    return stem if name not in known and stem and (dot + suffix).lower() in OF_FRAMES else name


def frame_number(path: DataPath, stem: str) -> int:
    """Number of a frame of a sequence, which its file is named by.

    Raises:
        DatasetError: DAT011 if the name is no number, or one too large for a frame.
    """
    if not (stem.isascii() and stem.isdigit() and len(stem.lstrip("0")) <= _MOST_DIGITS):
        raise DatasetError(
            "DAT011",
            f"{path}: {stem!r} is not the number of a frame, so its pose and time are not known",
            "name the files of a sequence by the numbers of its frames (000123)",
        )
    return int(stem)


def frame_parts(frame_id: str, scenes: Iterable[str]) -> Iterable[tuple[str, str]]:
    """The ways in which an id SCENE_STEM can be split; scenes and stems may hold underscores themselves."""
    for scene in scenes:
        if frame_id.startswith(f"{scene}_"):
            yield scene, frame_id[len(scene) + 1 :]
