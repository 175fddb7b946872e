"""Names of PyRadiomics' features and our columns for them; for comparisons, where conventions differ besides."""

from __future__ import annotations

from typing import Final

SHIFT: Final = 2000.0
"""PyRadiomics' voxelArrayShift in its baselines."""

SHAPE: Final = {
    "VoxelVolume": "volume_mm3",
    "MeshVolume": "mesh_volume_mm3",
    "SurfaceArea": "surface_area_mm2",
    "SurfaceVolumeRatio": "surface_to_volume_per_mm",
    "Sphericity": "sphericity",
    "Maximum3DDiameter": "max_3d_diameter_mm",
    "Maximum2DDiameterSlice": "max_2d_diameter_mesh_mm",
    "MajorAxisLength": "pca_major_mm",
    "MinorAxisLength": "pca_minor_mm",
    "LeastAxisLength": "pca_least_mm",
    "Elongation": "elongation",
    "Flatness": "flatness",
}
"""Shape features; the axes are theirs times sqrt(N/(N - 1))."""

FIRST_ORDER: Final = {
    "10Percentile": "density_p10_hu",
    "90Percentile": "density_p90_hu",
    "Energy": "density_energy_hu2",
    "Entropy": "density_entropy_bits",
    "InterquartileRange": "density_iqr_hu",
    "Kurtosis": "density_kurtosis",
    "Maximum": "density_max_hu",
    "Mean": "density_mean_hu",
    "MeanAbsoluteDeviation": "density_mad_hu",
    "Median": "density_median_hu",
    "Minimum": "density_min_hu",
    "Range": "density_range_hu",
    "RobustMeanAbsoluteDeviation": "density_robust_mad_hu",
    "Skewness": "density_skewness",
    "StandardDeviation": "density_sd_hu",
    "Uniformity": "density_uniformity",
    "Variance": "density_variance_hu2",
}
"""First-order features on CT."""
