"""What a calibration file that may not be complete says of names, times and columns, so that `init` follows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from pointsam.base.remote import DataPath
from pointsam.datasets.folder.calibration import TODO, Unit, raw_values
from pointsam.datasets.folder.drive import CLOUDS_IN, IMAGES_IN

Match = Literal["stamp", "index"]


@dataclass(frozen=True)
class Stated:
    """Fields of a calibration file. What it does not state, or states in another form, is left out: `check` names it.

    Args:
        file: name of the file.
        match: how files belong together.
        unit: of times in names; None if it is not stated.
        period_s: time between two indices; None if it is not stated.
        lidars: names of the LiDARs, in its order.
        columns: of the files of a LiDAR, by its name.
        offset_s: added to the stamps of a sensor, by IMAGES_IN or CLOUDS_IN and its name.
    """

    file: str
    match: Match = "stamp"
    unit: Unit | None = None
    period_s: float | None = None
    lidars: tuple[str, ...] = ()
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    offset_s: Mapping[tuple[str, str], float] = field(default_factory=dict)

    def times(self, listed: str | None) -> str:
        """How files belong together and what their times are, in words.

        Args:
            listed: name of the file that lists times; None if there is none.
        """
        if self.match == "stamp":
            return f"{self.file} takes names for times{'' if self.unit is None else f' in {self.unit}'}"
        if listed is not None:
            known = f"{listed} has their times"
        elif self.period_s is not None:
            known = f"they are {self.period_s:g} s apart (files.period_s)"
        else:
            known = "their times are not known (files.period_s or times.txt)"
        return f"{self.file} takes names for indices; {known}"


def stated_in(path: DataPath) -> Stated:
    """What a calibration file states.

    Raises:
        DatasetError: DAT004 if it is missing.
        CalibrationError: CAL003 if it is no YAML or JSON, or no mapping.
    """
    values = raw_values(path)
    files, lidars = _fields(values, "files"), _fields(values, "lidars")
    sensors = {(CLOUDS_IN, name): entry for name, entry in lidars.items()}
    sensors |= {(IMAGES_IN, name): entry for name, entry in _fields(values, "cameras").items()}
    offsets = {key: _number(_entry(entry).get("time_offset_s")) for key, entry in sensors.items()}
    unit: Unit | None = next((one for one in get_args(Unit) if one == files.get("unit")), None)
    return Stated(
        path.name,
        "index" if files.get("match") == "index" else "stamp",
        unit,
        _number(files.get("period_s")),
        tuple(lidars),
        {name: columns for name, entry in lidars.items() if (columns := _texts(_entry(entry).get("columns")))},
        {key: value for key, value in offsets.items() if value is not None},
    )


def _fields(values: Mapping[str, object], name: str) -> dict[str, object]:
    return {str(key): value for key, value in _entry(values.get(name)).items()}


def _entry(value: object) -> Mapping[object, object]:
    return value if isinstance(value, Mapping) else {}


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _texts(value: object) -> tuple[str, ...]:
    texts = tuple(one for one in value if isinstance(one, str) and one != TODO) if isinstance(value, list) else ()
    return texts if isinstance(value, list) and len(texts) == len(value) else ()
