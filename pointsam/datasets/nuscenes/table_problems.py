"""What `pointsam-label check` finds in nuScenes' tables apart from frames: sensors and fields that nothing reads."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from pointsam.base.remote import DataPath, read_bytes
from pointsam.datasets.base import TableProblem
from pointsam.datasets.nuscenes.index import Index
from pointsam.datasets.nuscenes.lenses import FIELDS
from pointsam.datasets.nuscenes.truth import is_known
from pointsam.datasets.nuscenes.versions import table_path

_MODALITIES = ("camera", "lidar", "radar")
_WIDE_LENSES = ("fisheye", "equidistant", "omni", "kannala")
_APART_US = 500_000


def unknown_categories(index: Index, samples: Sequence[int]) -> dict[str, int]:
    """Categories that nuScenes does not have -> number of boxes.

    Args:
        index: index of the tables.
        samples: rows of the samples whose boxes are counted.
    """
    names = index.strings("categories", "name").to_pylist()
    unknown = [row for row, name in enumerate(names) if not is_known(name)]
    if not unknown or not samples:
        return {}
    first, last = (index.numbers("samples", f"box_{end}")[samples] for end in ("first", "last"))
    category = index.numbers("boxes", "category")
    rows = np.concatenate([np.arange(*ends) for ends in zip(first, last, strict=True)])
    counts = np.bincount(category[rows], minlength=len(names))
    return {names[row]: int(counts[row]) for row in unknown if counts[row]}


def table_problems(folder: DataPath, index: Index) -> Iterator[TableProblem]:
    """Unknown sensors, lenses in fields that are not read, and samples whose time is not that of their sweep.

    Args:
        folder: the version folder.
        index: its index.
    """
    channels = {}
    for row in _rows(folder, "sensor"):
        channel, modality = str(row.get("channel")), str(row.get("modality"))
        channels[row.get("token")] = channel
        if modality.lower() not in _MODALITIES:
            yield TableProblem(
                "unknown-channels",
                f"{table_path(folder, 'sensor')}, {channel}",
                f"its modality is {modality!r}, which is none of {', '.join(_MODALITIES)}: it is not used",
            )
    yield from _other_lenses(folder, channels)
    yield from _without_images(folder, index, channels)
    yield from _times(folder, index)


def _rows(folder: DataPath, table: str) -> list[dict[str, object]]:
    rows = json.loads(read_bytes(table_path(folder, table), "table").removeprefix(b"\xef\xbb\xbf"))
    return [row for row in rows if isinstance(row, dict)]


def _other_lenses(folder: DataPath, channels: Mapping[object, str]) -> Iterator[TableProblem]:
    """Cameras whose lens is stated in fields that are not read, each channel once."""
    seen: Counter[tuple[str, str]] = Counter()
    values = {}
    for row in _rows(folder, "calibrated_sensor"):
        if row.get("camera_lens") == "fisheye" or _nonzero(row.get("camera_distortion")):
            continue
        for field, value in row.items():
            distorts = ("dist" in field.lower() or field == "D") and _nonzero(value)
            if field not in FIELDS and (distorts or _is_wide(value)):
                key = channels.get(row.get("sensor_token"), "?"), field
                seen[key] += 1
                values[key] = value
    for (channel, field), count in sorted(seen.items()):
        yield TableProblem(
            "camera-distortion",
            f"{table_path(folder, 'calibrated_sensor')}, {channel}",
            f"{field!r} is {json.dumps(values[channel, field]):.80} ({count} rows); this field is not read",
        )


def _is_wide(value: object) -> bool:
    """Whether a value names a lens that is no pinhole."""
    return isinstance(value, str) and any(lens in value.lower() for lens in _WIDE_LENSES)


def _nonzero(value: object) -> bool:
    if isinstance(value, Mapping):
        return any(map(_nonzero, value.values()))
    if isinstance(value, list):
        return any(map(_nonzero, value))
    return isinstance(value, int | float) and not isinstance(value, bool) and value != 0


def _without_images(folder: DataPath, index: Index, channels: Mapping[object, str]) -> Iterator[TableProblem]:
    """Cameras that no sample has a key frame of."""
    names = index.strings("calibrations", "channel").to_pylist()
    used = {names[row] for row in np.unique(index.numbers("images", "calibration"))}
    modality = {str(row.get("channel")): str(row.get("modality")).lower() for row in _rows(folder, "sensor")}
    for channel in sorted({name for name in channels.values() if modality[name] == "camera"} - used):
        yield TableProblem(
            "unknown-channels",
            f"{table_path(folder, 'sample_data')}, {channel}",
            "no row of this camera has is_key_frame: it is not used",
        )


def _times(folder: DataPath, index: Index) -> Iterator[TableProblem]:
    """Samples whose time differs from that of their sweep: speeds of objects are computed from it."""
    key = index.numbers("samples", "lidar")
    there, lidar = np.nonzero(key >= 0)
    apart = index.numbers("sweeps", "t_us")[key[there, lidar]] - index.numbers("samples", "t_us")[there]
    wrong = np.flatnonzero(np.abs(apart) > _APART_US)
    if len(wrong):
        token = index.strings("samples", "token")[int(there[wrong[0]])].as_py()
        yield TableProblem(
            "times",
            f"{table_path(folder, 'sample')}, row {token!r}",
            f"{len(wrong)} of {len(there)} key sweeps have a time more than 0.5 s from that of their sample; this one "
            f"{apart[wrong[0]] * 1e-6:+.4g} s",
        )
