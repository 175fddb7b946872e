"""Everything that correcting by hand needs in the dock, put together."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from qtpy.QtCore import QObject, QTimer

from napari_lesion.gui.actions import Action
from napari_lesion.gui.layers import LayerBridge
from napari_lesion.gui.painting import LayerPainter
from napari_lesion.gui.presenters.axes import AxesPresenter
from napari_lesion.gui.presenters.correct import CORRECT_ACTIONS, CorrectPresenter
from napari_lesion.gui.session import Session
from napari_lesion.gui.widgets.correct import CorrectPanel
from napari_lesion.gui.worker import QtJobRunner

__all__ = ["CORRECT_ACTIONS", "Correcting"]


class Correcting(QObject):
    """Connects the lesion layer, the correct panel and their presenter.

    The dock binds the keys of `callbacks`, and makes the layer read only while a job works on the labels.

    Parameters
    ----------
    session
        The open study.
    bridge
        The layers of the study; a lesion layer that it shows is painted in from then on.
    panel
        The correct panel.
    diameter_mm
        Diameter of the brush at first, mm.
    parent
        Owner of the timers and of the measuring jobs.
    """

    def __init__(
        self,
        session: Session,
        bridge: LayerBridge,
        panel: CorrectPanel,
        diameter_mm: float = 4.0,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._bridge = bridge
        self.painter = LayerPainter(bridge.viewer)
        self.runner = QtJobRunner(self)
        self.presenter = CorrectPresenter(session, self.painter, self.runner, panel, QTimer.singleShot)
        self.axes = AxesPresenter(session, bridge, panel, self.presenter.act)
        self._connect(panel)
        panel.set_diameter(diameter_mm)
        self.presenter.set_brush(diameter_mm)
        self.presenter.start()
        self._on_labels_shown(bridge.labels_layer)

    def callbacks(self) -> dict[Action, Callable[[], None]]:
        """What each action of the correct panel does, for the keys of the viewer."""
        return {action: partial(self.presenter.trigger, action.id) for action in CORRECT_ACTIONS}

    def close(self) -> None:
        """Stop listening to the viewer."""
        self.runner.abandon()
        self.painter.close()
        for signal, slot in self._axes_slots():
            signal.disconnect(slot)
        self._bridge.labels_shown.disconnect(self._on_labels_shown)

    def _connect(self, panel: CorrectPanel) -> None:
        painter, presenter = self.painter, self.presenter
        painter.stroke_going.connect(presenter.on_stroke_going)
        painter.stroke_ended.connect(presenter.on_stroke_ended)
        painter.pending.connect(self._on_pending)
        painter.painted.connect(presenter.on_painted)
        painter.replaced.connect(presenter.on_replaced)
        painter.undo_asked.connect(presenter.undo)
        painter.redo_asked.connect(presenter.redo)
        painter.editable_changed.connect(presenter.set_editable)
        painter.mode_changed.connect(presenter.on_mode)
        painter.brush_changed.connect(presenter.on_brush)
        panel.triggered.connect(presenter.trigger)
        panel.brush_edited.connect(presenter.set_brush)
        panel.reset_axes_clicked.connect(self.axes.reset)
        for signal, slot in self._axes_slots():
            signal.connect(slot)
        self._bridge.labels_shown.connect(self._on_labels_shown)

    def _axes_slots(self) -> tuple[tuple[Any, Callable[..., None]], ...]:
        """What follows what the user does with the axes."""
        axes, presenter = self._bridge.axes, self.presenter
        return (axes.moved, self.axes.move), (axes.undo_asked, presenter.undo), (axes.redo_asked, presenter.redo)

    def _on_pending(self) -> None:
        QTimer.singleShot(0, self.painter.flush)

    def _on_labels_shown(self, layer: Any) -> None:
        study, view = self._session.study, self._bridge.view
        if layer is None or study is None or view is None:
            self.painter.detach()
        else:
            self.painter.attach(layer, view, study.labels.array)
