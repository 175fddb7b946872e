"""Metadata of parameter fields: one dataclass gives the form, the command-line options, the docs and run.json.

A field is declared as ``threshold: Annotated[float, Param(help="...", unit="", low=0, high=1)] = 0.5``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields
from typing import Annotated, Any, get_args, get_origin, get_type_hints


@dataclass(frozen=True)
class Param:
    """What a form, a command line and a page of docs need to know of one parameter.

    Parameters
    ----------
    help
        One sentence for the user.
    unit
        Unit of the value; empty when it has none.
    low, high, step
        Range and step of a number.
    choices
        Allowed values of a text.
    label
        Words before the input; made from the field's name when empty.
    """

    help: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    step: float | None = None
    choices: tuple[str, ...] = ()
    label: str = ""


@dataclass(frozen=True)
class ParameterField:
    """One described field of a parameter dataclass."""

    name: str
    type: Any
    default: Any
    param: Param

    @property
    def label(self) -> str:
        """Words before the input, with the unit."""
        words = self.param.label or self.name.replace("_", " ").capitalize()
        return f"{words} ({self.param.unit})" if self.param.unit else words


def parameter_fields(cls: type[Any]) -> Iterator[ParameterField]:
    """Described fields of a dataclass, in order; fields without a `Param` are left out."""
    hints = get_type_hints(cls, include_extras=True)
    for item in fields(cls):
        hint = hints[item.name]
        if get_origin(hint) is not Annotated:
            continue
        kind, *extras = get_args(hint)
        for extra in extras:
            if isinstance(extra, Param):
                default = None if item.default is MISSING else item.default
                yield ParameterField(item.name, kind, default, extra)


def check_ranges(parameters: Any) -> None:
    """Raise ValueError when a field of a parameter dataclass lies outside its declared range or choices."""
    for item in parameter_fields(type(parameters)):
        value, param = getattr(parameters, item.name), item.param
        if value is None:
            continue
        if param.choices and value not in param.choices:
            raise ValueError(f"{item.name} must be one of {', '.join(param.choices)}, not {value!r}")
        if isinstance(value, float) and math.isnan(value):
            raise ValueError(f"{item.name} must be a number")
        if param.low is not None and value < param.low:
            raise ValueError(f"{item.name} must be at least {param.low}, not {value}")
        if param.high is not None and value > param.high:
            raise ValueError(f"{item.name} must be at most {param.high}, not {value}")
