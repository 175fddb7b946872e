"""magicgui forms made from the parameter dataclasses of the use cases."""

from __future__ import annotations

import types
from dataclasses import replace
from typing import Any, Generic, TypeVar, Union, get_args, get_origin

from magicgui.widgets import Container, create_widget

from napari_lesion.core.parameters import ParameterField, parameter_fields

P = TypeVar("P")


class ParameterForm(Generic[P]):
    """A magicgui form of one parameter dataclass.

    Parameters
    ----------
    defaults
        Parameters to begin with.
    leave_out
        Fields that are chosen elsewhere.
    """

    def __init__(self, defaults: P, leave_out: tuple[str, ...] = ()) -> None:
        self._defaults = defaults
        self._unset: dict[str, float] = {}
        self.fields = [item for item in parameter_fields(type(defaults)) if item.name not in leave_out]
        self.widgets = {item.name: self._widget(item) for item in self.fields}
        self.container = Container(widgets=list(self.widgets.values()), labels=True)
        self.container.margins = (0, 0, 0, 0)

    @property
    def native(self) -> Any:
        """The Qt widget of the form."""
        return self.container.native

    def suggest(self, **values: float) -> None:
        """Show what is meant by a field that is not set: the model's own value."""
        for name, value in values.items():
            if name in self.widgets:
                self._unset[name] = value
                self.widgets[name].value = value

    def values(self) -> P:
        """Parameters as they stand in the form; a field left at its suggestion is not set."""
        chosen: dict[str, Any] = {}
        for name, widget in self.widgets.items():
            value = widget.value
            chosen[name] = None if self._unset.get(name) == value else value
        return replace(self._defaults, **chosen)  # type: ignore[type-var]

    def _widget(self, item: ParameterField) -> Any:
        kind, optional = _plain_type(item.type)
        param = item.param
        options: dict[str, Any] = {"tooltip": param.help}
        if param.choices:
            options["choices"] = param.choices
        elif kind in (int, float):
            options.update(
                {k: v for k, v in (("min", param.low), ("max", param.high), ("step", param.step)) if v is not None}
            )
        value = getattr(self._defaults, item.name)
        widget = create_widget(annotation=kind, name=item.name, label=item.label, options=options)
        if value is not None:
            widget.value = value
        elif optional:
            self._unset[item.name] = widget.value
        return widget


def _plain_type(kind: Any) -> tuple[Any, bool]:
    """Type without None, and whether None was allowed."""
    if get_origin(kind) in (Union, types.UnionType):
        kinds = [part for part in get_args(kind) if part is not type(None)]
        return kinds[0], True
    return kind, False
