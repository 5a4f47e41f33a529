"""Draw the imports between the parts of the code as an SVG: the picture of docs/architecture.md.

    python scripts/draw_architecture.py docs/architecture.svg [--root .]

Imports are read with `ast`; nothing is imported. Rows are the layers that tests/test_layers.py enforces. An arrow
means "imports". An arrow that others imply is omitted. Equal sources give equal bytes.
"""

from __future__ import annotations

import argparse
import ast
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

Graph = Mapping[str, frozenset[str]]
Rows = Sequence[Sequence[str]]

_WIDTH, _BOX, _TALL, _STEP, _HEAD = 940, 112, 34, 82, 46
_STYLE = """
text { font: 14px sans-serif; fill: #1f2937; text-anchor: middle; dominant-baseline: central }
.title { font-weight: bold; text-anchor: start }
.note { font-size: 12px; fill: #4b5563; text-anchor: start }
.panel { fill: #f8fafc; stroke: #cbd5e1 }
.box { fill: #e0e7ff; stroke: #6366f1 }
.arrow { fill: none; stroke: #64748b; stroke-width: 1.4; marker-end: url(#head) }
""".strip()


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dest", type=Path)
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[1], help="root of the repository")
    args = parser.parse_args()
    args.dest.write_text(picture(args.root), encoding="utf-8", newline="\n")


def picture(root: Path) -> str:
    """The SVG of a checkout."""
    layers: Rows = _constant(root / "tests" / "test_layers.py", "LAYERS")
    units: Mapping[str, set[str]] = _constant(root / "tests" / "test_layers.py", "UNITS")
    upper, height = _panel("pipelines: the commands", root / "pipelines", _rows(units), 10)
    lower, end = _panel("pointsam: the library", root / "pointsam", layers[::-1], height + 44)
    middle = f'<path class="arrow" d="M{_WIDTH // 2},{height} v40"/>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {end + 10}" width="{_WIDTH}">\n'
        f"<title>Imports between the parts of the code</title>\n<style>\n{_STYLE}\n</style>\n"
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="#64748b"/></marker></defs>\n'
        f'<rect width="{_WIDTH}" height="{end + 10}" fill="#ffffff"/>\n{upper}\n{middle}\n{lower}\n</svg>\n'
    )


def imported(path: Path) -> Iterator[str]:
    """Dotted names of every import in a file, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def graph(package: Path) -> Graph:
    """Parts of a package (its modules and folders), and the other parts that each imports."""
    files: dict[str, list[Path]] = {}
    for path in sorted(package.rglob("*.py")):
        part = path.relative_to(package).parts[0].removesuffix(".py")
        files.setdefault(part, []).append(path)
    files.pop("__init__", None)
    found = {}
    for part, paths in files.items():
        names = [name.split(".") for path in paths for name in imported(path)]
        found[part] = frozenset({n[1] for n in names if n[0] == package.name and len(n) > 1} & files.keys() - {part})
    return found


def reduced(full: Graph) -> Graph:
    """The imports that no chain of others implies; pairs that import each other keep theirs."""

    def reach(start: str) -> set[str]:
        seen: set[str] = set()
        todo = [start]
        while todo:
            todo += full[todo.pop()] - seen
            seen.update(todo)
        return seen

    below = {part: reach(part) for part in full}
    return {
        part: frozenset(
            one
            for one in direct
            if part in full[one]
            or not any(one in below[other] and part not in below[other] for other in direct - {one})
        )
        for part, direct in full.items()
    }


def _panel(title: str, package: Path, rows: Rows, top: int) -> tuple[str, int]:
    """A frame with boxes and arrows, and its lower end."""
    full = graph(package)
    unplaced = full.keys() ^ {part for row in rows for part in row}
    if unplaced:
        raise SystemExit(f"{package.name}: {', '.join(sorted(unplaced))}: not both in the tree and in test_layers.py")
    links, at = reduced(full), _places(rows, full, top + _HEAD)
    bottom = top + _HEAD + _STEP * (len(rows) - 1) + _TALL + 16
    lines = [
        f'<rect class="panel" x="8" y="{top}" width="{_WIDTH - 16}" height="{bottom - top}" rx="6"/>',
        f'<text class="title" x="22" y="{top + 20}">{title}</text>',
    ]
    lines += [_arrow(at[part], at[other]) for part in at for other in sorted(links[part])]
    for part, (x, y) in at.items():
        lines.append(f'<rect class="box" x="{x}" y="{y}" width="{_BOX}" height="{_TALL}" rx="5"/>')
        lines.append(f'<text x="{x + _BOX // 2}" y="{y + _TALL // 2}">{part}</text>')
    return "\n".join(lines), bottom


def _places(rows: Rows, full: Graph, top: int) -> dict[str, tuple[int, int]]:
    """Upper left corner of every box: rows from the lowest up, each part above the parts that it imports."""
    at: dict[str, tuple[int, int]] = {}
    for level in reversed(range(len(rows))):
        row = rows[level]
        below = {part: [at[one][0] for one in full[part] if one in at] for part in row}
        ordered = sorted(row, key=lambda part: (sum(below[part]) / len(below[part]) if below[part] else 0, part))
        gap = (_WIDTH - 16 - _BOX * len(row)) // (len(row) + 1)
        for k, part in enumerate(ordered):
            at[part] = (8 + gap + k * (_BOX + gap), top + _STEP * level)
    return at


def _arrow(start: tuple[int, int], end: tuple[int, int]) -> str:
    """An arrow from the lower edge of a box to the upper edge of another, or between two boxes of a row."""
    if start[1] == end[1]:
        right = start[0] < end[0]
        x, to, y = start[0] + right * _BOX, end[0] + (not right) * _BOX, start[1] + _TALL // 2 + (4 if right else -4)
        return f'<path class="arrow" d="M{x},{y} L{to},{y}"/>'
    x, y, to, down = start[0] + _BOX // 2, start[1] + _TALL, end[0] + _BOX // 2, end[1]
    bend = (down - y) // 2
    return f'<path class="arrow" d="M{x},{y} C{x},{y + bend} {to},{down - bend} {to},{down}"/>'


def _rows(units: Mapping[str, set[str]]) -> Rows:
    """Units in rows, by the longest chain of importers above them."""
    depth: dict[str, int] = {}
    while len(depth) < len(units):
        above = {unit: {other for other, on in units.items() if unit in on} for unit in units.keys() - depth.keys()}
        depth |= {unit: 1 + max((depth[o] for o in by), default=-1) for unit, by in above.items() if by <= depth.keys()}
    return [sorted(unit for unit in units if depth[unit] == level) for level in range(max(depth.values()) + 1)]


def _constant(path: Path, name: str) -> Any:
    """The value of a constant of a file, without importing it."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and any(isinstance(to, ast.Name) and to.id == name for to in node.targets):
            return ast.literal_eval(node.value)
    raise SystemExit(f"{path}: no {name}")


if __name__ == "__main__":
    main()
