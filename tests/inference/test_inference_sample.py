"""The whole pipeline with the shipped model on the real sample: a part of LIDC-IDRI-0314 around its nodule."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from napari_lesion.inference.backends.precision import processor_has_bf16
from napari_lesion.inference.candidates import find_candidates
from napari_lesion.inference.engine import predict
from napari_lesion.inference.settings import EngineSettings
from napari_lesion.io.masks import read_labels
from napari_lesion.io.read import read_volume
from napari_lesion.models.catalogue import find_bundle

SAMPLE = Path(str(files("napari_lesion"))) / "resources" / "sample"


@pytest.mark.real
def test_the_nodule_of_the_sample_is_found() -> None:
    volume = read_volume(SAMPLE / "lidc_0314_part.nii.gz")
    truth = read_labels(SAMPLE / "lidc_0314_part_mask.nii.gz").array > 0
    bundle = find_bundle("lung_nodule_ct")
    prediction = predict(volume, bundle, EngineSettings(device="cpu"))
    assert not prediction.organ.trusted
    labels, lesions = find_candidates(prediction.probability, bundle.default_threshold, bundle.min_volume_mm3)
    hit = {int(label) for label in np.unique(labels.array[truth])} - {0}
    assert hit
    best = labels.array == max(hit, key=lambda label: int((labels.array[truth] == label).sum()))
    dice = 2 * (best & truth).sum() / (best.sum() + truth.sum())
    assert dice > 0.5
    assert min(hit) == 1
    assert lesions[1].probability >= bundle.default_threshold


@pytest.mark.real
def test_what_auto_takes_finds_the_lesions_of_float32() -> None:
    volume, bundle = read_volume(SAMPLE / "lidc_0314_part.nii.gz"), find_bundle("lung_nodule_ct")
    if not bundle.precisions or not processor_has_bf16():
        pytest.skip("auto is float32 here")
    masks = []
    for precision in ("float32", "auto"):
        prediction = predict(volume, bundle, EngineSettings(device="cpu", precision=precision))
        labels, lesions = find_candidates(prediction.probability, bundle.default_threshold, bundle.min_volume_mm3)
        masks.append((labels.array > 0, len(lesions), prediction.precision))
    (exact, lesions, _), (reduced, same, precision) = masks
    assert precision == bundle.precisions[0]
    assert lesions == same > 0
    assert 2 * (exact & reduced).sum() / (exact.sum() + reduced.sum()) > 0.98


@pytest.mark.real
def test_a_second_detection_loads_neither_torch_nor_monai() -> None:
    volume = str(SAMPLE / "lidc_0314_part.nii.gz")
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from napari_lesion.core.volume import Modality, Volume\n"
        "from napari_lesion.inference.engine import predict\n"
        "from napari_lesion.inference.settings import EngineSettings\n"
        "from napari_lesion.io.read import read_volume\n"
        "from napari_lesion.models.catalogue import find_bundle\n"
        f"volume = read_volume(Path({volume!r}))\n"
        "box = (slice(0, 60), slice(0, 90), slice(0, 90))\n"
        "part = Volume(volume.array[box], volume.grid.cropped(box), Modality.CT)\n"
        "predict(part, find_bundle('lung_nodule_ct'), EngineSettings(device='cpu'))\n"
        "print(*sorted({'torch', 'monai'} & set(sys.modules)))\n"
    )
    variables = {**os.environ, "OMP_NUM_THREADS": "1"}
    runs = [
        subprocess.run([sys.executable, "-c", code], check=True, env=variables, capture_output=True, encoding="utf-8")
        for _ in range(2)
    ]
    assert runs[1].stdout.strip() == ""
