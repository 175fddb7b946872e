"""Adapting to corrected studies: what is collected, what is kept back, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from napari_lesion.core.errors import InputError, ModelError
from napari_lesion.core.lesion import Review
from napari_lesion.core.volume import LabelMap
from napari_lesion.evaluation import bootstrap
from napari_lesion.io.datalist import read_datalist
from napari_lesion.models.metadata import read_bundle
from napari_lesion.models.training_data import read_training_data
from napari_lesion.workflow.adapt import (
    AdaptRequest,
    AdaptStudiesRequest,
    Standing,
    adapt,
    adapt_studies,
    is_worse,
    new_model,
)
from napari_lesion.workflow.corrected import corrected_study, read_export, write_corrected
from napari_lesion.workflow.export import ExportParameters, ExportRequest, export_study
from napari_lesion.workflow.open_study import OpenRequest, open_study
from napari_lesion.workflow.parameters import AdaptParameters
from napari_lesion.workflow.study import Study

SMALL = {"organ": "", "roi_size": [16, 16, 16], "min_volume_mm3": 0}


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "RESAMPLES", 20)


def opened(folder: Path, number: int) -> Study:
    """A study of two blocks, both marked."""
    labels = np.zeros((20, 20, 20), dtype=np.uint16)
    labels[4:9, 4:9, 4:9], labels[12:16, 12:16, 12:16] = 1, 2
    noise = np.random.default_rng(number).normal(0, 20, labels.shape)
    path = folder / f"study{number}.nii.gz"
    sitk.WriteImage(
        sitk.GetImageFromArray(np.where(labels > 0, 0, -850).astype(np.int16) + noise.astype(np.int16)), path
    )
    study = open_study(OpenRequest(path))
    study.labels.array[:] = labels
    from napari_lesion.core.lesion import Lesion, Status

    study.lesions.update({label: Lesion(label, Status.EDITED) for label in (1, 2)})
    return study


def test_rejected_lesions_are_no_lesions(tmp_path: Path) -> None:
    study = opened(tmp_path, 0)
    study.lesions[2] = replace(study.lesions[2], review=Review.REJECTED)
    corrected = corrected_study(study)
    assert corrected.lesions == 1
    assert set(np.unique(corrected.labels.array)) == {0, 1}
    assert set(np.unique(study.labels.array)) == {0, 1, 2}


def test_an_export_gives_back_what_was_corrected(tmp_path: Path) -> None:
    study = opened(tmp_path, 0)
    study.review(2, Review.REJECTED)
    export_study(ExportRequest(study, tmp_path / "out"))
    found = read_export(tmp_path / "out")
    assert (found.name, found.image, found.lesions) == ("study0", tmp_path / "study0.nii.gz", 1)
    datalist = read_datalist(write_corrected([found], tmp_path / "data"))
    (case,) = datalist.first("training")
    assert case.image == tmp_path / "study0.nii.gz"
    assert case.patient == found.patient


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "run.json").unlink(), "cannot be read as a record"),
        (lambda folder: (folder / "mask.nii.gz").unlink(), "it holds no mask"),
        (lambda folder: (folder.parent / "study0.nii.gz").unlink(), "is not there any more"),
    ],
)
def test_exports_that_cannot_be_learned_from(tmp_path: Path, spoil: Callable[[Path], None], message: str) -> None:
    export_study(ExportRequest(opened(tmp_path, 0), tmp_path / "out"))
    spoil(tmp_path / "out")
    with pytest.raises(InputError, match=f"(?i){message}"):
        read_export(tmp_path / "out")


def test_a_pseudonymised_export_does_not_say_where_its_image_is(tmp_path: Path) -> None:
    parameters = ExportParameters(pseudonymise=True)
    export_study(ExportRequest(opened(tmp_path, 0), tmp_path / "out", parameters))
    with pytest.raises(InputError, match=r"(?i)does not say where its image lies"):
        read_export(tmp_path / "out")


def test_a_study_without_a_file_cannot_be_learned_from(tmp_path: Path) -> None:
    study = opened(tmp_path, 0)
    volume = replace(study.volume, source=replace(study.volume.source, path=None))
    with pytest.raises(InputError, match=r"(?i)its image is in no file"):
        corrected_study(replace(study, volume=volume))


@pytest.mark.parametrize(
    ("after", "worse"),
    [
        (Standing(0.5, 0.5, 9.0), False),
        (Standing(0.6, 0.5, 2.0), False),
        (Standing(0.49, 0.9, 0.0), True),
        (Standing(0.9, 0.49, 0.0), True),
        (Standing(float("nan"), 0.9, 0.0), True),
    ],
)
def test_what_counts_as_worse(after: Standing, worse: bool) -> None:
    assert is_worse(Standing(0.5, 0.5, 2.0), after) is worse


def test_one_patient_is_refused_with_a_sentence(tmp_path: Path, write_bundle: Callable[..., Path]) -> None:
    model = read_bundle(write_bundle(tmp_path / "tiny", SMALL))
    corrected = corrected_study(opened(tmp_path, 0))
    request = AdaptStudiesRequest(model, (corrected,), (), "mine")
    with pytest.raises(InputError, match=r"(?i)corrections of one patient are not enough"):
        adapt_studies(request)


@pytest.fixture
def _own_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAPARI_LESION_MODELS", str(tmp_path / "models"))


@pytest.mark.usefixtures("_own_models")
def test_a_model_that_learned_is_kept_and_listed(tmp_path: Path, write_bundle: Callable[..., Path]) -> None:
    from napari_lesion.workflow.models import list_models

    model = read_bundle(write_bundle(tmp_path / "tiny", SMALL))
    exports = []
    for number in (1, 2):
        export_study(ExportRequest(opened(tmp_path, number), tmp_path / f"export{number}"))
        exports.append(tmp_path / f"export{number}")
    parameters = AdaptParameters(steps=60, learning_rate=0.02, device="cpu")
    request = AdaptStudiesRequest(model, (corrected_study(opened(tmp_path, 0)),), tuple(exports), "mine", parameters)
    result = adapt_studies(request)
    assert result.path == tmp_path / "models" / "mine"
    assert result.after.dice > result.before.dice
    assert (len(result.trained), len(result.kept_back)) == (2, 1)
    made = next(bundle for bundle in list_models() if bundle.name == "mine")
    assert made.default_threshold == model.default_threshold
    assert {"A", "B"} < read_training_data(made).patients
    record = json.loads((made.path / "docs/training/record.json").read_text(encoding="utf-8"))
    assert record["started_from"] == model.identity
    assert [path.name for path in (tmp_path / "models" / ".adapting").iterdir()] == []
    with pytest.raises(ModelError, match=r"(?i)There is a model mine already"):
        new_model("mine")


def test_a_model_that_got_worse_is_not_kept(tmp_path: Path, write_bundle: Callable[..., Path]) -> None:
    # the lesions that are learned from lie in air, those kept back are the blocks: what is learned is wrong there
    model = read_bundle(write_bundle(tmp_path / "tiny", {**SMALL, "default_threshold": 0.02}))
    studies = [corrected_study(opened(tmp_path, number)) for number in range(3)]
    wrong = []
    for study in studies[:2]:
        array = np.zeros_like(study.labels.array)
        array[0:3, 16:20, 0:3] = 1
        wrong.append(replace(study, labels=LabelMap(array, study.labels.grid)))
    path = write_corrected([*wrong, studies[2]], tmp_path / "data")
    entries = json.loads(path.read_text(encoding="utf-8"))
    sections = {"training": entries[:2], "validation": entries[2:]}
    path.write_text(json.dumps(sections), encoding="utf-8")
    parameters = AdaptParameters(steps=40, learning_rate=0.02, device="cpu")
    result = adapt(AdaptRequest(model, path, tmp_path / "new" / "mine", parameters))
    assert result.path is None
    assert "not kept, because it is worse" in result.sentence
    assert not (tmp_path / "new" / "mine").exists()


def test_models_of_others_are_not_adapted(tmp_path: Path, write_bundle: Callable[..., Path]) -> None:
    model = replace(read_bundle(write_bundle(tmp_path / "tiny", SMALL)), foreign=True)
    with pytest.raises(ModelError, match=r"(?i)cannot be adapted"):
        adapt(AdaptRequest(model, tmp_path / "none.json", tmp_path / "mine"))
