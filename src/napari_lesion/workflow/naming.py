"""Names of lesions: given by the reader, unique in a study, the same at every visit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import count

from napari_lesion.core.errors import LesionError
from napari_lesion.core.lesion import Lesion
from napari_lesion.workflow.study import EditRecord, Study, with_identity

LONGEST_NAME = 64
SEPARATORS = ",;"
"""Lists of names are written with commas, flags with semicolons."""


def rename_lesion(study: Study, label: int, lesion_id: str) -> Lesion:
    """Give a lesion another name; its UID follows the name, and the action is logged.

    Parameters
    ----------
    study
        The study; its row of the lesion is brought up to date too.
    label
        The lesion.
    lesion_id
        Its new name. White space at the ends is dropped, and inside it becomes single spaces. The label as text is
        the name of a lesion that has no other.

    Raises
    ------
    LesionError
        When there is no such lesion, or the name is empty, too long, taken, or holds a comma, a semicolon or a
        character that cannot be printed.
    """
    lesion = study.lesions.get(label)
    if lesion is None:
        raise LesionError("Nothing was renamed", f"there is no lesion {label}", "Select a row first")
    name = " ".join(lesion_id.split())
    _require_usable(name)
    if _is_taken(name, label, study.lesions):
        raise LesionError(
            f"Lesion {label} was not renamed", f"another lesion is called {name}", "Choose another name"
        )
    if name == lesion.tracking_id:
        return lesion
    renamed = replace(lesion, lesion_id="" if name == str(label) else name, lesion_uid="")
    study.lesions[label] = renamed
    study.table = with_identity(study.table, {label: renamed}, study.volume.source)
    study.log.append(EditRecord("rename", (label,)))
    study.touched()
    return renamed


def with_free_name(lesion: Lesion, others: Mapping[int, Lesion]) -> Lesion:
    """The lesion, with a name of its own when another lesion has taken its number or name meanwhile."""
    if not _is_taken(lesion.tracking_id, lesion.label, others):
        return lesion
    names = (f"{lesion.tracking_id}-{number}" for number in count(2))
    free = next(name for name in names if not _is_taken(name, lesion.label, others))
    return replace(lesion, lesion_id=free, lesion_uid="")


def _is_taken(name: str, label: int, lesions: Mapping[int, Lesion]) -> bool:
    wanted = name.casefold()
    return any(other.tracking_id.casefold() == wanted for key, other in lesions.items() if key != label)


def _require_usable(name: str) -> None:
    why = ""
    if not name:
        why = "the name is empty"
    elif len(name) > LONGEST_NAME:
        why = f"the name has {len(name)} characters, and {LONGEST_NAME} are allowed"
    elif any(mark in name for mark in SEPARATORS):
        why = "the name holds a comma or a semicolon, which separate names in lists"
    elif not name.isprintable():
        why = "the name holds a character that cannot be printed"
    if why:
        raise LesionError("The lesion was not renamed", why, "Choose another name")
