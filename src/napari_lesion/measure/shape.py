"""What form the lesion has. V and A are volume and area of the marching-cubes mesh."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial, wraps

import numpy as np

from napari_lesion.core.table import Value
from napari_lesion.measure import configurations
from napari_lesion.measure.context import LesionContext
from napari_lesion.measure.size import IBSI
from napari_lesion.measure.spec import Family, FeatureSpec

NAN = float("nan")


def unless_tiny(function: Callable[[LesionContext], Value]) -> Callable[[LesionContext], Value]:
    """NaN for a lesion of fewer than 8 voxels, about whose shape nothing can be said."""

    @wraps(function)
    def guarded(c: LesionContext) -> Value:
        return NAN if c.is_tiny else function(c)

    return guarded


def sphericity_of(volume: float, area: float) -> float:
    """Area of the sphere of this volume over the area."""
    return float(np.cbrt(36.0 * math.pi * volume**2) / area)


def _asphericity(c: LesionContext) -> float:
    return 1.0 / sphericity_of(c.mesh_volume, c.mesh_area) - 1.0


def _axis_ratio(order: int, c: LesionContext) -> Value:
    first = c.eigenvalues[0]
    return math.sqrt(c.eigenvalues[order] / first) if first > 0 else NAN


def _box_area(c: LesionContext) -> float:
    a, b, d = c.mesh_extents
    return float(2.0 * (a * b + b * d + a * d))


def _shift(c: LesionContext, *, raw: bool) -> Value:
    return float(np.linalg.norm(c.weighted_offset(raw=raw) * np.asarray(c.spacing)))


def _tunnels(c: LesionContext) -> Value:
    return c.component_count + len(c.cavity_voxels) - configurations.euler_number(c.counts)


_ratio = partial(FeatureSpec, family=Family.SHAPE, ucum="1", invariance=("T", "F", "S0"), needs=("counts",))
_count = partial(FeatureSpec, family=Family.SHAPE, ucum="1", decimals=0, invariance=("T", "F", "S0"))
_mm2 = partial(
    FeatureSpec,
    family=Family.SHAPE,
    unit="mm²",
    ucum="mm2",
    decimals=1,
    invariance=("T", "F", "S2"),
    needs=("counts",),
)

_SHIFT: tuple[FeatureSpec, ...] = (
    FeatureSpec(
        "centre_of_mass_shift_mm",
        "Centre of mass shift",
        Family.SHAPE,
        unless_tiny(lambda c: _shift(c, raw=False)),
        "Distance between the centroid and the centroid weighted by intensity; on CT by HU + 1000, not below 0.",
        unit="mm",
        ucum="mm",
        reference=IBSI.format("KLMA, with another weight on CT"),
        invariance=("T", "F", "S1"),
        needs=("moments", "crop"),
    ),
    FeatureSpec(
        "centre_of_mass_shift_ibsi_mm",
        "Centre of mass shift (IBSI)",
        Family.SHAPE,
        unless_tiny(lambda c: _shift(c, raw=True)),
        "Distance between the centroid and the centroid weighted by the raw values.",
        unit="mm",
        ucum="mm",
        reference=IBSI.format("KLMA"),
        optional=True,
        invariance=("T", "F", "S1"),
        needs=("moments", "crop"),
    ),
)

SHAPE: tuple[FeatureSpec, ...] = (
    _mm2(
        "surface_area_mm2",
        "Surface area (mesh)",
        function=lambda c: c.mesh_area,
        definition="Area of the marching-cubes mesh. About 10 % too large on spheres at 0.7x0.7x1.0 mm, at any size.",
        reference=IBSI.format("C0JK"),
        code="(IBSI C0JK) Surface Area of Mesh",
    ),
    _mm2(
        "surface_area_crofton_mm2",
        "Surface area",
        function=lambda c: c.crofton_area,
        definition="Cauchy-Crofton estimate along 13 directions with physical weights; within 1 % on spheres from "
        "10 mm at 0.7x0.7x1.0 mm; flat faces along the grid come out too small (6 % on a cylinder). "
        "The one to use for any absolute statement about a rounded lesion.",
        reference="Lehmann and Legland 2012, The Insight Journal (ITK Perimeter)",
    ),
    FeatureSpec(
        "surface_to_volume_per_mm",
        "Surface to volume",
        Family.SHAPE,
        unless_tiny(lambda c: c.mesh_area / c.mesh_volume),
        "A/V.",
        unit="1/mm",
        ucum="/mm",
        reference=IBSI.format("2PR5"),
        code="(IBSI 2PR5) Surface to Volume Ratio",
        invariance=("T", "F", "S-1"),
        needs=("counts",),
    ),
    _ratio(
        "sphericity",
        "Sphericity",
        function=unless_tiny(lambda c: sphericity_of(c.mesh_volume, c.mesh_area)),
        definition="(36·pi·V²)^(1/3)/A; a digital sphere gives about 0.91.",
        reference=IBSI.format("QCFX"),
        code="(IBSI QCFX) Sphericity",
    ),
    _ratio(
        "sphericity_crofton",
        "Sphericity (Crofton)",
        function=unless_tiny(lambda c: sphericity_of(c.n * c.voxel_volume, c.crofton_area)),
        definition="The same from voxel volume and Crofton area; a digital sphere gives about 1. Not clipped at 1.",
    ),
    _ratio(
        "asphericity",
        "Asphericity",
        function=unless_tiny(_asphericity),
        definition="(A³/(36·pi·V²))^(1/3) - 1.",
        reference=IBSI.format("25C7"),
        code="(IBSI 25C7) Asphericity",
    ),
    _ratio(
        "spherical_disproportion",
        "Spherical disproportion",
        function=unless_tiny(lambda c: 1.0 / sphericity_of(c.mesh_volume, c.mesh_area)),
        definition="1/sphericity.",
        reference=IBSI.format("KRCK"),
        code="(IBSI KRCK) Spherical Disproportion",
    ),
    _ratio(
        "compactness_1",
        "Compactness 1",
        function=unless_tiny(lambda c: c.mesh_volume / (math.sqrt(math.pi) * c.mesh_area**1.5)),
        definition="V/(sqrt(pi)·A^1.5).",
        reference=IBSI.format("SKGS"),
        code="(IBSI SKGS) Compactness 1",
        decimals=4,
    ),
    _ratio(
        "compactness_2",
        "Compactness 2",
        function=unless_tiny(lambda c: 36.0 * math.pi * c.mesh_volume**2 / c.mesh_area**3),
        definition="36·pi·V²/A³.",
        reference=IBSI.format("BQWJ"),
        code="(IBSI BQWJ) Compactness 2",
    ),
    _ratio(
        "elongation",
        "Elongation",
        function=unless_tiny(partial(_axis_ratio, 1)),
        definition="Middle over longest PCA axis: 1 is round, 0 a line (ITK uses another definition).",
        reference=IBSI.format("Q3CK"),
        code="(IBSI Q3CK) Elongation",
        invariance=("T", "F", "R", "S0"),
        needs=("eigenvalues",),
    ),
    _ratio(
        "flatness",
        "Flatness",
        function=unless_tiny(partial(_axis_ratio, 2)),
        definition="Shortest over longest PCA axis: 0 is flat.",
        reference=IBSI.format("N17B"),
        code="(IBSI N17B) Flatness",
        invariance=("T", "F", "R", "S0"),
        needs=("eigenvalues",),
    ),
    _ratio(
        "solidity",
        "Solidity",
        function=unless_tiny(lambda c: c.mesh_volume / c.hull.volume_mm3),
        definition="V over the volume of the convex hull of the mesh.",
        reference=IBSI.format("R3ER"),
        needs=("counts", "hull"),
    ),
    _ratio(
        "area_density_hull",
        "Area density (hull)",
        function=unless_tiny(lambda c: c.mesh_area / c.hull.area_mm2),
        definition="A over the area of the convex hull of the mesh; above 1 for a rough surface.",
        reference=IBSI.format("7T7F"),
        needs=("counts", "hull"),
    ),
    _ratio(
        "volume_density_aabb",
        "Volume density (box)",
        function=unless_tiny(lambda c: c.mesh_volume / float(np.prod(c.mesh_extents))),
        definition="V over the volume of the axis-aligned box of the mesh vertices.",
        reference=IBSI.format("PBX1"),
        needs=("counts", "box"),
    ),
    _ratio(
        "area_density_aabb",
        "Area density (box)",
        function=unless_tiny(lambda c: c.mesh_area / _box_area(c)),
        definition="A over the area of the axis-aligned box of the mesh vertices.",
        reference=IBSI.format("R59B"),
        needs=("counts", "box"),
    ),
    _count(
        "euler_number",
        "Euler number",
        function=unless_tiny(lambda c: configurations.euler_number(c.counts)),
        definition="Components - tunnels + cavities of the 26-connected solid.",
        reference="Ohser and Mücklich 2000, Statistical Analysis of Microstructures in Materials Science",
        needs=("counts",),
    ),
    _count(
        "n_cavities",
        "Cavities",
        function=unless_tiny(lambda c: len(c.cavity_voxels)),
        definition="Number of 6-connected parts of the background that the lesion encloses.",
        needs=("cavity_voxels",),
    ),
    FeatureSpec(
        "cavity_volume_mm3",
        "Cavity volume",
        Family.SHAPE,
        unless_tiny(lambda c: sum(c.cavity_voxels) * c.voxel_volume),
        "Volume of the cavities.",
        unit="mm³",
        ucum="mm3",
        decimals=1,
        invariance=("T", "F", "S3"),
        needs=("cavity_voxels",),
    ),
    _count(
        "n_tunnels",
        "Tunnels",
        function=unless_tiny(_tunnels),
        definition="Components + cavities - Euler number.",
        needs=("counts", "component_count", "cavity_voxels"),
    ),
    *_SHIFT,
)
