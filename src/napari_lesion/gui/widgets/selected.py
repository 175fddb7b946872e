"""The panel of the selected lesion: histogram, edge, size and change."""

from __future__ import annotations

import math

from qtpy.QtWidgets import QVBoxLayout, QWidget
from superqt import QCollapsible

from napari_lesion.core.errors import LesionError
from napari_lesion.gui import actions
from napari_lesion.gui.presenters.rows import number_text, percent_text
from napari_lesion.gui.widgets.parts import line, row, say
from napari_lesion.gui.widgets.plots import EdgePlot, HistogramPlot, SizePlot
from napari_lesion.gui.widgets.theme import Palette
from napari_lesion.workflow.selected import Change, Selected


class SelectedPanel(QCollapsible):
    """What there is to see of the selected lesion beside its numbers; folded at first. Implements `SelectedView`."""

    def __init__(self) -> None:
        super().__init__(actions.FIGURES.title)
        self.setDuration(0)
        self.toggleButton().setToolTip(actions.FIGURES.tool_tip)
        self.setContentsMargins(0, 0, 0, 0)
        self.layout().setContentsMargins(0, 0, 0, 0)
        self.layout().setSpacing(0)
        self.histogram, self.edge, self.size = HistogramPlot(), EdgePlot(), SizePlot()
        self._nothing = line("dim", wrap=True)
        self._rating = line("dim", wrap=True)
        self._changes = line("dim", wrap=True)
        self._error = line("error", wrap=True)
        self._plots = QWidget()
        self._build()
        self.show_selected(None, "")

    # -- SelectedView ----------------------------------------------------------------------------------------------

    def show_selected(self, selected: Selected | None, colour: str) -> None:
        """Show what there is to see of a lesion, drawn in its colour; None for no lesion."""
        say(
            self._nothing,
            "Select a lesion to see its histogram, its edge and its place among sizes." if selected is None else "",
        )
        say(self._error, "")
        self._plots.setVisible(selected is not None)
        if selected is None:
            say(self._changes, "")
            say(self._rating, "")
            return
        self.histogram.show_histogram(selected.histogram, colour)
        self.edge.show_edge(selected.edge, colour)
        self.size.show_scale(selected.scale, colour)
        say(self._changes, change_sentence(selected.changes))
        say(self._rating, " ".join(selected.rating))

    def show_error(self, error: LesionError) -> None:
        """Show what went wrong."""
        say(self._error, str(error))

    # -- the rest --------------------------------------------------------------------------------------------------

    def set_palette(self, palette: Palette) -> None:
        """Take the colours of another theme."""
        for plot in (self.histogram, self.edge, self.size):
            plot.set_palette(palette)

    def turn(self) -> None:
        """Fold or unfold, as the key does."""
        self.show_unfolded(not self.isExpanded())

    def show_unfolded(self, unfolded: bool) -> None:
        """Unfold or fold."""
        if unfolded:
            self.expand(animate=False)
        else:
            self.collapse(animate=False)

    def _build(self) -> None:
        plots = QVBoxLayout(self._plots)
        plots.setContentsMargins(0, 0, 0, 0)
        plots.setSpacing(4)
        plots.addLayout(row(self.histogram, self.edge))
        plots.addWidget(self.size)
        inside = QWidget()
        layout = QVBoxLayout(inside)
        layout.setContentsMargins(0, 2, 0, 0)
        layout.setSpacing(4)
        for widget in (self._nothing, self._error, self._plots, self._rating, self._changes):
            layout.addWidget(widget)
        self.addWidget(inside)


def change_sentence(changes: tuple[Change, ...]) -> str:
    """Values of the model's mask and the present ones; empty for none."""
    moved, same = [], []
    for change in changes:
        before, after = (number_text(value, change.decimals) for value in (change.before, change.after))
        if before == after:
            same.append(change.title.lower())
            continue
        percent = f" ({percent_text(change.percent)})" if math.isfinite(change.percent) else ""
        moved.append(f"{change.title.lower()} {before} → {after} {change.unit}{percent}")
    parts = [", ".join(moved), f"{', '.join(same)} as before" if same else ""]
    return f"Against the model: {'; '.join(part for part in parts if part)}" if changes else ""
