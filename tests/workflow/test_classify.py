"""Ratings of nodules: in tables, where they apply, and the reason where they do not."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from napari_lesion.core.grid import Grid
from napari_lesion.core.lesion import Lesion
from napari_lesion.core.volume import LabelMap, Modality, Volume
from napari_lesion.io.masks import read_labels
from napari_lesion.io.read import read_volume
from napari_lesion.models.catalogue import MODELS_VARIABLE, shipped_folder
from napari_lesion.models.classifier import CLASSIFIER
from napari_lesion.workflow import classify
from napari_lesion.workflow.measure import StudyMeasureRequest, measure_study
from napari_lesion.workflow.measure_files import MeasureFilesRequest, measure_files

SAMPLE = Path(str(files("napari_lesion"))) / "resources" / "sample"
IMAGE, MASK = SAMPLE / "lidc_0314_part.nii.gz", SAMPLE / "lidc_0314_part_mask.nii.gz"
COLUMNS = ("malignancy_suspicious_probability", "texture_class", "calcified_probability")


@pytest.fixture(scope="module")
def sample() -> tuple[Volume, LabelMap]:
    return read_volume(IMAGE), read_labels(MASK)


def row_of(volume: Volume, labels: LabelMap, label: int = 1, features: tuple[str, ...] = ("core",)) -> dict:
    request = StudyMeasureRequest(volume, labels, {label: Lesion(label)}, features=features)
    return dict(measure_study(request).table.rows[label])


def test_a_real_nodule_is_rated_in_the_row_of_its_measurements(sample: tuple[Volume, LabelMap]) -> None:
    row = row_of(*sample)
    assert row["malignancy_suspicious_probability"] > 0.95  # its four readers were not of one mind: 1, 5, 4 and 3
    assert row["texture_class"] == "solid"
    assert 0.0 <= row["calcified_probability"] < 0.3
    assert "rating" not in str(row["flags"])
    names = list(row)
    assert names[names.index("probability") + 1 :][:3] == list(COLUMNS)


def test_flips_and_another_order_of_axes_change_nothing(sample: tuple[Volume, LabelMap]) -> None:
    volume, labels = sample
    box = (slice(60, 100), slice(20, 110), slice(70, 160))
    part, marks = volume.array[box], labels.array[box]
    grid = volume.grid.cropped(box)
    here = classify.rate_lesions(Volume(part, grid, Modality.CT), LabelMap(marks, grid), {1: _whole(part)})[1]
    x, y, z = grid.matrix.T
    turned = np.ascontiguousarray(part.transpose(2, 0, 1)[:, ::-1])
    turned_marks = np.ascontiguousarray(marks.transpose(2, 0, 1)[:, ::-1])
    sx, sy, sz = grid.spacing
    other = Grid(
        (turned.shape[2], turned.shape[1], turned.shape[0]),
        (sy, sz, sx),
        direction=tuple(np.stack((y, -z, x), axis=1).ravel().tolist()),
    )
    there = classify.rate_lesions(
        Volume(turned, other, Modality.CT), LabelMap(turned_marks, other), {1: _whole(turned)}
    )[1]
    assert there.suspicious == pytest.approx(here.suspicious, abs=1e-6)
    assert there.calcified == pytest.approx(here.calcified, abs=1e-6)
    assert here.suspicious > 0.95


def _whole(array: np.ndarray) -> tuple[slice, slice, slice]:
    z, y, x = (slice(0, n) for n in array.shape)
    return z, y, x


def test_an_edited_mask_is_rated_anew_and_the_same_mask_is_not(
    sample: tuple[Volume, LabelMap], monkeypatch: pytest.MonkeyPatch
) -> None:
    volume, labels = sample
    edited = labels.copy()
    z = int((edited.array == 1).sum(axis=(1, 2)).argmax())
    edited.array[z, :, 118:][edited.array[z, :, 118:] == 1] = 0
    edited.array[:z][edited.array[:z] == 1] = 0
    edited.array[z + 1 :][edited.array[z + 1 :] == 1] = 0
    asked = []
    whole = classify.rating_of
    monkeypatch.setattr(classify, "rating_of", lambda *args: asked.append(1) or whole(*args))
    fresh = replace(volume)
    first, again, other = row_of(fresh, labels), row_of(fresh, labels), row_of(fresh, edited)
    assert len(asked) == 2
    assert [first[name] for name in COLUMNS] == [again[name] for name in COLUMNS]
    assert other["calcified_probability"] != first["calcified_probability"]


def lung(shape: tuple[int, int, int] = (9, 80, 80), spacing: tuple[float, float, float] = (0.7, 0.7, 2.0)) -> Volume:
    noise = np.random.default_rng(3).normal(-850, 30, shape)
    z, y, x = shape
    return Volume(noise.astype(np.int16), Grid((x, y, z), spacing), Modality.CT)


def ball(volume: Volume, radius_mm: float = 4.0, hu: int | None = 30) -> LabelMap:
    centre = (np.array(volume.array.shape) - 1) / 2
    place = (np.indices(volume.array.shape).T - centre) * np.array(volume.grid.spacing_zyx)
    inside = ((place**2).sum(axis=-1) <= radius_mm**2).T
    if hu is not None:
        volume.array[inside] = hu
    return LabelMap(inside.astype(np.uint16), volume.grid)


def tissue(volume: Volume) -> Volume:
    volume.array[:] = volume.array + 890
    return volume


@pytest.mark.parametrize(
    ("volume", "radius", "flag"),
    [
        (lung(), 4.0, ""),
        (tissue(lung()), 4.0, "rating_no_lung"),
        (lung(spacing=(0.7, 0.7, 6.0)), 4.0, "rating_thick_slices"),
        (lung(spacing=(1.6, 1.6, 2.0)), 4.0, "rating_coarse_pixels"),
        (lung((40, 90, 90), (0.7, 0.7, 1.0)), 19.0, "rating_size"),
        (lung((9, 81, 81)), 0.5, "rating_size"),
    ],
)
def test_what_the_classifier_was_not_made_for_is_empty_and_flagged(volume: Volume, radius: float, flag: str) -> None:
    row = row_of(volume, ball(volume, radius))
    flags = [word for word in str(row["flags"]).split(";") if word.startswith("rating")]
    assert flags == ([flag] if flag else [])
    assert np.isnan(row["malignancy_suspicious_probability"]) == bool(flag)
    assert np.isnan(row["calcified_probability"]) == bool(flag)
    assert (row["texture_class"] == "") == bool(flag)


def test_images_without_hu_have_no_such_column() -> None:
    volume = lung()
    row = row_of(replace(volume, modality=Modality.MR), ball(volume))
    assert not set(COLUMNS) & set(row)


def test_nothing_is_rated_where_nobody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classify, "open_classifier", lambda: pytest.fail("asked"))
    volume = lung()
    assert "malignancy_suspicious_probability" not in row_of(volume, ball(volume), features=("size",))


def test_a_damaged_classifier_costs_the_ratings_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = Path(shutil.copytree(shipped_folder() / CLASSIFIER, tmp_path / CLASSIFIER))
    (bundle / "models" / "trees.npz").write_bytes(b"no arrays")
    monkeypatch.setenv(MODELS_VARIABLE, str(tmp_path))
    volume = lung()
    row = row_of(volume, ball(volume))
    assert "rating_damaged" in str(row["flags"])
    assert np.isnan(row["malignancy_suspicious_probability"])
    assert row["volume_mm3"] > 200


def test_the_measure_command_writes_ratings_with_definitions_and_classifier(tmp_path: Path) -> None:
    request = MeasureFilesRequest(IMAGE, (MASK,), tmp_path / "lesions.csv")
    measure_files(request)
    with (tmp_path / "lesions.csv").open(encoding="utf-8-sig", newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert float(row["malignancy_suspicious_probability"]) > 0.95
    assert row["texture_class"] == "solid"
    record = json.loads(request.record.read_text(encoding="utf-8"))
    definitions = {column["name"]: column["definition"] for column in record["columns"]}
    assert "readers would rate it suspicious" in definitions["malignancy_suspicious_probability"]
    assert "no diagnosis" in definitions["malignancy_suspicious_probability"]
    assert record["classifier"]["name"] == CLASSIFIER
    assert len(record["classifier"]["sha256"]) == 64
