"""Bugs of ours, told through napari's notifications, with a report that can be copied."""

from __future__ import annotations

import logging
import platform
import traceback
from collections.abc import Callable

from napari.utils.notifications import notification_manager
from qtpy.QtWidgets import QApplication

from napari_lesion import __version__

logger = logging.getLogger("napari_lesion")


def report_text(error: BaseException, doing: str) -> str:
    """What a maintainer needs to know: version, system, and the traceback; no name or path of a study."""
    trace = "".join(traceback.format_exception(error))
    head = f"napari-lesion {__version__}, Python {platform.python_version()}, {platform.platform()}"
    return f"{head}\nWhile: {doing}\n\n{trace}"


def report_bug(error: Exception, doing: str) -> None:
    """Show an exception that is not the user's fault, with its traceback and a button that copies the report."""
    logger.error("%s failed", doing, exc_info=error)
    text = report_text(error, doing)

    def copy(*_: object) -> None:
        clipboard = QApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(text)

    actions: tuple[tuple[str, Callable[..., None]], ...] = (("Copy report", copy),)
    error.actions = actions  # type: ignore[attr-defined]
    notification_manager.receive_error(type(error), error, error.__traceback__)
