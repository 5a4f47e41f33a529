"""Headers of PCD files (Point Cloud Library).

Source: https://pointclouds.org/documentation/tutorials/pcd_file_format.html
"""

from __future__ import annotations

from pointsam.datasets.headers import Encoding, Header, layout_of, malformed

MAGIC = (b"# .PCD", b"VERSION ")
_TYPES = {"F": (4, 8), "I": (1, 2, 4, 8), "U": (1, 2, 4, 8)}
_ENCODINGS: dict[str, Encoding] = {"ascii": "ascii", "binary": "binary", "binary_compressed": "compressed"}
_MOST_VALUES = 1000
_IDENTITY = [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]


def header(head: bytes, source: str) -> Header:
    """The header of a PCD file.

    Args:
        head: the first bytes of the file.
        source: name of the file, for errors.

    Raises:
        DatasetError: DAT006 if it is malformed.
    """
    entries: dict[str, list[str]] = {}
    place = 0
    while "DATA" not in entries:
        end = head.find(b"\n", place)
        if end < 0:
            raise malformed(source, "it has no PCD header")
        words = head[place:end].decode("ascii", errors="replace").split()
        place = end + 1
        if words and not words[0].startswith("#"):
            entries[words[0].upper()] = words[1:]
    try:
        return _header(entries, place, source)
    except (LookupError, ValueError) as error:
        raise malformed(source, f"its PCD header is malformed ({error})") from error


def _header(entries: dict[str, list[str]], start: int, source: str) -> Header:
    names = entries["FIELDS"]
    sizes = [int(word) for word in entries["SIZE"]]
    counts = [int(word) for word in entries.get("COUNT", ["1"] * len(names))]
    fields = []
    for name, kind, size, count in zip(names, entries["TYPE"], sizes, counts, strict=True):
        if size not in _TYPES[kind.upper()] or not 0 <= count <= _MOST_VALUES:
            raise ValueError(f"field {name} of type {kind}, size {size} and count {count}")
        fields += [(name, f"<{kind.lower()}{size}")] * count
    if "POINTS" in entries:
        points = int(entries["POINTS"][0])
    else:
        points = int(entries["WIDTH"][0]) * int(entries.get("HEIGHT", ["1"])[0])
    if points < 0:
        raise ValueError(f"{points} points")
    encoding = _ENCODINGS[entries["DATA"][0].lower()]
    return Header(
        layout_of(fields, source), points, start, encoding, viewpoint=_viewpoint(entries.get("VIEWPOINT", []))
    )


def _viewpoint(words: list[str]) -> str:
    """Position and quaternion w, x, y, z of the sensor; "" if they are the identity or missing."""
    try:
        identity = [float(word) for word in words] == _IDENTITY
    except ValueError:
        identity = False
    return "" if identity else " ".join(words)
