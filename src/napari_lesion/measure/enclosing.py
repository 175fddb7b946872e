"""Bodies around a lesion, all optional: ellipsoid of its moments, box along its axes, narrowest caliper."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import numpy.typing as npt
from numpy.polynomial import legendre

from napari_lesion.core.table import Value
from napari_lesion.measure.context import LesionContext
from napari_lesion.measure.planar import narrowest_width
from napari_lesion.measure.shape import unless_tiny
from napari_lesion.measure.size import IBSI
from napari_lesion.measure.spec import Family, FeatureSpec

FloatArray = npt.NDArray[np.float64]

NAN = float("nan")
LEGENDRE_TERMS = 20


def ibsi_ellipsoid_area(a: float, b: float, c: float) -> float:
    """Surface of an ellipsoid with semi-axes a >= b >= c > 0 as IBSI defines it: a Legendre series, 20 terms.

    Notes
    -----
    The reference value of the IBSI phantom (1.36) needs this series with IBSI's eccentricities (of b and of c against
    a). It is not the area: 286.4 mm² instead of 297.5 mm² on the phantom, which would give a density of 1.30.
    """
    alpha, beta = math.sqrt(1.0 - (b / a) ** 2), math.sqrt(1.0 - (c / a) ** 2)
    product = alpha * beta
    if product == 0:
        return _spheroid_or_sphere(a, b, c)
    argument = (alpha**2 + beta**2) / (2.0 * product)
    orders = np.arange(LEGENDRE_TERMS + 1)
    factors = product**orders / (1.0 - 4.0 * orders**2)
    return float(4.0 * math.pi * a * b * legendre.legval(argument, factors))


def _spheroid_or_sphere(a: float, b: float, c: float) -> float:
    """Limit of the series for equal largest semi-axes, where its argument is infinite.

    Only the leading coefficient of each Legendre polynomial is left. Equal semi-axes give a sphere.
    """
    beta = math.sqrt(1.0 - (c / a) ** 2)
    total = 0.0
    for order in range(LEGENDRE_TERMS + 1):
        leading = math.comb(2 * order, order) / 2.0**order
        total += leading * (beta**2 / 2.0) ** order / (1.0 - 4.0 * order**2)
    return 4.0 * math.pi * a * b * total


def _semi_axes(c: LesionContext) -> FloatArray:
    axes: FloatArray = 2.0 * np.sqrt(c.eigenvalues)
    return axes


def _volume_density(c: LesionContext) -> Value:
    a, b, d = _semi_axes(c)
    return c.mesh_volume / (4.0 / 3.0 * math.pi * a * b * d) if d > 0 else NAN


def _area_density(c: LesionContext) -> Value:
    a, b, d = (float(axis) for axis in _semi_axes(c))
    return c.mesh_area / ibsi_ellipsoid_area(a, b, d) if d > 0 else NAN


def _oriented_extent(order: int, c: LesionContext) -> Value:
    return float(c.oriented_extents[order])


_ratio = partial(FeatureSpec, family=Family.SHAPE, ucum="1", optional=True, needs=("counts", "eigenvalues"))
_mm = partial(FeatureSpec, family=Family.SIZE, unit="mm", ucum="mm", optional=True, decimals=1)

ENCLOSING_SIZE: tuple[FeatureSpec, ...] = (
    *(
        _mm(
            f"obb_{order + 1}_mm",
            f"Oriented box {order + 1}",
            function=partial(_oriented_extent, order),
            definition=f"Extent of the mesh along PCA axis {order + 1}; arbitrary where two axes are equally long. "
            "Not the smallest box, for which IBSI has no consensus.",
            invariance=("T",),
            needs=("hull", "eigenvectors"),
        )
        for order in range(3)
    ),
    _mm(
        "feret_min_mm",
        "Narrowest caliper",
        function=lambda c: narrowest_width(c.axes.hull_mm),
        definition="Smallest caliper width of the outline that holds the long axis.",
        invariance=("T", "F2", "S1"),
        needs=("axes",),
    ),
)

ENCLOSING_SHAPE: tuple[FeatureSpec, ...] = (
    _ratio(
        "volume_density_aee",
        "Volume density (ellipsoid)",
        function=unless_tiny(_volume_density),
        definition="V over the volume of the ellipsoid with semi-axes 2·sqrt(eigenvalue).",
        reference=IBSI.format("6BDE"),
        invariance=("T", "F", "R", "S0"),
    ),
    _ratio(
        "area_density_aee",
        "Area density (ellipsoid)",
        function=unless_tiny(_area_density),
        definition="A over the area of that ellipsoid by IBSI's series of 20 terms, 3.7 % below the true "
        "area of the ellipsoid on the IBSI phantom.",
        reference=IBSI.format("RDD2"),
        invariance=("T", "F", "R", "S0"),
    ),
)
