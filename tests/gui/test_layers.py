"""How a study is shown: orientation, scale, shared memory, and layers that came from elsewhere."""

from __future__ import annotations

from itertools import permutations, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_lesion.core.display import AXIS_LABELS, AnatomicalView
from napari_lesion.core.errors import GeometryError, InputError
from napari_lesion.core.findings import Check
from napari_lesion.core.grid import Grid
from napari_lesion.core.lesion import Lesion, Review
from napari_lesion.core.probability import ProbabilityMap
from napari_lesion.core.volume import Modality, Source, Volume
from napari_lesion.gui.adopt import grid_of, volume_of_layer
from napari_lesion.gui.contributions import get_reader, image_layer
from napari_lesion.gui.layers import SPREAD_NAME, LayerBridge
from napari_lesion.gui.palette import DISTINCT, GREY, lesion_colours
from napari_lesion.gui.presenters.axes import AxisLine
from napari_lesion.gui.save import labels_of_layer
from napari_lesion.gui.windows import LUNG, auto_window
from napari_lesion.workflow.study import Study

AXIS_ALIGNED = [(order, signs) for order in permutations(range(3)) for signs in product((1.0, -1.0), repeat=3)]


def grid_with(order: tuple[int, ...], signs: tuple[float, ...]) -> Grid:
    direction = np.zeros((3, 3))
    for axis, (patient, sign) in enumerate(zip(order, signs, strict=True)):
        direction[patient, axis] = sign
    return Grid((9, 7, 5), (0.5, 1.0, 2.0), (11.0, -22.0, 33.0), tuple(direction.ravel()))


def marked_study(grid: Grid) -> Study:
    """A study whose one bright voxel is the one nearest to the patient's upper left front corner."""
    array = np.zeros(grid.shape, np.int16)
    corners = list(product(*[(0, n - 1) for n in grid.shape]))
    corner = max(corners, key=lambda c: float(grid.to_physical(c) @ np.array([1.0, -1.0, 1.0])))
    array[corner] = 1000
    return Study.of(Volume(array, grid, Modality.CT, Source(case="marked")), Check())


@pytest.mark.parametrize(("order", "signs"), AXIS_ALIGNED)
def test_left_is_right_front_is_up_head_is_first(order: tuple[int, ...], signs: tuple[float, ...]) -> None:
    study = marked_study(grid_with(order, signs))
    data, options, kind = image_layer(study.volume)
    assert kind == "image"
    assert data[0, 0, -1] == 1000
    assert options["axis_labels"] == AXIS_LABELS
    assert np.shares_memory(data, study.volume.array)
    assert options["scale"] == AnatomicalView.of(study.volume.grid).spacing


@pytest.mark.gui
def test_a_left_marker_is_drawn_on_the_right(make_napari_viewer: Any) -> None:
    grid = Grid((40, 40, 6), (1.0, 1.0, 2.0), direction=(-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0))
    array = np.full(grid.shape, -1300, np.int16)
    array[-1, -8:, :8] = 1000  # to the head, in front, on the patient's left
    study = Study.of(Volume(array, grid, Modality.CT, Source(case="marker")), Check())
    viewer = make_napari_viewer(show=True)
    bridge = LayerBridge(viewer)
    bridge.show(study, auto_window(array + 1))
    bridge.set_window(LUNG)
    viewer.dims.set_current_step(0, 0)
    viewer.canvas.overlays.scale_bar.visible = False
    drawn = viewer.screenshot(canvas_only=True, flash=False)[..., 0].astype(float)
    rows, columns = np.nonzero(drawn > 0.9 * drawn.max())
    assert rows.mean() < drawn.shape[0] / 2
    assert columns.mean() > drawn.shape[1] / 2
    assert bridge.describe_slice().startswith("Axial 1 of 6, A at the top, R on the left")
    bridge.disconnect()


@pytest.mark.gui
def test_painting_in_the_layer_is_painting_in_the_study(make_napari_viewer: Any) -> None:
    viewer = make_napari_viewer()
    bridge = LayerBridge(viewer)
    study = marked_study(grid_with((1, 2, 0), (1.0, -1.0, -1.0)))
    bridge.show(study, LUNG)
    labels = bridge.labels_layer
    labels.data_setitem((np.array([0]), np.array([0]), np.array([0])), 3)
    assert study.labels.array.sum() == 3
    native = np.argwhere(study.labels.array == 3)[0]
    np.testing.assert_array_equal(bridge.view.to_display(native), [0, 0, 0])
    bridge.disconnect()


@pytest.mark.gui
def test_axes_are_drawn_in_their_slice_in_true_length(make_napari_viewer: Any) -> None:
    viewer = make_napari_viewer()
    bridge = LayerBridge(viewer)
    grid = grid_with((0, 1, 2), (1.0, 1.0, 1.0))
    bridge.show(marked_study(grid), LUNG)
    ends = np.array([[3.0, 1.0, 2.0], [3.0, 5.0, 5.0]])
    length = float(np.linalg.norm(np.diff(grid.to_physical(ends), axis=0)))
    bridge.draw_axes([AxisLine(ends, length, "long")])
    layer = viewer.layers["Lesion axes"]
    drawn = np.asarray(layer.data[0]) * layer.scale
    assert np.linalg.norm(drawn[0] - drawn[1]) == pytest.approx(length)
    assert set(np.asarray(layer.data[0])[:, 0]) == {1.0}
    bridge.draw_axes([])
    assert len(layer.data) == 0
    bridge.disconnect()


@pytest.mark.gui
def test_each_lesion_has_its_colour_in_the_viewer(make_napari_viewer: Any) -> None:
    viewer = make_napari_viewer()
    bridge = LayerBridge(viewer)
    bridge.show(marked_study(grid_with((0, 1, 2), (1.0, 1.0, 1.0))), LUNG)
    for wanted in ({1: DISTINCT[0], 2: GREY}, {1: DISTINCT[0], 300: GREY}):
        bridge.set_colours(wanted)
        for label, colour in wanted.items():
            shown = np.round(np.asarray(bridge.labels_layer.get_color(label))[:3] * 255).astype(int)
            assert "#" + "".join(f"{value:02X}" for value in shown) == colour
    bridge.disconnect()


def test_rejected_lesions_are_grey_and_neighbours_differ() -> None:
    lesions = {label: Lesion(label) for label in (1, 2, 3)}
    lesions[2] = Lesion(2, review=Review.REJECTED)
    assert lesion_colours(lesions) == {1: DISTINCT[0], 2: GREY, 3: DISTINCT[2]}
    assert len(set(lesion_colours({1: Lesion(1), 3: Lesion(3)}, "single").values())) == 1


@pytest.mark.parametrize(("order", "signs"), AXIS_ALIGNED[::5])
def test_a_layer_that_forgot_its_volume_lies_where_it_lay(order: tuple[int, ...], signs: tuple[float, ...]) -> None:
    """A view of ours, copied by another plugin that kept scale and axis labels, has the marker at the same corner."""
    from napari.layers import Image

    study = marked_study(grid_with(order, signs))
    data, options, _ = image_layer(study.volume)
    options.pop("metadata")
    volume = volume_of_layer(Image(np.array(data), **options))
    again = AnatomicalView.of(volume.grid).apply(volume.array)
    np.testing.assert_array_equal(again, data)
    assert AnatomicalView.of(volume.grid).spacing == pytest.approx(options["scale"])


def test_plain_layer_gets_a_grid_from_scale_and_translate() -> None:
    from napari.layers import Image

    layer = Image(np.zeros((4, 5, 6), np.float32), scale=(3, 2, 1), translate=(30, 20, 10))
    volume = volume_of_layer(layer)
    assert volume.grid.spacing == pytest.approx((1, 2, 3))
    assert volume.grid.origin == pytest.approx((10, 20, 30))
    assert "does not say how it lies" in volume.source.notes[0]


def test_permuted_and_flipped_affine_is_a_grid() -> None:
    affine = np.eye(4)
    affine[:3, :3] = [[0, 0, -2.0], [3.0, 0, 0], [0, 0.5, 0]]
    grid = grid_of((4, 5, 6), affine)
    world = affine @ [1, 2, 3, 1]
    np.testing.assert_allclose(grid.to_physical((1, 2, 3)), world[[2, 1, 0]])


@pytest.mark.parametrize("affine", [[[1, 0.1, 0], [0, 1, 0], [0, 0, 1]], [[1, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]]])
def test_sheared_and_rotated_affines_are_refused(affine: list[list[float]]) -> None:
    whole = np.eye(4)
    whole[:3, :3] = affine
    with pytest.raises(GeometryError, match="rotated or sheared"):
        grid_of((4, 5, 6), whole)


def test_two_dimensional_layer_is_refused() -> None:
    from napari.layers import Image

    with pytest.raises(InputError, match="2 dimensions"):
        volume_of_layer(Image(np.zeros((5, 6))))


def test_labels_go_back_to_the_grid_of_their_image() -> None:
    study = marked_study(grid_with((2, 0, 1), (-1.0, 1.0, -1.0)))
    data, options, _ = image_layer(study.volume)
    labels, source = labels_of_layer((np.asarray(data) > 0).astype(np.uint8), options)
    np.testing.assert_array_equal(labels.array > 0, study.volume.array > 0)
    assert labels.grid is study.volume.grid
    assert source is study.volume.source


def test_reader_takes_one_path_only(study_file: Path) -> None:
    assert get_reader([str(study_file)]) is None
    reader = get_reader(str(study_file))
    assert reader is not None
    ((data, options, kind),) = reader(str(study_file))
    assert kind == "image"
    assert data.shape == (40, 56, 64)
    assert options["units"] == ("mm", "mm", "mm")


@pytest.mark.gui
@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_napari_saves_labels_with_our_writer(make_napari_viewer: Any, study_file: Path, suffix: str) -> None:
    import SimpleITK as sitk

    viewer = make_napari_viewer()
    image = viewer.open(str(study_file), plugin="napari-lesion")[0]
    data = (np.asarray(image.data) > 0).astype(np.uint8)
    labels = viewer.add_labels(data, scale=image.scale, units=image.units, metadata=image.metadata)
    path = study_file.with_name(f"mask{suffix}")
    assert labels.save(str(path), plugin="napari-lesion") == [str(path)]
    written, original = sitk.ReadImage(str(path)), sitk.ReadImage(str(study_file))
    assert written.GetSize() == original.GetSize()
    assert written.GetSpacing() == pytest.approx(original.GetSpacing())
    assert written.GetDirection() == pytest.approx(original.GetDirection())
    np.testing.assert_array_equal(sitk.GetArrayFromImage(written) > 0, sitk.GetArrayFromImage(original) > 0)


@pytest.mark.gui
def test_sample_data_opens_from_naparis_menu(make_napari_viewer: Any) -> None:
    viewer = make_napari_viewer()
    (layer,) = viewer.open_sample("napari-lesion", "lidc_0314_part")
    assert layer.ndim == 3
    assert layer.scale[0] == pytest.approx(1.0)


@pytest.mark.gui
def test_the_spread_of_the_model_lies_over_the_image_and_goes_with_the_study(make_napari_viewer: Any) -> None:
    grid = Grid((20, 16, 12), (1.0, 1.0, 2.0), direction=(-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0))
    study = Study.of(Volume(np.zeros(grid.shape, np.int16), grid, Modality.CT, Source(case="case")), Check())
    values = np.zeros(grid.shape, np.uint8)
    values[3, 4, 5] = 100
    bridge = LayerBridge(make_napari_viewer())
    bridge.show(study, LUNG)
    active = bridge.viewer.layers.selection.active
    for _ in range(2):
        bridge.show_spread(ProbabilityMap.from_dense(values, grid))
    names = [layer.name for layer in bridge.viewer.layers]
    assert names.count(SPREAD_NAME) == 1
    assert names.index(SPREAD_NAME) == names.index("case") + 1
    layer = bridge.viewer.layers[SPREAD_NAME]
    assert layer.scale.tolist() == bridge.image_layer.scale.tolist()
    np.testing.assert_array_equal(layer.data, AnatomicalView.of(grid).apply(values))
    assert bridge.viewer.layers.selection.active is active
    bridge.viewer.layers.remove(SPREAD_NAME)
    bridge.show_spread(None)
    bridge.show_spread(ProbabilityMap.from_dense(values, grid))
    bridge.clear()
    assert len(bridge.viewer.layers) == 0
    bridge.disconnect()
