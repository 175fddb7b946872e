"""FLAIR-like images of an anatomy: its own FLAIR with shifted tissues, or its T1 with another contrast."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_lesion.training.brain.anatomy import Anatomy
from napari_lesion.training.brain.cases import BoolArray, FloatArray


def smooth_field(shape: tuple[int, ...], scale: float, rng: np.random.Generator) -> FloatArray:
    """Random field of mean 0 that varies over ``scale`` voxels, its standard deviation 1 before interpolation."""
    import torch
    from torch.nn.functional import interpolate

    coarse = rng.standard_normal([int(np.ceil(n / scale)) + 1 for n in shape]).astype(np.float32)
    field: FloatArray = interpolate(torch.from_numpy(coarse)[None, None], shape, mode="trilinear")[0, 0].numpy()
    return field


def own_flair(anatomy: Anatomy, rng: np.random.Generator) -> FloatArray:
    """The patient's own FLAIR; fluid and grey matter a little brighter or darker than they were.

    Lesions stay what they were. White matter is about 1.
    """
    if anatomy.flair is None:
        raise ValueError(anatomy.name)
    image = anatomy.flair
    grey = anatomy.brain * np.clip(1 - anatomy.white - anatomy.fluid, 0, 1) * ~anatomy.lesion
    fluid = 1 + rng.uniform(-0.4, 0.4) * anatomy.fluid
    made: FloatArray = (image * fluid * (1 + rng.uniform(-0.06, 0.06) * grey)).astype(np.float32)
    return made


def from_t1(anatomy: Anatomy, rng: np.random.Generator) -> FloatArray:
    """The T1 image with its grey values exchanged for those of a FLAIR: dark fluid, grey matter a little brighter.

    The prior of the values is wide (Billot et al. 2023, doi:10.1016/j.media.2023.102789), around those of FLAIR. What
    lies between fluid and white matter becomes as bright as grey matter: the bright rim of ventricles.
    """
    if anatomy.t1 is None or anatomy.knots is None:
        raise ValueError(anatomy.name)
    white = 1.0
    grey = rng.uniform(0.92, 1.3)
    fluid = rng.uniform(0.1, 0.65)
    values = [fluid * rng.uniform(0.3, 1.0), fluid, grey, white, white * rng.uniform(0.9, 1.1)]
    knots = [0.0, *anatomy.knots, 1.5]
    image = np.interp(anatomy.t1, knots, values).astype(np.float32) * anatomy.brain
    # A plaque is dark on T1: it becomes white matter, before it is painted as a lesion.
    return np.where(anatomy.lesion, np.float32(white), image)


def uneven(image: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Tissue that is not of one value: patches of some millimetres, of some per cent."""
    field = smooth_field(image.shape, rng.uniform(2.0, 6.0), rng)
    return (image * (1 + rng.uniform(0.0, 0.05) * field)).astype(np.float32)


def distract(image: FloatArray, anatomy: Anatomy, lesions: BoolArray, rng: np.random.Generator) -> FloatArray:
    """Bright things that are no lesion: haze around lesions, rims and plexus of the ventricles, spots of flow.

    Parameters
    ----------
    image
        White matter about 1.
    anatomy
        Whose brain.
    lesions
        What is labelled; none of it is changed in the label.
    rng
        Which of them, how bright.
    """
    from scipy import ndimage

    image = image.copy()
    if rng.random() < 0.4 and lesions.any():
        haze = ndimage.gaussian_filter(lesions.astype(np.float32), rng.uniform(2.0, 5.0))
        image += rng.uniform(0.05, 0.25) * haze * (anatomy.white > 0.3) * ~lesions
    if rng.random() < 0.5 and anatomy.ventricles.any():
        rim = ndimage.binary_dilation(anatomy.ventricles) & ~anatomy.ventricles & anatomy.brain
        patches = np.clip(smooth_field(image.shape, 8.0, rng) + 0.5, 0, 1)
        image += rng.uniform(0.05, 0.3) * rim * patches
    if rng.random() < 0.5 and anatomy.ventricles.any():
        image += _spots(
            anatomy.ventricles, int(rng.integers(1, 5)), rng.uniform(1.0, 2.5), rng.uniform(0.2, 0.9), rng
        )
    if rng.random() < 0.5:
        sulci = (anatomy.fluid > 0.5) & ~anatomy.ventricles
        image += _spots(sulci, int(rng.integers(5, 60)), rng.uniform(0.6, 1.2), rng.uniform(0.2, 0.9), rng)
    return image


def _spots(where: BoolArray, count: int, radius: float, height: float, rng: np.random.Generator) -> FloatArray:
    """Soft spots at random voxels of a mask."""
    from scipy import ndimage

    voxels = np.flatnonzero(where)
    spots = np.zeros(where.shape, dtype=np.float32)
    if not len(voxels):
        return spots
    spots.ravel()[voxels[rng.integers(len(voxels), size=count)]] = rng.uniform(0.3, 1.0, count)
    # A Gaussian of unit height.
    scaled: FloatArray = ndimage.gaussian_filter(spots, radius) * (height * (2 * np.pi) ** 1.5 * radius**3)
    return scaled


def with_head(image: FloatArray, anatomy: Anatomy, rng: np.random.Generator) -> FloatArray:
    """Skull and scalp around a brain that has none: shells of random thickness and brightness.

    Users' images have a skull, those of the data have not.
    """
    edges = np.cumsum([rng.uniform(0.5, 4.0), rng.uniform(1.0, 3.0), rng.uniform(1.0, 5.0), rng.uniform(1.0, 3.0)])
    edges = np.append(edges, edges[-1] + rng.uniform(2.0, 8.0))
    # Fluid, inner table, marrow, outer table, scalp; scalp is dark where fat was suppressed.
    values = [rng.uniform(0.1, 0.5), rng.uniform(0.0, 0.2), rng.uniform(0.1, 1.0), rng.uniform(0.0, 0.2)]
    values.append(rng.uniform(0.2, 1.8))
    wavy = anatomy.outside_mm * (1 + 0.15 * smooth_field(image.shape, 24.0, rng))
    shell: npt.NDArray[np.intp] = np.searchsorted(edges, wavy)
    head = np.array([*values, 0.0], dtype=np.float32)[shell]
    head *= np.clip(1 + 0.3 * smooth_field(image.shape, 4.0, rng), 0.2, 2.0)
    return np.where(anatomy.brain, image, head).astype(np.float32)
