"""Which LiDARs of nuScenes' tables are read."""

from __future__ import annotations

from collections.abc import Iterable

from pointsam.base.errors import DatasetError
from pointsam.base.remote import DataPath
from pointsam.base.words import nearest
from pointsam.datasets.nuscenes import schema
from pointsam.datasets.nuscenes.versions import table_path

LIDAR = "LIDAR_TOP"
"""Channel of the LiDAR of nuScenes."""


def lidar_channels(folder: DataPath, sensors: Iterable[schema.Sensor], wanted: str | None) -> tuple[str, ...]:
    """The channels of the LiDARs whose points are labelled, the reference LiDAR first.

    Args:
        folder: the version folder, for messages.
        sensors: rows of its sensor table.
        wanted: the channels that the user named, with commas between them; None for LIDAR_TOP, or for the only one.

    Raises:
        DatasetError: DAT010 on an unknown channel or one that is named twice, or if there are several LiDARs, none is
            LIDAR_TOP and none is named.
    """
    rows = list(sensors)
    lidars = sorted({row.channel for row in rows if row.modality.lower() == "lidar" or row.channel == LIDAR})
    named = () if wanted is None else tuple(name.strip() for name in wanted.split(","))
    if wanted is None and (LIDAR in lidars or len(lidars) == 1):
        named = (LIDAR if LIDAR in lidars else lidars[0],)
    unknown = [name for name in named if name not in lidars]
    table = table_path(folder, "sensor")
    if named and not unknown:
        if len(set(named)) < len(named):
            raise DatasetError("DAT010", f"{table}: --lidar {wanted} names a LiDAR twice", "name each LiDAR once")
        return named
    if not lidars:
        other = ", ".join(sorted({row.channel for row in rows})) or "none"
        raise DatasetError(
            "DAT010", f"{table}: no sensor is a LiDAR; the channels are {other}", "give its sensor the modality lidar"
        )
    best = nearest(unknown[0] if unknown else LIDAR, lidars) or lidars[0]
    what = f"no LiDAR is called {unknown[0]!r}; the LiDARs are" if unknown else "several LiDARs:"
    raise DatasetError("DAT010", f"{table}: {what} {', '.join(lidars)}", f"name one or more of them: --lidar {best}")
