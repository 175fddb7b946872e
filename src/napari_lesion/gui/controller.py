"""Puts the dock together: session, job runners, bridge, presenters and panels, their signals and keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from qtpy.QtCore import QTimer

from napari_lesion.core.errors import LesionError
from napari_lesion.core.volume import Modality
from napari_lesion.gui import actions
from napari_lesion.gui.adopt import volume_of_layer
from napari_lesion.gui.autosaving import Autosaving
from napari_lesion.gui.correcting import CORRECT_ACTIONS, Correcting
from napari_lesion.gui.layers import VOLUME_KEY, LayerBridge
from napari_lesion.gui.preferences import Preferences, remember_columns
from napari_lesion.gui.prepared import PreparedLayers
from napari_lesion.gui.presenters.adapt import AdaptPresenter
from napari_lesion.gui.presenters.background import BackgroundPresenter
from napari_lesion.gui.presenters.channels import ChannelsPresenter
from napari_lesion.gui.presenters.correct import REDO, UNDO
from napari_lesion.gui.presenters.detect import Beforehand, DetectPresenter, run_detection
from napari_lesion.gui.presenters.explain import ExplainPresenter
from napari_lesion.gui.presenters.export import ExportPresenter
from napari_lesion.gui.presenters.lesions import LesionsPresenter
from napari_lesion.gui.presenters.models import ModelsPresenter
from napari_lesion.gui.presenters.planes import PlanesPresenter
from napari_lesion.gui.presenters.prepare import PreparePresenter
from napari_lesion.gui.presenters.queue import DetectionQueue
from napari_lesion.gui.presenters.selected import SelectedPresenter
from napari_lesion.gui.presenters.study import Memory, StudyPresenter
from napari_lesion.gui.presenters.viewing import ViewerPresenter
from napari_lesion.gui.reader_offer import ReaderOffer
from napari_lesion.gui.recent import RecentStudies
from napari_lesion.gui.session import Session
from napari_lesion.gui.widgets.adapt import AdaptPanel
from napari_lesion.gui.widgets.background import BackgroundBar
from napari_lesion.gui.widgets.correct import CorrectPanel
from napari_lesion.gui.widgets.detect import DetectPanel
from napari_lesion.gui.widgets.explain import ExplainPanel
from napari_lesion.gui.widgets.export import ExportPanel
from napari_lesion.gui.widgets.lesions import LesionsPanel
from napari_lesion.gui.widgets.planes import PlanesPanel
from napari_lesion.gui.widgets.prepare import PreparePanel
from napari_lesion.gui.widgets.restore import FORGET, RESTORE, RestoreBar
from napari_lesion.gui.widgets.selected import SelectedPanel
from napari_lesion.gui.widgets.study import StudyPanel
from napari_lesion.gui.worker import QtJobRunner
from napari_lesion.workflow.study import Study

LAYER_ACTIONS = (UNDO, REDO)
"""Their keys are napari's own for the lesion layer, which hands them on."""


class Panels(Protocol):
    """The panels of the dock."""

    study: StudyPanel
    background: BackgroundBar
    restore: RestoreBar
    prepare: PreparePanel
    detect: DetectPanel
    lesions: LesionsPanel
    selected: SelectedPanel
    explain: ExplainPanel
    planes: PlanesPanel
    correct: CorrectPanel
    export: ExportPanel
    adapt: AdaptPanel


class DockController:
    """Everything behind the dock that is no widget; plain Python, so that it outlives the widgets for a clean end.

    Parameters
    ----------
    viewer
        napari's viewer, or its public proxy.
    panels
        The panels to wire.
    preferences
        Preferences of the user.
    """

    def __init__(self, viewer: Any, panels: Panels, preferences: Preferences) -> None:
        self.viewer = viewer
        self.panels = panels
        self.session = Session()
        self.runner = QtJobRunner()
        self.quick = QtJobRunner()
        self.bridge = LayerBridge(viewer)
        self.viewing = ViewerPresenter(self.session, self.bridge, preferences)
        memory = Memory(RecentStudies(), ReaderOffer())
        self.queue = DetectionQueue(QtJobRunner(), run_detection)
        self.study = StudyPresenter(self.session, self.runner, self.viewing, panels.study, memory, self.queue.holds)
        self.channels = ChannelsPresenter(self.session, self.bridge, panels.detect.channels)
        self.models = ModelsPresenter(self.runner, panels.detect.models)
        beforehand = Beforehand(self.models.ask, self.channels.images)
        self.detect = DetectPresenter(self.session, self.runner, self.quick, panels.detect, self.queue, beforehand)
        self.background = BackgroundPresenter(self.session, self.queue, panels.background, self.study.go_back)
        views = (panels.prepare, PreparedLayers(self.bridge))
        self.prepare = PreparePresenter(self.session, self.runner, QtJobRunner(), views, QTimer.singleShot)
        self.lesions = LesionsPresenter(
            self.session, panels.lesions, preferences.colours, preferences.columns, remember_columns
        )
        self.selected = SelectedPresenter(
            self.session, QtJobRunner(), panels.selected, QTimer.singleShot, preferences.colours
        )
        self.explain = ExplainPresenter(self.session, QtJobRunner(), panels.explain, self.bridge)
        self.planes = PlanesPresenter(self.session, self.viewing, panels.planes, preferences.colours)
        self.export = ExportPresenter(self.session, self.runner, panels.export, self.queue.holds)
        self.adapting = AdaptPresenter(self.session, self.runner, panels.adapt, lambda: self.detect.model)
        self.correcting = Correcting(self.session, self.bridge, panels.correct, preferences.brush_diameter_mm)
        self.autosaving = Autosaving(self.session, self.correcting, panels.restore, self._is_busy)
        self._bound: list[str] = []
        self._at_end: list[Callable[[], None]] = []
        self._open = True
        self._connect_panels()
        self._connect_world()
        self._bind_keys()

    def start(self) -> None:
        """Fill the panels."""
        self.study.start()
        self.detect.start()
        self.study.organ = self.detect.model.organ if self.detect.model else ""
        self.lesions.show()
        self.explain.start()
        self.export.show()
        self.adapting.show()

    def at_end(self, callback: Callable[[], None]) -> None:
        """Call this when the dock or the viewer closes."""
        self._at_end.append(callback)

    def shutdown(self) -> None:
        """Stop jobs, keys and listening; called once, when the dock or the viewer closes."""
        if not self._open:
            return
        self._open = False
        for callback in self._at_end:
            callback()
        self.runner.abandon()
        self.queue.close()
        self.quick.abandon()
        self.selected.close()
        self.explain.close()
        self.prepare.close()
        self.viewer.dims.events.current_step.disconnect(self._on_moved)
        self.autosaving.close()
        self.correcting.close()
        self.bridge.disconnect()
        for event in self._turned:
            event.disconnect(self._caption)
        for key in self._bound:
            self.viewer.bind_key(key, None)

    # -- wiring ------------------------------------------------------------------------------------------------------

    def _connect_panels(self) -> None:
        p = self.panels
        p.study.path_chosen.connect(self.study.open_path)
        p.study.sample_chosen.connect(self.study.open_sample)
        p.study.adopt_clicked.connect(self.adopt)
        p.study.window_chosen.connect(self.study.set_window)
        p.study.offer_answered.connect(self.study.answer_reader_offer)
        p.study.modality_stated.connect(self._state_modality)
        p.background.open_clicked.connect(self.background.open)
        p.background.drop_clicked.connect(self.background.drop)
        p.study.forget_clicked.connect(self.autosaving.presenter.clear)
        p.prepare.chain_changed.connect(self.prepare.change)
        p.prepare.preview_chosen.connect(self.prepare.set_preview)
        p.prepare.before_chosen.connect(self.prepare.set_before)
        p.prepare.apply_clicked.connect(self.prepare.apply)
        p.prepare.cancel_clicked.connect(self.prepare.cancel)
        p.detect.detect_clicked.connect(self.detect.detect)
        p.detect.cancel_clicked.connect(self.detect.cancel)
        p.detect.model_chosen.connect(self._choose_model)
        p.detect.parameters_changed.connect(self.detect.check_fit)
        p.detect.threshold_chosen.connect(self.detect.set_threshold)
        p.detect.alone_chosen.connect(self.detect.set_alone)
        p.detect.spread_chosen.connect(self.detect.show_spread)
        self.detect.spread_changed.connect(self.bridge.show_spread)
        self.detect.model_changed.connect(self.channels.set_model)
        p.detect.models.path_chosen.connect(self.models.add)
        self.models.added.connect(self.detect.fill_models)
        p.lesions.label_chosen.connect(self.lesions.select)
        p.lesions.step_clicked.connect(self.lesions.step)
        p.lesions.accept_clicked.connect(self.lesions.accept)
        p.lesions.reject_clicked.connect(self.lesions.reject)
        p.lesions.copy_asked.connect(self.lesions.copy)
        p.lesions.name_clicked.connect(self.lesions.rename)
        p.lesions.outline_clicked.connect(self.toggle_outline)
        p.lesions.columns_chosen.connect(self.lesions.set_columns)
        p.selected.toggled.connect(self.selected.set_unfolded)
        p.explain.explain_clicked.connect(self.explain.explain)
        p.explain.map_chosen.connect(self.explain.choose_map)
        p.export.export_clicked.connect(self.export.export)
        p.adapt.adapt_clicked.connect(self.adapting.adapt)
        p.adapt.cancel_clicked.connect(self.adapting.cancel)
        p.adapt.add_clicked.connect(self.adapting.add_export)
        p.adapt.clear_clicked.connect(self.adapting.clear)
        p.adapt.unfolded.connect(self.adapting.suggest_name)
        self.adapting.kept.connect(self.detect.reload)

    def _connect_world(self) -> None:
        self.runner.busy_changed.connect(self._follow_jobs)
        self.queue.changed.connect(self._follow_jobs)
        self.bridge.labels_shown.connect(self._follow_jobs)
        self.bridge.images_changed.connect(self.channels.show)
        self.bridge.labels_shown.connect(self.channels.show)
        self.session.study_changed.connect(self._on_study)
        self.bridge.lesion_clicked.connect(self.lesions.clicked_in_image)
        self.bridge.image_removed.connect(self._on_image_removed)
        self.bridge.labels_removed.connect(self._on_labels_removed)
        for event in self._turned:
            event.connect(self._caption)
        self.viewer.dims.events.current_step.connect(self._on_moved)
        self.session.selection_changed.connect(self._on_selection)

    def callbacks(self) -> dict[actions.Action, Callable[[], None]]:
        """What each action does."""
        return {
            actions.OPEN: self.panels.study.ask_file_or_folder,
            actions.RECENT: self.panels.study.show_recent_menu,
            actions.SAMPLE: self.study.open_sample,
            actions.ADOPT: self.adopt,
            actions.NEXT_WINDOW: self.study.next_window,
            actions.DETECT: self.detect.detect,
            actions.CANCEL: self.detect.cancel,
            actions.LOWER: partial(self.detect.nudge, -1),
            actions.HIGHER: partial(self.detect.nudge, 1),
            actions.PREVIOUS: partial(self.lesions.step, -1),
            actions.NEXT: partial(self.lesions.step, 1),
            actions.ACCEPT: self.lesions.accept,
            actions.REJECT: self.lesions.reject,
            actions.COPY: self.lesions.copy,
            actions.OUTLINE: self.toggle_outline,
            actions.RESET_AXES: self.correcting.axes.reset,
            actions.EXPORT: self.export.export,
            RESTORE: self.autosaving.presenter.restore,
            FORGET: self.autosaving.presenter.discard,
            actions.CARD: self.panels.detect.open_card,
            actions.PREPARE: self.panels.prepare.turn,
            actions.PLANES: self.panels.planes.turn,
            actions.FIGURES: self.panels.selected.turn,
            actions.COLUMNS: self.panels.lesions.choose_columns,
        }

    def _bind_keys(self) -> None:
        for action, callback in self.callbacks().items():
            self.bind(action.key, _pressed(action.id, callback))
        for action in CORRECT_ACTIONS:
            if action not in LAYER_ACTIONS:
                trigger = partial(self.correcting.presenter.trigger, action.id)
                self.bind(action.key, _pressed(action.id, trigger))
        self.bind(actions.HIDE.key, self._while_hidden)

    def bind(self, key: str, callback: Callable[[Any], Any]) -> None:
        """Bind a key of the viewer until `shutdown`."""
        self.viewer.bind_key(key, callback, overwrite=True)
        self._bound.append(key)

    # -- what happens ------------------------------------------------------------------------------------------------

    def open_path(self, path: Path) -> None:
        """Open a file or folder that was dropped on the dock."""
        self.study.open_path(path)

    def adopt(self) -> None:
        """Make a study of the image layer that is selected in napari."""
        layer = self.bridge.selected_image()
        if layer is None:
            self.study.show_error(
                LesionError("No image layer is selected", todo="Select one in napari's layer list first")
            )
            return
        try:
            volume = layer.metadata.get(VOLUME_KEY) or volume_of_layer(layer)
        except LesionError as error:
            self.study.show_error(error)
            return
        layer.visible = False
        self.study.open_volume(volume)

    def toggle_outline(self) -> None:
        """Change between outlines and filled areas."""
        self.viewing.toggle_outline()
        self.panels.lesions.set_outline(self.viewing.style.outline)

    def _choose_model(self, index: int) -> None:
        self.detect.choose_model(index)
        self.study.organ = self.detect.model.organ if self.detect.model else ""

    def _while_hidden(self, _viewer: Any) -> Iterator[None]:
        self.viewing.set_hidden(True)
        yield
        self.viewing.set_hidden(False)

    @property
    def busy(self) -> bool:
        """Whether anything runs or waits that a user would wait for, also in a study that is not shown."""
        return self.runner.busy or bool(self.queue.studies)

    def _is_busy(self) -> bool:
        """Whether a job works on the labels of the open study."""
        return self.runner.busy or self.queue.holds(self.session.study)

    def _follow_jobs(self, *_: object) -> None:
        self.bridge.set_editable(not self._is_busy())

    def _state_modality(self, modality: Modality) -> None:
        """Open the study anew as another modality; what is computed for it as it was is no longer wanted."""
        study = self.session.study
        if study is not None and study.volume.modality != modality:
            self.queue.drop(study)
            self.study.state_modality(modality)

    def _on_image_removed(self) -> None:
        if self.session.study is not None:
            self.queue.drop(self.session.study)
        self.study.close()

    def _on_study(self, study: Study | None) -> None:
        self._caption()
        if study is None:
            self.bridge.set_caption("")

    @property
    def _turned(self) -> tuple[Any, ...]:
        """Events of the viewer after which the caption is another one."""
        events = self.viewer.dims.events
        return events.current_step, events.order, events.ndisplay

    def _on_moved(self, _event: Any) -> None:
        self.prepare.refresh()

    def _on_selection(self, _label: int, _reveal: bool) -> None:
        self._caption()

    def _on_labels_removed(self) -> None:
        """Stop what looks at the labels, and show them again: they belong to the study, not to the layer.

        Only after napari has finished removing: when it clears all layers, the image and the study go next.
        """
        self.runner.abandon()
        QTimer.singleShot(0, self._restore_labels)

    def _restore_labels(self) -> None:
        if self._open and self.bridge.image_layer is not None:
            self.viewing.restore_labels()

    def _caption(self, _event: Any = None) -> None:
        study = self.session.study
        if study is not None and self.bridge.view is not None:
            self.bridge.set_caption(self.bridge.describe_slice())


def _pressed(name: str, callback: Callable[[], None]) -> Callable[[Any], None]:
    """Function of the viewer for a key; napari asks every bound function for its name."""

    def press(_viewer: Any) -> None:
        callback()

    press.__name__ = name
    return press
