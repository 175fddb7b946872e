"""How far each size and shape measure is from the exact value of spheres, ellipsoids, boxes and cylinders.

    python benchmarks/accuracy.py [--json FILE] [--markdown] [--seed N] [--bodies N]

Bodies of random size (largest diameter log-uniform from 6 to 40 mm), proportion (0.5 to 1), orientation and place
within a voxel; a voxel belongs to the body when its centre does. Beside our columns stand SimpleITK's label shape
(PhysicalSize, Feret, Perimeter, Roundness, EquivalentEllipsoidDiameter) and the rules of PyRadiomics, which does not
install on current Pythons: its mesh is made here by scikit-image (marching cubes, Lorensen's table, 0.5, vertices
times spacing), volume, area and diameters are taken from it by its formulas, and 4·sqrt(eigenvalue) of the covariance
with divisor N.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_lesion.core.grid import Grid
from napari_lesion.core.volume import LabelMap, Modality, Source, Volume
from napari_lesion.measure.engine import MeasureRequest, measure_lesions
from napari_lesion.phantom.bodies import Body, Box, Cylinder, Ellipsoid, axial_axes, digitise, random_turn

Triple = tuple[float, float, float]
BoolArray = npt.NDArray[np.bool_]
Values = dict[str, float]

SPACINGS: tuple[Triple, ...] = ((0.5, 0.5, 0.5), (1.0, 0.7, 0.7), (2.5, 0.7, 0.7), (5.0, 0.7, 0.7))
"""Voxel spacing (z, y, x), mm."""

SMALLEST, LARGEST, SLIMMEST = 6.0, 40.0, 0.5

OURS, ITK, PYRADIOMICS = "napari-lesion", "SimpleITK", "PyRadiomics' rule"


@dataclass(frozen=True)
class Line:
    """Error of one measure by one tool on the bodies of one kind: median and the central 95 %."""

    spacing: Triple
    kind: str
    quantity: str
    tool: str
    measure: str
    unit: str
    bodies: int
    median: float
    low: float
    high: float


def draw(random: np.random.Generator, kind: str) -> Body:
    """A random body."""
    half = 0.5 * float(np.exp(random.uniform(np.log(SMALLEST), np.log(LARGEST))))
    second, third = random.uniform(SLIMMEST, 1.0, 2)
    turn = np.eye(3) if kind == "box along the grid" else random_turn(random)
    if kind == "sphere":
        return Ellipsoid((half, half, half))
    if kind == "ellipsoid":
        return Ellipsoid((half, half * second, half * third), turn)
    if kind == "cylinder":
        return Cylinder(half * 0.8, half * 0.8 * second, turn)
    scale = half / math.sqrt(1.0 + second**2 + third**2)
    return Box((scale, scale * second, scale * third), turn)


KINDS = ("sphere", "ellipsoid", "box", "box along the grid", "cylinder")


def truth(body: Body) -> Values:
    """Exact values; those of the axes and moments are derived in `napari_lesion.phantom.bodies` and here."""
    long, short = axial_axes(body)
    values = {
        "volume": body.volume,
        "equivalent diameter": (6.0 * body.volume / math.pi) ** (1.0 / 3.0),
        "long axis": long,
        "short axis": short,
        "3-D diameter": body.diameter,
        "surface": body.area,
        "sphericity": (36.0 * math.pi * body.volume**2) ** (1.0 / 3.0) / body.area,
    }
    for order, variance in enumerate(sorted(_variances(body), reverse=True), start=1):
        values[f"ellipsoid axis {order}"] = 2.0 * math.sqrt(5.0 * variance)
    return values


def _variances(body: Body) -> tuple[float, ...]:
    """Second moments along the body's own axes, mm²."""
    if isinstance(body, Ellipsoid):
        return tuple(a * a / 5.0 for a in body.semi_axes)
    if isinstance(body, Box):
        return tuple(h * h / 3.0 for h in body.half_sizes)
    assert isinstance(body, Cylinder)
    return body.half_height**2 / 3.0, body.radius**2 / 4.0, body.radius**2 / 4.0


# (quantity, tool, measure): what is compared with what
OUR_COLUMNS = (
    ("volume", "volume_mm3"),
    ("volume", "mesh_volume_mm3"),
    ("equivalent diameter", "equivalent_sphere_diameter_mm"),
    ("long axis", "long_axis_mm"),
    ("short axis", "short_axis_mm"),
    ("3-D diameter", "max_3d_diameter_mm"),
    ("surface", "surface_area_mm2"),
    ("surface", "surface_area_crofton_mm2"),
    ("sphericity", "sphericity"),
    ("sphericity", "sphericity_crofton"),
    ("ellipsoid axis 1", "ellipsoid_axis_1_mm"),
    ("ellipsoid axis 2", "ellipsoid_axis_2_mm"),
    ("ellipsoid axis 3", "ellipsoid_axis_3_mm"),
)


def ours(mask: BoolArray, spacing: Triple) -> dict[tuple[str, str], float]:
    """Our columns, by quantity and name."""
    z, y, x = mask.shape
    grid = Grid((x, y, z), (spacing[2], spacing[1], spacing[0]))
    volume = Volume(np.zeros(mask.shape, dtype=np.int16), grid, Modality.CT, Source(modality_stated=True))
    request = MeasureRequest(features=tuple(name for _, name in OUR_COLUMNS))
    row = measure_lesions(volume, LabelMap(mask.view(np.uint8), grid), request).rows[1]
    return {(quantity, name): float(row[name]) for quantity, name in OUR_COLUMNS}  # type: ignore[arg-type]


def simpleitk(mask: BoolArray, spacing: Triple) -> dict[tuple[str, str], float]:
    """Label shape statistics of the whole mask, and the Feret diameter of its slices."""
    import SimpleITK as sitk

    def statistics(array: BoolArray, steps: tuple[float, ...]) -> Any:
        image = sitk.GetImageFromArray(array.astype(np.uint8))
        image.SetSpacing(steps[::-1])
        shape = sitk.LabelShapeStatisticsImageFilter()
        shape.ComputeFeretDiameterOn()
        shape.ComputePerimeterOn()
        shape.Execute(image)
        return shape

    whole = statistics(mask, spacing)
    found = {
        ("volume", "PhysicalSize"): whole.GetPhysicalSize(1),
        ("equivalent diameter", "EquivalentSphericalRadius·2"): 2 * whole.GetEquivalentSphericalRadius(1),
        ("long axis", "FeretDiameter, slice by slice"): max(
            statistics(plane, spacing[1:]).GetFeretDiameter(1) for plane in mask if plane.any()
        ),
        ("3-D diameter", "FeretDiameter"): whole.GetFeretDiameter(1),
        ("surface", "Perimeter"): whole.GetPerimeter(1),
        ("sphericity", "Roundness"): whole.GetRoundness(1),
    }
    axes = sorted(whole.GetEquivalentEllipsoidDiameter(1), reverse=True)
    return found | {(f"ellipsoid axis {k}", f"EquivalentEllipsoidDiameter {k}"): a for k, a in enumerate(axes, 1)}


def pyradiomics(mask: BoolArray, spacing: Triple) -> dict[tuple[str, str], float]:
    """PyRadiomics' rules on scikit-image's mesh."""
    from scipy.spatial import ConvexHull
    from scipy.spatial.distance import pdist
    from skimage.measure import marching_cubes

    vertices, faces, _, _ = marching_cubes(np.pad(mask, 1).astype(np.float32), 0.5, method="lorensen")
    vertices = vertices.astype(np.float64) * spacing
    one, two, three = (vertices[faces[:, k]] for k in range(3))
    area = float(np.linalg.norm(np.cross(two - one, three - one), axis=1).sum() / 2.0)
    volume = abs(float((np.cross(one, two) * three).sum()) / 6.0)
    planes = [vertices[vertices[:, 0] == plane][:, 1:] for plane in np.unique(vertices[:, 0])]
    points = np.argwhere(mask) * np.asarray(spacing)
    eigenvalues = np.linalg.eigvalsh(np.atleast_2d(np.cov(points.T, bias=True)))[::-1] if len(points) > 1 else ()
    found = {
        ("volume", "MeshVolume"): volume,
        ("long axis", "Maximum2DDiameterSlice"): max(_largest(plane) for plane in planes),
        ("3-D diameter", "Maximum3DDiameter"): float(pdist(vertices[ConvexHull(vertices).vertices]).max()),
        ("surface", "SurfaceArea"): area,
        ("sphericity", "Sphericity"): (36.0 * math.pi * volume**2) ** (1.0 / 3.0) / area,
    }
    names = ("MajorAxisLength", "MinorAxisLength", "LeastAxisLength")
    for order, value in enumerate(eigenvalues):
        found[f"ellipsoid axis {order + 1}", names[order]] = 4.0 * math.sqrt(max(0.0, value))
    return found


def _largest(points: npt.NDArray[np.float64]) -> float:
    """Largest distance of points in a plane."""
    from scipy.spatial.distance import pdist

    order = np.lexsort((points[:, 1], points[:, 0]))
    ordered = points[order]
    _, starts = np.unique(ordered[:, 0], return_index=True)
    ends = np.append(starts[1:], len(ordered)) - 1
    outer = ordered[np.concatenate([starts, ends])]  # first and last of each row: no other can be an end
    return float(pdist(outer).max())


TOOLS: dict[str, Callable[[BoolArray, Triple], dict[tuple[str, str], float]]] = {
    OURS: ours,
    ITK: simpleitk,
    PYRADIOMICS: pyradiomics,
}


def unit_of(quantity: str) -> str:
    """Lengths are compared in mm, the rest in per cent."""
    return "%" if quantity in ("volume", "surface", "sphericity") else "mm"


def run(spacing: Triple, kind: str, bodies: int, seed: int) -> Iterator[Line]:
    """Errors of all tools on random bodies of one kind."""
    random = np.random.default_rng([seed, KINDS.index(kind), *(round(1000 * s) for s in spacing)])
    errors: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    done = 0
    while done < bodies:
        body = draw(random, kind)
        mask = digitise(body, spacing, random.uniform(-0.5, 0.5, 3) * spacing)
        if not mask.any():
            continue
        done += 1
        exact = truth(body)
        for tool, function in TOOLS.items():
            for (quantity, name), value in function(mask, spacing).items():
                if tool == ITK and quantity.startswith("ellipsoid") and not isinstance(body, Ellipsoid):
                    continue  # its ellipsoid has the volume of the body, not its moments
                error = value - exact[quantity]
                relative = unit_of(quantity) == "%"
                errors[quantity, tool, name].append(100.0 * error / exact[quantity] if relative else error)
    for (quantity, tool, name), found in errors.items():
        median, low, high = np.nanpercentile(found, [50.0, 2.5, 97.5])
        place = (spacing, kind, quantity, tool, name, unit_of(quantity))
        yield Line(*place, len(found), float(median), float(low), float(high))


def text(spacing: Triple) -> str:
    """Spacing x, y, z as people write it."""
    return " x ".join(f"{s:g}" for s in spacing[::-1])


def markdown(lines: list[Line]) -> str:
    """One table a spacing: measures down, bodies across."""
    parts = []
    for spacing in SPACINGS:
        table = {(n.quantity, n.tool, n.measure): {} for n in lines if n.spacing == spacing}
        for line in (n for n in lines if n.spacing == spacing):
            table[line.quantity, line.tool, line.measure][line.kind] = (
                f"{line.median:+.2f} ({line.low:+.2f} to {line.high:+.2f})"
            )
        quantities = list(dict.fromkeys(quantity for quantity, _, _ in table))
        rows = sorted(table.items(), key=lambda item: quantities.index(item[0][0]))
        parts += [f"### {text(spacing)} mm", "", "| exact value of | tool | measure | " + " | ".join(KINDS) + " |"]
        parts.append("|" + "---|" * (3 + len(KINDS)))
        for (quantity, tool, name), cells in rows:
            head = f"| {quantity}, {unit_of(quantity)} | {tool} | {f'`{name}`' if tool == OURS else name} | "
            parts.append(head + " | ".join(cells.get(kind, "") for kind in KINDS) + " |")
        parts.append("")
    return "\n".join(parts)


def main() -> None:
    """Print the table; write it when asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--markdown", action="store_true", help="print the tables of the docs instead")
    parser.add_argument("--seed", type=int, default=2026, help="of the random bodies")
    parser.add_argument("--bodies", type=int, default=100, help="of each kind at each spacing")
    arguments = parser.parse_args()
    lines = [
        line
        for spacing in SPACINGS
        for kind in KINDS
        for line in run(spacing, kind, arguments.bodies, arguments.seed)
    ]
    if arguments.markdown:
        print(markdown(lines))
    else:
        for line in lines:
            print(
                f"{text(line.spacing):15s} {line.kind:18s} {line.quantity:20s} {line.tool:18s} {line.measure:30s} "
                f"{line.median:+8.2f} {line.low:+8.2f} {line.high:+8.2f} {line.unit}"
            )
    if arguments.json:
        document = {"seed": arguments.seed, "bodies": arguments.bodies, "lines": [asdict(line) for line in lines]}
        arguments.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
