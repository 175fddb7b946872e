"""Brains that lesions are set into: the template, and labelled patients, with their tissues."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_lesion.training.brain.cases import (
    BoolArray,
    FloatArray,
    Image,
    Visit,
    box_of,
    list_visits,
    load_image,
    moved_by_box,
)

TEMPLATE = Path("brain_background") / "icbm152_2009a_1mm"
PAD = 12
"""Voxels around the brain's box, for skull and scalp and for turns."""
DEEP_MM = 18.0
SAMPLE = 20
"""Every so many voxels are enough to fit the tissues."""


@dataclass(frozen=True, eq=False)
class Anatomy:
    """One brain on a 1 mm grid (x, y, z), RAS, with room around it.

    Parameters
    ----------
    name
        Name of the visit, or ``template``.
    patient
        Whose brain; empty for the template.
    origin
        World position of the first voxel, mm.
    brain, lesion
        Masks; the template has no lesion.
    white, fluid
        Probability of white matter and of cerebrospinal fluid, 0 outside the brain.
    t1, flair
        Images divided by their median in white matter; None where there is none.
    knots
        T1 of fluid, grey and white matter in the same unit; None without T1.
    """

    name: str
    patient: str
    origin: npt.NDArray[np.float64]
    brain: BoolArray
    lesion: BoolArray
    white: FloatArray
    fluid: FloatArray
    t1: FloatArray | None = None
    flair: FloatArray | None = None
    knots: FloatArray | None = None

    @property
    def box(self) -> npt.NDArray[np.float64]:
        """Lowest and highest corner (2, 3) of the brain, mm."""
        return box_of(self.brain, self.origin)

    @cached_property
    def white_points(self) -> npt.NDArray[np.int64]:
        """Voxels (n, 3) of white matter."""
        return np.argwhere(self.white > 0.5)

    @cached_property
    def nearest_white(self) -> npt.NDArray[np.int32]:
        """Nearest voxel of white matter of each voxel, (3, x, y, z)."""
        from scipy import ndimage

        nearest: npt.NDArray[np.int32] = ndimage.distance_transform_edt(
            self.white <= 0.5, return_distances=False, return_indices=True
        )
        return nearest

    @cached_property
    def ventricles(self) -> BoolArray:
        """Fluid deep inside the brain."""
        import edt

        depth = edt.edt(self.brain, parallel=1)
        inside: BoolArray = (self.fluid > 0.5) & (depth > DEEP_MM)
        return inside

    @cached_property
    def outside_mm(self) -> FloatArray:
        """Distance of each voxel from the brain, mm; 0 inside."""
        import edt

        distance: FloatArray = edt.edt(~self.brain, parallel=1)
        return distance


def load_template(data: Path) -> Anatomy:
    """Anatomy of the ICBM 152 average brain."""
    folder = data / TEMPLATE
    t1, brain = load_image(folder / "t1.nii.gz"), load_image(folder / "brain_mask.nii.gz", labels=True)
    mask = brain.array > 0
    tissues = fit_tissues(t1.array, mask)
    white = load_image(folder / "wm_prob_x255.nii.gz").array / 255
    parts = {
        "brain": mask,
        "lesion": np.zeros_like(mask),
        "white": np.where(mask, white, 0).astype(np.float32),
        "fluid": np.where(mask & (white < 0.5), tissues.fluid, 0).astype(np.float32),
        "t1": t1.array / tissues.means[2],
    }
    return Anatomy("template", "", t1.origin - PAD, **_padded(parts), knots=tissues.means / tissues.means[2])


def load_anatomies(data: Path, patients: set[str], template: Anatomy) -> list[Anatomy]:
    """Brains of the patients, every visit.

    White matter is that of the template, stretched to the brain's box, where T1 shows no fluid: Gaussians alone do
    not tell grey from white matter in a T1 image with contrast agent. A visit without T1 takes the fluid of another
    visit of the same patient; both lie in the frame of one template.
    """
    visits = [visit for visit in list_visits(data) if visit.patient in patients]
    first = {v.patient: v for v in reversed(visits) if v.file("t1").is_file()}
    return [_load_visit(visit, first[visit.patient], template) for visit in visits]


def _load_visit(visit: Visit, with_t1: Visit, template: Anatomy) -> Anatomy:
    flair = load_image(visit.file("flair"))
    size = flair.array.shape
    brain, lesion = (load_image(visit.file(name), labels=True).array > 0 for name in ("brain_mask", "lesion"))
    t1 = load_image(with_t1.file("t1"))
    around, plaques = (load_image(with_t1.file(name), labels=True).array > 0 for name in ("brain_mask", "lesion"))
    tissues = fit_tissues(t1.array, around & ~plaques)
    fluid = _moved(Image(tissues.fluid, t1.origin), flair.origin, size) * (brain & ~lesion)
    white = moved_by_box(
        Image(template.white, template.origin), template.box, box_of(brain, flair.origin), flair.origin, size
    )
    white = np.where(lesion, 1, white * (1 - fluid)) * brain
    parts = {
        "brain": brain,
        "lesion": lesion,
        "white": white,
        "fluid": fluid,
        "flair": flair.array / np.median(flair.array[(white > 0.9) & ~lesion]),
    }
    own = visit == with_t1
    if own:
        parts["t1"] = t1.array / tissues.means[2]
    knots = tissues.means / tissues.means[2] if own else None
    return Anatomy(visit.name, visit.patient, flair.origin - PAD, **_padded(parts), knots=knots)


@dataclass(frozen=True, eq=False)
class Tissues:
    """Soft tissues of a T1 image.

    Parameters
    ----------
    fluid, white
        Probability, the shape of the image.
    means
        Mean of fluid, grey and white matter.
    """

    fluid: FloatArray
    white: FloatArray
    means: FloatArray


def fit_tissues(t1: FloatArray, brain: BoolArray) -> Tissues:
    """Three Gaussians of one width, fitted to the T1 values of a brain (scikit-learn), darkest first."""
    from sklearn.mixture import GaussianMixture

    values = t1[brain]
    spread = np.percentile(values, [5, 45, 85])[:, None]
    mixture = GaussianMixture(3, covariance_type="tied", means_init=spread, random_state=0)
    mixture.fit(values[::SAMPLE, None])
    order = np.argsort(mixture.means_[:, 0])
    found = mixture.predict_proba(values[:, None])[:, order]
    fluid, white = np.zeros((2, *t1.shape), dtype=np.float32)
    fluid[brain], white[brain] = found[:, 0], found[:, 2]
    return Tissues(fluid, white, mixture.means_[order, 0].astype(np.float32))


def _moved(image: Image, origin: npt.NDArray[Any], size: tuple[int, ...]) -> FloatArray:
    """An image on another 1 mm grid (linear interpolation)."""
    box = np.stack([origin, origin + 1])
    return moved_by_box(image, box, box, origin, size)


def _padded(parts: dict[str, npt.NDArray[Any]]) -> dict[str, Any]:
    return {
        name: np.pad(part.astype(bool if part.dtype == bool else np.float32), PAD) for name, part in parts.items()
    }
