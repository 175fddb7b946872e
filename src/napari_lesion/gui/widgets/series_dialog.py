"""Choose one of several DICOM series."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QDialogButtonBox,
    QHeaderView,
    QLabel,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_lesion.workflow.open_study import SeriesInfo

HEADERS = ("Modality", "Description", "Slices", "Spacing (mm)")


class SeriesDialog(QDialog):
    """A table of series, the most likely one first and selected."""

    def __init__(self, series: Sequence[SeriesInfo], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Choose a series")
        self.resize(560, 320)
        self._series = list(series)
        self.table = QTableWidget(len(self._series), len(HEADERS), self)
        self._build()

    @property
    def chosen(self) -> SeriesInfo:
        """The series that is selected."""
        row: int = self.table.currentRow()
        return self._series[max(0, row)]

    def _build(self) -> None:
        layout = QVBoxLayout(self)
        layout.addWidget(QLabel("This folder holds several series. The largest CT or MR comes first."))
        table = self.table
        table.setHorizontalHeaderLabels(list(HEADERS))
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        table.verticalHeader().setVisible(False)
        for index, series in enumerate(self._series):
            for place, text in enumerate(series_cells(series)):
                item = QTableWidgetItem(text)
                if place >= 2:
                    item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                table.setItem(index, place, item)
        table.resizeColumnsToContents()
        table.horizontalHeader().setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
        table.setCurrentCell(0, 0)
        table.cellDoubleClicked.connect(self._on_double_click)
        layout.addWidget(table)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Open | QDialogButtonBox.StandardButton.Cancel)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout.addWidget(buttons)

    def _on_double_click(self, _row: int, _column: int) -> None:
        self.accept()


def series_cells(series: SeriesInfo) -> tuple[str, str, str, str]:
    """What the table says of a series."""
    spacing = series.spacing
    words = " × ".join(f"{s:.2f}" for s in spacing) if spacing else ""
    return str(series.modality), series.description or series.series_uid, str(series.n_slices), words
