"""Writes a Parquet file with one row per true object and per cluster: outcome, best IoU and properties."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pointsam.base.files import replacing, store_errors
from pointsam.evaluate.judge import FrameVerdict

_ROWS_A_GROUP = 50_000
_SCHEMA = pa.schema(
    [
        ("frame_id", pa.string()),
        ("kind", pa.string()),  # object or cluster
        ("id", pa.int32()),  # instance_id of the ground truth, or cluster_id
        ("class_name", pa.string()),
        ("num_points", pa.int32()),
        ("best_iou", pa.float32()),
        ("outcome", pa.string()),  # TP, FP, FN; "" for an unmatched segment too small to count
        ("confidence", pa.float32()),
        ("probability", pa.float32()),  # null in labels without it
        ("range", pa.string()),
        ("visibility", pa.string()),
        ("cameras", pa.list_(pa.string())),
        ("num_points_grown", pa.int32()),  # of clusters
    ]
)


class VerdictWriter:
    """Writes verdicts one after another; only one row group is in memory.

    Args:
        writer: writer of the file.
    """

    def __init__(self, writer: pq.ParquetWriter) -> None:
        self._writer = writer
        self._tables: list[pa.Table] = []
        self._rows = 0

    def add(self, verdict: FrameVerdict) -> None:
        """Add the rows of one frame."""
        seen, names = verdict.seen, verdict.class_names
        of_objects, of_clusters = outcomes_of(verdict)
        sides = (
            (
                "object",
                (seen.true_id, seen.true_class, seen.true_size, verdict.object_iou),
                of_objects,
                ([None] * len(seen.true_id),) * 3,
                "objects",
            ),
            (
                "cluster",
                (seen.pred_id, seen.pred_class, seen.pred_size, verdict.cluster_iou),
                of_clusters,
                (
                    verdict.confidence,
                    [None if math.isnan(value) else value for value in verdict.probability.tolist()],
                    verdict.num_grown,
                ),
                "clusters",
            ),
        )
        for kind, (ids, classes, sizes, iou), outcome, (confidence, probability, num_grown), side in sides:
            count = len(ids)
            columns = [
                [verdict.frame_id] * count,
                [kind] * count,
                ids,
                [names[k] for k in classes],
                sizes,
                iou,
                outcome,
                confidence,
                probability,
                _first(verdict, "range", side, count),
                _first(verdict, "visibility", side, count),
                _all(verdict, "camera", side, count),
                num_grown,
            ]
            arrays = [pa.array(column, type=field.type) for column, field in zip(columns, _SCHEMA, strict=True)]
            self._tables.append(pa.table(arrays, schema=_SCHEMA))
            self._rows += count
        if self._rows >= _ROWS_A_GROUP:
            self.flush()

    def flush(self) -> None:
        """Write the rows in memory."""
        if self._tables:
            self._writer.write_table(pa.concat_tables(self._tables))
        self._tables, self._rows = [], 0


def _all(verdict: FrameVerdict, dimension: str, side: str, count: int) -> list[list[str]]:
    if dimension not in verdict.members:
        return [[] for _ in range(count)]
    names = verdict.bins[dimension]
    rows = getattr(verdict.members[dimension], side)
    return [[name for name, inside in zip(names, row, strict=True) if inside and name != "none"] for row in rows]


def _first(verdict: FrameVerdict, dimension: str, side: str, count: int) -> list[str | None]:
    return [found[0] if found else None for found in _all(verdict, dimension, side, count)]


def outcomes_of(verdict: FrameVerdict) -> tuple[list[str], list[str]]:
    """TP, FN or "" for every true object, and TP, FP or "" for every cluster."""
    return (
        _outcome(verdict.matched_objects, verdict.missed, "FN"),
        _outcome(verdict.matched_clusters, verdict.false_alarm, "FP"),
    )


def _outcome(matched: NDArray[np.bool_], wrong: NDArray[np.bool_], name: str) -> list[str]:
    outcome: list[str] = np.where(matched, "TP", np.where(wrong, name, "")).tolist()
    return outcome


@contextmanager
def verdict_writer(path: Path) -> Iterator[VerdictWriter]:
    """Write a file of verdicts atomically: it appears only when it is complete.

    Args:
        path: path of the file.

    Raises:
        StoreError: OUT002 or OUT003 if it cannot be written.
    """
    with (
        store_errors(path.parent, 0),
        replacing(path) as temporary,
        pq.ParquetWriter(temporary, _SCHEMA, compression="zstd") as writer,
    ):
        verdicts = VerdictWriter(writer)
        yield verdicts
        verdicts.flush()
