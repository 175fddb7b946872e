"""The panel that explains a rating: what it says, a map, the measurements that drove it, and nodules alike."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QImage, QPixmap
from qtpy.QtWidgets import QComboBox, QGridLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_lesion.core.errors import LesionError
from napari_lesion.gui.widgets.folding import FoldingPanel
from napari_lesion.gui.widgets.parts import line, row, say
from napari_lesion.workflow.explain import GRAD_CAM, OCCLUSION, Explanation, Neighbour, driver_words, effect_words

PICTURE = 72
"""Edge of a picture of a nodule alike, pixels."""
MAPS = (("no map", ""), (GRAD_CAM, GRAD_CAM), (OCCLUSION, OCCLUSION))
MAP_TIP = (
    "Grad-CAM: where the networks saw what speaks for a suspicious rating. Occlusion: how far the expected rating "
    "falls where a square is filled with lung. Both explain the networks, not the patient."
)
BUTTON_TIP = (
    "Compute a map, the measurements that drove the rating, and rated nodules that look alike to the networks"
)


class ExplainPanel(FoldingPanel):
    """Why the selected lesion was rated as it was; folded at first. Implements `ExplainView`."""

    explain_clicked = Signal()
    map_chosen = Signal(str)

    def __init__(self) -> None:
        super().__init__("Why this rating")
        self.toggleButton().setToolTip("How readers would rate the selected nodule, and what that rests on")
        self.button = QPushButton("Explain the rating")
        self.button.setToolTip(BUTTON_TIP)
        self.maps = QComboBox()
        self.maps.setToolTip(MAP_TIP)
        self.maps.setAccessibleName("Map over the image")
        for words, name in MAPS:
            self.maps.addItem(words, name)
        self._message = line("dim", wrap=True)
        self._sentences = line("", wrap=True)
        self._drivers = line("dim", wrap=True)
        self._alike = line("dim", wrap=True)
        self._pictures = QWidget()
        self._grid = QGridLayout(self._pictures)
        self._build()
        self.show_explanation(None)
        self.show_possible(False)

    # -- ExplainView -----------------------------------------------------------------------------------------------

    def show_possible(self, possible: bool) -> None:
        """Whether the selected lesion is one whose rating can be explained."""
        self.button.setEnabled(possible)
        if not self._sentences.text():
            say(self._message, "" if possible else "Select a lung nodule that was rated.")

    def show_running(self, sentence: str) -> None:
        """Show what is being done; empty for nothing."""
        self.button.setText(f"{sentence}…" if sentence else "Explain the rating")

    def show_explanation(self, explanation: Explanation | None) -> None:
        """Show an explanation; None for none."""
        say(self._message, "", "dim")
        self._clear_pictures()
        self._pictures.setVisible(explanation is not None and bool(explanation.neighbours))
        self.maps.setEnabled(explanation is not None)
        if explanation is None:
            for label in (self._sentences, self._drivers, self._alike):
                say(label, "")
            return
        say(self._sentences, " ".join(explanation.sentences))
        say(self._drivers, drivers_text(explanation))
        self._drivers.setToolTip(
            "Exact Shapley values of the decision trees, which are one part of the rating, against 64 nodules of the "
            "training set; points of the readers' scale from 1 to 5"
        )
        if explanation.neighbours:
            say(self._alike, "Alike to the networks, with their readers' ratings for malignancy (LIDC-IDRI):")
        for place, neighbour in enumerate(explanation.neighbours):
            self._add_picture(place, neighbour)

    def show_error(self, error: LesionError) -> None:
        """Show what went wrong."""
        say(self._message, str(error), "error")

    # -- the rest --------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        self.button.clicked.connect(self._on_click)
        self.maps.currentIndexChanged.connect(self._on_map)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(4)
        inside = QWidget()
        layout = QVBoxLayout(inside)
        layout.setContentsMargins(0, 2, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(row(self.button, self.maps))
        for widget in (self._message, self._sentences, self._drivers, self._alike, self._pictures):
            layout.addWidget(widget)
        self.addWidget(inside)

    def _add_picture(self, place: int, neighbour: Neighbour) -> None:
        picture, words = QLabel(), QLabel(votes_text(neighbour))
        scaled = pixmap(neighbour.picture).scaled(
            PICTURE, PICTURE, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
        )
        picture.setPixmap(scaled)
        tip = neighbour_tip(neighbour)
        for label in (picture, words):
            label.setToolTip(tip)
            label.setAccessibleName(tip)
        words.setProperty("role", "dim")
        words.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self._grid.addWidget(picture, 0, place)
        self._grid.addWidget(words, 1, place)

    def _clear_pictures(self) -> None:
        while self._grid.count():
            taken = self._grid.takeAt(0)
            if taken is not None and taken.widget() is not None:
                taken.widget().deleteLater()

    def _on_click(self, _checked: bool) -> None:
        self.explain_clicked.emit()

    def _on_map(self, _index: int) -> None:
        self.map_chosen.emit(str(self.maps.currentData()))


def drivers_text(explanation: Explanation) -> str:
    """The measurements that drove the rating, one a line, and what they sum to."""
    if not explanation.drivers:
        return ""
    lines = [f"Measurements alone: mean rating {explanation.expected:.2f} of 5; typical {explanation.typical:.2f}"]
    lines.append(", ".join(f"{family} {effect_words(effect)}" for family, effect in explanation.families))
    lines += [driver_words(driver) for driver in explanation.drivers]
    return "\n".join(lines)


def votes_text(neighbour: Neighbour) -> str:
    """Mean and ratings of the readers for malignancy."""
    votes = neighbour.malignancy
    return f"{np.mean(votes):.1f}\n({', '.join(map(str, votes))})"


def neighbour_tip(neighbour: Neighbour) -> str:
    """What is known of a nodule alike."""
    votes, texture = (", ".join(map(str, ratings)) for ratings in (neighbour.malignancy, neighbour.texture))
    return (
        f"{neighbour.patient}: its readers rated malignancy {votes} and texture {texture} (1 ground glass, 5 solid)"
    )


def pixmap(picture: npt.NDArray[np.uint8]) -> QPixmap:
    """Grey picture (row, column) as Qt draws it."""
    rows, columns = picture.shape
    grey = QImage(np.ascontiguousarray(picture).tobytes(), columns, rows, columns, QImage.Format.Format_Grayscale8)
    return QPixmap.fromImage(grey.copy())
