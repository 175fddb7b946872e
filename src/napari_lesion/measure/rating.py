"""How readers would rate a lesion: columns that a classifier fills, and why it left them empty."""

from __future__ import annotations

from napari_lesion.core.rating import Rating
from napari_lesion.core.table import Value
from napari_lesion.measure.context import LesionContext
from napari_lesion.measure.spec import Family, FeatureSpec, Scale

NO_LUNG, THICK, PIXELS, SIZE = "rating_no_lung", "rating_thick_slices", "rating_coarse_pixels", "rating_size"
DAMAGED = "rating_damaged"

WHY_NOT = {
    DAMAGED: "Not rated: the bundle of the classifier is damaged; the log says how.",
    NO_LUNG: "Not rated: less than 15 % of the tissue around the lesion is aerated lung, and the classifier knows "
    "nodules of the lung alone.",
    THICK: "Not rated: axial slices are more than 5 mm apart, thicker than any that the classifier was trained on.",
    PIXELS: "Not rated: pixels in the axial slice are wider than 1.25 mm, coarser than those of the training.",
    SIZE: "Not rated: the slice of largest area is smaller than a disc of 1.5 mm or larger than one of 36 mm, beyond "
    "what the classifier was trained on.",
}
"""Flags of lesions that the classifier did not rate, and what they mean. The limits stand in its bundle."""

REFERENCE = "LIDC-IDRI, Armato 2011, Med Phys 38:915"
EMPTY = "Empty on other images than CT, without a classifier, and where a flag says why."
NOBODY = Rating()


def _rating(c: LesionContext) -> Rating:
    return c.rating or NOBODY


def _suspicious(c: LesionContext) -> Value:
    return _rating(c).suspicious


def _texture(c: LesionContext) -> Value:
    return _rating(c).texture


def _calcified(c: LesionContext) -> Value:
    return _rating(c).calcified


RATING: tuple[FeatureSpec, ...] = (
    FeatureSpec(
        "malignancy_suspicious_probability",
        "Suspicious to readers",
        Family.IDENTITY,
        _suspicious,
        "Probability that readers would rate it suspicious: a mean of 3.5 or more of 5 for malignancy. An opinion of "
        "readers as a classifier predicts it from the axial slice of largest area, not pathology and no diagnosis. "
        f"{EMPTY}",
        ucum="1",
        reference=REFERENCE,
        scales=(Scale.HU,),
    ),
    FeatureSpec(
        "texture_class",
        "Texture to readers",
        Family.IDENTITY,
        _texture,
        "Texture that readers would most probably see: ground glass (mean rating below 2.5 of 5), part-solid, or "
        f"solid (above 4.25). {EMPTY}",
        reference=REFERENCE,
        scales=(Scale.HU,),
    ),
    FeatureSpec(
        "calcified_probability",
        "Calcified to readers",
        Family.IDENTITY,
        _calcified,
        "Probability that readers would call it calcified: a mean rating of calcification below 5.5 of 6, where 6 is "
        f"none. {EMPTY}",
        ucum="1",
        reference=REFERENCE,
        scales=(Scale.HU,),
    ),
)
