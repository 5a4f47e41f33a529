"""The cells of a sweep: kinds of calibration error, their sizes, and seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import ClassVar

from pipelines.documents import LabelDocument
from pointsam.base.config import parse
from pointsam.base.errors import SchemaError
from pointsam.calibration.perturb import CLEAN, Noise
from pointsam.stages.recipes import ClustersConfig


@dataclass(frozen=True)
class Kind:
    """One kind of calibration error.

    Args:
        unit: unit of the levels, as axes print it.
        field: the field of `Noise` that takes the level.
        levels: default sizes, in `unit`.
        how: other fields of `Noise`.
        drawn: whether the error depends on the seed; otherwise each level is one cell.
    """

    unit: str
    field: str
    levels: tuple[float, ...]
    how: Mapping[str, str]
    drawn: bool = True


_DEGREES, _METRES = (0.1, 0.25, 0.5, 1.0, 1.5, 2.0), (0.05, 0.1, 0.2, 0.3, 0.5)
KINDS: Mapping[str, Kind] = {
    "published": Kind("m, uniform on each axis", "translation_m", (0.05, 0.1), {"axis": "each", "law": "uniform"}),
    "rotation": Kind("degrees", "rotation_deg", _DEGREES, {}),
    "pitch": Kind("degrees", "rotation_deg", _DEGREES, {"axis": "x"}),
    "yaw": Kind("degrees", "rotation_deg", _DEGREES, {"axis": "y"}),
    "roll": Kind("degrees", "rotation_deg", _DEGREES, {"axis": "z"}),
    "translation": Kind("m", "translation_m", _METRES, {}),
    "time": Kind("ms", "time_ms", (10.0, 25.0, 50.0, 75.0, 100.0), {}, drawn=False),
    "focal": Kind("share of the focal length", "focal", (0.005, 0.01, 0.02, 0.05), {}),
    "center": Kind("px", "center_px", (5.0, 10.0, 20.0, 40.0), {}),
    "pose": Kind("m, at each exposure", "ego_m", _METRES, {}),
    "heading": Kind("degrees, at each exposure", "ego_deg", _DEGREES, {}),
    "dropped": Kind("cameras", "dropped", (1, 2, 3, 4, 5), {}),
}


@dataclass(frozen=True)
class Cell:
    """One calibration error of a sweep.

    Args:
        name: name of the cell, unique in the sweep.
        kind: "clean" or one of KINDS.
        level: size of the error, in the unit of its kind.
        noise: the error.
    """

    name: str
    kind: str
    level: float
    noise: Noise


@dataclass(frozen=True)
class NoiseDocument(LabelDocument):
    """Inputs and configuration of a sweep.

    Args:
        masks_keys: keys of the masks of each folder.
        config: configuration of the clusters stage.
        remask: whether the masks were made again for every cell.
        cells: the calibration errors.
    """

    stage: ClassVar[str] = "noise"

    masks_keys: tuple[str, ...]
    config: ClustersConfig
    remask: bool
    cells: tuple[Cell, ...]


def cells_of(
    kinds: Sequence[str], levels: Mapping[str, Sequence[float]], seeds: int, how: Noise = CLEAN
) -> tuple[Cell, ...]:
    """The clean cell, then a cell for every kind, level and seed.

    Args:
        kinds: keys of KINDS.
        levels: sizes of kinds that replace their default ones; 0 is the clean cell.
        seeds: number of seeds for each level of a kind that is drawn.
        how: fields that all cells share: scope, law, axis and first seed; fields of a kind take precedence.

    Raises:
        SchemaError: SCH005 on an unknown kind, on levels that are not sizes or of a kind that is not swept, and if
            `how` holds an error.
    """
    unknown = [name for name in (*kinds, *levels) if name not in KINDS]
    if unknown or not kinds:
        what = f"no kind of noise is named {', '.join(unknown)}" if unknown else "no kind of noise is given"
        raise SchemaError("SCH005", what, f"choose from {', '.join(KINDS)}")
    if how.text() != "none":
        hint = "give sizes as --levels; --noise sets how errors are drawn: scope, law, axis, seed"
        raise SchemaError("SCH005", f"--noise {how.text()}: a sweep starts from the true calibration", hint)
    idle = [name for name in levels if name not in kinds]
    if idle:
        raise SchemaError("SCH005", f"--levels of {', '.join(idle)}, which is not swept", f"add --kind {idle[0]}")
    cells = [Cell("clean", "clean", 0.0, how)]
    for name in dict.fromkeys(kinds):
        kind = KINDS[name]
        for level in _levels(name, levels.get(name, kind.levels)):
            size = int(level) if name == "dropped" else float(level)
            for seed in range(seeds if kind.drawn else 1):
                fields = {**asdict(how), **kind.how, "seed": how.seed + seed, kind.field: size}
                noise: Noise = parse(Noise, fields, f"--levels {name}={level:g}")
                cells.append(Cell(f"{name}={level:g}/{seed}", name, float(level), noise))
    return tuple(cells)


def _levels(name: str, levels: Sequence[float]) -> list[float]:
    """The levels other than 0, the clean calibration."""
    errors = [level for level in levels if level != 0]
    option = f"--levels {name}={','.join(f'{level:g}' for level in levels)}"
    if not errors or not all(0 < level < math.inf for level in errors):
        raise SchemaError(
            "SCH005", f"{option}: sizes must be finite and above 0", "give at least one; 0 is the clean one"
        )
    if len({f"{level:g}" for level in errors}) < len(errors):
        raise SchemaError("SCH005", f"{option}: two sizes are equal in six digits", "give each size once")
    if name == "dropped" and not all(float(level).is_integer() for level in errors):
        raise SchemaError("SCH005", f"{option}: not a number of cameras", "give whole numbers")
    return errors
