"""One picture of the gallery of a detector: a held-out case as the run of its fold sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from napari_lesion.core.errors import InputError
from napari_lesion.core.grid import Grid
from napari_lesion.core.volume import Modality, Volume
from napari_lesion.evaluation.picture import Picture, take_picture
from napari_lesion.evaluation.segmentation import dice
from napari_lesion.training.cases import Case
from napari_lesion.training.config import Intensity
from napari_lesion.training.detector.look import FoldModel
from napari_lesion.training.detector.mark_score import is_other
from napari_lesion.training.detector.pool import ball_diameter
from napari_lesion.training.scenes import LESION, Scene

EDGE_MM: Final = 40.0
"""Side of what is shown: the same for all, so that sizes can be compared."""
RAS: Final = (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0)
"""Direction of the grid of a scene, whose axes run to right, anterior and superior."""
SAME_DICE: Final = 0.02
"""Largest difference that other hardware may make."""

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Shown:
    """One picture and what is said below it.

    Parameters
    ----------
    case
        Name of the case.
    kind
        ``nodule`` or ``other mark``.
    picture
        Slice with outlines.
    probability
        Of the mark; None where no mark hits the nodule.
    diameter_mm
        Of a ball of the volume of the nodule or of the other mark.
    dice
        Of the nodule; 0 when it was missed; None for another mark.
    """

    case: str
    kind: str
    picture: Picture
    probability: float | None
    diameter_mm: float
    dice: float | None = None

    @property
    def probability_or_zero(self) -> float:
        """Probability to sort by."""
        return self.probability or 0.0

    @property
    def words(self) -> str:
        """What stands below the picture."""
        sure = "no mark" if self.probability is None else f"p {self.probability:.2f}"
        if self.dice is None:
            return f"other mark, {self.diameter_mm} mm, {sure}"
        found = f"Dice {self.dice:.2f}" if self.dice else "missed"
        return f"{self.diameter_mm} mm, {found}, {sure}"

    def record(self, number: int) -> dict[str, Any]:
        """What is kept of it beside the picture."""
        names = ("case", "kind", "diameter_mm", "dice", "probability")
        return {"number": number, **{name: getattr(self, name) for name in names}}


def scene_picture(scene: Scene, window: Intensity, truth: BoolArray, found: BoolArray) -> Picture:
    """Axial slice of a scene with both outlines, given on its grid."""
    x, y, z = scene.image.shape
    hu = scene.image.astype(np.float32) * (window.a_max - window.a_min) + window.a_min
    volume = Volume(hu.transpose(), Grid((x, y, z), (1.0, 1.0, 1.0), direction=RAS), Modality.CT)
    return take_picture(volume, truth.transpose(), found.transpose(), EDGE_MM)


def show_nodule(model: FoldModel, case: Case, row: Mapping[str, Any], threshold: float) -> Shown:
    """Picture of a nodule with every mark that touches it, also one below the threshold.

    Parameters
    ----------
    model
        Run of the fold that held its patient out.
    case
        Where it is.
    row
        What stands of it in the figures.
    threshold
        Probability from which a mark counts.

    Raises
    ------
    InputError
        When this run does not give the Dice of the figures: then they are of another run.
    """
    look = model.look(case)
    lesion = look.scene.label == LESION
    again = dice(lesion, look.mask(look.on_the_nodule(threshold)))
    if abs(again - row["dice"]) > SAME_DICE:
        raise InputError(
            f"{case.name} is not what the figures say", f"its Dice is {again:.3f}, in the figures {row['dice']:.3f}"
        )
    found = look.mask([mark for mark in look.marks if mark.seen.overlap])
    picture = scene_picture(look.scene, model.intensity, lesion, found)
    return Shown(case.name, "nodule", picture, row["probability"], row["diameter_mm"], row["dice"])


def show_other_marks(model: FoldModel, case: Case, threshold: float, count: int) -> list[Shown]:
    """Pictures of the most probable marks of a scan that lie off every nodule and every doubtful place."""
    look = model.look(case)
    others = [mark for mark in look.marks if is_other(mark.seen) and mark.probability >= threshold]
    surest = sorted(others, key=lambda mark: -mark.probability)[:count]
    nothing = np.zeros(look.scene.label.shape, dtype=bool)
    return [
        Shown(
            case.name,
            "other mark",
            scene_picture(look.scene, model.intensity, nothing, look.mask([mark])),
            mark.probability,
            round(ball_diameter(mark.seen.voxels), 1),
        )
        for mark in surest
    ]
