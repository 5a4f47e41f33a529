"""The range check of every configuration value."""

from __future__ import annotations

from pointsam.base.errors import SchemaError


def require(holds: bool, field: str, value: object, wanted: str) -> None:
    """Refuse a value of a configuration. Write the condition so that NaN fails it.

    Args:
        holds: whether the value is in range.
        field: dotted name of the field for `--set`, without the stage.
        value: the value.
        wanted: description of allowed values, for the hint.

    Raises:
        SchemaError: SCH005 unless it holds.
    """
    if not holds:
        raise SchemaError("SCH005", f"{field} is {value!r}", f"give {wanted}")
