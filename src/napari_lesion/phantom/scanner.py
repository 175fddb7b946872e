"""What the scanner does to the true HU: blur, and noise with the texture of filtered back-projection."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft
from scipy.ndimage import gaussian_filter

from napari_lesion.phantom.space import Axes, Field


@dataclass(frozen=True)
class Scanner:
    """Image quality of the synthetic scan.

    Parameters
    ----------
    fwhm_mm
        Full width at half maximum of the point spread in the slice.
    fwhm_z_mm
        The same across the slices.
    noise_hu
        Standard deviation of the noise in the middle of the body, HU.
    cutoff_per_mm
        Frequency at which the reconstruction kernel has fallen to 1/e, 1/mm.
    """

    fwhm_mm: float = 1.1
    fwhm_z_mm: float = 1.3
    noise_hu: float = 27.0
    cutoff_per_mm: float = 0.27

    def scan(self, hu: Field, axes: Axes, rng: np.random.Generator) -> Field:
        """Blur and add noise, in place where possible; shape (z, y, x)."""
        sigmas = [
            fwhm / 2.3548 / step
            for fwhm, step in zip((self.fwhm_z_mm, self.fwhm_mm, self.fwhm_mm), axes.spacing, strict=True)
        ]
        image: Field = gaussian_filter(hu, sigmas, mode="nearest", truncate=3.0)
        image += self.noise(axes, rng) * self.level(axes)
        return image

    def noise(self, axes: Axes, rng: np.random.Generator) -> Field:
        """Noise of standard deviation 1.

        Its power spectrum in the slice is a ramp times a Gaussian roll-off, as filtered back-projection
        leaves it (Riederer, Pelc and Chesler 1978, doi:10.1088/0031-9155/23/3/008).
        """
        rows, columns = axes.shape[1:]
        noise = rng.standard_normal(axes.shape, dtype=np.float32)
        fy = fft.fftfreq(rows, axes.spacing[1])[:, None]
        fx = fft.rfftfreq(columns, axes.spacing[2])[None, :]
        f = np.hypot(fy, fx)
        shape = np.sqrt(f * np.exp(-((f / self.cutoff_per_mm) ** 2))).astype(np.float32)
        spectrum = fft.rfft2(noise, axes=(1, 2), workers=2)
        spectrum *= shape
        noise = fft.irfft2(spectrum, s=(rows, columns), axes=(1, 2), workers=2)
        neighbours: Field = noise.copy()
        neighbours[1:] += 0.45 * noise[:-1]
        neighbours /= neighbours.std(dtype=np.float64)
        return neighbours

    def level(self, axes: Axes) -> Field:
        """Standard deviation at each place, HU: highest in the middle, and higher through the shoulders."""
        x, y, z = axes.mesh()
        radial = np.exp(-((x / 150.0) ** 2 + (y / 120.0) ** 2))
        shoulders = 1.0 + 0.8 / (1.0 + np.exp(-(z - 85.0) / 8.0))
        level: Field = (self.noise_hu * (0.35 + 0.65 * radial) * shoulders).astype(np.float32)
        return level
