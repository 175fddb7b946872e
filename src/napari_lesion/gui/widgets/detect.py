"""The detect panel."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QStackedWidget,
    QWidget,
)
from superqt import QCollapsible

from napari_lesion.core.errors import LesionError
from napari_lesion.core.findings import Level
from napari_lesion.core.jobs import Progress
from napari_lesion.gui import actions
from napari_lesion.gui.presenters.detect import ThresholdState
from napari_lesion.gui.widgets.card import CardDialog
from napari_lesion.gui.widgets.channels import ChannelsPanel
from napari_lesion.gui.widgets.forms import ParameterForm
from napari_lesion.gui.widgets.icons import pixmap
from napari_lesion.gui.widgets.models import ModelsBar
from napari_lesion.gui.widgets.parts import button, column, heading, line, row, say, set_icon, tool
from napari_lesion.gui.widgets.theme import Palette
from napari_lesion.gui.widgets.threshold import ThresholdSlider
from napari_lesion.workflow.detect import DetectParameters
from napari_lesion.workflow.fit import Fit
from napari_lesion.workflow.models import BundleInfo, bundle_folders

LIGHTS = {Level.GREEN: "good", Level.YELLOW: "caution", Level.RED: "bad"}
BAR_STEPS = 1000


class DetectPanel(QWidget):
    """Choose a model, run it, move its threshold. Implements `DetectView`."""

    detect_clicked = Signal()
    cancel_clicked = Signal()
    model_chosen = Signal(int)
    parameters_changed = Signal()
    threshold_chosen = Signal(float)
    alone_chosen = Signal(bool)
    spread_chosen = Signal(bool)

    def __init__(self, defaults: DetectParameters, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._palette: Palette | None = None
        self._level: Level | None = None
        self._model: BundleInfo | None = None
        self._suggestion: float | None = None
        self.stage = ""
        self.cards: CardDialog | None = None
        self._form = ParameterForm(defaults, leave_out=("threshold", "prepare"))
        self._defaults = defaults
        self.channels = ChannelsPanel()
        self.models = ModelsBar()
        self._build()

    # -- DetectView ------------------------------------------------------------------------------------------------

    def show_models(self, models: Sequence[BundleInfo], chosen: int) -> None:
        """Fill the choice of models."""
        self._models.blockSignals(True)
        self._models.clear()
        titles = [model.title or model.name for model in models]
        for model, title in zip(models, titles, strict=True):
            self._models.addItem(f"{title} ({model.name})" if titles.count(title) > 1 else title)
        self._models.setCurrentIndex(chosen if models else -1)
        self._models.blockSignals(False)

    def show_model(self, model: BundleInfo) -> None:
        """Show defaults and operating points of the chosen model."""
        if self._model is not None and self._model.path != model.path and self._message.property("role") == "error":
            # What kept another model from running says nothing of this one.
            say(self._message, "", "dim")
        self._model = model
        self._models.setToolTip(model.description or model.title)
        self._slider.set_points(model.operating_points)
        self._form.suggest(min_volume_mm3=model.min_volume_mm3, overlap=model.overlap)

    def show_fit(self, fit: Fit | None) -> None:
        """Show whether the study suits the model, and the cost."""
        self._level = fit.check.level if fit is not None else None
        good = self._level == Level.GREEN
        say(self._suits, fit.sentence if fit is not None and good else "")
        say(self._warns, fit.sentence if fit is not None and not good else "")
        if fit is not None:
            details = [fit.sentence, *(finding.message for finding in fit.check.findings)]
            self._suits.setToolTip("\n".join(details))
            self._warns.setToolTip("\n".join(details))
        self._show_light()

    def show_ready(self, ready: bool) -> None:
        """Whether there is a study and a model to run."""
        self._run.setEnabled(ready)
        if not ready:
            self.show_fit(None)

    def show_running(self, running: bool) -> None:
        """Show that a detection runs, or no longer does."""
        self._stack.setCurrentIndex(1 if running else 0)
        for widget in (self._models, self._slider, self._form.native, self.channels):
            widget.setEnabled(not running)
        if running:
            self._bar.setRange(0, 0)
            self._progress_words.setText("Starting")
            say(self._done, "")
            say(self._message, "")

    def show_progress(self, progress: Progress) -> None:
        """Show how far it is."""
        fraction = progress.fraction
        if fraction is None:
            self._bar.setRange(0, 0)
        else:
            self._bar.setRange(0, BAR_STEPS)
            self._bar.setValue(round(fraction * BAR_STEPS))
        self.stage = progress.stage
        words = progress.stage
        if progress.total > 1:
            words += f" {progress.done} of {progress.total}"
        if progress.remaining_s is not None and progress.remaining_s >= 1:
            words += f", {progress.remaining_s:.0f} s left"
        self._progress_words.setText(words)

    def show_threshold(self, state: ThresholdState | None) -> None:
        """Show the threshold and what it marks."""
        self._threshold_row.setVisible(state is not None)
        self._lower.setVisible(False)
        if state is None:
            return
        self._alone.setEnabled(state.can_alone)
        self._spread.setVisible(state.passes > 0)
        self._spread.setToolTip(f"Where {state.passes} flipped passes of the model differ: standard deviation")
        self._slider.show_threshold(state.value)
        moved = [f"+{state.gained}"] * bool(state.gained) + [f"−{state.lost}"] * bool(state.lost)
        change = f" ({' '.join(moved)})" if moved else ""
        self._value.setText(f"{state.value:.2f}")
        self._value.setToolTip(f"{state.lesions} lesions at this threshold{change}")
        all_words = f"{state.lesions} lesion{'' if state.lesions == 1 else 's'}{change}"
        self._count.setText(f"lesion {state.alone} alone" if state.alone else all_words)
        if state.hint:
            say(self._message, state.hint, "caution")
            self._suggestion = state.suggestion
            self._lower.setVisible(state.suggestion is not None)
            self._lower.setText(f"Show what is found at {state.suggestion or 0:.2f}")

    def show_done(self, sentence: str, memory: str = "") -> None:
        """Show what the last detection did; in the tool tip, what memory it holds."""
        say(self._done, sentence)
        self._done.setToolTip(memory)
        self._show_no_spread()
        say(self._message, "")

    def show_error(self, error: LesionError) -> None:
        """Show why it did not run."""
        say(self._message, error.message, "error")

    def parameters(self) -> DetectParameters:
        """What the user chose in the form."""
        return self._form.values()

    # -- the rest --------------------------------------------------------------------------------------------------

    def set_palette(self, palette: Palette) -> None:
        """Take the colours of another theme."""
        self._palette = palette
        set_icon(self._card, "card", palette.text)
        set_icon(self._run, "detect", "#FFFFFF")
        set_icon(self._cancel, "cancel", palette.text)
        self._slider.set_colour(palette.text)
        self._show_light()

    def press_detect(self) -> None:
        """Press the button."""
        self._run.click()

    @property
    def said(self) -> str:
        """The message that stands in the panel."""
        return str(self._message.text())

    def open_card(self) -> None:
        """Show the model card, with those of the other models at hand."""
        if self._model is None:
            return
        if self.cards is None:
            self.cards = CardDialog(self)
        self.cards.show_cards(bundle_folders(), self._model.path)

    def _build(self) -> None:
        layout = column(self)
        self._models = QComboBox()
        self._models.setAccessibleName("Model")
        self._models.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._models.setMinimumContentsLength(12)
        self._models.currentIndexChanged.connect(self.model_chosen)
        self._card = tool(actions.CARD)
        self._card.clicked.connect(self.open_card)
        layout.addLayout(row(heading("Detect"), self._models, self._card, self.models.button))
        layout.addWidget(self.models)
        layout.addWidget(self.channels)
        self._light = QLabel()
        self._light.setFixedWidth(20)
        self._light.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._suits = line()
        self._warns = line(wrap=True)
        fit = row(self._light, self._suits, self._warns)
        fit.setStretch(1, 1)
        fit.setStretch(2, 1)
        layout.addLayout(fit)
        layout.addWidget(self._build_run())
        layout.addWidget(self._build_threshold())
        self._done = line("dim", wrap=True)
        self._message = line("dim", wrap=True)
        layout.addWidget(self._done)
        layout.addWidget(self._message)
        self._lower = QPushButton()
        self._lower.clicked.connect(self._on_lower)
        self._lower.setVisible(False)
        layout.addWidget(self._lower)
        layout.addWidget(self._build_parameters())
        say(self._done, "")
        say(self._message, "")

    def _build_run(self) -> QWidget:
        self._stack = QStackedWidget()
        self._stack.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self._run = button(actions.DETECT, with_key=True)
        self._run.setProperty("role", "main")
        self._run.clicked.connect(self.detect_clicked)
        self._stack.addWidget(self._run)
        running = QWidget()
        layout = column(running)
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.setMaximumHeight(10)
        self._bar.setAccessibleName("Progress of the detection")
        self._progress_words = line()
        self._cancel = button(actions.CANCEL)
        self._cancel.clicked.connect(self.cancel_clicked)
        words = row(self._progress_words, self._cancel)
        words.setStretch(0, 1)
        layout.addLayout(words)
        layout.addWidget(self._bar)
        self._stack.addWidget(running)
        return self._stack

    def _build_threshold(self) -> QWidget:
        self._threshold_row = QWidget()
        layout = column(self._threshold_row)
        self._slider = ThresholdSlider()
        self._slider.setToolTip(
            f"Probability from which a voxel counts as lesion. {actions.LOWER.tool_tip} {actions.HIGHER.tool_tip}"
        )
        self._slider.threshold_changed.connect(self.threshold_chosen)
        self._slider.valueChanged.connect(self._on_sliding)
        self._value = QLabel()
        self._value.setMinimumWidth(30)
        self._count = QLabel()
        layout.addLayout(row(QLabel("Threshold"), self._slider, self._value, self._count))
        self._alone = QCheckBox("Selected lesion only")
        self._alone.setToolTip(
            "Move the threshold of the selected lesion alone; it then no longer follows that of the study"
        )
        self._alone.toggled.connect(self.alone_chosen)
        self._spread = QCheckBox("Show spread")
        self._spread.toggled.connect(self.spread_chosen)
        self._spread.setVisible(False)
        layout.addLayout(row(self._alone, self._spread))
        self._threshold_row.setVisible(False)
        return self._threshold_row

    def _build_parameters(self) -> QWidget:
        folded = QCollapsible("Parameters")
        folded.setDuration(0)
        folded.addWidget(self._form.native)
        folded.setContentsMargins(0, 0, 0, 0)
        folded.layout().setContentsMargins(0, 0, 0, 0)
        folded.layout().setSpacing(0)
        for widget in self._form.widgets.values():
            widget.changed.connect(partial(self._on_parameter))
        return folded

    def _show_light(self) -> None:
        self._light.setVisible(self._level is not None)
        if self._level is not None and self._palette is not None:
            name = LIGHTS[self._level]
            self._light.setPixmap(pixmap(name, getattr(self._palette, name), 16))

    def _show_no_spread(self) -> None:
        """The layer of a former detection is gone; its box is cleared without telling anyone."""
        self._spread.blockSignals(True)
        self._spread.setChecked(False)
        self._spread.blockSignals(False)

    def _on_sliding(self, _value: int) -> None:
        self._value.setText(f"{self._slider.threshold:.2f}")

    def _on_lower(self) -> None:
        if self._suggestion is not None:
            self.threshold_chosen.emit(self._suggestion)

    def _on_parameter(self, *_: object) -> None:
        self.parameters_changed.emit()
