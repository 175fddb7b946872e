"""Every measure keeps to the classes of invariance that it declares, on random masks and on turned ellipsoids."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from lesion_bodies import STATED, ball, ellipsoid, measure, measure_all, study_of

from napari_lesion.core.grid import Grid
from napari_lesion.core.surroundings import Region, Surroundings
from napari_lesion.core.table import Row
from napari_lesion.core.volume import LabelMap, Modality, Volume
from napari_lesion.measure import topology
from napari_lesion.measure.engine import MeasureRequest, measure_lesions
from napari_lesion.measure.registry import FEATURES
from napari_lesion.measure.spec import Family, Scale

CLASSES = {spec.column_name(Scale.HU): spec.invariance for spec in FEATURES if spec.applies_to(Scale.HU)}
LOOKING_OUTSIDE = {
    spec.column_name(Scale.HU) for spec in FEATURES if spec.family is Family.BOUNDARY or "peak" in spec.name
}
SPACINGS = st.tuples(*[st.sampled_from([0.5, 0.7, 1.0, 2.5])] * 3)
MASKS = hnp.arrays(bool, st.tuples(*[st.integers(1, 6)] * 3))


def lesion(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A non-empty mask and an image for it."""
    mask = mask.copy()
    mask.flat[mask.size // 2] = True
    image = np.random.default_rng(int(mask.sum())).integers(-900, 400, mask.shape).astype(np.int16)
    return mask, image


def close(one: object, other: object, rel: float, absolute: float) -> bool:
    if isinstance(one, str):
        return one == other
    return bool(other == pytest.approx(one, rel=rel, abs=absolute, nan_ok=True))


def assert_same(one: Row, other: Row, kind: str, rel: float, factor: float = 1.0) -> None:
    names = [name for name, classes in CLASSES.items() if kind in classes and name in one]
    assert names
    for name in names:
        expected = one[name] if isinstance(one[name], str) else one[name] * factor
        assert close(expected, other[name], rel, rel * 1e-3), (name, expected, other[name])


@settings(max_examples=25, deadline=None)
@given(mask=MASKS, spacing=SPACINGS, shift=st.tuples(*[st.integers(1, 3)] * 3))
def test_translation(mask: np.ndarray, spacing: tuple[float, float, float], shift: tuple[int, int, int]) -> None:
    mask, image = lesion(mask)
    room = [(s, 4 - s) for s in shift]
    one = measure(np.pad(mask, 1), spacing, image=np.pad(image, 1, mode="edge"))
    other = measure(np.pad(mask, room), spacing, image=np.pad(image, room, mode="edge"))
    # peaks and boundary look at voxels outside the lesion, which the padding changes; scenes below hold them to it
    names = [name for name, classes in CLASSES.items() if "T" in classes and name not in LOOKING_OUTSIDE]
    for name in set(names) & set(one):
        assert close(one[name], other[name], 1e-12, 1e-15), (name, one[name], other[name])
    moved = [other[f"centroid_{axis}"] - one[f"centroid_{axis}"] for axis in "kji"]
    assert moved == pytest.approx([s - 1 for s in shift], abs=1e-12)


SYMMETRIES = [
    (axes, flips) for axes in itertools.permutations(range(3)) for flips in itertools.product((False, True), repeat=3)
]


@settings(max_examples=60, deadline=None)
@given(mask=MASKS, spacing=SPACINGS, symmetry=st.sampled_from(SYMMETRIES))
def test_flips_and_permutations(mask: np.ndarray, spacing: tuple[float, float, float], symmetry: tuple) -> None:
    mask, image = lesion(mask)
    axes, flips = symmetry
    turned = [np.flip(a.transpose(axes), [k for k, flip in enumerate(flips) if flip]) for a in (mask, image)]
    other_spacing = tuple(spacing[axis] for axis in axes)
    one, other = measure(mask, spacing, image=image), measure(turned[0], other_spacing, image=turned[1])
    assert_same(one, other, "F", 1e-9)
    if axes[0] == 0:
        assert_same(one, other, "F2", 1e-9)


@settings(max_examples=25, deadline=None)
@given(mask=MASKS, spacing=SPACINGS, factor=st.sampled_from([0.5, 2.0, 3.0]))
def test_scaling_of_the_spacing(mask: np.ndarray, spacing: tuple[float, float, float], factor: float) -> None:
    mask, image = lesion(mask)
    one = measure(mask, spacing, image=image)
    other = measure(mask, tuple(s * factor for s in spacing), image=image)
    for power in (-1, 0, 1, 2, 3):
        assert_same(one, other, f"S{power}", 1e-9, factor**power)


# lesions that are large enough for a boundary, with a neighbour, in an organ, in a smooth image


REACH_MM = 14.0
"""From the middle of a scene to its border: what the boundary of a lesion looks at stays inside."""


@dataclass(frozen=True)
class Scene:
    """Labels (1 the lesion, 2 its neighbour), image and organ, (z, y, x)."""

    labels: np.ndarray
    image: np.ndarray
    organ: np.ndarray
    spacing: tuple[float, float, float]

    def changed(self, function: Callable[[np.ndarray], np.ndarray]) -> Scene:
        """The same scene with all arrays moved."""
        return Scene(function(self.labels), function(self.image), function(self.organ), self.spacing)

    def row(self) -> Row:
        """All measures of the lesion."""
        volume, labels = study_of(self.labels, self.spacing, self.image)
        region = Region("lung", self.organ, volume.grid)
        request = MeasureRequest(features=("all",), only=frozenset({1}), surroundings=Surroundings(organ=region))
        return measure_lesions(volume, labels, request).rows[1]


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    """Two overlapping ellipsoids, noise over a smooth edge, a neighbour that may touch, an organ with a flat side."""
    random = np.random.default_rng(draw(st.integers(0, 10**6)))
    spacing = draw(st.tuples(*[st.sampled_from([0.7, 1.0, 1.5])] * 3))
    size = 2 * np.ceil(REACH_MM / np.array(spacing)).astype(int) + 1
    places = (np.indices(size).transpose(1, 2, 3, 0) - size // 2) * spacing

    def blob(centre: np.ndarray, half: float) -> np.ndarray:
        turn, _ = np.linalg.qr(random.standard_normal((3, 3)))
        scaled = (places - centre) @ turn / (half * random.uniform(0.6, 1.0, 3))
        return np.linalg.norm(scaled, axis=-1)

    distance = np.minimum(blob(np.zeros(3), 4.2), blob(random.uniform(-2, 2, 3), 3.0))
    labels = (distance <= 1).astype(np.uint8)
    labels[(blob(random.uniform(3, 5, 3), 2.5) <= 1) & (labels == 0)] = 2
    labels[tuple(size // 2)] = 1
    image = -850 + 900 / (1 + np.exp(6 * (distance - 1))) + random.normal(0, 20, size)
    organ = places[..., 2] > -random.uniform(2, 6)
    return Scene(labels, np.round(image).astype(np.int16), organ, spacing)


@settings(max_examples=8, deadline=None)
@given(scene=scenes(), shift=st.tuples(*[st.integers(-2, 2)] * 3))
def test_translation_of_a_scene(scene: Scene, shift: tuple[int, int, int]) -> None:
    room = [(2 + s, 2 - s) for s in shift]
    one = scene.changed(lambda a: np.pad(a, 2, mode="edge")).row()
    other = scene.changed(lambda a: np.pad(a, room, mode="edge")).row()
    assert_same(one, other, "T", 1e-9)
    assert math.isfinite(one["ring_mean_hu"])


@settings(max_examples=12, deadline=None)
@given(scene=scenes(), symmetry=st.sampled_from(SYMMETRIES))
def test_flips_and_permutations_of_a_scene(scene: Scene, symmetry: tuple) -> None:
    axes, flips = symmetry
    turned = scene.changed(lambda a: np.flip(a.transpose(axes), [k for k, flip in enumerate(flips) if flip]))
    other = replace(turned, spacing=tuple(scene.spacing[axis] for axis in axes)).row()
    one = scene.row()
    assert_same(one, other, "F", 1e-9)
    if axes[0] == 0:
        assert_same(one, other, "F2", 1e-9)


@settings(max_examples=8, deadline=None)
@given(scene=scenes(), factor=st.sampled_from([0.5, 2.0]))
def test_scaling_of_a_scene(scene: Scene, factor: float) -> None:
    one, other = scene.row(), replace(scene, spacing=tuple(s * factor for s in scene.spacing)).row()
    for power in (-1, 0, 1, 2, 3):
        assert_same(one, other, f"S{power}", 1e-9, factor**power)


POSITIONS = ("centroid_", "inner_point_", "long_axis_", "short_axis_", "bbox_", "manual_")
UNCLASSED = {"flags"}


def test_every_measure_declares_how_it_behaves() -> None:
    """All but identity, provenance, places and words carry at least T, and so come under the tests above."""
    for spec in FEATURES:
        free = spec.family in (Family.IDENTITY, Family.PROVENANCE) or not spec.ucum or spec.name in UNCLASSED
        if not free and not spec.name.startswith(POSITIONS):
            assert "T" in spec.invariance, spec.name


GEOMETRY = {
    spec.name
    for spec in FEATURES
    if spec.family in (Family.SIZE, Family.SHAPE, Family.PLACE) and "centre_of_mass" not in spec.name
} | {"volume_err_mm3", "long_axis_err_mm", "short_axis_err_mm", "n_voxels", "centroid_k", "inner_point_i"}


def assert_same_row(one: Row, other: Row, but: tuple[str, ...] = ()) -> None:
    """Identical bits for geometry, 1e-12 for intensity."""
    assert list(one) == list(other)
    for name, value in one.items():
        if name in but:
            continue
        if name in GEOMETRY:
            assert repr(value) == repr(other[name]), (name, value, other[name])
        else:
            assert close(value, other[name], 1e-12, 1e-12), (name, value, other[name])


STORED = [np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.uint64, np.int64]


@settings(max_examples=20, deadline=None)
@given(mask=MASKS, dtype=st.sampled_from(STORED), layout=st.sampled_from(["C", "F", "reversed"]))
def test_storage_does_not_matter(mask: np.ndarray, dtype: type, layout: str) -> None:
    mask, image = lesion(mask)
    volume, labels = study_of(mask, (1.0, 0.7, 0.8), image)
    one = measure_all(volume, labels).rows[1]

    def stored(array: np.ndarray, kind: type) -> np.ndarray:
        if layout == "reversed":
            return np.ascontiguousarray(array[::-1, :, ::-1]).astype(kind)[::-1, :, ::-1]
        return np.array(array, dtype=kind, order=layout)

    other_labels = LabelMap(stored(labels.array * 77, dtype), labels.grid)
    floating = Volume(stored(image, np.float32), volume.grid, Modality.CT, STATED)
    other = measure_all(floating, other_labels).rows[77]
    assert_same_row(one, other, ("label", "lesion_id"))


@settings(max_examples=4, deadline=None)
@given(scene=scenes())
def test_order_of_labels_does_not_matter(scene: Scene) -> None:
    renamed = replace(scene, labels=np.select([scene.labels == 1, scene.labels == 2], [9, 4]).astype(np.uint16))
    volume, labels = study_of(renamed.labels, scene.spacing, scene.image)
    region = Surroundings(organ=Region("lung", scene.organ, volume.grid))
    table = measure_lesions(volume, labels, MeasureRequest(features=("all",), surroundings=region))
    assert_same_row(scene.row(), table.rows[9], ("label", "lesion_id"))


def test_number_of_threads_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """The distance map of a large lesion is made by one or by two threads."""
    mask = np.pad(ball(34.0, (1.0, 0.9, 0.9)), 1)
    rows = []
    for voxels in (0, 10**9):
        monkeypatch.setattr(topology, "SMALL_VOXELS", 0)
        monkeypatch.setattr(topology, "PARALLEL_VOXELS", voxels)
        rows.append(measure(mask, (1.0, 0.9, 0.9)))
    assert_same_row(*rows)


def test_shift_and_scale_of_the_intensities() -> None:
    """100 HU are 4 bins: what is a place moves with them, what is a width or a form stays."""
    mask = np.pad(ball(9.0, (1.0, 0.7, 0.7)), 9)
    image = (np.random.default_rng(3).integers(-100, 100, mask.shape) + 300 * mask).astype(np.int16)
    one, other = measure(mask, image=image), measure(mask, image=image + np.int16(100))
    for name in ("mean", "median", "min", "max", "p05", "p10", "p25", "p75", "p90", "p95"):
        assert other[f"density_{name}_hu"] == pytest.approx(one[f"density_{name}_hu"] + 100), name
    assert other["ring_mean_hu"] == pytest.approx(one["ring_mean_hu"] + 100)
    for name in ("sd_hu", "variance_hu2", "iqr_hu", "range_hu", "mad_hu", "skewness", "kurtosis"):
        assert other[f"density_{name}"] == pytest.approx(one[f"density_{name}"], rel=1e-9), name
    for name in ("density_entropy_bits", "density_uniformity", "ring_sd_hu", "contrast_hu", "cnr", "contrast_z"):
        assert math.isfinite(one[name]), name
        assert other[name] == pytest.approx(one[name], rel=1e-9), name
    stretched = measure(mask, image=image * np.int16(3))
    for name in ("density_skewness", "density_kurtosis", "cnr", "contrast_z"):
        assert stretched[name] == pytest.approx(one[name], rel=1e-9), name
    for name in ("density_sd_hu", "density_iqr_hu", "contrast_hu", "ring_sd_hu"):
        assert stretched[name] == pytest.approx(3 * one[name], rel=1e-9), name


def test_same_body_stored_in_lps_and_in_ras() -> None:
    mask = ball(9.0, (2.0, 0.8, 0.9))[:, :, 1:]
    image = np.random.default_rng(4).integers(-900, 100, mask.shape).astype(np.int16)
    lps = Grid(mask.shape[::-1], (0.9, 0.8, 2.0), (5.0, 6.0, 7.0))
    last = lps.to_physical([0, mask.shape[1] - 1, mask.shape[2] - 1])
    ras = Grid(lps.size, lps.spacing, tuple(map(float, last)), (-1.0, 0, 0, 0, -1.0, 0, 0, 0, 1.0))
    flipped = np.flip(mask, (1, 2)), np.flip(image, (1, 2))
    one = measure_all(Volume(image, lps, Modality.CT, STATED), LabelMap(mask.astype(np.uint8), lps)).rows[1]
    other = measure_all(
        Volume(flipped[1], ras, Modality.CT, STATED), LabelMap(flipped[0].astype(np.uint8), ras)
    ).rows[1]
    for name in ("centroid_l_mm", "centroid_p_mm", "centroid_s_mm", "bbox_l_mm", "bbox_p_mm", "bbox_s_mm"):
        assert other[name] == pytest.approx(one[name], rel=1e-12), name
    assert_same(one, other, "F", 1e-9)
    assert_same(one, other, "F2", 1e-9)


@pytest.mark.parametrize("axial_axis", [0, 1, 2])
def test_axes_follow_the_patient_not_the_array(axial_axis: int) -> None:
    """A coronal or sagittal series has its slices along another axis; the axial plane is the patient's."""
    flat = np.zeros((3, 9, 15), dtype=bool)
    flat[1, 2:7, 1:14] = True
    others = [axis for axis in range(3) if axis != axial_axis]
    mask = np.moveaxis(flat, 0, axial_axis)
    matrix = np.zeros((3, 3))  # columns: LPS direction of the index axes x, y, z
    matrix[2, 2 - axial_axis] = 1.0
    matrix[1, 2 - others[0]] = matrix[0, 2 - others[1]] = 1.0
    row = measure(mask, direction=tuple(matrix.ravel()))
    assert row["n_slices"] == 1
    assert row["long_axis_slice"] == 1
    assert row["long_axis_mm"] == pytest.approx(math.hypot(13, 3))  # side middles, not the cut corners
    ends = np.array([[row[f"long_axis_p{end}_{a}_mm"] for a in "lps"] for end in (1, 2)])
    assert np.linalg.norm(ends[0] - ends[1]) == pytest.approx(row["long_axis_mm"])
    assert ends[0][2] == ends[1][2] == 1.0
    assert (row["bbox_l_mm"], row["bbox_p_mm"], row["bbox_s_mm"]) == (13.0, 5.0, 1.0)


def test_splitting_adds_up() -> None:
    mask = ball(10.0, (1.0, 0.7, 0.7)).astype(np.uint8)
    image = np.random.default_rng(5).integers(-900, 100, mask.shape).astype(np.int16)
    whole = measure(mask, image=image)
    halves = mask.copy()
    halves[: len(mask) // 2] *= 2
    rows = measure_all(*study_of(halves, image=image)).rows
    for name in ("n_voxels", "volume_mm3", "density_energy_hu2"):
        assert sum(row[name] for row in rows.values()) == pytest.approx(whole[name])


def test_free_rotation_of_an_ellipsoid() -> None:
    random = np.random.default_rng(6)
    rows = []
    for _ in range(20):
        turn, _ = np.linalg.qr(random.standard_normal((3, 3)))
        mask = ellipsoid(np.array([6.0, 4.5, 3.6]), (0.7, 0.7, 0.7), random.uniform(-0.35, 0.35, 3), turn)
        rows.append(measure(mask, (0.7, 0.7, 0.7)))

    def spread(name: str) -> float:
        values = np.array([row[name] for row in rows])
        return float(values.std() / values.mean())

    assert spread("volume_mm3") < 0.015
    assert spread("equivalent_sphere_diameter_mm") < 0.005
    assert max(spread(f"pca_{axis}_mm") for axis in ("major", "minor", "least")) < 0.015
    assert spread("surface_area_crofton_mm2") < 0.02


def test_crop_and_whole_volume_give_the_same_bits() -> None:
    mask = np.zeros((20, 24, 28), dtype=np.uint16)
    mask[3:9, 4:12, 5:14] = 3
    mask[12:18, 10:20, 12:25] = 9
    volume, labels = study_of(mask, (1.0, 0.7, 0.7))
    whole = measure_lesions(volume, labels).rows[3]
    box = (slice(2, 11), slice(0, 24), slice(4, 16))
    one = measure_lesions(volume, labels, MeasureRequest(only=frozenset({3}), boxes={3: box}))
    assert one.labels == [3]
    assert {k: repr(v) for k, v in one.rows[3].items()} == {k: repr(v) for k, v in whole.items()}
