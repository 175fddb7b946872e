"""How a lesion stands to the mask of the model, in words."""

from __future__ import annotations

from napari_lesion.core.lesion import Status
from napari_lesion.workflow.edit import Editor


def change_words(editor: Editor | None, label: int) -> tuple[str, str]:
    """How the selected lesion stands to the mask of the model: a sentence and its detail."""
    lesion = editor.study.lesions.get(label) if editor is not None else None
    if editor is None or lesion is None:
        return "", ""
    if lesion.status == Status.MODEL:
        return f"Lesion {label}: as the model drew it", ""
    change = editor.compare(label)
    if not change.model_voxels:
        origin = "drawn by hand" if lesion.status == Status.MANUAL else "made by hand on a mark of the model"
        return f"Lesion {label}: {origin}, {_number(change.volume_mm3)} mm³", ""
    difference = f"{_signed(change.difference_mm3)} mm³ ({_signed(change.difference_percent)} %)"
    detail = (
        f"{_number(change.added_mm3)} mm³ added to the model's mask, {_number(change.removed_mm3)} mm³ taken away; "
        f"Dice coefficient {change.dice:.2f}"
    )
    return f"Lesion {label}: {difference} against the model", detail


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.1f}"


def _signed(value: float) -> str:
    return ("+" if value > 0 else "−" if value < 0 else "±") + _number(abs(value))
