"""Reads nuScenes' JSON tables row by row, so that a table of gigabytes needs the memory of one block."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from operator import itemgetter
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn, TextIO

from pointsam.base.errors import DatasetError

_BLOCK_CHARS = 1 << 22
_SPACE = re.compile(r"[ \t\r\n]*")


def table_path(folder: Path, table: str) -> Path:
    """Where a version folder keeps a table."""
    return folder / f"{table}.json"


def read_rows(
    folder: Path, table: str, fields: Mapping[str, type], optional: Mapping[str, Any] = MappingProxyType({})
) -> Iterator[tuple[Any, ...]]:
    """The rows of one table, each as the tuple of `fields`' values, in file order.

    Args:
        folder: the version folder.
        table: its name, without `.json`.
        fields: field name -> the Python type that its JSON value must have; other fields of a row are ignored.
        optional: what stands in for those of the fields that a row may lack.

    Raises:
        DatasetError: DAT004 if the table cannot be read; DAT011 naming file and offset on malformed JSON, or file,
            row and field on a field that is missing or of another type.
    """
    path = table_path(folder, table)
    pick = itemgetter(*fields) if len(fields) > 1 else lambda row: (row[next(iter(fields))],)
    kinds = tuple(fields.values())
    try:
        with path.open(encoding="utf-8") as file:
            for number, row in enumerate(_objects(file, path)):
                try:
                    for name, value in optional.items():
                        row.setdefault(name, value)
                    values = pick(row)
                except (KeyError, TypeError, AttributeError):
                    _refuse_row(path, number, row, fields)
                if tuple(map(type, values)) != kinds:
                    _refuse_row(path, number, row, fields)
                yield values
    except OSError as error:
        raise DatasetError("DAT004", f"cannot read {path}: {error.strerror}", "restore the table") from error
    except UnicodeDecodeError as error:
        raise DatasetError("DAT011", f"{path} is not UTF-8 text: {error}", "unpack the tables again") from error


def _refuse_row(path: Path, number: int, row: Any, fields: Mapping[str, type]) -> NoReturn:
    what = "is not a JSON object"
    if isinstance(row, dict):
        name = next(name for name, kind in fields.items() if type(row.get(name)) is not kind)
        found = f"is {row[name]!r:.80}" if name in row else "is missing"
        what = f"(token {row.get('token')!r}): field {name!r} {found}, expected {fields[name].__name__}"
    raise DatasetError("DAT011", f"{path}, row {number} {what}", "write the table as nuScenes' schema says") from None


def _objects(file: TextIO, path: Path) -> Iterator[Any]:
    """The items of a file's one JSON list, decoded one at a time."""
    decode = json.JSONDecoder().raw_decode
    text = _Window(file, path)
    text.expect("[")
    if text.peek() == "]":
        return text.end()
    while True:
        text.peek()
        try:
            item, stop = decode(text.chars, text.at)
        except (ValueError, RecursionError) as error:
            # The row may go on in the next block; one that is longer than a whole block is no row.
            if len(text.chars) - text.at > _BLOCK_CHARS or not text.grow():
                text.refuse(getattr(error, "pos", text.at), getattr(error, "msg", "nested too deep"))
            continue
        text.at = stop
        yield item
        if text.peek() == "]":
            return text.end()
        text.expect(",")


class _Window:
    """The part of a text file around a reading position."""

    def __init__(self, file: TextIO, path: Path) -> None:
        self._file, self._path = file, path
        self.chars, self.at, self._before = "", 0, 0

    def grow(self) -> bool:
        """Drop what was read and add a block; False, with nothing moved, at the end of the file."""
        block = self._file.read(_BLOCK_CHARS)
        if block:
            self.chars, self._before, self.at = self.chars[self.at :] + block, self._before + self.at, 0
        return bool(block)

    def peek(self) -> str:
        """The next character that is not white space, "" at the end of the file."""
        while True:
            # The pattern matches the empty string, so there always is a match.
            self.at = _SPACE.match(self.chars, self.at).end()  # type: ignore[union-attr]
            if self.at < len(self.chars):
                return self.chars[self.at]
            if not self.grow():
                return ""

    def expect(self, char: str) -> None:
        """Step over `char`."""
        if self.peek() != char:
            self.refuse(self.at, f"expected {char!r}")
        self.at += 1

    def end(self) -> None:
        """Step over the closing bracket, behind which nothing may stand."""
        self.at += 1
        if self.peek():
            self.refuse(self.at, "text after the end of the list")

    def refuse(self, at: int, why: str) -> NoReturn:
        raise DatasetError(
            "DAT011",
            f"{self._path} is malformed at character {self._before + at}: {why}",
            "the file may be cut short or badly edited: a table is one JSON list of objects; unpack it again",
        ) from None
