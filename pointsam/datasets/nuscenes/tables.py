"""Reads nuScenes' JSON tables row by row: a table of gigabytes needs only the memory of one block."""

from __future__ import annotations

import math
import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Iterator, Mapping
from operator import itemgetter
from typing import BinaryIO, TypeVar, get_origin, get_type_hints

import ijson

from pointsam.base.errors import DatasetError
from pointsam.base.remote import READ_ERRORS, DataPath, unreadable
from pointsam.datasets.nuscenes.versions import table_path

R = TypeVar("R")

_BLOCK_BYTES = 1 << 15
_MAX_ROW_BYTES = 1 << 22
_MAX_DEPTH = 1000
_MAX_NUMBER_BYTES = 400
_ESCAPED = re.compile(rb"\\.", re.DOTALL)
_LONG_DIGITS = 19
"""An integer of fewer digits fits into 64 bits."""
_STRING_OR_UNREADABLE = re.compile(
    rb'"[^"\\]*(?:\\.[^"\\]*)*"?|(?<![\w.+-])-?(?:NaN|Infinity|\d{%d,})(?![\w.])' % _LONG_DIGITS, re.DOTALL
)
_DIGITS = bytes.maketrans(b"123456789,:[ \t\r\n-", b"000000000________")
_LONG_INTEGER = b"_" + b"0" * _LONG_DIGITS
"""What a long integer outside of strings looks like after a translation with `_DIGITS`."""


def read_rows(folder: DataPath, table: str, kind: Callable[..., R]) -> Iterator[R]:
    """The rows of one table, in file order.

    Args:
        folder: the version folder.
        table: its name, without `.json`.
        kind: class of a row (`schema`). Its annotations define the fields that are read and the types of their JSON
            values. A field of a named tuple that has a default may be null, or absent from a row.

    Raises:
        DatasetError: DAT004 if the table cannot be read; DAT011 naming file and row on malformed JSON, or file, row
            and field on a field that is missing or of another type.
    """
    path = table_path(folder, table)
    fields = {name: get_origin(hint) or hint for name, hint in get_type_hints(kind).items()}
    defaults: Mapping[str, object] = getattr(kind, "_field_defaults", {})
    pick, types = itemgetter(*fields), tuple(fields.values())
    try:
        with path.open("rb") as file:
            for number, row in enumerate(_objects(file, path)):
                if not isinstance(row, dict):
                    raise _malformed(path, number, "is not a JSON object")
                if defaults:
                    row = {**defaults, **row}
                try:
                    values = pick(row)
                except KeyError:
                    raise _wrong_field(path, number, row, fields) from None
                if tuple(map(type, values)) != types:
                    row.update({name: value for name, value in defaults.items() if row[name] is None})
                    values = pick(row)
                    if tuple(map(type, values)) != types:
                        raise _wrong_field(path, number, row, fields)
                yield kind(*values)
    except READ_ERRORS as error:
        raise unreadable("table", str(path), error) from error


def _wrong_field(path: DataPath, number: int, row: Mapping[str, object], fields: Mapping[str, type]) -> DatasetError:
    name = next(name for name, kind in fields.items() if type(row.get(name)) is not kind)
    found = f"is {row[name]!r:.80}" if name in row else "is missing"
    what = f"(token {row.get('token')!r}): field {name!r} {found}, expected {fields[name].__name__}"
    return _malformed(path, number, what)


def _malformed(path: DataPath, number: int, what: str) -> DatasetError:
    return DatasetError("DAT011", f"{path}, row {number} {what}", "write the table as nuScenes defines it")


def _objects(file: BinaryIO, path: DataPath) -> Iterator[object]:
    """The items of a file's one JSON list, decoded one at a time."""
    start = file.read(len(BOM_UTF8))
    if start[:2] in (BOM_UTF16_LE, BOM_UTF16_BE):
        raise DatasetError("DAT011", f"{path} is written in UTF-16", "write the tables in UTF-8")
    begin = len(BOM_UTF8) if start == BOM_UTF8 else 0
    file.seek(begin)
    source = _Source(file)
    try:
        if next(ijson.basic_parse(source, buf_size=_BLOCK_BYTES))[0] != "start_array":
            raise ijson.JSONError("the file is not a list")
        file.seek(begin)
        source = _Source(file)
        for item in ijson.items(source, "item", use_float=True, buf_size=_BLOCK_BYTES):
            source.end_row()
            yield item
    except ijson.JSONError as error:
        reason = str(error).removeprefix("b'").replace("\\n", "\n").partition("\n")[0]  # the rest quotes the file
        raise DatasetError(
            "DAT011",
            f"{path} is malformed after {source.rows:,} rows: {reason}",
            "the file may be truncated or wrongly edited: a table is one JSON list of objects; unpack it again",
        ) from None


class _Source:
    """A file as ijson reads it. ijson limits neither length nor depth of a row, and rejects a table for one number.

    Python writes NaN, Infinity and integers of any size; ijson reads none beyond 64 bits. Outside of strings, a long
    integer is replaced by the float, and what is not finite by null, so that the check of the frame names the row.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.rows = self._num_bytes = self._depth = 0
        self._open = b""

    def end_row(self) -> None:
        """Count a row, and begin the next one."""
        self.rows += 1
        self._num_bytes = self._depth = 0

    def read(self, size: int) -> bytes:
        """The next block of about `size` bytes. It does not end within what is replaced."""
        begun, block = self._open, self._file.read(size)
        self._open = _open_string(begun + block)
        if not self._open and _in_word(block):
            for _ in range(_MAX_NUMBER_BYTES):
                block += (last := self._file.read(1))
                if not _in_word(last):
                    break
            self._open = b'"' * block.endswith(b'"')
        if b"NaN" in block or b"Infinity" in block or _LONG_INTEGER in (b" " + block).translate(_DIGITS):
            block = _STRING_OR_UNREADABLE.sub(_readable, begun + block)[len(begun) :]
        self._num_bytes += len(block)
        self._depth += sum(map(block.count, (b"[", b"{"))) - sum(map(block.count, (b"]", b"}")))
        if self._num_bytes > _MAX_ROW_BYTES or self._depth > _MAX_DEPTH:
            raise ijson.JSONError("a row without end")
        return block


def _open_string(text: bytes) -> bytes:
    """The quote of a string that a text leaves open, with the backslash of an escape that it leaves open."""
    bare = _ESCAPED.sub(b"", text) if b"\\" in text else text
    return b'"' * (bare.count(b'"') % 2) + b"\\" * bare.endswith(b"\\")


def _in_word(text: bytes) -> bool:
    return text[-1:].isalnum() or text[-1:] in (b"-", b"+", b".")


def _readable(match: re.Match[bytes]) -> bytes:
    text = match[0]
    if text.startswith(b'"'):
        return text
    value = float(text)
    if not math.isfinite(value):
        return b"null"
    return text if abs(value) < 2**63 else repr(value).encode()
