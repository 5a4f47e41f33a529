"""The files that frames name are there. Folders are listed; nothing is opened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import PurePath

from pointsam.base.remote import DataPath, FileSource, names_in
from pointsam.checks.base import Problem, Rule, Survey, in_tables
from pointsam.types import Frame

_ID = "missing-files"


class FolderNames:
    """Names of the files of folders, each listed once."""

    def __init__(self) -> None:
        self._names: dict[str, frozenset[str]] = {}

    def has(self, path: DataPath) -> bool:
        """Whether a file is there."""
        return path.name in self._of(path)

    def similar(self, path: DataPath) -> str | None:
        """Name of a file in the same folder with another suffix, or in letters of another case."""
        stem = PurePath(path.name).stem.lower()
        return next((name for name in sorted(self._of(path)) if PurePath(name).stem.lower() == stem), None)

    def _of(self, path: DataPath) -> frozenset[str]:
        folder = path.parent
        key = str(folder)
        if key not in self._names:
            self._names[key] = frozenset(names_in(folder))
        return self._names[key]


class Missing:
    """Counts missing files by kind.

    Args:
        names: names of the files of all folders.
    """

    def __init__(self, names: FolderNames) -> None:
        self._names = names
        self._all: Counter[str] = Counter()
        self._missing: Counter[str] = Counter()
        self._example: dict[str, DataPath] = {}

    def look(self, kind: str, source: object) -> None:
        """Count a source, if it is a file."""
        if not isinstance(source, FileSource):
            return
        path = source.path
        self._all[kind] += 1
        if not self._names.has(path):
            self._missing[kind] += 1
            self._example.setdefault(kind, path)

    def problems(self) -> Iterator[Problem]:
        """One for each kind with missing files."""
        for kind, count in self._missing.items():
            path = self._example[kind]
            similar = self._names.similar(path)
            there = f"; {similar} is there" if similar else ""
            yield Problem(kind, f"{count} of {self._all[kind]} files are missing, for example {path}{there}")


class _Files(Survey):
    def __init__(self) -> None:
        self._missing = Missing(FolderNames())

    def see(self, frame: Frame) -> None:
        for sweep in frame.sweeps:
            self._missing.look(sweep.sensor, sweep.source)
        for view in frame.cameras:
            self._missing.look(view.name, view.source)

    def problems(self) -> Iterator[Problem]:
        yield from self._missing.problems()


RULE = Rule(
    id=_ID,
    severity="warning",
    title="The sweeps and images of all frames are there.",
    remedy="Complete the download, or unpack all archives into one root; `run` quarantines frames without their files "
    "and labels the others. If another suffix is there, convert the files or correct the names in the tables. "
    "Name sensors of a folder in its calibration file, or move away what is not to be read.",
    of_dataset=in_tables(_ID),
    survey=_Files,
)
