"""Boxes of a detector: its post-processing, their form, and where they lie in the patient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from napari_lesion.inference.bundles.outputs import Boxed, boxes_of
from napari_lesion.inference.bundles.parts import Parts
from napari_lesion.inference.bundles.workflows import PREDICTION

CENTRES: Final = "cccwhd"
"""Centre and size, MONAI's mode of boxes that this program takes."""
CORNERS: Final = "xyzxyz"
"""Two corners, the standard mode of MONAI."""


@dataclass(frozen=True)
class BoxForm:
    """How a bundle's post-processing leaves its boxes.

    Parameters
    ----------
    mode
        MONAI's name of the six numbers.
    space
        ``LPS`` or ``RAS`` millimetres, or ``image``: voxels of what the network took.
    """

    mode: str = CENTRES
    space: str = "RAS"


def boxed(sample: Mapping[str, Any], parts: Parts, meanings: Mapping[int, str], name: str) -> Boxed:
    """Boxes in LPS millimetres.

    Parameters
    ----------
    sample
        With the detector's own answer, a mapping with boxes in voxels of the prepared image.
    parts
        Whose post-processing takes a mapping of the answer and the image, as MONAI's detection bundles write it.
    meanings
        Class number to name.
    name
        Name of the bundle, for errors.

    Raises
    ------
    ModelError
        When the answer holds no boxes with scores.
    """
    form = form_of(parts.postprocessing)
    image = sample[parts.key]
    answer = dict(sample[PREDICTION])
    if parts.postprocessing is not None:
        answer = parts.postprocessing({**answer, parts.key: image})
    numbers = boxes_of({key: value for key, value in answer.items() if key != parts.key}, name)
    return _in_patient(numbers, form, image, meanings)


def form_of(postprocessing: Any) -> BoxForm:
    """What the steps say of the boxes that they leave."""
    mode, space = CORNERS, "image"
    for step in getattr(postprocessing, "transforms", ()):
        kind = type(step).__name__
        if kind == "AffineBoxToWorldCoordinated":
            space = "LPS" if step.affine_lps_to_ras else "RAS"
        elif kind == "AffineBoxToImageCoordinated":
            space = "image"
        elif kind == "ConvertBoxToStandardModed":
            mode = CORNERS
        elif kind == "ConvertBoxModed":
            mode = _mode_name(step.converter.dst_mode)
    return BoxForm(mode, space)


def _mode_name(stated: Any) -> str:
    """Name of a box mode that is stated as text, class or object."""
    from monai.data.box_utils import get_boxmode

    return str(get_boxmode(stated).name[3]) if stated is not None else CORNERS


def _in_patient(numbers: tuple[Any, Any, Any], form: BoxForm, image: Any, meanings: Mapping[int, str]) -> Boxed:
    from monai.data.box_utils import convert_box_mode

    boxes, scores, labels = numbers
    boxes = np.asarray(boxes, dtype=np.float64).reshape(-1, 6)
    if form.mode != CENTRES and len(boxes):
        boxes = np.asarray(convert_box_mode(boxes, src_mode=form.mode, dst_mode=CENTRES))
    centres, sizes = boxes[:, :3], np.abs(boxes[:, 3:])
    if form.space == "image":
        affine = np.asarray(image.affine, dtype=np.float64)
        centres = centres @ affine[:3, :3].T + affine[:3, 3]
        sizes = sizes @ np.abs(affine[:3, :3]).T
    if form.space != "LPS":
        centres = centres * np.array([-1.0, -1.0, 1.0])
    return Boxed(centres, sizes, scores, labels, meanings)
