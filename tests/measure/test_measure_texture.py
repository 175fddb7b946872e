"""Texture by MIRP against IBSI's digital phantom; without MIRP, one sentence with the line that installs it."""

from __future__ import annotations

import csv
import importlib.util
import logging
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from lesion_bodies import ball, study_of

from napari_lesion.core.errors import LesionError
from napari_lesion.core.lesion import Lesion, Status
from napari_lesion.core.volume import Modality
from napari_lesion.measure import texture
from napari_lesion.measure.context import LesionContext, MeasureSettings
from napari_lesion.measure.engine import MeasureRequest, lesion_context, measure_lesions
from napari_lesion.measure.registry import FEATURES, select
from napari_lesion.measure.spec import Family
from napari_lesion.measure.texture import grey_levels

AGGREGATIONS = ("3D, merged", "3D")


def need_mirp() -> None:
    if importlib.util.find_spec("mirp") is None:
        pytest.skip("MIRP, of the extra radiomics, is not installed")


def context_of(mask: np.ndarray, image: np.ndarray, modality: Modality, settings: MeasureSettings) -> LesionContext:
    volume, labels = study_of(mask, image=image, modality=modality)
    z, y, x = (slice(0, n) for n in mask.shape)
    context = lesion_context(volume, labels, Lesion(1, Status.MANUAL), (z, y, x), MeasureRequest(settings=settings))
    assert context is not None
    return context


def test_without_the_library_one_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texture, "find_spec", lambda _: None)
    for words in ("texture", "glcm_joint_entropy", "core,texture"):
        with pytest.raises(LesionError, match=r'pip install "napari-lesion\[radiomics\]"'):
            select(words)
    assert not [spec for spec in select("all") if spec.family is Family.TEXTURE]


def test_the_library_is_not_imported_until_it_is_needed() -> None:
    code = "import sys; import napari_lesion.measure.engine; assert 'mirp' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_feature_is_described() -> None:
    specs = [spec for spec in FEATURES if spec.family is Family.TEXTURE]
    assert len(specs) == 95
    assert all(spec.optional and "IBSI" in spec.reference for spec in specs)


def test_grey_levels_are_the_bins_of_the_entropy() -> None:
    mask = np.zeros((3, 3, 8), dtype=bool)
    mask[1, 1, 1:7] = True
    image = np.zeros(mask.shape, dtype=np.float32)
    image[1, 1, 1:7] = [-30.0, -25.0, 0.0, 24.9, 25.0, np.nan]
    ct = context_of(mask, image, Modality.CT, MeasureSettings())
    np.testing.assert_array_equal(grey_levels(ct).ravel(), [1, 2, 3, 3, 4, 0])
    mr = context_of(mask, image, Modality.MR, MeasureSettings(bins=4))
    np.testing.assert_array_equal(grey_levels(mr).ravel(), [1, 1, 3, 4, 4, 0])
    for context in (ct, mr):
        levels = grey_levels(context)
        assert len(np.unique(levels[levels > 0])) == len(context.binned.values)
    flat = context_of(mask, np.full(mask.shape, 7.0), Modality.MR, MeasureSettings())
    assert set(grey_levels(flat).ravel()) == {1.0}


def test_the_phantom_of_ibsi(shared_data: Path) -> None:
    need_mirp()
    folder = shared_data / "reference" / "ibsi"
    image, mask = (
        SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(folder / name)))
        for name in ("phantom.nii.gz", "mask.nii.gz")
    )
    volume, labels = study_of(mask > 0, (2.0, 2.0, 2.0), image.astype(np.int16))
    request = MeasureRequest(features=("texture",), settings=MeasureSettings(bin_width=1.0))
    row = measure_lesions(volume, labels, request).rows[1]
    by_name = {(spec.definition.split(":")[0], spec.title.rsplit(" (", 1)[0]): spec.name for spec in FEATURES[-95:]}
    compared = 0
    with (folder / "ibsi_values.csv").open(newline="", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            name = by_name.get((line["feature_family"].removesuffix(" based features"), line["name"]))
            if name is None or line["aggregation"] not in AGGREGATIONS:
                continue
            # the reference prints three significant digits
            value = float(line["value"])
            last = 10.0 ** (math.floor(math.log10(abs(value))) - 2) if value else 0.01
            tolerance = max(float(line["tolerance"]), 0.5 * last)
            assert float(row[name]) == pytest.approx(value, abs=tolerance * (1 + 1e-9)), name
            compared += 1
    assert compared == 95


def test_small_and_flat_lesions() -> None:
    need_mirp()
    one = np.zeros((3, 3, 3), dtype=bool)
    one[1, 1, 1] = True
    row = measure_lesions(*study_of(one), MeasureRequest(features=("texture",))).rows[1]
    assert math.isnan(float(row["glcm_joint_entropy"]))
    mask = ball(8.0, (1.0, 1.0, 1.0))
    flat = study_of(mask, image=np.full(mask.shape, 40, dtype=np.int16))
    assert measure_lesions(*flat, MeasureRequest(features=("texture",))).rows[1]["glcm_joint_entropy"] == 0.0


def test_the_log_of_the_process_is_left_alone() -> None:
    need_mirp()
    before = (list(logging.getLogger().handlers), logging.getLogger().level)
    measure_lesions(*study_of(ball(6.0, (1.0, 1.0, 1.0))), MeasureRequest(features=("texture",)))
    assert (list(logging.getLogger().handlers), logging.getLogger().level) == before
