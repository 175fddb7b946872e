"""``napari-lesion preprocess`` and ``models card``."""

from __future__ import annotations

import json
from pathlib import Path

from cli_inputs import Run, write_image

from napari_lesion.io.read import read_volume


def test_steps_on_a_real_nodule(run: Run, nodule: Path, tmp_path: Path) -> None:
    out = tmp_path / "made.nii.gz"
    done = run("preprocess", nodule, "--step", "median", "--step", "clahe:clip_limit=0.02", "--out", out)
    assert done.exit_code == 0, done.stderr
    assert "median clahe:clip_limit=0.02: " in done.stdout
    made = read_volume(out)
    assert (made.array.min(), made.array.max()) == (0, 1)
    assert made.grid.agrees_with(read_volume(nodule).grid)
    assert json.loads((tmp_path / "made.run.json").read_text(encoding="utf-8"))["command"] == "preprocess"


def test_the_steps_are_listed(run: Run) -> None:
    done = run("preprocess", "--list")
    assert done.exit_code == 0
    for words in ("n4", "clip_limit=0.01", "spacing_mm=1.0", "tight=False"):
        assert words in done.stdout


def test_bad_words_end_with_one_sentence(run: Run, nodule: Path, tmp_path: Path) -> None:
    for words, said in (
        (("--step", "n5"), "There is no step 'n5'"),
        (("--step", "clahe:clip_limit=9"), "clip_limit must be at most 1.0"),
        ((), "No step is given"),
        (("--step", "n4"), "The step n4 is made for MR"),
    ):
        done = run("preprocess", nodule, *words, "--modality", "CT", "--out", tmp_path / "made.nii.gz")
        assert done.exit_code == 2
        assert said in done.stderr
        assert not (tmp_path / "made.nii.gz").exists()
    assert run("preprocess", nodule).exit_code == 2


def test_a_damaged_file_is_told(run: Run, tmp_path: Path) -> None:
    (tmp_path / "image.nii.gz").write_bytes(b"no image")
    done = run("preprocess", tmp_path / "image.nii.gz", "--step", "median", "--out", tmp_path / "made.nrrd")
    assert done.exit_code == 2
    assert "Error: " in done.stderr


def test_detect_refuses_steps_that_make_no_sense(run: Run, tmp_path: Path) -> None:
    import numpy as np

    path = write_image(tmp_path / "air.nii.gz", np.full((20, 20, 20), -1000, dtype=np.int16))
    done = run("detect", path, "--out", tmp_path / "out", "--modality", "CT", "--prepare", "n5")
    assert done.exit_code == 2
    assert "There is no step 'n5'" in done.stderr


def test_the_card_of_a_model_is_printed(run: Run) -> None:
    done = run("models", "card", "lung_nodule_ct")
    assert done.exit_code == 0
    assert "# " in done.stdout
    assert "LIDC-IDRI" in done.stdout
    missing = run("models", "card", "no_such_model")
    assert missing.exit_code == 2
    assert "There is no model 'no_such_model'" in missing.stderr
