"""The line that offers work which was kept from an earlier session."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QMessageBox, QWidget

from napari_lesion.core.errors import LesionError
from napari_lesion.gui.actions import Action
from napari_lesion.gui.widgets.parts import button, column, line, row, say

RESTORE = Action("restore", "Restore", "Shift+Z", "Put the kept masks, decisions and threshold into the open study")
FORGET = Action("forget", "Forget", "Shift+F", "Delete the kept work on this study")


class RestoreBar(QWidget):
    """Offer, restore, forget. Implements `RestoreView`; hidden while there is nothing to offer."""

    restore_clicked = Signal()
    forget_clicked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        layout = column(self)
        self.offer = line("caution", wrap=True)
        self.error = line("error", wrap=True)
        self.restore = button(RESTORE)
        self.forget = button(FORGET)
        layout.addWidget(self.error)
        layout.addWidget(self.offer)
        layout.addLayout(row(1, self.restore, self.forget))
        self.restore.clicked.connect(self.restore_clicked)
        self.forget.clicked.connect(self.forget_clicked)
        say(self.error, "")
        self.show_offer("")

    def show_offer(self, sentence: str) -> None:
        """Offer to restore; an empty sentence takes the offer back."""
        say(self.offer, sentence)
        for widget in (self.restore, self.forget):
            widget.setVisible(bool(sentence))
        if sentence:
            say(self.error, "")
        self.setVisible(bool(sentence))

    def show_error(self, error: LesionError) -> None:
        """Show why nothing is kept, or was not restored."""
        say(self.error, error.message)
        self.setVisible(True)

    def confirm_replace(self, lesions: int) -> bool:
        """Ask whether the lesions that are there now may be replaced."""
        words = "1 lesion that is" if lesions == 1 else f"{lesions} lesions that are"
        answer = QMessageBox.question(
            self, "Restore kept work", f"Restoring replaces the {words} in the table now. Restore?"
        )
        return bool(answer == QMessageBox.StandardButton.Yes)

    def confirm_forget(self, studies: int, nbytes: int) -> bool:
        """Ask whether all kept work may be deleted; says so when there is none."""
        title = "Forget all kept work"
        if not studies:
            QMessageBox.information(self, title, "No work is kept on this computer.")
            return False
        words = "1 study" if studies == 1 else f"{studies} studies"
        size = max(1, round(nbytes / 2**20))
        question = f"Delete the kept work on {words} ({size} MB) from this computer? Exported files stay."
        return bool(QMessageBox.question(self, title, question) == QMessageBox.StandardButton.Yes)
