"""Model cards, read inside the program: Markdown of strangers, so that neither HTML nor anything remote is shown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt, QUrl
from qtpy.QtGui import QDesktopServices, QTextCursor, QTextDocument
from qtpy.QtWidgets import QComboBox, QDialog, QTextBrowser, QVBoxLayout, QWidget

from napari_lesion.gui.widgets.parts import line, say
from napari_lesion.workflow.models import ModelCard, read_model_card

SIZE = (760, 820)
FEATURES = QTextDocument.MarkdownFeature.MarkdownDialectGitHub | QTextDocument.MarkdownFeature.MarkdownNoHTML


class CardBrowser(QTextBrowser):
    """Shows one card; pictures come from its own folder only."""

    def __init__(self) -> None:
        super().__init__()
        self._card: ModelCard | None = None
        self.setOpenLinks(False)
        self.anchorClicked.connect(self._follow)

    def show_card(self, card: ModelCard) -> None:
        """Show a card from its beginning."""
        self._card = card
        self.document().setMarkdown(card.text, FEATURES)
        wrap_code(self.document())
        self.moveCursor(QTextCursor.MoveOperation.Start)

    def loadResource(self, kind: int, url: QUrl) -> Any:
        """Pictures beside the card; nothing else, and nothing remote."""
        name = url.path() if url.isLocalFile() or url.isRelative() else ""
        path = self._card.beside(name) if self._card is not None else None
        if path is None:
            return None
        return super().loadResource(kind, QUrl.fromLocalFile(str(path)))

    def _follow(self, url: QUrl) -> None:
        """Scroll to a heading; hand a web address to the browser of the system."""
        if url.scheme() in ("http", "https"):
            QDesktopServices.openUrl(url)
        elif url.fragment():
            self.scrollToAnchor(url.fragment())


def wrap_code(document: QTextDocument) -> None:
    """Let long lines of code break: a command is read as a whole, without scrolling to the side."""
    block = document.begin()
    while block.isValid():
        shape = block.blockFormat()
        if shape.nonBreakableLines():
            shape.setNonBreakableLines(False)
            QTextCursor(block).setBlockFormat(shape)
        block = block.next()


class CardDialog(QDialog):
    """The cards of the models that are installed, one of them shown."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Model card")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)
        self.resize(*SIZE)
        self._paths: list[Path] = []
        self._names = QComboBox()
        self._names.setAccessibleName("Model of the card")
        self._names.currentIndexChanged.connect(self._choose)
        self.browser = CardBrowser()
        self.browser.setAccessibleName("Model card")
        footer = line("dim")
        say(footer, "Research use only. Not a medical device.")
        layout = QVBoxLayout(self)
        layout.addWidget(self._names)
        layout.addWidget(self.browser, 1)
        layout.addWidget(footer)

    def show_cards(self, paths: Sequence[Path], chosen: Path) -> None:
        """Offer the cards of some bundle folders, and show one of them."""
        self._paths = list(dict.fromkeys([*paths, chosen]))
        self._names.blockSignals(True)
        self._names.clear()
        self._names.addItems([path.name for path in self._paths])
        self._names.setCurrentIndex(self._paths.index(chosen))
        self._names.blockSignals(False)
        self._choose(self._names.currentIndex())
        self.show()
        self.raise_()

    def _choose(self, index: int) -> None:
        if 0 <= index < len(self._paths):
            self.browser.show_card(read_model_card(self._paths[index]))
