"""Datalists in MONAI's format: which image belongs to which label, patient and fold.

A datalist is JSON: a list of entries, or an object with lists named ``training``, ``validation`` and ``testing``. An
entry has ``image`` (a path, or a list of paths for several sequences), ``label`` (a path, or a number for a class)
and, as far as they are known, ``patient``, ``fold``, ``name``, ``mask`` (the lesion that a class belongs to) and
``ignore`` (a mask of places of which nobody knows what they are). Paths are relative to the datalist.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from napari_lesion.core.errors import InputError
from napari_lesion.io.series import case_name

BARE: Final = ""
"""Section of a datalist that is a plain list."""
SECTIONS: Final = ("training", "validation", "testing", "test")


@dataclass(frozen=True)
class DatalistCase:
    """One entry.

    Parameters
    ----------
    name
        What the entry says, or the file name of its image without its extension.
    images
        The image, and further images of the same patient on its grid.
    label
        Label map, a class number, or None.
    patient
        The same word for all images of one patient; empty when the entry does not say it.
    fold
        Fold of a cross-validation; None when the entry does not say it.
    mask, ignore
        Mask of the lesion that a class belongs to, and mask of what is left out; None for none.
    ratings
        Further answers by question, a number or a word each.
    """

    name: str
    images: tuple[Path, ...]
    label: Path | float | None = None
    patient: str = ""
    fold: int | None = None
    mask: Path | None = None
    ignore: Path | None = None
    ratings: Mapping[str, float | str] = field(default_factory=dict)

    @property
    def image(self) -> Path:
        """The first image."""
        return self.images[0]

    @property
    def group(self) -> str:
        """The patient, or the name of the case where the patient is not known."""
        return self.patient or self.name

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file or folder that the entry names."""
        others = (path for path in (self.label, self.mask, self.ignore) if isinstance(path, Path))
        return (*self.images, *others)

    @property
    def label_file(self) -> Path:
        """File of the label map.

        Raises
        ------
        InputError
            When the entry has no label map.
        """
        if not isinstance(self.label, Path):
            has = "it has no label" if self.label is None else f"its label is the number {self.label:g}"
            raise InputError(f"The case {self.name} has no mask to compare with", has, "Give the path of a label map")
        return self.label


@dataclass(frozen=True)
class Datalist:
    """All entries of a file, by section.

    Parameters
    ----------
    path
        The file.
    sections
        Entries by section; a plain list has the section `BARE`.
    """

    path: Path
    sections: Mapping[str, tuple[DatalistCase, ...]] = field(default_factory=dict)

    def section(self, name: str) -> tuple[DatalistCase, ...]:
        """Entries of a section.

        Raises
        ------
        InputError
            When there is no such section, or it is empty.
        """
        entries = self.sections.get(name, ())
        if not entries:
            named = ", ".join(known for known in self.sections if known) or "none, it is a plain list"
            raise InputError(f"{self.path.name} has no cases under {name!r}", f"its sections are: {named}")
        return entries

    def first(self, *names: str) -> tuple[DatalistCase, ...]:
        """Entries of the first of these sections that has any; of a plain list all of them.

        Raises
        ------
        InputError
            When none of them has entries.
        """
        found = next((self.sections[name] for name in (BARE, *names) if self.sections.get(name)), None)
        return self.section(names[0]) if found is None else found


def read_datalist(path: Path) -> Datalist:
    """Read a datalist; every file that it names must exist.

    Raises
    ------
    InputError
        When the file is missing or garbled, an entry lacks its image, a value is impossible, or a file that it
        names is missing.
    """
    content = _content(path)
    parts = (
        {BARE: content} if isinstance(content, list) else {key: content[key] for key in SECTIONS if key in content}
    )
    if not parts:
        raise InputError(
            f"{path.name} is not a datalist",
            "it is neither a list of cases nor an object with training, validation or testing",
            'Write it as {"training": [{"image": "a.nii.gz", "label": "a_mask.nii.gz"}]}',
        )
    sections = {key: tuple(_entries(path, key, part)) for key, part in parts.items()}
    cases = [case for entries in sections.values() for case in entries]
    if not cases:
        raise InputError(f"{path.name} holds no cases")
    _require_files(path, cases)
    return Datalist(path, sections)


def _content(path: Path) -> Any:
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InputError(f"The datalist {path} cannot be read", reason or str(error), "Check the path") from error
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"The datalist {path.name} is not valid JSON", str(error)) from error
    if not isinstance(content, (list, Mapping)):
        raise InputError(f"{path.name} is not a datalist", "it holds neither a list nor an object")
    return content


def _entries(path: Path, section: str, part: Any) -> Iterator[DatalistCase]:
    if not isinstance(part, list):
        raise InputError(f"{path.name} is not a datalist", f"{section!r} is not a list")
    for number, entry in enumerate(part, start=1):
        try:
            yield _entry(path.parent, {"image": entry} if isinstance(entry, str) else entry)
        except (KeyError, TypeError, ValueError) as error:
            why = f"it has no {error}" if isinstance(error, KeyError) else str(error)
            where = f"entry {number} of {section!r}" if section else f"entry {number}"
            raise InputError(f"{path.name} cannot be used: {where} is not valid", why) from error


def _entry(folder: Path, entry: Any) -> DatalistCase:
    if not isinstance(entry, Mapping):
        raise TypeError("it is not an object")
    stated = entry["image"]
    images = [_path(folder, item, "image") for item in (stated if isinstance(stated, list) else [stated])]
    if not images:
        raise ValueError("its image is an empty list")
    fold = entry.get("fold")
    if fold is not None and (isinstance(fold, bool) or not isinstance(fold, int) or fold < 0):
        raise ValueError(f"fold must be a whole number from 0, not {fold!r}")
    return DatalistCase(
        name=str(entry.get("name") or case_name(images[0])),
        images=tuple(images),
        label=_label(folder, entry.get("label")),
        patient=str(entry.get("patient") or entry.get("patient_id") or ""),
        fold=fold,
        mask=_optional(folder, entry, "mask"),
        ignore=_optional(folder, entry, "ignore"),
        ratings=_ratings(entry.get("ratings") or {}),
    )


def _ratings(value: Any) -> dict[str, float | str]:
    if not isinstance(value, Mapping) or not all(isinstance(item, (int, float, str)) for item in value.values()):
        raise TypeError("ratings must be an object of numbers and words")
    return {str(key): item if isinstance(item, str) else float(item) for key, item in value.items()}


def _label(folder: Path, value: Any) -> Path | float | None:
    if value is None or (isinstance(value, str) and not value):
        return None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise ValueError(f"label must be finite, not {value}")
        return float(value)
    return _path(folder, value, "label")


def _optional(folder: Path, entry: Mapping[str, Any], key: str) -> Path | None:
    return _path(folder, entry[key], key) if entry.get(key) else None


def _path(folder: Path, value: Any, key: str) -> Path:
    if not isinstance(value, str) or not value or "\0" in value:
        raise TypeError(f"{key} must be a path, not {str(value)[:80]!r}")
    return folder / Path(value).expanduser()


def _require_files(path: Path, cases: Sequence[DatalistCase]) -> None:
    missing = [file for case in cases for file in case.files if not file.exists()]
    if missing:
        more = f", and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise InputError(
            f"{path.name} names files that are missing",
            f"there is no {missing[0]}{more}",
            "Paths are relative to the datalist; correct them, or take the entries out",
        )
