"""How far a model agrees with itself on a lesion, and the volume's range that follows from it.

Computed where the marks are made, from the passes of a test-time augmentation; a mark that the reader changed is no
mark of the model any more, and these columns are empty for it.
"""

from __future__ import annotations

from napari_lesion.core.lesion import Status
from napari_lesion.core.table import Value
from napari_lesion.measure.context import LesionContext
from napari_lesion.measure.spec import Family, FeatureSpec

NAN = float("nan")
RANGE = (
    "among the masks of the flipped passes at the threshold and the mark itself: how far the model's own opinions "
    "differ, not a 95 % bar. Empty without test-time augmentation and for lesions that the reader changed."
)
REFERENCE = "Wang 2019, Neurocomputing 338:34"


def _agreement(c: LesionContext) -> Value:
    return c.lesion.agreement if c.lesion.status is Status.MODEL else NAN


def _low(c: LesionContext) -> Value:
    return c.lesion.volume_range_mm3[0] if c.lesion.status is Status.MODEL else NAN


def _high(c: LesionContext) -> Value:
    return c.lesion.volume_range_mm3[1] if c.lesion.status is Status.MODEL else NAN


AGREEMENT: tuple[FeatureSpec, ...] = (
    FeatureSpec(
        "model_agreement",
        "Agreement",
        Family.UNCERTAINTY,
        _agreement,
        "Mean Dice of all pairs of masks that the flipped passes of a test-time augmentation give the lesion at the "
        "threshold; a pair in which both are empty counts 0. Empty without augmentation and for lesions that the "
        "reader changed.",
        ucum="1",
        reference="Roy 2019, NeuroImage 195:11",
        invariance=("T", "F"),
    ),
    FeatureSpec(
        "volume_model_low_mm3",
        "Volume of the model, low",
        Family.UNCERTAINTY,
        _low,
        f"Smallest volume {RANGE}",
        unit="mm³",
        ucum="mm3",
        decimals=0,
        reference=REFERENCE,
        invariance=("T", "F"),
    ),
    FeatureSpec(
        "volume_model_high_mm3",
        "Volume of the model, high",
        Family.UNCERTAINTY,
        _high,
        f"Largest volume {RANGE}",
        unit="mm³",
        ucum="mm3",
        decimals=0,
        reference=REFERENCE,
        invariance=("T", "F"),
    ),
)
