"""Values of DICOM attributes as plain text and numbers; what is absent or damaged reads as nothing."""

from __future__ import annotations

import math
from typing import Any


def value_of(dataset: Any, name: str) -> Any:
    """Value of an attribute; None when it is absent or cannot be read."""
    try:
        return dataset.get(name)
    except Exception:  # noqa: BLE001 - a single damaged element reads as absent
        return None


def values_of(dataset: Any, name: str) -> list[Any]:
    """Values of an attribute, whether it holds one, several or none."""
    value = value_of(dataset, name)
    if value is None:
        return []
    return [value] if isinstance(value, (str, int, float)) else list(value)


def text_of(dataset: Any, name: str) -> str:
    """Value as text without padding; empty when the attribute is absent."""
    value = value_of(dataset, name)
    return "" if value is None else str(value).strip("\0 \r\n\t")


def number_of(dataset: Any, name: str) -> float:
    """The one finite number of an attribute, else NaN."""
    numbers = numbers_of(dataset, name, 1)
    return numbers[0] if numbers else math.nan


def whole_of(dataset: Any, name: str) -> int | None:
    """The same as a whole number, else None."""
    number = number_of(dataset, name)
    return int(number) if math.isfinite(number) else None


def numbers_of(dataset: Any, name: str, count: int) -> tuple[float, ...] | None:
    """Exactly so many finite numbers, else None."""
    try:
        numbers = tuple(float(value) for value in values_of(dataset, name))
    except (TypeError, ValueError):
        return None
    return numbers if len(numbers) == count and all(map(math.isfinite, numbers)) else None
