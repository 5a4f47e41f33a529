"""The range check of every configuration value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

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


def require_between(config: object, prefix: str, low: float, high: float, names: Iterable[str]) -> None:
    """Refuse fields of a configuration whose numbers are out of a range.

    Args:
        config: the configuration; a field is a number, several numbers in a tuple or a dict, or None, which is allowed.
        prefix: dotted name of the configuration for `--set`.
        low: smallest number.
        high: largest number.
        names: names of the fields.

    Raises:
        SchemaError: SCH005 naming the first of them.
    """
    for name in names:
        value = getattr(config, name)
        numbers = value.values() if isinstance(value, Mapping) else value if isinstance(value, tuple) else (value,)
        within = all(number is None or low <= number <= high for number in numbers)
        require(within, f"{prefix}.{name}", value, f"{low:g} to {high:.10g}")
