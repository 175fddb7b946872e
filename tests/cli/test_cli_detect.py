"""``napari-lesion detect``, end to end with the shipped model on small real inputs."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from cli_inputs import Run, write_image

from napari_lesion.core.jobs import JobContext
from napari_lesion.workflow import cohort_case
from napari_lesion.workflow.cohort import CaseResult
from napari_lesion.workflow.open_study import OpenRequest
from napari_lesion.workflow.study import Study

FIND_NOTHING = ("--min-volume-mm3", "10000")


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "lesions.csv").open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def test_finds_the_annotated_nodule(run: Run, nodule: Path, nodule_mask: Path, tmp_path: Path) -> None:
    result = run("detect", nodule, "--out", tmp_path)
    assert result.exit_code == 0
    case = tmp_path / "nodule"
    assert result.stdout.endswith(f"in {case}\n")
    assert sorted(path.name for path in case.iterdir()) == ["case.json", "lesions.csv", "mask.nii.gz", "run.json"]
    rows = rows_of(case)
    assert list(rows[0])[:3] == ["label", "status", "probability"]
    found = sitk.GetArrayFromImage(sitk.ReadImage(str(case / "mask.nii.gz")))
    truth = sitk.GetArrayFromImage(sitk.ReadImage(str(nodule_mask))) > 0
    assert sorted(int(row["label"]) for row in rows) == sorted(set(np.unique(found)) - {0})
    # such a crop is not what the model was made for: the nodule is asked of it, not the absence of other marks
    overlaps = [2 * (truth & (found == n)).sum() / (truth.sum() + (found == n).sum()) for n in np.unique(found) if n]
    assert max(overlaps) > 0.5


def test_the_mask_lies_on_the_grid_of_the_input(run: Run, nodule: Path, tmp_path: Path) -> None:
    run("detect", nodule, "--out", tmp_path)
    image, mask = nibabel.load(nodule), nibabel.load(tmp_path / "nodule" / "mask.nii.gz")
    assert mask.shape == image.shape
    assert np.array_equal(mask.affine, image.affine)
    assert mask.get_data_dtype() == np.uint8


def test_run_record_says_what_was_done(run: Run, nodule: Path, tmp_path: Path) -> None:
    run("detect", nodule, "--out", tmp_path, "--threshold", "0.75", "--backend", "torch", "--modality", "CT")
    record = json.loads((tmp_path / "nodule" / "run.json").read_text(encoding="utf-8"))
    assert record["detection"]["threshold"] == 0.75
    assert record["detection"]["backend"] == "torch"
    assert record["input"]["modality"] == "CT"
    assert len(record["detection"]["model"]["sha256"]) == 64
    assert record["input"]["path"] == str(nodule)


def test_writes_everything_when_nothing_is_found(run: Run, air: Path, tmp_path: Path) -> None:
    result = run("detect", air, "--out", tmp_path, "--modality", "CT", *FIND_NOTHING)
    assert result.exit_code == 0
    assert "air: 0 lesions in " in result.stdout
    assert rows_of(tmp_path / "air") == []
    assert (tmp_path / "air" / "lesions.csv").read_text(encoding="utf-8").startswith("label,status,probability")
    mask = sitk.ReadImage(str(tmp_path / "air" / "mask.nii.gz"))
    assert mask.GetSize() == (20, 20, 20)
    assert not sitk.GetArrayFromImage(mask).any()


def test_options_of_the_export(run: Run, nodule: Path, tmp_path: Path) -> None:
    run("detect", nodule, "--out", tmp_path, "--pseudonymise", "--save-probability", "--mask-format", ".nrrd")
    case = tmp_path / "nodule"
    assert sorted(path.name for path in case.iterdir()) == [
        "case.json",
        "lesions.csv",
        "mask.nrrd",
        "probability.nrrd",
        "run.json",
    ]
    assert str(nodule.parent) not in (case / "run.json").read_text(encoding="utf-8")
    highest = sitk.GetArrayFromImage(sitk.ReadImage(str(case / "probability.nrrd"))).max()
    assert 125 <= highest <= 250


def test_equal_names_get_numbers(run: Run, air: Path, tmp_path: Path) -> None:
    copies = [air]
    for folder in ("b", "c"):
        (tmp_path / folder).mkdir()
        copies.append(tmp_path / folder / "air.nii.gz")
        copies[-1].write_bytes(air.read_bytes())
    assert run("detect", *copies, "--out", tmp_path / "out").exit_code == 0
    assert _folders(tmp_path / "out") == ["air", "air-2", "air-3"]


def _folders(out: Path) -> list[str]:
    return sorted(path.name for path in out.iterdir() if path.is_dir())


def test_one_bad_input_does_not_stop_the_others(run: Run, air: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.nii"
    text.write_text("no image")
    result = run("detect", text, air, "--out", tmp_path / "out", *FIND_NOTHING)
    assert result.exit_code == 2
    assert _folders(tmp_path / "out") == ["air"]
    assert f"Error: {text}: " in result.stderr
    assert "1 of 2 inputs failed." in result.stderr
    assert "air: 0 lesions" in result.stdout


def test_a_fault_of_the_program_does_not_stop_the_others(
    run: Run, air: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    other = tmp_path / "other.nii.gz"
    other.write_bytes(air.read_bytes())

    def open_study(request: OpenRequest, ctx: JobContext) -> Study:
        if request.path == other:
            raise ZeroDivisionError("division by zero")
        return cohort_open_study(request, ctx)

    cohort_open_study = cohort_case.open_study
    monkeypatch.setattr(cohort_case, "open_study", open_study)
    result = run("detect", other, air, "--out", tmp_path / "out", *FIND_NOTHING)
    assert result.exit_code == 2
    assert "ZeroDivisionError: division by zero" in result.stderr
    assert "air: 0 lesions" in result.stdout
    assert "Traceback" in caplog.text


def truncated(folder: Path) -> Path:
    whole = write_image(folder / "whole.nii.gz", np.arange(27000, dtype=np.int16).reshape(30, 30, 30))
    path = folder / "truncated.nii.gz"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    return path


def empty_folder(folder: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"


def text_file(folder: Path) -> Path:
    path = folder / "text.nii"
    path.write_text("no image")
    return path


def four_dimensional(folder: Path) -> Path:
    nibabel.save(nibabel.Nifti1Image(np.zeros((9, 9, 9, 3), np.int16), np.eye(4)), folder / "four.nii.gz")
    return folder / "four.nii.gz"


def colour(folder: Path) -> Path:
    image = sitk.GetImageFromArray(np.zeros((9, 9, 9, 3), np.uint8), isVector=True)
    sitk.WriteImage(image, str(folder / "colour.mha"))
    return folder / "colour.mha"


BAD_INPUTS = {
    "missing": lambda folder: folder / "missing.nii.gz",
    "text": text_file,
    "truncated": truncated,
    "empty folder": empty_folder,
    "two-dimensional": lambda folder: write_image(folder / "flat.mha", np.zeros((9, 9), np.int16)),
    "four-dimensional": four_dimensional,
    "colour": colour,
}


@pytest.mark.parametrize("kind", BAD_INPUTS)
def test_bad_input_is_one_sentence_and_code_2(run: Run, kind: str, tmp_path: Path) -> None:
    path = BAD_INPUTS[kind](tmp_path)
    result = run("detect", path, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"Error: {path}: ")
    assert path.name in line
    assert list((tmp_path / "out").iterdir()) == []


def test_a_sheared_study_is_resampled_only_when_asked_for(run: Run, tmp_path: Path) -> None:
    sheared = np.eye(4)
    sheared[1, 2] = 0.3
    air = np.random.default_rng(3).normal(-1000, 10, (20, 20, 20)).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(air, sheared), tmp_path / "tilted.nii.gz")
    arguments = ("detect", tmp_path / "tilted.nii.gz", "--out", tmp_path / "out", "--modality", "CT", *FIND_NOTHING)
    refused = run(*arguments)
    assert refused.exit_code == 2
    assert "resampling" in refused.stderr
    taken = run(*arguments, "--resample-sheared")
    assert taken.exit_code == 0
    assert "tilted: Resampled to a rectangular grid" in taken.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model", "no_such_model"], "There is no model 'no_such_model'"),
        (["--threshold", "1.5"], "--threshold"),
        (["--threshold", "nan"], "--threshold"),
        (["--device", "tpu"], "--device"),
        (["--modality", "XX"], "--modality"),
    ],
)
def test_bad_options_are_refused(run: Run, air: Path, tmp_path: Path, options: list[str], message: str) -> None:
    result = run("detect", air, "--out", tmp_path / "out", *options)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_corrupt_bundle_is_refused(run: Run, air: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    (bundle / "configs").mkdir(parents=True)
    (bundle / "configs" / "metadata.json").write_text("{")
    result = run("detect", air, "--out", tmp_path / "out", "--model", bundle)
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1


def test_an_output_folder_that_cannot_be_made(run: Run, air: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    result = run("detect", air, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "cannot be made" in result.stderr


def test_a_study_of_another_modality_is_warned_of(run: Run, air: Path, tmp_path: Path) -> None:
    result = run("detect", air, "--out", tmp_path / "out", "--modality", "MR")
    assert "air: This is MR, and the model was trained on CT" in result.stderr


def test_ctrl_c_cancels_at_the_next_step(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def interrupted(_request: object, context_of: object) -> object:
        ctx = context_of("case", 0, 1)  # type: ignore[operator]
        os.kill(os.getpid(), signal.SIGINT)
        ctx.step("Searching", 1, 2)
        yield CaseResult("case", tmp_path)

    monkeypatch.setattr("napari_lesion.workflow.cohort.detect_cases", interrupted)
    result = run("detect", tmp_path / "case.nii.gz", "--out", tmp_path)
    assert (result.exit_code, result.stdout) == (130, "")
    assert result.stderr == "Cancelled.\n"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT to another process")
def test_ctrl_c_leaves_no_half_written_case(air: Path, tmp_path: Path) -> None:
    large = np.random.default_rng(2).normal(0, 300, (200, 300, 300)).astype(np.int16)
    second = write_image(tmp_path / "large.mha", large)
    command = [sys.executable, "-m", "napari_lesion", "detect", air, second, "--out", tmp_path / "out"]
    with subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"air: ")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert _folders(tmp_path / "out") == ["air"]


def test_an_unknown_measure_is_told_before_anything_is_read(run: Run, tmp_path: Path) -> None:
    result = run("detect", tmp_path / "none.nii.gz", "--features", "volme_mm3", "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "Did you mean volume_mm3" in result.stderr
    assert not (tmp_path / "out").exists()
