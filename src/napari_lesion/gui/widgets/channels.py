"""One choice of an image for each channel of a model that takes several sequences."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtWidgets import QCheckBox, QComboBox, QFormLayout, QSizePolicy, QWidget

from napari_lesion.gui.presenters.channels import Choice
from napari_lesion.gui.widgets.parts import column, line, say

NONE = "no image"
ELSEWHERE = "other grid"


class ChannelsPanel(QWidget):
    """Asks which open image is which channel. Implements `ChannelsView`; hidden for models of one image."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        layout = column(self)
        self._words = line("dim", wrap=True)
        self._form = QFormLayout()
        self._form.setContentsMargins(0, 0, 0, 0)
        self._form.setVerticalSpacing(2)
        self._resample = QCheckBox("Resample images on another grid")
        self._resample.setToolTip(
            "Bring them to the grid of the study's image by one linear interpolation. They are not registered: they "
            "must show the same patient in the same position."
        )
        layout.addWidget(self._words)
        layout.addLayout(self._form)
        layout.addWidget(self._resample)
        self._boxes: list[QComboBox] = []
        self._choices: list[Choice] = []
        self.setVisible(False)

    def show_channels(self, names: Sequence[str], choices: Sequence[Choice], chosen: Sequence[int | None]) -> None:
        """Ask for an image for each channel; no names take the question away."""
        while self._form.rowCount():
            self._form.removeRow(0)
        self._choices = list(choices)
        self._boxes = [self._box(name, choices, place) for name, place in zip(names, chosen, strict=True)]
        for name, box in zip(names, self._boxes, strict=True):
            self._form.addRow(name, box)
        self.setVisible(bool(names))
        self._tell()

    def chosen(self) -> tuple[int | None, ...]:
        """Number of the image of each channel."""
        return tuple(box.currentData() for box in self._boxes)

    def resample(self) -> bool:
        """Whether images on another grid may be resampled."""
        return bool(self._resample.isChecked())

    def _box(self, name: str, choices: Sequence[Choice], chosen: int | None) -> QComboBox:
        box = QComboBox()
        box.setAccessibleName(f"Image for {name}")
        box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        box.setMinimumContentsLength(12)
        box.addItem(NONE, None)
        for place, choice in enumerate(choices):
            box.addItem(choice.name if choice.fits else f"{choice.name} ({ELSEWHERE})", place)
        box.setCurrentIndex(0 if chosen is None else chosen + 1)
        box.currentIndexChanged.connect(self._tell)
        return box

    def _tell(self, *_: object) -> None:
        places = self.chosen()
        missing = sum(place is None for place in places)
        elsewhere = any(place is not None and not self._choices[place].fits for place in places)
        self._resample.setVisible(elsewhere)
        words = f"This model takes {len(places)} images of one study"
        if missing:
            words += f"; {missing} still to be chosen. Drop files into napari to have them here"
        say(self._words, f"{words}." if places else "", "caution" if missing else "dim")
