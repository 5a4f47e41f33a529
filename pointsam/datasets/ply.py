"""Headers of PLY files (Stanford triangle format): the points are the element `vertex`.

Source: http://paulbourke.net/dataformats/ply/
"""

from __future__ import annotations

import numpy as np

from pointsam.datasets.headers import Encoding, Header, layout_of, malformed

MAGIC = (b"ply\n", b"ply\r\n")
_TYPES = {
    **{"char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4"},
    **{"float": "f4", "double": "f8", "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2"},
    **{"int32": "i4", "uint32": "u4", "float32": "f4", "float64": "f8", "int64": "i8", "uint64": "u8"},
}
_ENCODINGS: dict[str, tuple[Encoding, str]] = {
    "ascii": ("ascii", "<"),
    "binary_little_endian": ("binary", "<"),
    "binary_big_endian": ("binary", ">"),
}


def header(head: bytes, source: str) -> Header:
    """The header of a PLY file.

    Args:
        head: the first bytes of the file.
        source: name of the file, for errors.

    Raises:
        DatasetError: DAT006 if it is malformed or has no element `vertex` of plain numbers.
    """
    text, ending, _ = head.partition(b"end_header")
    start = head.find(b"\n", len(text)) + 1
    if not head.startswith(MAGIC) or not ending or not start:
        raise malformed(source, "it has no PLY header")
    try:
        return _header(text.decode("ascii", errors="replace").splitlines()[1:], start, source)
    except (LookupError, ValueError) as error:
        raise malformed(source, f"its PLY header is malformed ({error})") from error


def _header(lines: list[str], start: int, source: str) -> Header:
    encoding, order = _ENCODINGS["ascii"]
    elements: list[tuple[str, int, list[tuple[str, str]]]] = []
    for line in lines:
        match line.split():
            case ["format", form, *_]:
                encoding, order = _ENCODINGS[form]
            case ["element", name, count]:
                elements.append((name, _count(count), []))
            case ["property", "list", *_, name]:
                elements[-1][2].append((name, ""))
            case ["property", kind, name]:
                elements[-1][2].append((name, order + _TYPES[kind]))
    skipped_lines = 0
    for name, number, properties in elements:
        plain = all(kind for _, kind in properties)
        if name == "vertex" and plain:
            return Header(layout_of(properties, source), number, start, encoding, skipped_lines)
        if name == "vertex" or (encoding == "binary" and not plain):
            break
        skipped_lines += number
        if encoding == "binary":
            start += number * sum(np.dtype(kind).itemsize for _, kind in properties)
    raise malformed(source, "its PLY header has no element vertex of plain numbers, or lists before it")


def _count(word: str) -> int:
    if not (word.isascii() and word.isdecimal()):
        raise ValueError(f"{word!r} elements")
    return int(word)
