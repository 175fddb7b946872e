"""Which image of a study is which channel of a model that takes several sequences, and all of them on one grid."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from napari_lesion.core.errors import GeometryError
from napari_lesion.core.grid import Grid
from napari_lesion.core.volume import Volume

_CONTRAST: Final = r"t1[-_ ]*(\+?c(?![a-z])|ce|gd|km|post|contrast|w?[-_ ]*(gd|ce|post|contrast|km))"
_SEQUENCES: Final = (
    ("FLAIR", re.compile(r"flair|tirm|dark[-_ ]?fluid")),
    ("T1c", re.compile(rf"{_CONTRAST}|post[-_ ]?contrast|gadolin|contrast[-_ ]?enhanced")),
    ("T1", re.compile(r"t1(?!\d)")),
    ("T2", re.compile(r"t2(?!\d)")),
    ("ADC", re.compile(r"(?<![a-z])adc(?![a-z])")),
    ("DWI", re.compile(r"dwi|diffusion|(?<![a-z])b\d{3,4}")),
    ("PD", re.compile(r"(?<![a-z])pd(?![a-z])|proton")),
)
"""Names that sequences go by, the more particular ones first: a T2 FLAIR is a FLAIR."""


@dataclass(frozen=True, eq=False)
class Images:
    """The images that a model takes.

    Parameters
    ----------
    volumes
        In the order of the model's channels; none for the study's image alone.
    resample
        Whether those on another grid are brought to that of the study's image; an error without it.
    """

    volumes: tuple[Volume, ...] = ()
    resample: bool = False

    def beside(self, volume: Volume) -> tuple[Volume, ...]:
        """All images on the grid of the study's image.

        Raises
        ------
        GeometryError
            When one lies on another grid, and nobody agreed to resample it, or it does not meet the image.
        """
        volumes = self.volumes or (volume,)
        if not self.resample:
            return volumes
        return tuple(one if one.grid.agrees_with(volume.grid) else on_grid(one, volume.grid) for one in volumes)


def sequence_of(name: str) -> str:
    """Sequence that a name speaks of, such as ``FLAIR`` for ``p07_t2_flair.nii.gz``; empty when it speaks of none."""
    text = name.lower()
    return next((sequence for sequence, pattern in _SEQUENCES if pattern.search(text)), "")


def guess_channels(channels: Sequence[str], images: Sequence[str]) -> tuple[int | None, ...]:
    """Which image is likely which channel, by their names.

    Parameters
    ----------
    channels
        What each channel is, as the model states it: ``T1c``, ``FLAIR``.
    images
        Names of the images.

    Returns
    -------
    tuple
        Number of an image for each channel, none of them twice; None where no name fits.
    """
    known = [sequence_of(name) or _plain(name) for name in images]
    free = list(range(len(images)))
    found: list[int | None] = []
    for channel in channels:
        wanted = sequence_of(channel) or _plain(channel)
        fits = (place for place in free if known[place] == wanted)
        place = next(fits, next((p for p in free if _plain(channel) and _plain(channel) in _plain(images[p])), None))
        if place is not None:
            free.remove(place)
        found.append(place)
    return tuple(found)


def on_grid(volume: Volume, grid: Grid) -> Volume:
    """A volume on another grid, by one linear interpolation; 0 outside it, as windows hold outside an image.

    Raises
    ------
    GeometryError
        When the two do not meet.
    """
    from scipy import ndimage

    matrix = np.linalg.inv(volume.grid.affine_lps) @ grid.affine_lps
    linear, shift = matrix[:3, :3][::-1, ::-1], matrix[:3, 3][::-1]
    last = np.asarray(grid.shape) - 1
    corners = np.array(np.meshgrid(*([0, n] for n in last), indexing="ij")).reshape(3, -1).T @ linear.T + shift
    if (corners.max(axis=0) < 0).any() or (corners.min(axis=0) > np.asarray(volume.grid.shape) - 1).any():
        raise GeometryError(
            f"The image {volume.source.case} does not meet the study's image",
            "they show different places",
            "Choose an image of the same examination",
        )
    array = ndimage.affine_transform(volume.array.astype(np.float32), linear, shift, grid.shape, order=1)
    return replace(volume, array=array, grid=grid)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
