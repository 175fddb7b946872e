"""Options of a command from the dataclass that its use case takes: one declaration, no second list."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, Literal

import typer

from napari_lesion.core.parameters import ParameterField, parameter_fields


def with_parameters(**classes: type[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command one option for each described field of some parameter dataclasses.

    Parameters
    ----------
    **classes
        Dataclass by the name of the keyword argument that receives the instance; their fields must not share
        names with each other or with arguments of the command.

    Returns
    -------
    Callable
        A decorator. The command it makes has the signature that typer reads: its own arguments, without
        those that receive the dataclasses, then the options.
    """

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(function, eval_str=True)
        fields = {key: list(parameter_fields(cls)) for key, cls in classes.items()}

        @functools.wraps(function)
        def run(**values: Any) -> None:
            try:
                made = {
                    key: cls(**{field.name: values.pop(field.name) for field in fields[key]})
                    for key, cls in classes.items()
                }
            except ValueError as error:  # what the ranges of options cannot say, such as NaN
                raise typer.BadParameter(str(error)) from None
            function(**values, **made)

        kept = [
            parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for name, parameter in own.parameters.items()
            if name not in classes
        ]
        options = [_option(field) for group in fields.values() for field in group]
        run.__signature__ = own.replace(parameters=[*kept, *options])  # type: ignore[attr-defined]
        # typer resolves hints too: leave it none of the wrapped function's.
        run.__annotations__ = {p.name: p.annotation for p in (*kept, *options)}
        del run.__wrapped__
        return run

    return decorate


def _option(field: ParameterField) -> inspect.Parameter:
    """Keyword parameter that typer turns into the option of a field."""
    param = field.param
    kind = Literal[param.choices] if param.choices else field.type
    if field.default is None:
        kind = kind | None
    unit = f" ({param.unit})" if param.unit else ""
    option = typer.Option(
        f"--{field.name.replace('_', '-')}",
        help=f"{param.help}{unit}.",
        min=param.low,
        max=param.high,
        show_default=field.default is not None and field.default is not False,
    )
    return inspect.Parameter(
        field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=Annotated[kind, option]
    )
