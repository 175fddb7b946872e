"""``napari-lesion evaluate``, end to end on small real inputs."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from cli_inputs import Run, write_image

from napari_lesion.evaluation import bootstrap
from napari_lesion.io.fingerprint import voxel_sha256
from napari_lesion.io.read import read_volume
from napari_lesion.models.catalogue import shipped_folder

SMALL = {"organ": "", "roi_size": [32, 32, 32], "min_volume_mm3": 0}


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "RESAMPLES", 60)


@pytest.fixture
def tiny(tmp_path: Path, write_bundle: Callable[..., Path]) -> Path:
    """A bundle with random weights that searches everywhere."""
    return write_bundle(tmp_path / "models" / "tiny", SMALL)


@pytest.fixture
def block(tmp_path: Path) -> tuple[Path, Path]:
    """An image of 16³ voxels and a mask with one lesion of 4³."""
    image = np.full((16, 16, 16), -800, dtype=np.int16)
    mask = np.zeros((16, 16, 16), dtype=np.uint8)
    mask[4:8, 4:8, 4:8] = 1
    image[mask > 0] = 50
    return write_image(tmp_path / "block.nii.gz", image), write_image(tmp_path / "block_mask.nii.gz", mask)


def datalist(folder: Path, content: Any) -> Path:
    path = folder / "datalist.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def entry(image: Path, label: object, **more: object) -> dict[str, object]:
    return {"image": str(image), "label": str(label) if isinstance(label, Path) else label, **more}


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def voxels(path: Path) -> np.ndarray:
    return np.asarray(nibabel.load(path).dataobj)


def test_figures_are_those_of_the_mask_that_detect_writes(
    run: Run, nodule: Path, nodule_mask: Path, tmp_path: Path
) -> None:
    data = datalist(tmp_path, [entry(nodule, nodule_mask, patient="p")])
    assert run("evaluate", "--data", data, "--out", tmp_path / "out").exit_code == 0
    run("detect", nodule, "--out", tmp_path / "detected")
    found, truth = voxels(tmp_path / "detected" / "nodule" / "mask.nii.gz") > 0, voxels(nodule_mask) > 0
    (row,) = rows_of(tmp_path / "out" / "cases.csv")
    assert float(row["dice"]) == pytest.approx(2 * (found & truth).sum() / (found.sum() + truth.sum()), rel=1e-5)
    spacing = np.prod(nibabel.load(nodule).header.get_zooms())
    assert float(row["volume_found_mm3"]) == pytest.approx(found.sum() * spacing, rel=1e-5)
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["figures"]["dice"]["value"] == pytest.approx(float(row["dice"]), rel=1e-5)
    assert metrics["figures"]["sensitivity"]["value"] == 1.0
    assert metrics["counts"]["lesions"] == 1
    assert metrics["model"]["name"] == "lung_nodule_ct"
    (lesion,) = rows_of(tmp_path / "out" / "lesions.csv")
    assert lesion["found"] == "1"


def test_the_page_needs_nothing_from_elsewhere(
    run: Run, tiny: Path, block: tuple[Path, Path], tmp_path: Path
) -> None:
    data = datalist(tmp_path, {"testing": [entry(*block, patient="p"), entry(*block, patient="q")]})
    run("evaluate", "--model", tiny, "--data", data, "--out", tmp_path / "out", "--threshold", 0.02)
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"https?:|<script|<link|url\(|src=", page)
    assert set(re.findall(r'href="([^"]{0,22})', page)) == {"data:image/png;base64,"}
    assert page.count("<svg") >= 3
    assert "Research use only" in page
    for word in ("FROC", "Surface Dice", "HD95", "By size", "Best", "block-2"):
        assert word in page


def test_a_case_that_was_trained_on_is_named(run: Run, tiny: Path, block: tuple[Path, Path], tmp_path: Path) -> None:
    by_patient = datalist(tmp_path, [entry(*block, patient="A"), entry(*block, patient="Z")])
    result = run("evaluate", "--model", tiny, "--data", by_patient, "--out", tmp_path / "one")
    assert "1 of 2 cases are no test of this model" in result.stderr
    assert [row["leak"] for row in rows_of(tmp_path / "one" / "cases.csv")] == [
        "the model was trained on this patient",
        "",
    ]
    # the same voxels under another name and of a patient that nobody knows
    copy = tmp_path / "renamed.nii"
    nibabel.save(nibabel.load(block[0]), copy)
    cases = [{"patient": "", "image_sha256": voxel_sha256(read_volume(block[0]))}]
    (tiny / "docs" / "training_data.json").write_text(json.dumps({"schema_version": 1, "cases": cases}))
    by_image = datalist(tmp_path, [entry(copy, block[1], patient="Z")])
    result = run("evaluate", "--model", tiny, "--data", by_image, "--out", tmp_path / "two")
    assert "1 of 1 cases are no test of this model" in result.stderr
    assert rows_of(tmp_path / "two" / "cases.csv")[0]["leak"] == "the model was trained on this image"


def test_labels_that_are_classes(run: Run, nodule: Path, air: Path, tmp_path: Path) -> None:
    data = datalist(tmp_path, [entry(nodule, 1, patient="a"), entry(air, 0, patient="b")])
    result = run("evaluate", "--data", data, "--out", tmp_path / "out")
    assert result.exit_code == 0
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text(encoding="utf-8"))
    sick, healthy = (float(row["score"]) for row in rows_of(tmp_path / "out" / "cases.csv"))
    assert metrics["figures"]["roc_auc"]["value"] == (1.0 if sick > healthy else 0.5 if sick == healthy else 0.0)
    called = [int(score >= metrics["choices"]["threshold"]) for score in (healthy, sick)]
    assert metrics["questions"]["lesion in the image"]["confusion"] == [
        [1 - called[0], called[0]],
        [1 - called[1], called[1]],
    ]
    assert called[1] == 1
    assert "Confusion matrix" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_one_bad_case_does_not_stop_the_others(
    run: Run, tiny: Path, block: tuple[Path, Path], tmp_path: Path
) -> None:
    shifted = write_image(tmp_path / "shifted.nii.gz", np.ones((16, 16, 17), dtype=np.uint8))
    data = datalist(tmp_path, [entry(block[0], shifted, name="bad"), entry(*block, name="good")])
    result = run("evaluate", "--model", tiny, "--data", data, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "Error: bad: The mask shifted.nii.gz lies on another grid than the image" in result.stderr
    assert "1 of 2 cases failed." in result.stderr
    bad, good = rows_of(tmp_path / "out" / "cases.csv")
    assert "another grid" in bad["error"]
    assert good["lesions"] == "1"


def test_an_empty_mask_is_said(run: Run, tiny: Path, block: tuple[Path, Path], tmp_path: Path) -> None:
    empty = write_image(tmp_path / "empty.nii.gz", np.zeros((16, 16, 16), dtype=np.uint8))
    data = datalist(tmp_path, [entry(block[0], empty, name="none"), entry(*block, name="one")])
    result = run("evaluate", "--model", tiny, "--data", data, "--out", tmp_path / "out")
    assert result.exit_code == 0
    assert "1 label maps hold no lesion: only false marks are counted there (none)" in result.stderr
    none, one = rows_of(tmp_path / "out" / "cases.csv")
    assert (none["dice"], none["lesions"]) == ("", "0")
    assert one["dice"] != ""


def test_counts_of_readers_and_numbered_lesions(
    run: Run, tiny: Path, block: tuple[Path, Path], tmp_path: Path
) -> None:
    mask = np.zeros((16, 16, 16), dtype=np.uint8)
    mask[2:6, 2:6, 2:6], mask[6:9, 2:6, 2:6] = 1, 3
    label = write_image(tmp_path / "counts.nii.gz", mask)
    data = datalist(tmp_path, [entry(block[0], label)])
    for options, lesions, volume in (((), 1, 112), (("--lesion-from", 2), 1, 48), (("--instances",), 2, 112)):
        run("evaluate", "--model", tiny, "--data", data, "--out", tmp_path / "out", *options)
        (row,) = rows_of(tmp_path / "out" / "cases.csv")
        assert (int(row["lesions"]), float(row["volume_true_mm3"])) == (lesions, volume)


GOOD = {"image": "block.nii.gz", "label": "block_mask.nii.gz"}
BAD = [
    ("not json", "{", "is not valid JSON"),
    ("a number", "3", "it holds neither a list nor an object"),
    ("no section", '{"cases": []}', "neither a list of cases nor an object with training"),
    ("no cases", "[]", "holds no cases"),
    ("no image", '[{"label": "block_mask.nii.gz"}]', "entry 1 is not valid. It has no 'image'"),
    ("a missing file", '[{"image": "gone.nii.gz", "label": "block_mask.nii.gz"}]', "names files that are missing"),
    ("no label", '[{"image": "block.nii.gz", "fold": 0}]', "the case block has no label"),
    ("a fold in words", json.dumps([{**GOOD, "fold": "one"}]), "fold must be a whole number"),
    ("no such fold", json.dumps([{**GOOD, "fold": 1}]), "has no cases of fold 0. Its folds are 1"),
    ("mixed labels", json.dumps([{**GOOD, "fold": 0}, {**GOOD, "label": 1, "fold": 0}]), "others are numbers"),
    ("class out of range", json.dumps([{**GOOD, "label": 4, "fold": 0}]), "the class 4 is out of range"),
    ("not a mask", '[{"image": "block.nii.gz", "label": "block.nii.gz", "fold": 0}]', "it has negative values"),
]


@pytest.mark.parametrize(("content", "message"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_bad_datalists(
    run: Run, tiny: Path, block: tuple[Path, Path], tmp_path: Path, content: str, message: str
) -> None:
    path = tmp_path / "datalist.json"
    path.write_text(content, encoding="utf-8")
    result = run("evaluate", "--model", tiny, "--data", path, "--out", tmp_path / "out", "--fold", 0)
    assert result.exit_code == 2
    assert message.lower() in result.stderr.lower()
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_missing_datalist_and_a_garbled_list_of_training_data(
    run: Run, tiny: Path, block: tuple[Path, Path], tmp_path: Path
) -> None:
    gone = run("evaluate", "--model", tiny, "--data", tmp_path / "gone.json", "--out", tmp_path / "out")
    assert (gone.exit_code, "cannot be read" in gone.stderr) == (2, True)
    (tiny / "docs" / "training_data.json").write_text('{"cases": 3}', encoding="utf-8")
    data = datalist(tmp_path, [entry(*block)])
    garbled = run("evaluate", "--model", tiny, "--data", data, "--out", tmp_path / "out")
    assert (garbled.exit_code, "training_data.json cannot be read" in garbled.stderr) == (2, True)


def test_the_shipped_model_knows_its_patients(run: Run, block: tuple[Path, Path], tmp_path: Path) -> None:
    trained = tmp_path / "lung_nodule_ct"
    shutil.copytree(shipped_folder() / "lung_nodule_ct", trained)
    data = datalist(tmp_path, [entry(*block, patient="LIDC-IDRI-0003")])
    result = run("evaluate", "--model", trained, "--data", data, "--out", tmp_path / "out")
    assert "trained on their patient" in result.stderr


def test_a_bundle_that_rates_lesions(run: Run, nodule: Path, nodule_mask: Path, tmp_path: Path) -> None:
    stated = {"image": str(nodule), "mask": str(nodule_mask)}
    cases = [
        {**stated, "label": 1, "ratings": {"texture": "solid", "calcified": 0}, "patient": "a"},
        {**stated, "label": 0, "ratings": {"texture": "solid"}, "patient": "b"},
        {"image": str(nodule), "label": 0, "patient": "c"},
    ]
    data = datalist(tmp_path, cases)
    result = run("evaluate", "--model", "lung_nodule_classifier", "--data", data, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "it has no mask of the lesion" in result.stderr.lower()
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text(encoding="utf-8"))
    questions = metrics["questions"]
    assert [questions[name]["n"] for name in ("suspicious", "calcified", "texture")] == [2, 1, 2]
    # one nodule with both answers: whatever is said of it, one of the two is right, and no order is better
    assert questions["suspicious"]["figures"]["accuracy"]["value"] == 0.5
    assert questions["suspicious"]["figures"]["roc_auc"]["value"] == 0.5
    assert sum(map(sum, questions["texture"]["confusion"])) == 2
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "<h3>Texture</h3>" in page


@pytest.mark.parametrize(
    ("rating", "message"),
    [({"label": 3}, "whole numbers from 0 to 1"), ({"ratings": {"texture": "soft"}}, "the texture 'soft' is out of")],
)
def test_ratings_out_of_range(
    run: Run, nodule: Path, nodule_mask: Path, tmp_path: Path, rating: dict[str, object], message: str
) -> None:
    data = datalist(tmp_path, [{"image": str(nodule), "mask": str(nodule_mask), **rating}])
    result = run("evaluate", "--model", "lung_nodule_classifier", "--data", data, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert message.lower() in result.stderr.lower()
