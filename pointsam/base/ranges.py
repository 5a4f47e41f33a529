"""The range check of every configuration value."""

from __future__ import annotations

from pointsam.base.errors import SchemaError


def require(holds: bool, field: str, value: object, wanted: str) -> None:
    """Refuse a value, for `__post_init__` of the configurations; write conditions so that NaN does not hold.

    Args:
        holds: whether the value is in range.
        field: its dotted name as `--set` takes it, without the stage.
        value: as it was given.
        wanted: what to give instead.

    Raises:
        SchemaError: SCH005 unless it holds.
    """
    if not holds:
        raise SchemaError("SCH005", f"{field} is {value!r}", f"give {wanted}")
