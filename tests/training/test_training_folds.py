from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_lesion.core.errors import InputError
from napari_lesion.training.folds import TEST_ONLY, Folds, load_folds, make_folds, patient_strata


def test_no_patient_stands_in_two_folds() -> None:
    patients = [patient for fold in load_folds().patients for patient in fold]
    assert len(patients) == len(set(patients)) == 755


def test_the_test_patient_is_in_no_fold() -> None:
    assert "LIDC-IDRI-0314" in TEST_ONLY
    assert TEST_ONLY.isdisjoint(load_folds().fold_of)


def test_folds_are_even() -> None:
    assert {len(fold) for fold in load_folds().patients} == {151}


def test_test_only_patients_are_refused() -> None:
    with pytest.raises(InputError, match="testing only"):
        Folds(1, (("LIDC-IDRI-0001",), ("LIDC-IDRI-0314",)))


def test_a_patient_in_two_folds_is_refused() -> None:
    with pytest.raises(InputError, match="two of them"):
        Folds(1, (("LIDC-IDRI-0001",), ("LIDC-IDRI-0001",)))


def test_an_unknown_patient_is_neither_trained_on_nor_held_out() -> None:
    with pytest.raises(InputError, match="no fold"):
        load_folds().held_out("LIDC-IDRI-0314", 0)


@given(st.sets(st.text("abcdef0123456789", min_size=1), max_size=40), st.integers(2, 6))
def test_making_folds_does_not_depend_on_the_order(patients: set[str], n_folds: int) -> None:
    forward = make_folds({"a": sorted(patients)}, 3, n_folds)
    backward = make_folds({"a": sorted(patients, reverse=True)}, 3, n_folds)
    assert forward == backward
    assert set(forward.fold_of) == patients
    sizes = [len(fold) for fold in forward.patients]
    assert max(sizes) - min(sizes) <= 1


def test_making_folds_leaves_the_test_patient_out() -> None:
    folds = make_folds({"a": ["LIDC-IDRI-0314", "LIDC-IDRI-0315"]}, n_folds=2)
    assert set(folds.fold_of) == {"LIDC-IDRI-0315"}


@pytest.mark.real
def test_the_file_is_what_the_data_gives(shared_data: Path) -> None:
    assert make_folds(patient_strata(shared_data / "data")) == load_folds()
