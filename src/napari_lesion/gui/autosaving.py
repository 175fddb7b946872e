"""Autosave in the dock: the timer, and the line that offers kept work."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QObject, QTimer

from napari_lesion.gui.correcting import Correcting
from napari_lesion.gui.presenters.autosave import AutosavePresenter
from napari_lesion.gui.session import Session
from napari_lesion.gui.widgets.restore import RestoreBar
from napari_lesion.gui.worker import QtJobRunner
from napari_lesion.workflow.autosave import AutosaveStore

EVERY_MS = 30_000


class Autosaving(QObject):
    """Keeps the open study every 30 s and at each job's end, and offers to restore what was kept.

    Parameters
    ----------
    session
        The open study.
    correcting
        Knows the editor, and whether somebody paints.
    bar
        The line that offers kept work.
    busy
        Whether a job works on the labels just now.
    store
        Where work is kept; the user's store by default.
    """

    def __init__(
        self,
        session: Session,
        correcting: Correcting,
        bar: RestoreBar,
        busy: Callable[[], bool],
        store: AutosaveStore | None = None,
    ) -> None:
        super().__init__()
        self.runner = QtJobRunner(self)
        self.presenter = AutosavePresenter(
            session,
            store or AutosaveStore(),
            self.runner,
            bar,
            editor=lambda: correcting.presenter.editor,
            quiet=lambda: not correcting.painter.stroking and not busy(),
        )
        bar.restore_clicked.connect(self.presenter.restore)
        bar.forget_clicked.connect(self.presenter.discard)
        self._timer = QTimer(self)
        self._timer.setInterval(EVERY_MS)
        self._timer.timeout.connect(self.presenter.tick)
        self._timer.start()

    def close(self) -> None:
        """Keep the study a last time, and stop."""
        self._timer.stop()
        self.presenter.keep_now()
        self.runner.abandon()
