"""The optional parts of a data set, as docs/plugins.md lists them."""

from pathlib import Path

from pointsam.datasets import base

PAGE = Path(__file__).resolve().parents[2] / "docs" / "plugins.md"


def test_every_optional_part_is_documented():
    parts = {name for name in vars(base) if name.startswith("Has")}
    assert len(parts) > 5
    page = PAGE.read_text(encoding="utf-8")
    assert sorted(name for name in parts if f"| `{name}` |" not in page) == []
