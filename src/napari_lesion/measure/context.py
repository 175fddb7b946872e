"""What the measures of one lesion share: a crop, and everything derived from it, each computed once on demand."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_lesion.core.display import Box
from napari_lesion.core.grid import Grid, Triple
from napari_lesion.core.lesion import Lesion
from napari_lesion.core.probability import ProbabilityMap
from napari_lesion.core.rating import Rating
from napari_lesion.core.surroundings import Surroundings
from napari_lesion.core.volume import LabelMap, Volume
from napari_lesion.measure import configurations, hull, spatial, topology
from napari_lesion.measure.axes import InPlaneAxes, in_plane_axes
from napari_lesion.measure.boundary_edge import EdgeProfile, edge_of
from napari_lesion.measure.boundary_form import Opening, body_of, opening_of
from napari_lesion.measure.boundary_near import Neighbourhood, look_around
from napari_lesion.measure.boundary_surface import Surface, surface_of
from napari_lesion.measure.distribution import Distribution
from napari_lesion.measure.extremes import stored_extremes
from napari_lesion.measure.moments import Moments, moments_of
from napari_lesion.measure.ring import Around, Ring, around_of
from napari_lesion.measure.spec import Scale, scale_of

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

TINY_VOXELS = 8
SOLID_VOXELS = 3
AUTOCORRELATION_LIMIT = 20000
AIR_HU = 1000.0
FEW_VOXELS = 64
KEPT_VOXELS = 1_000_000


@dataclass(frozen=True)
class MeasureSettings:
    """Choices that a measure leaves open; they are written beside the values.

    Parameters
    ----------
    bin_width
        Width of the intensity bins of entropy and uniformity on CT, HU.
    bins
        Number of bins between minimum and maximum on other images.
    solid_threshold_hu
        Voxels from here up are solid. -300 HU finds part-solid nodules with 90 % sensitivity and 88 % specificity
        (Scholten 2015, Eur Radiol 25:488).
    ground_glass_below, solid_above
        Solid fractions that bound the part-solid type.
    cv_guard_hu
        On CT the coefficient of variation is empty when the mean is closer to 0 HU than this.
    """

    bin_width: float = 25.0
    bins: int = 64
    solid_threshold_hu: float = -300.0
    ground_glass_below: float = 0.05
    solid_above: float = 0.80
    cv_guard_hu: float = 50.0


@dataclass(frozen=True, eq=False)
class LesionContext:
    """One lesion and what its measures share.

    Parameters
    ----------
    lesion
        Identity, status, probability, review.
    mask
        The voxels of the lesion in a tight crop, (z, y, x).
    box
        Where the crop lies in the volume.
    volume
        The whole image; only the crop of it is read.
    settings
        Choices of the request.
    labels
        All labels of the image: what lies beside the lesion; None when the lesion stands alone.
    surroundings
        Organ, sides and parts that are known.
    probability
        What the model said; None without one.
    overlaps
        Whether another mask claims voxels of the lesion too.
    rating
        What a classifier said; None without one.
    ring_asked
        Whether a measure of the boundary was asked for; a flag about the ring alone is not worth a distance map.
    """

    lesion: Lesion
    mask: BoolArray
    box: Box
    volume: Volume
    settings: MeasureSettings = field(default_factory=MeasureSettings)
    labels: LabelMap | None = None
    surroundings: Surroundings = field(default_factory=Surroundings)
    probability: ProbabilityMap | None = None
    overlaps: bool = False
    rating: Rating | None = None
    ring_asked: bool = True

    @property
    def grid(self) -> Grid:
        """Grid of the whole volume."""
        return self.volume.grid

    @cached_property
    def scale(self) -> Scale:
        """What the intensities mean."""
        return scale_of(self.volume)

    @property
    def spacing(self) -> Triple:
        """Spacing (z, y, x), mm."""
        return self.grid.spacing_zyx

    @property
    def voxel_volume(self) -> float:
        """Volume of one voxel, mm³."""
        return self.grid.voxel_volume_mm3

    @property
    def start(self) -> tuple[int, int, int]:
        """First index of the crop (z, y, x)."""
        return self.box[0].start, self.box[1].start, self.box[2].start

    # geometry

    @cached_property
    def moments(self) -> Moments:
        """Moments of the voxel centres."""
        return moments_of(self.mask)

    @property
    def n(self) -> int:
        """Number of voxels."""
        return self.moments.count

    @property
    def is_tiny(self) -> bool:
        """Too small for any statement about shape."""
        return self.n < TINY_VOXELS

    @cached_property
    def centroid_index(self) -> FloatArray:
        """Mean index (z, y, x) in the volume."""
        index: FloatArray = self.moments.mean + np.asarray(self.start)
        return index

    @cached_property
    def centroid_mm(self) -> FloatArray:
        """Centroid, LPS mm."""
        return self.grid.to_physical(self.centroid_index)

    @cached_property
    def eigenvalues(self) -> FloatArray:
        """Eigenvalues of the covariance of voxel centres (divisor N - 1), mm², largest first; NaN for one voxel."""
        covariance = self.moments.covariance(self.spacing)
        if not np.isfinite(covariance).all():
            return np.full(3, np.nan)
        values: FloatArray = np.clip(np.linalg.eigvalsh(covariance)[::-1], 0.0, None)
        # a flat or straight set has eigenvalues of exactly 0; what is left of them is round-off
        values[values < values[0] * 1e-13] = 0.0
        return values

    @cached_property
    def oriented_extents(self) -> FloatArray:
        """Extents of the mesh along the PCA axes, mm, in the order of the eigenvalues; NaN for one voxel."""
        covariance = self.moments.covariance(self.spacing)
        if not np.isfinite(covariance).all():
            return np.full(3, np.nan)
        vectors = np.linalg.eigh(covariance).eigenvectors[:, ::-1]
        vertices = self.hull.vertices[:, np.argsort(self._axial_order)]
        extents: FloatArray = np.ptp(vertices @ vectors, axis=0)
        return extents

    @cached_property
    def counts(self) -> IntArray:
        """Histogram of the 256 configurations of 2x2x2 voxels."""
        return configurations.configuration_histogram(self.mask)

    @cached_property
    def mesh_volume(self) -> float:
        """Volume of the marching-cubes mesh, mm³."""
        return configurations.mesh_volume(self.counts, self.spacing)

    @cached_property
    def mesh_area(self) -> float:
        """Area of the marching-cubes mesh, mm²."""
        return configurations.mesh_area(self.counts, self.spacing)

    @cached_property
    def crofton_area(self) -> float:
        """Surface area by the Cauchy-Crofton formula, mm²."""
        return configurations.crofton_area(self.counts, self.spacing)

    @cached_property
    def component_count(self) -> int:
        """Number of 26-connected components."""
        return topology.count_components(self.mask)

    @cached_property
    def cavity_voxels(self) -> tuple[int, ...]:
        """Voxels of every cavity."""
        return topology.cavity_sizes(self.mask)

    # axial frame: the axial axis first

    @cached_property
    def axial_mask(self) -> BoolArray:
        """The mask with axial slices along axis 0."""
        return np.moveaxis(self.mask, self.grid.axial_axis, 0)

    @cached_property
    def axial_spacing(self) -> Triple:
        """Spacing along the axes of `axial_mask`, mm."""
        order = self._axial_order
        return self.spacing[order[0]], self.spacing[order[1]], self.spacing[order[2]]

    @property
    def _axial_order(self) -> tuple[int, int, int]:
        first = self.grid.axial_axis
        second, third = (axis for axis in range(3) if axis != first)
        return first, second, third

    @cached_property
    def slice_areas(self) -> IntArray:
        """Voxels of the lesion in each axial slice of the crop."""
        return self.moments.profiles[self.grid.axial_axis]

    @cached_property
    def axes(self) -> InPlaneAxes:
        """Long and short axis in an axial slice."""
        return in_plane_axes(self.axial_mask, self.axial_spacing[1:], self.slice_areas)

    def axis_end_mm(self, ends: FloatArray, which: int) -> FloatArray:
        """LPS position of one end of an axis, which has (row, column) in the axial crop."""
        order = self._axial_order
        index = np.empty(3)
        index[list(order)] = (self.axes.slice_index, *ends[which])
        return self.grid.to_physical(index + np.asarray(self.start))

    @cached_property
    def extreme_vertices(self) -> hull.ExtremeVertices:
        """First and last mesh vertex of every line of voxels, axial frame."""
        return hull.ExtremeVertices.of(self.axial_mask)

    @cached_property
    def hull(self) -> hull.Hull:
        """Convex hull of the mesh vertices."""
        return hull.convex_hull_3d(self.extreme_vertices, self.axial_spacing)

    @cached_property
    def mesh_extents(self) -> FloatArray:
        """Size of the axis-aligned box of the mesh vertices, mm: that of the voxels."""
        size: FloatArray = np.asarray(self.mask.shape) * np.asarray(self.spacing)
        return size

    @cached_property
    def depth(self) -> npt.NDArray[np.floating]:
        """Distance of each voxel of the crop to the nearest voxel centre outside, mm; 0 outside."""
        return topology.distance_inside(self.mask, self.spacing)

    @property
    def _is_kept(self) -> bool:
        """Whether arrays of the size of the crop are kept for the next measure; those of large lesions are not."""
        return self.mask.size <= KEPT_VOXELS

    @cached_property
    def inside_distance(self) -> tuple[float, tuple[int, int, int]]:
        """Largest distance to a voxel centre outside, mm, and the voxel of the volume that has it."""
        distance, index = topology.deepest_voxel(self.depth)
        return distance, (index[0] + self.start[0], index[1] + self.start[1], index[2] + self.start[2])

    @cached_property
    def touches_border(self) -> bool:
        """Whether a voxel lies on the first or last index of an image axis."""
        return any(part.start == 0 or part.stop == size for part, size in zip(self.box, self.grid.shape, strict=True))

    # boundary

    @property
    def near(self) -> Neighbourhood:
        """The lesion and its surroundings."""
        return self._near if self._is_kept else look_around(self)

    @cached_property
    def _near(self) -> Neighbourhood:
        return look_around(self)

    @cached_property
    def around(self) -> Around:
        """The ring, and the voxels that are close to the lesion."""
        return around_of(self)

    @property
    def ring(self) -> Ring:
        """Statistics of the tissue around the lesion."""
        return self.around.ring

    @cached_property
    def surface(self) -> Surface:
        """Points on the surface, relative to the crop."""
        return surface_of(self.mask, self.spacing)

    @cached_property
    def edge(self) -> EdgeProfile:
        """Intensity across the outline."""
        return edge_of(self)

    @cached_property
    def opening(self) -> Opening:
        """What a ball rolling inside the lesion cannot reach."""
        return opening_of(body_of(self), self.spacing)

    # intensities

    @cached_property
    def crop(self) -> npt.NDArray[Any]:
        """The image within the box."""
        return self.volume.array[self.box]

    @cached_property
    def intensities(self) -> Distribution:
        """Finite intensities of the lesion."""
        return Distribution.of(self.crop[self.mask])

    @property
    def nonfinite_voxels(self) -> int:
        """Voxels of the lesion whose intensity is NaN or infinite."""
        return self.n - self.intensities.n

    @cached_property
    def binned(self) -> Distribution:
        """Bin numbers of the intensities: fixed width on CT, fixed number elsewhere."""
        if self.scale is Scale.HU:
            return self.intensities.binned(self.settings.bin_width)
        return self.intensities.binned_equally(self.settings.bins)

    def weighted_offset(self, *, raw: bool) -> FloatArray:
        """Offset (z, y, x) in voxels of the intensity-weighted centroid from the centroid.

        Weights are raw values, or on CT HU + 1000 (density), not below 0; NaN when they sum to 0.
        """
        offset = AIR_HU if self.scale is Scale.HU and not raw else None
        centre: FloatArray = spatial.weighted_centroid(self.crop, self.mask, offset) - self.moments.mean
        return centre

    @cached_property
    def peaks(self) -> tuple[float, float]:
        """Global and local peak of the intensity over 1 ml."""
        return spatial.intensity_peaks(self.volume.array, self.box, self.mask, self.spacing)

    @cached_property
    def autocorrelation(self) -> tuple[float, float]:
        """Moran's I and Geary's C; NaN beyond 20000 voxels."""
        if self.n > AUTOCORRELATION_LIMIT:
            return float("nan"), float("nan")
        return spatial.autocorrelation(self.crop, self.mask, self.spacing)

    @cached_property
    def interior(self) -> BoolArray:
        """Voxels whose six face neighbours all belong to the lesion."""
        return topology.interior(self.mask)

    @cached_property
    def solid_axes(self) -> InPlaneAxes | None:
        """Axes of the largest 26-connected part of the solid voxels; None below three voxels."""
        solid = self.mask & (self.crop >= self.settings.solid_threshold_hu)
        if self.component_count == 1 and int(solid.sum()) == self.n:
            return self.axes if self.n >= SOLID_VOXELS else None
        parts = [part for part in topology.largest_components(solid) if part.sum() >= SOLID_VOXELS]
        axes = [in_plane_axes(np.moveaxis(part, self.grid.axial_axis, 0), self.axial_spacing[1:]) for part in parts]
        # parts of equal size: the one with the longer axes
        return max(axes, key=lambda found: (found.long_mm, found.short_mm), default=None)

    @cached_property
    def image_extremes(self) -> tuple[float, float]:
        """Smallest and largest finite value of the whole image."""
        return stored_extremes(self.volume)
