"""Prepare a file, and prepare before a detection: the original is what is measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_lesion.core.errors import InputError, OutputError
from napari_lesion.core.grid import Grid
from napari_lesion.core.probability import ProbabilityMap
from napari_lesion.core.volume import Modality, Source, Volume
from napari_lesion.io.images import write_image
from napari_lesion.io.read import read_volume
from napari_lesion.workflow import detect
from napari_lesion.workflow.prepare import Chain, PrepareFileRequest, prepare_file, prepared_for_detection

GRID = Grid((12, 10, 8), (1.0, 1.5, 2.0), (3.0, -4.0, 5.0), (0, 1, 0, -1, 0, 0, 0, 0, 1))


def scan(modality: Modality = Modality.CT) -> Volume:
    rng = np.random.default_rng(0)
    array = rng.normal(-800, 30, GRID.shape).astype(np.int16)
    array[3:6, 3:7, 4:9] = 50
    return Volume(array, GRID, modality, Source(case="scan", modality_stated=True))


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_a_file_is_prepared_and_says_how(tmp_path: Path, suffix: str) -> None:
    write_image(tmp_path / "scan.nrrd", scan())
    out = tmp_path / "made" / f"window{suffix}"
    chain = Chain.parse(["median", "window:low=-1000,high=0"])
    made = prepare_file(PrepareFileRequest(tmp_path / "scan.nrrd", out, chain, Modality.CT))
    back = read_volume(out)
    np.testing.assert_allclose(back.array, made.array, atol=1e-6)
    assert back.grid.agrees_with(GRID)
    record = json.loads((tmp_path / "made" / "window.run.json").read_text(encoding="utf-8"))
    assert record["line"] == "median window:high=0"
    assert [step["step"] for step in record["steps"]] == ["median", "window"]
    assert record["steps"][1]["transform"] == "monai.transforms.ScaleIntensityRange"
    assert record["steps"][1]["parameters"]["low"] == -1000


@pytest.mark.parametrize(
    ("out", "steps", "error", "said"),
    [
        ("made.nii.gz", [], InputError, "No step is given"),
        ("made.png", ["median"], OutputError, "an image ends in one of .nii.gz"),
        ("scan.nrrd", ["median"], OutputError, "The original would be lost"),
    ],
)
def test_what_cannot_be_written_is_told_before_anything_is_done(
    tmp_path: Path, out: str, steps: list[str], error: type[Exception], said: str
) -> None:
    write_image(tmp_path / "scan.nrrd", scan())
    before = (tmp_path / "scan.nrrd").read_bytes()
    with pytest.raises(error, match="(?i)" + said):
        prepare_file(PrepareFileRequest(tmp_path / "scan.nrrd", tmp_path / out, Chain.parse(steps), Modality.CT))
    assert (tmp_path / "scan.nrrd").read_bytes() == before


def test_no_steps_give_the_very_volume() -> None:
    volume = scan()
    assert prepared_for_detection(volume, "") is volume


def test_the_prepared_image_is_remembered() -> None:
    volume = scan()
    first = prepared_for_detection(volume, "median")
    assert prepared_for_detection(volume, "median") is first
    assert prepared_for_detection(volume, "median:radius=2") is not first


@pytest.mark.parametrize(("line", "said"), [("resample", "grid of the image"), ("median window", "expects")])
def test_what_a_model_could_not_use_is_refused(line: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        prepared_for_detection(scan(), line)


def test_an_mr_image_may_be_scaled_before_a_detection() -> None:
    assert prepared_for_detection(scan(Modality.MR), "percentiles").array.max() == 1


def test_the_model_sees_the_prepared_image_and_the_original_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_lesion.inference.engine import Prediction
    from napari_lesion.inference.ports import OrganMask
    from napari_lesion.models.bundle import BundleInfo, Intensity

    seen: list[Volume] = []

    def predict(volume: Volume, *_: Any) -> Prediction:
        seen.append(volume)
        dense = np.zeros(GRID.shape, dtype=np.uint8)
        dense[3:6, 3:7, 4:9] = 240
        organ = OrganMask("", GRID, None, False, "The whole volume was searched")
        return Prediction(ProbabilityMap.from_dense(dense, GRID), organ, 1, {"windows": 0.1}, "cpu", "fake")

    monkeypatch.setattr(detect, "predict", predict)
    model = BundleInfo("fake", Path(), {}, Intensity(-1000, 400), "Fake")
    volume = scan()
    parameters = detect.DetectParameters(min_volume_mm3=0.0, prepare="body:outside=-1000 median")
    found = detect.detect_lesions(detect.DetectRequest(volume, model, parameters))
    assert seen[0] is not volume
    assert not np.array_equal(seen[0].array, volume.array)
    assert found.parameters.prepare == "body:outside=-1000 median"
    (row,) = found.table.rows.values()
    assert row["density_mean_hu"] == pytest.approx(50.0)
