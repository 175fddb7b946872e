"""Every action has a key, and none of them is one of napari's own."""

from __future__ import annotations

from typing import Any

import pytest
from app_model.types import KeyBinding

from napari_lesion.gui import actions
from napari_lesion.gui.controller import LAYER_ACTIONS
from napari_lesion.gui.presenters.correct import CORRECT_ACTIONS
from napari_lesion.gui.widgets.restore import FORGET, RESTORE

OURS = [*actions.DOCK_ACTIONS, *CORRECT_ACTIONS, RESTORE, FORGET]


def napari_keys() -> set[str]:
    """Keys of napari's preferences, of every layer type, of its menus, and of its application."""
    from napari import layers
    from napari._app_model import get_app_model
    from napari.components.viewer_model import ViewerModel
    from napari.settings import get_settings

    keys = {binding for bindings in get_settings().shortcuts.shortcuts.values() for binding in bindings}
    for kind in (ViewerModel, *(getattr(layers, name) for name in layers.__all__)):
        keys |= set(getattr(kind, "class_keymap", {}))
    keys |= {binding.keybinding for binding in get_app_model().keybindings}
    return {str(KeyBinding.from_str(str(key))) for key in keys}


@pytest.mark.gui
def test_no_key_is_one_of_naparis_own(make_napari_viewer: Any) -> None:
    from qtpy.QtGui import QAction

    viewer = make_napari_viewer()
    taken = napari_keys()
    menus = {action.shortcut().toString() for action in viewer.window._qt_window.findChildren(QAction)}
    ours = {str(KeyBinding.from_str(action.key)) for action in OURS if action not in LAYER_ACTIONS}
    assert {"V", "Ctrl+Z", "Ctrl+O"} <= taken
    assert ours & (taken | menus) == set()


def test_no_key_twice() -> None:
    keys = [action.key for action in OURS]
    assert len(keys) == len(set(keys))


@pytest.mark.gui
def test_every_action_is_bound_and_shown_in_a_tool_tip(desk: Any) -> None:
    from qtpy.QtWidgets import QAbstractButton, QSlider

    bound = {str(KeyBinding.from_str(str(key))) for key in desk.viewer.keymap}
    assert {str(KeyBinding.from_str(a.key)) for a in OURS if a not in LAYER_ACTIONS} <= bound
    tips = " ".join(w.toolTip() for kind in (QAbstractButton, QSlider) for w in desk.dock.findChildren(kind))
    held = {actions.HIDE, actions.NEXT_WINDOW}
    for action in OURS:
        if action not in held:
            assert f"[{action.key}]" in tips, action.id


@pytest.mark.gui
def test_keys_act_from_canvas_and_from_table(desk: Any, study_file: Any) -> None:
    from qtpy.QtCore import Qt
    from qtpy.QtTest import QTest

    desk.open(study_file)
    desk.detect()
    canvas = desk.viewer.window._qt_viewer.canvas.native
    QTest.keyClick(canvas, Qt.Key.Key_K)
    assert desk.controller.session.selected == 1
    QTest.keyClick(canvas, Qt.Key.Key_G)
    assert desk.study.lesions[1].review == "accepted"
    QTest.keyClick(desk.dock.lesions.table, Qt.Key.Key_K)
    assert desk.controller.session.selected == 2
    QTest.keyClick(desk.dock.lesions.table, Qt.Key.Key_N)
    assert desk.study.lesions[2].review == "rejected"
    QTest.keyPress(canvas, Qt.Key.Key_H)
    assert not desk.labels().visible
    QTest.keyRelease(canvas, Qt.Key.Key_H)
    assert desk.labels().visible


@pytest.mark.gui
def test_keys_go_with_the_dock(desk: Any) -> None:
    desk.controller.shutdown()
    assert not desk.viewer.keymap
