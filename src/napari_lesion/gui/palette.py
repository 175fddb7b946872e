"""Colours of lesions: safe for colour-blind readers (Okabe and Ito 2008), without those that drown in grey."""

from __future__ import annotations

from collections.abc import Mapping

from napari_lesion.core.lesion import Lesion, Review

ORANGE = "#E69F00"
SKY_BLUE = "#56B4E9"
YELLOW = "#F0E442"
VERMILLION = "#D55E00"
PURPLE = "#CC79A7"
GREEN = "#009E73"
GREY = "#9A9A9A"

DISTINCT = (ORANGE, SKY_BLUE, YELLOW, PURPLE, GREEN, VERMILLION)
SINGLE = (ORANGE,)
AXES = "#1E90FF"
"""Blue that is seen on white bone and on black lung, and is no colour of a lesion."""
MANUAL_AXES = "#7FFF00"
"""Chartreuse: as well seen, told from the blue by colour-blind readers, and no colour of a lesion."""
HANDLE = "#FFFFFF"


def lesion_colours(lesions: Mapping[int, Lesion], colours: str = "distinct") -> dict[int, str]:
    """Colour of each label; rejected lesions are grey."""
    wheel = SINGLE if colours == "single" else DISTINCT
    return {
        label: GREY if lesion.review == Review.REJECTED else wheel[(label - 1) % len(wheel)]
        for label, lesion in lesions.items()
    }
