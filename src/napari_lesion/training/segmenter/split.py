"""Which cases are learned from and which are held out: by section, by stated fold, or dealt by patient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from napari_lesion.core.errors import InputError
from napari_lesion.io.datalist import BARE, Datalist, DatalistCase
from napari_lesion.training.folds import make_folds
from napari_lesion.training.segmenter.config import SegmenterConfig


@dataclass(frozen=True)
class Split:
    """Cases of one training.

    Parameters
    ----------
    train, held_out
        Cases that are learned from, and those that checkpoints and threshold are chosen on.
    how
        In words, how they were divided.
    """

    train: tuple[DatalistCase, ...]
    held_out: tuple[DatalistCase, ...]
    how: str


def split_cases(datalist: Datalist, config: SegmenterConfig) -> Split:
    """Divide the cases of a datalist; no patient stands on both sides.

    A ``validation`` section is held out; else the cases whose ``fold`` is that of the configuration; else patients
    are dealt into folds.

    Raises
    ------
    InputError
        When a side is empty, a case has no label map, or a patient stands on both sides.
    """
    cases = datalist.first("training")
    for case in (*cases, *datalist.sections.get("validation", ())):
        _ = case.label_file
    if datalist.sections.get("validation") and not datalist.sections.get(BARE):
        split = Split(cases, datalist.sections["validation"], "the validation section of the datalist")
    elif any(case.fold is not None for case in cases):
        split = _by_stated_fold(cases, config.fold)
    else:
        split = _dealt(cases, config)
    _require_apart(datalist, split)
    return split


def fold_numbers(datalist: Datalist, config: SegmenterConfig) -> list[int]:
    """Every fold that can be held out in turn."""
    cases = datalist.first("training")
    stated = sorted({case.fold for case in cases if case.fold is not None})
    return stated or list(range(min(config.folds, len({case.group for case in cases}))))


def _by_stated_fold(cases: Sequence[DatalistCase], fold: int) -> Split:
    train = tuple(case for case in cases if case.fold != fold)
    held = tuple(case for case in cases if case.fold == fold)
    return Split(train, held, f"fold {fold} of the datalist")


def _dealt(cases: Sequence[DatalistCase], config: SegmenterConfig) -> Split:
    patients = sorted({case.group for case in cases})
    folds = make_folds({"all": patients}, config.seed, min(config.folds, max(2, len(patients))))
    held_out = set(folds.patients[config.fold]) if config.fold < len(folds.patients) else set()
    return Split(
        tuple(case for case in cases if case.group not in held_out),
        tuple(case for case in cases if case.group in held_out),
        f"fold {config.fold} of {len(folds.patients)}, patients dealt with seed {config.seed}",
    )


def _require_apart(datalist: Datalist, split: Split) -> None:
    both = {case.group for case in split.train} & {case.group for case in split.held_out}
    if both:
        raise InputError(
            f"{datalist.path.name} cannot be split", f"the patient {sorted(both)[0]} is in training and in validation"
        )
    patients = {case.group for case in (*split.train, *split.held_out)}
    if len(patients) < 2:
        raise InputError(
            f"{datalist.path.name} is not enough to train on",
            "it has one patient, so nothing would be left to see whether the model learned anything",
            "Add cases of other patients",
        )
    for side, name in ((split.train, "to train on"), (split.held_out, "to hold out")):
        if not side:
            raise InputError(f"{datalist.path.name} leaves no case {name}", split.how, "Choose another fold")
