"""The `cells` table of a noise sweep: the quality of a frame's labels in a cell, with and without refinement."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from pointsam.base.arrays import FloatArray, IntArray
from pointsam.store.schema import STATUS, columns_to_table, list_of, required
from pointsam.types.validation import check_status

CELLS = pa.schema(
    [
        required("frame_id", pa.string()),
        *STATUS,
        required("cell", pa.string()),
        required("sar", pa.bool_()),
        required("tp", list_of(pa.int32())),
        required("fp", list_of(pa.int32())),
        required("fn", list_of(pa.int32())),
        required("iou_sum", list_of(pa.float64())),
        required("num_objects", pa.int32()),
        required("num_found", pa.int32()),
        required("object_iou_sum", pa.float64()),
    ]
)


@dataclass(frozen=True, eq=False)
class CellRow:
    """One row of `cells`: a frame in a cell. A quarantined frame has one row without a cell.

    Args:
        frame_id: id of the frame.
        cell: name of the cell, as the sweep's document lists it.
        sar: whether labels were refined.
        tp, fp, fn, iou_sum: (C,) counts of panoptic quality by class (pointsam.evaluate.panoptic).
        num_objects, num_found, object_iou_sum: class-agnostic counts (pointsam.evaluate.agnostic).
        status, error_code, error: as in `frames`.
    """

    frame_id: str
    cell: str
    sar: bool
    tp: IntArray
    fp: IntArray
    fn: IntArray
    iou_sum: FloatArray | IntArray
    num_objects: int
    num_found: int
    object_iou_sum: float
    status: str = "ok"
    error_code: str = ""
    error: str = ""

    def __post_init__(self) -> None:
        check_status(f"frame {self.frame_id}", self.status, self.error_code)


def cells_table(rows: Iterable[CellRow], metadata: Mapping[str, object]) -> pa.Table:
    """`cells`: one row per frame, cell and choice of refinement, in the order of `rows`."""
    records = [{name: getattr(row, name) for name in CELLS.names} for row in rows]
    return columns_to_table("cells", CELLS, records, metadata)
