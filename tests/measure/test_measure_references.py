"""Agreement with the IBSI phantom, with PyRadiomics, with SimpleITK and with scikit-image."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from lesion_bodies import STATED, ball, measure, measure_all

from napari_lesion.core.grid import Grid
from napari_lesion.core.volume import LabelMap, Modality, Volume
from napari_lesion.measure.configurations import configuration_histogram, euler_number, mesh_area, mesh_volume
from napari_lesion.measure.hull import ExtremeVertices, convex_hull_3d, diameter, diameter_in_planes
from napari_lesion.measure.pyradiomics import FIRST_ORDER, SHAPE, SHIFT
from napari_lesion.workflow.ibsi import check_ibsi

RESOURCES = Path(__file__).parents[2] / "resources"


def read(image_path: Path, mask_path: Path, modality: Modality) -> tuple[Volume, LabelMap]:
    image, mask = sitk.ReadImage(str(image_path)), sitk.ReadImage(str(mask_path))
    grid = Grid(image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection())
    labels = sitk.GetArrayFromImage(mask).astype(np.uint8)
    return Volume(sitk.GetArrayFromImage(image), grid, modality, STATED), LabelMap(labels, grid)


def test_ibsi_phantom() -> None:
    rows = check_ibsi()
    assert len(rows) == 68
    assert [(row.column, row.value, row.reference) for row in rows if not row.passed] == []


SHAPE_NAMES = {**SHAPE, "Volume": "mesh_volume_mm3"}
OTHER_PLANES = {"Maximum2DDiameterColumn": 1, "Maximum2DDiameterRow": 2}
"""Not columns here: the same rule in coronal and sagittal planes, across these array axes."""

CASES = ("brain1", "breast1", "lung1")


def baseline(path: Path, case: str) -> dict[str, float]:
    """Features of a case without resampling, normalisation or re-segmentation, which this program does not do."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["baseline_id"] == case == row["case"]]
    return {row["feature"]: float(row["value"]) for row in rows if not row["feature"].startswith("diagnostics")}


def has_touching_voxels(mask: np.ndarray) -> bool:
    """Whether voxels (of the lesion or the background) meet by an edge only: there marching-cubes tables differ."""
    padded = np.pad(mask.astype(np.int8), 1)
    for axis in range(3):
        planes = np.moveaxis(padded, axis, 0)
        one, two = planes[:, :-1, :-1], planes[:, 1:, 1:]
        other, third = planes[:, :-1, 1:], planes[:, 1:, :-1]
        if ((one == two) & (other == third) & (one != other)).any():
            return True
    return False


def shape_tolerance(name: str, *, touching: bool) -> float:
    if not touching:
        return 1e-6
    return {"Volume": 1e-3, "MeshVolume": 1e-3}.get(
        name, 6e-3 if name in ("SurfaceArea", "SurfaceVolumeRatio", "Sphericity") else 1e-6
    )


@pytest.mark.real
@pytest.mark.parametrize("case", CASES)
def test_pyradiomics_shape(shared_data: Path, case: str) -> None:
    folder = shared_data / "reference" / "pyradiomics"
    volume, labels = read(folder / f"{case}_image.nrrd", folder / f"{case}_label.nrrd", Modality.CT)
    row = measure_all(volume, labels).rows[1]
    expected = baseline(folder / "baseline_shape_tidy.csv", case)
    assert set(expected) <= set(SHAPE_NAMES) | set(OTHER_PLANES)
    mask, n = labels.array > 0, row["n_voxels"]
    touching = has_touching_voxels(mask)
    for name, value in expected.items():
        if name in OTHER_PLANES:
            axis = OTHER_PLANES[name]
            turned = np.moveaxis(mask, axis, 0)
            extremes = ExtremeVertices.of(turned)
            spacing = labels.grid.spacing_zyx
            others = [spacing[k] for k in range(3) if k != axis]
            ours = diameter_in_planes(turned, extremes, (spacing[axis], others[0], others[1]))
        else:
            ours = row[SHAPE_NAMES[name]]
        # their covariance divides by N
        value *= math.sqrt(n / (n - 1)) if name.endswith("AxisLength") else 1.0
        assert ours == pytest.approx(value, rel=shape_tolerance(name, touching=touching)), name


@pytest.mark.real
@pytest.mark.parametrize("case", CASES)
def test_pyradiomics_first_order(shared_data: Path, case: str) -> None:
    folder = shared_data / "reference" / "pyradiomics"
    row = measure_all(*read(folder / f"{case}_image.nrrd", folder / f"{case}_label.nrrd", Modality.CT)).rows[1]
    expected = baseline(folder / "baseline_firstorder_tidy.csv", case)
    ours = pyradiomics_first_order(row)
    assert set(expected) <= set(ours)
    for name, value in expected.items():
        assert ours[name] == pytest.approx(value, rel=1e-9), name


def pyradiomics_first_order(row: dict) -> dict[str, float]:
    """Our columns under their names and conventions: kurtosis 3 more, energy of values with 2000 added."""
    values = {name: row[column] for name, column in FIRST_ORDER.items()}
    values["Kurtosis"] += 3.0
    n, shift = row["n_voxels"], SHIFT
    values["Energy"] += 2 * shift * row["density_mean_hu"] * n + shift**2 * n
    values["RootMeanSquared"] = math.sqrt(values["Energy"] / n)
    values["TotalEnergy"] = values["Energy"] * row["volume_mm3"] / n
    return values


@settings(max_examples=40, deadline=None)
@given(values=hnp.arrays(np.float32, st.integers(2, 60), elements=st.floats(-1024, 3072, width=16, allow_nan=False)))
def test_first_order_by_the_formulas_of_pyradiomics(values: np.ndarray) -> None:
    """The rules of radiomics/firstorder.py 3.0.1 in NumPy, on any values: bins of 25 from a multiple of 25."""
    row = measure(np.ones((1, 1, len(values)), dtype=bool), image=values[None, None].astype(np.float32))
    x = values.astype(np.float64)
    ours = pyradiomics_first_order(row)
    low = x.min() - x.min() % 25
    edges = np.arange(low, x.max() + 50, 25)
    counts = np.histogram(x, edges)[0]
    share = counts[counts > 0] / counts.sum()
    robust = x[(x >= np.percentile(x, 10)) & (x <= np.percentile(x, 90))]
    shifted = x + SHIFT
    theirs = {
        "10Percentile": np.percentile(x, 10),
        "90Percentile": np.percentile(x, 90),
        "Entropy": -np.sum(share * np.log2(share)),
        "Uniformity": np.sum(share**2),
        "InterquartileRange": np.subtract(*np.percentile(x, [75, 25])),
        "Maximum": x.max(),
        "Minimum": x.min(),
        "Mean": x.mean(),
        "Median": np.median(x),
        "Range": np.ptp(x),
        "MeanAbsoluteDeviation": np.abs(x - x.mean()).mean(),
        "Variance": x.var(),
        "StandardDeviation": x.std(),
        "Energy": np.sum(shifted**2),
        "RootMeanSquared": np.sqrt(np.mean(shifted**2)),
    }
    if len(robust):  # of two voxels, none lies between the two percentiles
        theirs["RobustMeanAbsoluteDeviation"] = np.abs(robust - robust.mean()).mean()
    for name, value in theirs.items():
        assert ours[name] == pytest.approx(value, rel=1e-9, abs=1e-7), name
    if x.std() > 1e-3 * max(1.0, abs(x).max()):
        centred = (x - x.mean()) / x.std()
        assert ours["Skewness"] == pytest.approx(np.mean(centred**3), rel=1e-6, abs=1e-6)
        assert ours["Kurtosis"] == pytest.approx(np.mean(centred**4), rel=1e-6, abs=1e-6)


@pytest.mark.real
def test_a_real_nodule_as_simpleitk_measures_it() -> None:
    folder = RESOURCES / "sample"
    paths = folder / "lidc_0314_part.nii.gz", folder / "lidc_0314_part_mask.nii.gz"
    row = measure_all(*read(*paths, Modality.CT)).rows[1]
    statistics = sitk.LabelIntensityStatisticsImageFilter()
    statistics.Execute(sitk.ReadImage(str(paths[1]), sitk.sitkUInt8), sitk.ReadImage(str(paths[0])))
    n = row["n_voxels"]
    assert row["volume_mm3"] == pytest.approx(statistics.GetPhysicalSize(1), rel=1e-9)
    assert [row[f"centroid_{a}_mm"] for a in "lps"] == pytest.approx(statistics.GetCentroid(1), rel=1e-6)
    assert row["density_mean_hu"] == pytest.approx(statistics.GetMean(1), rel=1e-9)
    assert row["density_sd_hu"] == pytest.approx(
        statistics.GetStandardDeviation(1) * math.sqrt((n - 1) / n), rel=1e-9
    )
    assert (row["density_min_hu"], row["density_max_hu"]) == (statistics.GetMinimum(1), statistics.GetMaximum(1))
    assert row["equivalent_sphere_diameter_mm"] == pytest.approx(statistics.GetEquivalentSphericalRadius(1) * 2)
    assert row["short_axis_mm"] <= row["long_axis_mm"] <= row["max_3d_diameter_mm"]


def explicit_mesh(mask: np.ndarray, spacing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    from skimage.measure import marching_cubes

    vertices, faces, _, _ = marching_cubes(np.pad(mask, 1).astype(np.float32), 0.5, method="lorensen")
    return vertices.astype(np.float64) * spacing, faces


@settings(max_examples=60, deadline=None)
@given(
    mask=hnp.arrays(bool, st.tuples(*[st.integers(1, 6)] * 3)),
    spacing=st.tuples(*[st.sampled_from([0.5, 0.7, 1.0, 2.5])] * 3),
)
def test_configurations_agree_with_an_explicit_mesh(mask: np.ndarray, spacing: tuple[float, float, float]) -> None:
    from scipy.spatial import ConvexHull
    from scipy.spatial.distance import pdist
    from skimage.measure import euler_number as euler_of

    mask.flat[0] = True
    vertices, faces = explicit_mesh(mask, np.asarray(spacing))
    triangles = vertices[faces]
    crosses = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]) / 2
    counts = configuration_histogram(mask)
    assert mesh_area(counts, spacing) == pytest.approx(np.linalg.norm(crosses, axis=1).sum(), rel=1e-9)
    assert mesh_volume(counts, spacing) == pytest.approx(abs((triangles[:, 0] * crosses).sum() / 3), rel=1e-9)
    assert euler_number(counts) == euler_of(mask, connectivity=3)
    extremes = ExtremeVertices.of(mask)
    hull, expected = convex_hull_3d(extremes, spacing), ConvexHull(vertices)
    assert hull.volume_mm3 == pytest.approx(expected.volume, rel=1e-9)
    assert hull.area_mm2 == pytest.approx(expected.area, rel=1e-9)
    assert diameter(hull.vertices) == pytest.approx(pdist(vertices).max(), rel=1e-9)
    planes = [vertices[vertices[:, 0] == plane] for plane in np.unique(vertices[:, 0])]
    in_planes = max(pdist(plane).max() for plane in planes if len(plane) > 1)
    assert diameter_in_planes(mask, extremes, spacing) == pytest.approx(in_planes, rel=1e-9)


def test_plane_diameter_of_a_lesion_that_leaves_a_slice_and_comes_back() -> None:
    """The vertices between slices 1 and 2 are neither the first nor the last along their lines."""
    mask = np.zeros((3, 1, 5), dtype=bool)
    mask[0, 0, 0] = mask[2, 0, 0] = mask[1, 0, 3] = True
    assert diameter_in_planes(mask, ExtremeVertices.of(mask), (1.0, 1.0, 0.5)) == pytest.approx(1.5)


@pytest.mark.parametrize("spacing", [(1.0, 0.7, 0.7), (2.5, 0.7, 0.7), (0.6, 0.6, 0.6)])
def test_simpleitk_agrees(spacing: tuple[float, float, float]) -> None:
    mask = ball(14.0, spacing, (0.2, 0.1, -0.15))
    row = measure(mask, spacing, origin=(-20.0, 30.0, 5.0))
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    image.SetSpacing(spacing[::-1])
    image.SetOrigin((-20.0, 30.0, 5.0))
    statistics = sitk.LabelShapeStatisticsImageFilter()
    statistics.ComputePerimeterOn()
    statistics.Execute(image)
    assert row["volume_mm3"] == pytest.approx(statistics.GetPhysicalSize(1), rel=1e-12)
    assert [row[f"centroid_{a}_mm"] for a in "lps"] == pytest.approx(statistics.GetCentroid(1), rel=1e-12)
    x, y, z, *size = statistics.GetBoundingBox(1)
    assert [row["bbox_i0"], row["bbox_j0"], row["bbox_k0"]] == [x, y, z]
    assert [row[f"bbox_{a}1"] - row[f"bbox_{a}0"] for a in "ijk"] == size
    assert row["surface_area_crofton_mm2"] == pytest.approx(statistics.GetPerimeter(1), rel=0.01)
    n = row["n_voxels"]
    moments = sorted(row[f"pca_{a}_mm"] ** 2 / 16 * (n - 1) / n for a in ("major", "minor", "least"))
    # ITK adds the second moment of a voxel itself to none of them
    assert moments == pytest.approx(sorted(statistics.GetPrincipalMoments(1)), rel=1e-9)


def test_oblique_grids_place_the_centroid_as_simpleitk_does() -> None:
    angle = math.radians(20)
    c, s = math.cos(angle), math.sin(angle)
    direction = (c, 0.0, s, 0.0, 1.0, 0.0, -s, 0.0, c)
    mask = ball(9.0, (2.0, 0.8, 0.9))
    row = measure(mask, (2.0, 0.8, 0.9), origin=(1.0, 2.0, 3.0), direction=direction)
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    image.SetSpacing((0.9, 0.8, 2.0))
    image.SetOrigin((1.0, 2.0, 3.0))
    image.SetDirection(direction)
    statistics = sitk.LabelShapeStatisticsImageFilter()
    statistics.Execute(image)
    assert [row[f"centroid_{a}_mm"] for a in "lps"] == pytest.approx(statistics.GetCentroid(1), rel=1e-12)
    assert "oblique" in row["flags"]
