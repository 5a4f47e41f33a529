"""The training log of a run: a table and TensorBoard events."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from pointsam.base.errors import StoreError
from pointsam.base.files import require_file, store_errors, write_together
from pointsam.detect.train import StepReport


class TrainingLog:
    """losses.csv and TensorBoard events of a run folder.

    Args:
        out: folder of the run.
        step: number of steps done; later entries of an earlier call are removed, because their steps are repeated.
        writes: False in all processes but the first.

    Raises:
        StoreError: OUT004 on entry if losses.csv is damaged.
    """

    def __init__(self, out: Path, step: int, writes: bool) -> None:
        self._path, self._events, self._step, self._writes = out / "losses.csv", out / "events", step, writes
        self._file: TextIO | None = None

    def __enter__(self) -> TrainingLog:
        if self._writes:
            from torch.utils.tensorboard import SummaryWriter

            self._csv: csv.DictWriter[str] | None = None
            with store_errors(self._path.parent, 0):
                kept = io.StringIO(newline="")
                for row in _rows_until(self._path, self._step) if self._path.exists() else []:
                    self._write(kept, row)
                write_together([(self._path, kept.getvalue().encode())])
                file = self._file = self._path.open("a", newline="", buffering=1, encoding="utf-8")
                if self._csv is not None:
                    self._csv = csv.DictWriter(file, self._csv.fieldnames)
                self._board = SummaryWriter(str(self._events), purge_step=self._step + 1)
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            with store_errors(self._path.parent, 0):
                self._file.close()
                self._board.close()

    def step(self, report: StepReport) -> None:
        """Write one row, and one event per value."""
        if self._file is None:
            return
        values = {**report.losses, "learning_rate": report.learning_rate, "grad_norm": report.grad_norm}
        timing = {"seconds": round(report.seconds, 4), "data_seconds": round(report.data_seconds, 4)}
        with store_errors(self._path.parent, 0):
            self._write(self._file, {"step": report.step, "epoch": report.epoch, **values, **timing})
            for name, value in values.items():
                self._board.add_scalar(name.replace(" ", "_"), value, report.step)

    def validated(self, step: int, values: Mapping[str, float]) -> None:
        """Write the results of a validation as events."""
        if self._file is not None:
            with store_errors(self._path.parent, 0):
                for name, value in values.items():
                    self._board.add_scalar(name, value, step)

    def _write(self, file: TextIO, row: Mapping[str, object]) -> None:
        if self._csv is None:
            self._csv = csv.DictWriter(file, list(row))
            self._csv.writeheader()
        self._csv.writerow(row)


def _rows_until(path: Path, step: int) -> list[dict[str, str]]:
    """Whole rows of a log up to a step.

    Raises:
        StoreError: OUT004 if the file is no text.
    """
    require_file(path)
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (UnicodeDecodeError, csv.Error) as error:
        raise StoreError(
            "OUT004", f"{path} is damaged: {error}", "delete it; the run continues without the losses so far"
        ) from error
    return [
        row
        for row in rows
        if row.get("step", "").isdecimal() and int(row["step"]) <= step and None not in row and None not in row.values()
    ]
