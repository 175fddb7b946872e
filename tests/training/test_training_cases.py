from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from napari_lesion.core.errors import InputError
from napari_lesion.training.cases import NEVER, Case, consensus_from, list_cases
from napari_lesion.training.folds import load_folds


@pytest.mark.parametrize(("n_readers", "value"), [(1, NEVER), (2, 1), (3, 2), (4, 2)])
def test_consensus_is_at_least_half_of_the_readers(n_readers: int, value: int) -> None:
    assert consensus_from(n_readers) == value


def test_the_test_patient_cannot_be_a_case() -> None:
    with pytest.raises(InputError, match="must not be trained on"):
        Case("LIDC-IDRI-0314_s0_n0", "LIDC-IDRI-0314", "cube", Path("image.nii.gz"))


def test_digits_of_the_test_patient_inside_a_uid_do_no_harm(tiny_data: Path) -> None:
    # Every series UID of the tiny data holds the digits 0314.
    assert Counter(case.kind for case in list_cases(tiny_data)) == {"cube": 5, "scan": 1}


def test_a_missing_file_is_named(tiny_data: Path, tmp_path: Path) -> None:
    for name in ("tables", "chest_ct", "lidc_slices"):
        (tmp_path / name).symlink_to(tiny_data / name)
    (tmp_path / "lidc_nodules").mkdir()
    (tmp_path / "lidc_nodules" / "nodules.csv").symlink_to(tiny_data / "lidc_nodules" / "nodules.csv")
    with pytest.raises(InputError, match="is missing"):
        list_cases(tmp_path)


def test_a_nodule_of_one_reader_is_never_lesion(tiny_data: Path) -> None:
    lone = [case for case in list_cases(tiny_data) if case.n_readers == 1]
    assert [case.lesion_from for case in lone] == [NEVER]
    assert lone[0].margin_mm > 0


@pytest.mark.real
def test_every_real_case_has_a_fold(shared_data: Path) -> None:
    cases = list_cases(shared_data / "data")
    assert Counter(case.kind for case in cases) == {"cube": 101, "slab": 2, "scan": 5}
    assert {case.patient_id for case in cases} <= set(load_folds().fold_of)
