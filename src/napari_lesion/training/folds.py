"""Five folds over all patients of all CT sets, made once and kept in a file.

``python -m napari_lesion.training.folds DATA --out FILE`` makes them again.
"""

from __future__ import annotations

import csv
import json
import random
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import typer

from napari_lesion.core.errors import InputError

TEST_ONLY = frozenset({"LIDC-IDRI-0314"})
"""Patients that no fold may hold: whole scans kept for the test alone."""

FOLDS_FILE = "lidc_folds.json"
N_FOLDS = 5
SEED = 2026


@dataclass(frozen=True)
class Folds:
    """Which patient belongs to which fold.

    Parameters
    ----------
    seed
        Seed of the shuffle.
    patients
        One tuple of patient ids a fold.

    Raises
    ------
    InputError
        When a patient stands in two folds, or a test-only patient in any.
    """

    seed: int
    patients: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        every = [patient for fold in self.patients for patient in fold]
        if len(every) != len(set(every)):
            raise InputError("The folds are not valid", "a patient stands in two of them")
        leaked = TEST_ONLY.intersection(every)
        if leaked:
            raise InputError("The folds are not valid", f"{sorted(leaked)} are for testing only")

    @cached_property
    def fold_of(self) -> dict[str, int]:
        """Fold of each patient."""
        return {patient: number for number, fold in enumerate(self.patients) for patient in fold}

    def held_out(self, patient_id: str, fold: int) -> bool:
        """Whether the patient is kept for validation when ``fold`` is held out.

        Raises
        ------
        InputError
            When the patient is in no fold: it must be neither trained on nor tuned on.
        """
        if patient_id not in self.fold_of:
            raise InputError(f"Patient {patient_id} is in no fold", "it may be used for testing only")
        return self.fold_of[patient_id] == fold

    def to_json(self) -> dict[str, Any]:
        """What the file holds."""
        return {
            "schema_version": 1,
            "seed": self.seed,
            "test_only": sorted(TEST_ONLY),
            "folds": [list(fold) for fold in self.patients],
        }


def make_folds(strata: dict[str, list[str]], seed: int = SEED, n_folds: int = N_FOLDS) -> Folds:
    """Deal the patients of each stratum over the folds.

    Parameters
    ----------
    strata
        Patient ids by stratum; strata are dealt in sorted order and one after the other, so that
        every fold holds nearly the same number of each.
    seed, n_folds
        Seed of the shuffle, number of folds.

    Returns
    -------
    Folds
        The same for the same patients, whatever their order.
    """
    dealt: list[list[str]] = [[] for _ in range(n_folds)]
    position = 0
    for name in sorted(strata):
        patients = sorted(set(strata[name]) - TEST_ONLY)
        random.Random(f"{seed}:{name}").shuffle(patients)
        for patient in patients:
            dealt[position % n_folds].append(patient)
            position += 1
    return Folds(seed, tuple(tuple(sorted(fold)) for fold in dealt))


def patient_strata(data: Path) -> dict[str, list[str]]:
    """Patients of all CT sets below ``data``, grouped by the sets that they occur in."""
    sets: dict[str, set[str]] = defaultdict(set)
    for name, table in (("nodules", "lidc_nodules/nodules.csv"), ("slices", "lidc_slices/slices.csv")):
        with (data / table).open(newline="", encoding="utf-8") as stream:
            for row in csv.DictReader(stream):
                sets[row["patient_id"]].add(name)
    for folder in sorted((data / "chest_ct" / "slabs").iterdir()):
        sets[folder.name].add("slabs")
    for folder in sorted(path.parent for path in (data / "chest_ct").glob("background/*/ct.nii.gz")):
        sets[folder.name].add("background")
    for folder in sorted(path.parent for path in (data / "chest_ct").glob("Lung_Dx-*/ct.nii.gz")):
        sets[folder.name].add("boxes")
    strata: dict[str, list[str]] = defaultdict(list)
    for patient, names in sets.items():
        strata["+".join(sorted(names))].append(patient)
    return dict(strata)


def load_folds() -> Folds:
    """Read the folds that every stage of every model uses."""
    text = (files("napari_lesion.training") / FOLDS_FILE).read_text(encoding="utf-8")
    content = json.loads(text)
    return Folds(content["seed"], tuple(tuple(fold) for fold in content["folds"]))


def main(
    data: Annotated[Path, typer.Option(help="Folder with lidc_nodules, lidc_slices and chest_ct.")],
    out: Annotated[Path, typer.Option(help="File to write.")],
    seed: Annotated[int, typer.Option(help="Seed of the shuffle.")] = SEED,
) -> None:
    """Make the folds from the patients below DATA."""
    folds = make_folds(patient_strata(data), seed)
    out.write_text(json.dumps(folds.to_json(), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
