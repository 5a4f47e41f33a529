"""Files of points in every format, written byte by byte: the same three rows, one of them without a position."""

import numpy as np

COLUMNS = ("x", "y", "z", "intensity")
ROWS = np.array([[1.5, -2.25, 3, 7], [np.nan, 1, 1, 9], [100, 0.5, -1, 255]], dtype="<f4")
READ = [[1.5, -2.25, 3, 7], [np.nan, np.nan, np.nan, 9], [100, 0.5, -1, 255]]

PCD = "# .PCD v0.7\nVERSION 0.7\nFIELDS {fields}\nSIZE {size}\nTYPE {type}\nCOUNT {count}\nWIDTH 3\nHEIGHT 1\n"
PCD += "VIEWPOINT 0 0 0 1 0 0 0\nPOINTS {points}\nDATA {data}\n"


def pcd(data, body, points=3, fields="x y z intensity", size="4 4 4 4", type_="F F F F", count="1 1 1 1"):
    header = PCD.format(fields=fields, size=size, type=type_, count=count, points=points, data=data)
    return header.encode() + body


def ply(form, body, vertices=3, properties=("float x", "float y", "float z", "float intensity"), before=""):
    lines = ["ply", f"format {form} 1.0", "comment made by hand", *before.splitlines(), f"element vertex {vertices}"]
    lines += [*(f"property {text}" for text in properties), "element face 0", "property list uchar int vertex_indices"]
    return "\n".join([*lines, "end_header", ""]).encode() + body


def text(rows):
    return "".join(" ".join(f"{value:g}" for value in row) + "\n" for row in rows).encode()


def mixed_row():
    """Rows as drivers write them: padding, integers, a time without a stated unit."""
    rows = np.zeros(3, dtype="<f4,<f4,<f4,<f4,<u1,<u2,<f8")
    for k in range(3):
        rows[f"f{k}"] = ROWS[:, k]
    rows["f4"], rows["f5"], rows["f6"] = [7, 9, 255], [0, 1, 2], 1.7e9
    return rows.tobytes()


MIXED = {
    "fields": "x y z _ reflectivity ring timestamp",
    "size": "4 4 4 4 1 2 8",
    "type_": "F F F F U U F",
    "count": "1 1 1 1 1 1 1",
}
AXES = "element axis 2\nproperty uchar a\nproperty ushort b"
FILES = {
    "raw.bin": ROWS.tobytes(),
    "raw.pcd.bin": ROWS.tobytes(),
    "binary.pcd": pcd("binary", ROWS.tobytes()),
    "capital.PCD": pcd("binary", ROWS.tobytes()),
    "windows.pcd": pcd("binary", b"").replace(b"\n", b"\r\n") + ROWS.tobytes(),
    "text.pcd": pcd("ascii", text(ROWS)),
    "mixed.pcd": pcd("binary", mixed_row(), **MIXED),
    "upper.pcd": pcd("binary", ROWS.tobytes(), fields="X Y Z Intensity"),
    "big.ply": ply("binary_big_endian", ROWS.astype(">f4").tobytes()),
    "little.ply": ply("binary_little_endian", ROWS.tobytes()),
    "text.ply": ply("ascii", text(ROWS)),
    "double.ply": ply(
        "binary_little_endian",
        ROWS.astype("<f8").tobytes(),
        properties=("double x", "double y", "float64 z", "double scalar_Intensity"),
    ),
    "after.ply": ply("binary_little_endian", bytes(6) + ROWS.tobytes(), before=AXES),
    "after_text.ply": ply("ascii", b"1 2\n3 4\n" + text(ROWS), before=AXES),
}
