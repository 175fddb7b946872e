"""Organ, sides and lobes: from the detection's search, from files with names, and never from nothing."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from napari_lesion.core.errors import GeometryError, InputError
from napari_lesion.core.grid import Grid
from napari_lesion.core.lesion import Lesion, Status
from napari_lesion.core.volume import LabelMap, Modality, Source, Volume
from napari_lesion.inference.organs import find_organ
from napari_lesion.io.masks import write_labels
from napari_lesion.workflow.measure import StudyMeasureRequest, measure_study
from napari_lesion.workflow.measure_files import MeasureFilesRequest, measure_files
from napari_lesion.workflow.parameters import MeasureParameters
from napari_lesion.workflow.surroundings import StatedSurroundings, read_surroundings, surroundings_of

GRID = Grid((150, 100, 40), (2.0, 2.0, 2.5), direction=(1, 0, 0, 0, 1, 0, 0, 0, 1))


@pytest.fixture(scope="module")
def study() -> tuple[Volume, LabelMap, np.ndarray]:
    """Body with two lungs and a ball in the left one; lobes 1 and 2 right, 3 and 4 left."""
    _, y, x = np.meshgrid(*[np.arange(n, dtype=float) for n in GRID.shape], indexing="ij")
    left, right = (((y - 50) / 35) ** 2 + ((x - middle) / 25) ** 2 < 1 for middle in (110, 40))
    hu = np.full(GRID.shape, -1000, dtype=np.int16)
    hu[:, 5:95, 5:145] = 30
    hu[left | right] = -850
    lesion = np.zeros(GRID.shape, dtype=np.uint8)
    lesion[18:23, 47:53, 107:113] = 1
    hu[lesion > 0] = 40
    upper = np.arange(40)[:, None, None] >= 20
    lobes = np.select([right & upper, right, left & upper, left], [1, 2, 3, 4], 0).astype(np.uint8)
    return Volume(hu, GRID, Modality.CT, Source(modality_stated=True)), LabelMap(lesion, GRID), lobes


def written(path: Path, array: np.ndarray, grid: Grid = GRID) -> str:
    write_labels(path, LabelMap(array.astype(np.uint8), grid), Source())
    return str(path)


def test_the_dock_tells_the_place_once_the_lungs_are_found(study: tuple[Volume, LabelMap, np.ndarray]) -> None:
    found, labels, _ = study
    volume = Volume(found.array, found.grid, found.modality, found.source)
    request = StudyMeasureRequest(volume, labels, {1: Lesion(1, Status.MODEL)})
    assert surroundings_of(volume).organ is None
    before = measure_study(request).table.rows[1]
    assert before["side"] == ""
    assert math.isnan(float(before["organ_border_distance_mm"]))
    assert find_organ(volume, "lung", Modality.CT).trusted
    row = measure_study(request).table.rows[1]
    assert (row["side"], row["organ"], row["lobe"]) == ("left", "lung", "")
    # from 6 mm beside the middle to the wall 50 mm beside it
    assert float(row["organ_border_distance_mm"]) == pytest.approx(44.0, abs=2.0)


def test_lobes_by_their_names(study: tuple[Volume, LabelMap, np.ndarray], tmp_path: Path) -> None:
    volume, _, lobes = study
    path = written(tmp_path / "lobes.nii.gz", lobes)
    numbered, _ = read_surroundings(volume, StatedSurroundings(lobes=path))
    assert [part.name for part in numbered.parts] == ["1", "2", "3", "4"]
    assert numbered.sides == ()
    assert numbered.organ is None
    names = {
        "1": "Right upper lobe",
        "2": "Right lower lobe",
        "3": "lung_upper_lobe_left",
        "4": "lung_lower_lobe_left",
    }
    (tmp_path / "lobes.json").write_text(json.dumps(names))
    named, _ = read_surroundings(volume, StatedSurroundings(lobes=path))
    assert [part.name for part in named.parts] == list(names.values())
    box = (slice(0, 40), slice(0, 100), slice(0, 150))
    for side, values in (("left", (3, 4)), ("right", (1, 2))):
        region = next(region for region in named.sides if region.name == side)
        np.testing.assert_array_equal(region.crop(box, GRID), np.isin(lobes, values))


def test_a_folder_with_a_mask_for_each_lobe(study: tuple[Volume, LabelMap, np.ndarray], tmp_path: Path) -> None:
    volume, _, lobes = study
    for value, name in ((1, "lung_upper_lobe_right"), (3, "lung_upper_lobe_left")):
        written(tmp_path / f"{name}.nii.gz", lobes == value)
    written(tmp_path / "aorta.nii.gz", lobes == 2)
    found, _ = read_surroundings(volume, StatedSurroundings(lobes=str(tmp_path)))
    assert [part.name for part in found.parts] == ["lung_upper_lobe_left", "lung_upper_lobe_right"]
    assert {side.name for side in found.sides} == {"left", "right"}
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match="holds no lobes"):
        read_surroundings(volume, StatedSurroundings(lobes=str(empty)))


def test_an_organ_from_a_file(study: tuple[Volume, LabelMap, np.ndarray], tmp_path: Path) -> None:
    volume, _, lobes = study
    found, notes = read_surroundings(volume, StatedSurroundings(organ=written(tmp_path / "liver.nii.gz", lobes)))
    assert found.organ is not None
    assert (found.organ.name, found.sides, notes) == ("liver", (), ())
    np.testing.assert_array_equal(found.organ.crop((slice(0, 40), slice(0, 100), slice(0, 150)), GRID), lobes > 0)


def test_what_cannot_be_used_is_said(study: tuple[Volume, LabelMap, np.ndarray], tmp_path: Path) -> None:
    volume, _, lobes = study
    moved = Grid(GRID.size, GRID.spacing, (0.0, 0.0, 7.0))
    with pytest.raises(GeometryError, match="another grid"):
        read_surroundings(volume, StatedSurroundings(organ=written(tmp_path / "moved.nii.gz", lobes, moved)))
    with pytest.raises(InputError, match="is empty"):
        read_surroundings(volume, StatedSurroundings(organ=written(tmp_path / "none.nii.gz", lobes * 0)))
    with pytest.raises(InputError, match="does not exist"):
        read_surroundings(volume, StatedSurroundings(organ=str(tmp_path / "missing.nii.gz")))
    path = written(tmp_path / "lobes.nii.gz", lobes)
    for text in ("{", "[1]", '{"1": 2}'):
        (tmp_path / "lobes.json").write_text(text)
        with pytest.raises(InputError, match=r"lobes\.json"):
            read_surroundings(volume, StatedSurroundings(lobes=path))
    head = Volume(np.zeros((8, 8, 8), dtype=np.int16), Grid((8, 8, 8), (1.0, 1.0, 1.0)), Modality.CT)
    found, notes = read_surroundings(head, StatedSurroundings(organ="lung"))
    assert found.organ is None
    assert "stay empty" in notes[0]


def test_measure_tells_the_place(study: tuple[Volume, LabelMap, np.ndarray], tmp_path: Path) -> None:
    import SimpleITK

    volume, labels, lobes = study
    image = SimpleITK.GetImageFromArray(volume.array)
    image.SetSpacing(GRID.spacing)
    SimpleITK.WriteImage(image, str(tmp_path / "ct.nii.gz"))
    written(tmp_path / "mask.nii.gz", labels.array)
    (tmp_path / "lobes.json").write_text('{"3": "left upper lobe"}')
    parameters = MeasureParameters(
        features="place", organ="lung", lobes=written(tmp_path / "lobes.nii.gz", lobes), modality="CT"
    )
    request = MeasureFilesRequest(
        tmp_path / "ct.nii.gz", (tmp_path / "mask.nii.gz",), tmp_path / "out.csv", parameters
    )
    row = measure_files(request).table.rows[1]
    assert (row["side"], row["lobe"], row["organ"]) == ("left", "left upper lobe", "lung")
    record = json.loads((tmp_path / "out.run.json").read_text(encoding="utf-8"))
    assert record["parameters"]["organ"] == "lung"
