"""Denoising, bias correction and local histogram equalisation: SimpleITK and scikit-image as MONAI transforms."""

from __future__ import annotations

from typing import Any

import numpy as np
from monai.data import MetaTensor  # noqa: TID253 (imported by a chain that runs, not by the dock)
from monai.transforms import ResampleToMatch, Transform  # noqa: TID253
from monai.utils import convert_data_type, convert_to_dst_type  # noqa: TID253

from napari_lesion.core.grid import Grid
from napari_lesion.core.volume import Volume
from napari_lesion.preprocess.base import DictionaryTransform, FloatArray, ImageTransform, StepTransform
from napari_lesion.preprocess.images import grid_of, image_of
from napari_lesion.preprocess.itk import Watch, itk_image

STABLE_STEP_MM2 = 1 / 16
"""Largest time step of an explicit scheme in three dimensions on voxels of 1 mm, mm²."""
MOST_NEGATIVE = 0.01


class CurvatureFlow(ImageTransform):
    """Curvature flow (SimpleITK): smooths along edges, not across them.

    Parameters
    ----------
    iterations
        Steps in time; more are smoother.

    Notes
    -----
    The time step is 1/16 of the smallest squared spacing, mm², at which the explicit scheme is stable.
    Source: Sethian, Level Set Methods (1996); ITK CurvatureFlowImageFilter.
    """

    def __init__(self, iterations: int = 5) -> None:
        super().__init__()
        self.iterations = iterations

    def filtered(self, array: FloatArray, grid: Grid) -> FloatArray:
        """Smooth one channel."""
        import SimpleITK

        flow = SimpleITK.CurvatureFlowImageFilter()
        flow.SetNumberOfIterations(self.iterations)
        flow.SetTimeStep(STABLE_STEP_MM2 * min(1.0, min(grid.spacing)) ** 2)
        made = Watch(flow, self.report, self.iterations).run(itk_image(array, grid))
        return np.asarray(SimpleITK.GetArrayViewFromImage(made).T, dtype=np.float32)


class NonLocalMeans(ImageTransform):
    """Non-local means (scikit-image), axial slice by axial slice.

    Parameters
    ----------
    strength
        Cut-off of the patch distance as a multiple of the noise, which is estimated from the wavelet coefficients
        of each slice; 0.8 suits the fast variant.
    patch_size, patch_distance
        Side of a patch, and farthest patch that is looked at, pixels.

    Notes
    -----
    Source: Buades, Coll, Morel 2005; ``skimage.restoration.denoise_nl_means`` with ``fast_mode``.
    """

    def __init__(self, strength: float = 0.8, patch_size: int = 5, patch_distance: int = 4) -> None:
        super().__init__()
        self.strength = strength
        self.patch_size = patch_size
        self.patch_distance = patch_distance

    def filtered(self, array: FloatArray, grid: Grid) -> FloatArray:
        """Denoise one channel."""
        from skimage.restoration import denoise_nl_means

        axis = 2 - grid.axial_axis
        made = np.array(array, dtype=np.float32, copy=True)
        slices = np.moveaxis(made, axis, 0)
        for k, part in enumerate(slices):
            self.report(k, len(slices))
            noise = _noise(part)
            if noise > 0:
                part[...] = denoise_nl_means(
                    part,
                    patch_size=self.patch_size,
                    patch_distance=self.patch_distance,
                    h=self.strength * noise,
                    sigma=noise,
                    fast_mode=True,
                    preserve_range=True,
                )
        return made


def _noise(part: FloatArray) -> float:
    """Standard deviation of the noise: median absolute wavelet coefficient of the finest scale, over 0.6745."""
    diagonal = part[1::2, 1::2][: part.shape[0] // 2, : part.shape[1] // 2]
    others = [part[i::2, j::2][: diagonal.shape[0], : diagonal.shape[1]] for i, j in ((0, 0), (0, 1), (1, 0))]
    coefficients = (others[0] - others[1] - others[2] + diagonal) / 2  # diagonal detail of the Haar wavelet
    textured = coefficients[coefficients != 0]  # constant background says nothing of the noise
    return float(np.median(np.abs(textured)) / 0.6745) if textured.size else 0.0


class N4BiasFieldCorrection(StepTransform):
    """N4 bias field correction of MR (SimpleITK); the geometric mean of the foreground stays as it was.

    Parameters
    ----------
    levels
        Number of resolutions of the B-spline field; each has twice the control points of the one before.
    iterations
        Most iterations at each of them.
    working_mm
        Spacing to which the image is shrunk for the estimate, mm; the field is smooth, and is interpolated linearly.

    Raises
    ------
    ValueError
        When more than 1 % of the voxels are negative: N4 works on the logarithm (CT, normalised images).

    Notes
    -----
    The foreground is found by Otsu's threshold. Source: Tustison et al. 2010, doi:10.1109/TMI.2010.2046908.
    """

    def __init__(self, levels: int = 4, iterations: int = 50, working_mm: float = 4.0) -> None:
        super().__init__()
        self.levels, self.iterations, self.working_mm = levels, iterations, working_mm

    def __call__(self, img: Any) -> Any:
        """Correct an image."""
        return self.frozen(img)(img)

    def frozen(self, img: Any) -> Transform:
        """Division by the field of this image, which may be a coarse copy."""
        array = convert_data_type(img, np.ndarray, dtype=np.float32)[0]
        return _FieldDivision([self.log_field(channel, grid_of(img)) for channel in array])

    def log_field(self, array: FloatArray, grid: Grid) -> Any:
        """Natural logarithm of the bias field of one channel (x, y, z), mean 0 in the foreground.

        Returns
        -------
        monai.data.MetaTensor
            (1, x, y, z) at the working spacing.
        """
        import SimpleITK

        if float((array < 0).mean()) > MOST_NEGATIVE:
            raise ValueError("N4 needs an image without negative values (MR that was not normalised before)")
        image = itk_image(np.maximum(array, 0), grid)
        factors = [max(1, round(self.working_mm / step)) for step in grid.spacing]
        factors = [min(factor, max(1, n // 8)) for factor, n in zip(factors, grid.size, strict=True)]
        image = SimpleITK.Shrink(image, factors)
        mask = SimpleITK.OtsuThreshold(image, 0, 1, 200)
        n4 = SimpleITK.N4BiasFieldCorrectionImageFilter()
        n4.SetMaximumNumberOfIterations([self.iterations] * self.levels)
        Watch(n4, self.report, self.iterations * self.levels).run(image, mask)
        made = n4.GetLogBiasFieldAsImage(image)
        field = np.array(SimpleITK.GetArrayViewFromImage(made), dtype=np.float32)
        inside = np.asarray(SimpleITK.GetArrayViewFromImage(mask)) > 0
        if inside.any():
            field -= field[inside].mean()
        place = Grid(made.GetSize(), made.GetSpacing(), made.GetOrigin(), made.GetDirection())
        return image_of(Volume(field, place))


class _FieldDivision(Transform):
    """Divides an image, or a part of it, by fields that lie on a coarse grid, one for each channel."""

    def __init__(self, log_fields: list[Any]) -> None:
        self.log_fields = log_fields

    def __call__(self, img: Any) -> Any:
        image, _, _ = convert_data_type(img, MetaTensor, dtype=np.float32)
        lay = ResampleToMatch(mode="bilinear", padding_mode="border", dtype=np.float32)
        field = np.concatenate([np.asarray(lay(field, image)) for field in self.log_fields])
        return convert_to_dst_type(np.asarray(image) / np.exp(field), img, dtype=np.float32)[0]


class CLAHE(ImageTransform):
    """Contrast-limited adaptive histogram equalisation in three dimensions (scikit-image); gives 0 to 1.

    Parameters
    ----------
    clip_limit
        Share of the voxels of a region above which a bin of its histogram is cut, 0 to 1; higher gives more contrast.
    regions
        Number of regions along each axis.
    bins
        Bins of the histograms.

    Notes
    -----
    Equal to ``skimage.exposure.equalize_adapthist`` of the image scaled to 0 to 1, with regions of
    ``shape // regions`` voxels. Source: Zuiderveld, Graphics Gems IV (1994).
    """

    def __init__(self, clip_limit: float = 0.01, regions: int = 8, bins: int = 256) -> None:
        super().__init__()
        self.clip_limit, self.regions, self.bins = clip_limit, regions, bins
        self._whole: tuple[float, float, Grid] | None = None

    def filtered(self, array: FloatArray, grid: Grid) -> FloatArray:
        """Equalise one channel."""
        from skimage.exposure import equalize_adapthist

        low, high, whole = self._whole or (float(array.min()), float(array.max()), grid)
        if high <= low:
            return np.zeros(array.shape, dtype=np.float32)
        scaled = np.clip((array - low) / (high - low), 0, 1)
        if self._whole:
            scaled.flat[0], scaled.flat[-1] = 0, 1  # scikit-image stretches what it gets to the whole range
        self.report(0, 1)
        made = equalize_adapthist(
            scaled, kernel_size=self._kernel(grid, whole), clip_limit=self.clip_limit, nbins=self.bins
        )
        self.report(1, 1)
        return np.asarray(made, dtype=np.float32)

    def frozen(self, img: Any) -> Transform:
        """The same with range and size of the regions from this coarse copy; a thin part is one region thick."""
        made = CLAHE(self.clip_limit, self.regions, self.bins)
        made._whole = (float(img.min()), float(img.max()), grid_of(img))
        return made

    def _kernel(self, grid: Grid, whole: Grid) -> tuple[int, ...]:
        """Voxels of a region: the share of the whole image, on the grid of the part."""
        ratios = (whole.spacing[a] / grid.spacing[a] * whole.size[a] for a in range(3))
        return tuple(min(n, max(1, int(extent) // self.regions)) for n, extent in zip(grid.size, ratios, strict=True))


class CurvatureFlowd(DictionaryTransform):
    """Dictionary form of `CurvatureFlow`."""

    array = CurvatureFlow


class NonLocalMeansd(DictionaryTransform):
    """Dictionary form of `NonLocalMeans`."""

    array = NonLocalMeans


class N4BiasFieldCorrectiond(DictionaryTransform):
    """Dictionary form of `N4BiasFieldCorrection`."""

    array = N4BiasFieldCorrection


class CLAHEd(DictionaryTransform):
    """Dictionary form of `CLAHE`."""

    array = CLAHE
