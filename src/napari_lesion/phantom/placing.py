"""Where nodules go: free in the lung, against a vessel or against the chest wall."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_lesion.core.errors import LesionError
from napari_lesion.phantom.anatomy import PLEURA_MM, Anatomy
from napari_lesion.phantom.nodules import NoduleKind, NoduleSpec, PlacedNodule, Shape, make_shape, sample
from napari_lesion.phantom.soft import LungTrees
from napari_lesion.phantom.space import Points

TRIES = 4000
BETWEEN_MM = 8.0
FROM_PLEURA_MM = 4.0
VESSEL_RADII_MM = (1.3, 2.6)
SINK = 0.55
"""Depth of a juxtapleural nodule's centre below the pleura, in radii: the wall cuts off a flat cap."""


@dataclass(frozen=True, eq=False)
class Placer:
    """Looks for free places.

    Parameters
    ----------
    anatomy
        Signed distances of the lungs.
    trees
        Vessels and airways.
    rng
        Order of the tries.
    """

    anatomy: Anatomy
    trees: LungTrees
    rng: np.random.Generator

    def place(self, specs: Sequence[NoduleSpec]) -> list[PlacedNodule]:
        """Put all nodules, the largest first and the lungs by turns; the result has the order of the specs.

        Raises
        ------
        LesionError
            When no free place is left for one.
        """
        order = sorted(range(len(specs)), key=lambda i: -specs[i].diameter_mm)
        placed: dict[int, PlacedNodule] = {}
        for number in order:
            spec = specs[number]
            shape = make_shape(spec, self.rng)
            side = 1.0 if len(placed) % 2 else -1.0
            centre = self._find(spec.kind, shape, side, list(placed.values()))
            if centre is None:
                raise LesionError(
                    f"There is no room for a {spec.kind} nodule of {spec.diameter_mm} mm",
                    f"{len(placed)} nodules stand in the lungs",
                    "Ask for fewer or smaller ones, or for another seed",
                )
            placed[number] = PlacedNodule(spec, shape, centre)
        return [placed[number] for number in range(len(specs))]

    def _find(
        self, kind: NoduleKind, shape: Shape, side: float, others: list[PlacedNodule]
    ) -> npt.NDArray[np.float64] | None:
        for centre in self._candidates(kind, shape):
            if centre[0] * side > 0 and self._is_apart(centre, shape, others) and self._is_clear(centre, kind, shape):
                return centre
        return None

    def _candidates(self, kind: NoduleKind, shape: Shape) -> Iterator[npt.NDArray[np.float64]]:
        if kind is NoduleKind.JUXTAVASCULAR:
            return self._beside_vessels(shape)
        lung = self.anatomy.lung
        if kind is NoduleKind.JUXTAPLEURAL:
            sink = SINK * shape.radius
            wall = np.abs(lung - self.anatomy.cage - PLEURA_MM) < 0.3
            fitting = wall & (np.abs(lung + sink) < 0.25)
        else:
            fitting = lung < -(shape.reach + FROM_PLEURA_MM)
        return self._at_voxels(np.argwhere(fitting & (self.anatomy.diaphragm > shape.reach + 6.0)))

    def _at_voxels(self, places: npt.NDArray[np.intp]) -> Iterator[npt.NDArray[np.float64]]:
        axes = self.anatomy.axes
        for number in self.rng.permutation(len(places))[:TRIES]:
            z, y, x = places[number]
            yield np.asarray([axes.x[x], axes.y[y], axes.z[z]], dtype=np.float64)

    def _beside_vessels(self, shape: Shape) -> Iterator[npt.NDArray[np.float64]]:
        """Places whose surface dips 0.4 mm into the wall of a vessel of middle size."""
        vessels = self.trees.vessels
        radius = 0.5 * (vessels.start_radii + vessels.end_radii)
        middle = 0.5 * (vessels.starts + vessels.ends)
        fitting = np.flatnonzero((radius > VESSEL_RADII_MM[0]) & (radius < VESSEL_RADII_MM[1]))
        for number in self.rng.permutation(fitting)[:TRIES]:
            axis = vessels.ends[number] - vessels.starts[number]
            across = np.cross(axis, self.rng.standard_normal(3))
            across /= max(float(np.linalg.norm(across)), 1e-9)
            centre: Points = middle[number] + (radius[number] + shape.radius - 0.4) * across
            if sample(self.anatomy.lung, self.anatomy.axes, centre[None])[0] < -(shape.reach + FROM_PLEURA_MM):
                yield centre

    def _is_apart(self, centre: npt.NDArray[np.float64], shape: Shape, others: list[PlacedNodule]) -> bool:
        return all(
            float(np.linalg.norm(centre - other.centre)) > shape.reach + other.shape.reach + BETWEEN_MM
            for other in others
        )

    def _is_clear(self, centre: npt.NDArray[np.float64], kind: NoduleKind, shape: Shape) -> bool:
        """Whether airways, and vessels that a reader could mistake for the nodule's edge, stay away."""
        if self.trees.airways.distance(centre).min() < shape.reach + 1.0:
            return False
        vessels = self.trees.vessels
        notable = vessels.select(np.maximum(vessels.start_radii, vessels.end_radii) > max(0.8, shape.radius / 6))
        nearest = float(notable.distance(centre).min())
        if kind is NoduleKind.JUXTAVASCULAR:
            return nearest > shape.radius - 0.6
        return nearest > shape.reach + 0.8
