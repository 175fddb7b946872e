"""What a classifier says of an image and of its lesions: one number for each class."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from napari_lesion.core.display import Box


@dataclass(frozen=True)
class LesionScore:
    """Scores of one lesion, and the voxels that they were made of.

    Parameters
    ----------
    values
        One number for each class.
    box
        Native box of the lesion, one voxel wider where the image goes on.
    checksum
        CRC-32 of its mask in that box.
    """

    values: tuple[float, ...]
    box: Box
    checksum: int

    def holds(self, labels: npt.NDArray[np.integer], label: int) -> bool:
        """Whether the lesion still is what was scored: one that grows crosses the rim of the box."""
        return self.checksum == mask_checksum(labels, label, self.box)


@dataclass(frozen=True)
class ClassScores:
    """Scores of one classifier.

    Parameters
    ----------
    model
        Name of the bundle.
    identity
        Name, version and hash, for records.
    classes
        Names of the classes, in the order of the scores.
    whole
        Scores of the whole image; none when lesions were scored.
    lesions
        Scores by label.
    """

    model: str
    identity: str
    classes: tuple[str, ...]
    whole: tuple[float, ...] = ()
    lesions: Mapping[int, LesionScore] = field(default_factory=dict)


def mask_checksum(labels: npt.NDArray[np.integer], label: int, box: Box) -> int:
    """CRC-32 of the mask of a label in a box."""
    return zlib.crc32(np.packbits(labels[box] == label).tobytes())


def with_rim(box: Box, shape: tuple[int, ...]) -> Box:
    """The box one voxel wider on each side, inside the image."""
    z, y, x = (slice(max(0, part.start - 1), min(n, part.stop + 1)) for part, n in zip(box, shape, strict=True))
    return z, y, x
