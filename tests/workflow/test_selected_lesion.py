"""What there is to see of one lesion: histogram, edge, place on the size scale, change."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from napari_lesion.core.findings import Check
from napari_lesion.core.grid import Grid
from napari_lesion.core.lesion import Lesion, Status
from napari_lesion.core.volume import Modality, Volume
from napari_lesion.measure.distribution import Distribution
from napari_lesion.workflow.measure import install_measurement, measure_study, request_for
from napari_lesion.workflow.selected import MOST_BINS, Selected, describe_selected, nice_width, selected_request
from napari_lesion.workflow.study import Study

SPACING = 0.8
SHAPE = (48, 48, 48)
INSIDE, OUTSIDE = 40, -850
SIGMA_MM = 1.2


def ball(radius_mm: float, centre: tuple[int, int, int] = (24, 24, 24)) -> np.ndarray:
    z, y, x = np.ogrid[tuple(slice(n) for n in SHAPE)]
    squares = sum((axis - c) ** 2 for axis, c in zip((z, y, x), centre, strict=True))
    return np.asarray(squares * SPACING**2 <= radius_mm**2)


def study_of(*masks: np.ndarray, modality: Modality = Modality.CT, blur_mm: float = SIGMA_MM) -> Study:
    """A study with one measured lesion a mask, blurred by a Gaussian of known width."""
    grid = Grid(SHAPE[::-1], (SPACING, SPACING, SPACING))
    together = np.logical_or.reduce(masks)
    values = gaussian_filter(np.where(together, INSIDE, OUTSIDE).astype(np.float32), blur_mm / SPACING)
    study = Study.of(Volume(values, grid, modality), Check())
    for label, mask in enumerate(masks, 1):
        study.labels.array[mask] = label
        study.model_labels.array[mask] = label
        study.lesions[label] = Lesion(label, probability=0.9)
    measure(study)
    return study


def measure(study: Study) -> None:
    install_measurement(study, measure_study(request_for(study)))


def described(study: Study, label: int = 1) -> Selected:
    request = selected_request(study, label)
    assert request is not None
    return describe_selected(request)


def test_histogram_holds_every_voxel_and_its_statistics() -> None:
    study = study_of(ball(8.0))
    found = described(study).histogram
    values = study.volume.array[study.labels.array == 1]
    assert found is not None
    assert int(found.counts.sum()) == values.size
    assert len(found.edges) == len(found.counts) + 1
    assert found.edges[0] <= values.min()
    assert values.max() <= found.edges[-1]
    counts = np.histogram(values, found.edges)[0]
    np.testing.assert_array_equal(found.counts, counts)
    assert found.mean == pytest.approx(values.mean())
    assert found.median == pytest.approx(np.median(values))
    assert (found.p10, found.p90) == pytest.approx(tuple(np.percentile(values, (10, 90))))
    assert [mark.value for mark in found.marks] == [-300, 130]
    assert found.unit == "HU"


@given(
    st.lists(st.floats(-1e4, 1e4, allow_nan=False, width=32), min_size=1, max_size=50),
    st.booleans(),
)
def test_bins_are_few_and_of_a_plain_width(values: list[float], whole: bool) -> None:
    array = np.round(values) if whole else np.asarray(values)
    x = Distribution.of(array)
    width = nice_width(x)
    assert x.maximum - x.minimum <= (MOST_BINS - 1) * width * (1 + 1e-6)
    digit = width / 10.0 ** math.floor(math.log10(width) + 1e-9)
    assert min(abs(digit - step) for step in (1, 2, 5)) < 1e-6
    if whole:
        assert width >= 1


def test_edge_of_a_known_blur_is_as_wide_as_it_should_be() -> None:
    study = study_of(ball(10.0))
    edge = described(study).edge
    assert edge is not None
    assert edge.width_mm == study.table.rows[1]["edge_width_10_90_mm"]
    assert edge.width_mm == pytest.approx(2.563 * SIGMA_MM, rel=0.12)
    (first, inside), (last, outside) = edge.crossings
    assert edge.width_mm <= last - first < edge.width_mm + SPACING / 2
    assert first < 0 < last
    assert inside > outside
    known = np.isfinite(edge.median)
    assert np.all(edge.low[known] <= edge.median[known])
    assert np.all(edge.median[known] <= edge.high[known])


def test_no_edge_where_nothing_differs() -> None:
    study = study_of(ball(6.0))
    flat = Volume(np.zeros(SHAPE, np.int16), study.volume.grid, Modality.CT)
    study.volume = flat
    measure(study)
    edge = described(study).edge
    assert edge is None or (not edge.crossings and math.isnan(edge.width_mm))


def test_size_scale_knows_the_others_and_the_error_bar() -> None:
    study = study_of(ball(6.0, (14, 14, 14)), ball(3.0, (36, 36, 36)))
    scale = described(study).scale
    row = study.table.rows[1]
    assert scale is not None
    assert scale.diameter_mm == row["mean_diameter_mm"]
    assert scale.others == {2: study.table.rows[2]["mean_diameter_mm"]}
    errors = [row[study.table.column(name).error] for name in ("long_axis_mm", "short_axis_mm")]
    if not study.table.column("mean_diameter_mm").error:
        assert scale.error_mm == pytest.approx(sum(errors) / 2)
    assert 0 < scale.error_mm < 1.5
    assert [mark.value for mark in scale.marks] == [6, 8, 10]


def test_limits_of_lung_nodules_stand_on_ct_only() -> None:
    study = study_of(ball(6.0), modality=Modality.MR)
    found = described(study)
    assert found.scale is not None
    assert [mark.value for mark in found.scale.marks] == [10]
    assert found.histogram is not None
    assert found.histogram.marks == ()
    assert found.histogram.unit == "a.u."


def test_change_against_the_model_is_told_of_edited_lesions_only() -> None:
    study = study_of(ball(6.0))
    assert described(study).changes == ()
    before = dict(study.table.rows[1])
    study.labels.array[ball(7.0)] = 1
    study.lesions[1] = replace(study.lesions[1], status=Status.EDITED)
    measure(study)
    request = selected_request(study, 1, before)
    assert request is not None
    kept, measured = describe_selected(request).changes, described(study).changes
    assert kept == measured
    assert [change.title for change in kept] == ["Volume", "Long axis", "Short axis"]
    assert kept[0].before == before["volume_mm3"]
    assert kept[0].after == study.table.rows[1]["volume_mm3"]
    assert kept[0].percent == pytest.approx(100 * ((7 / 6) ** 3 - 1), rel=0.1)


def test_a_lesion_that_was_not_measured_is_not_described() -> None:
    study = study_of(ball(6.0))
    study.table = replace(study.table, rows={})
    assert selected_request(study, 1) is None
    assert selected_request(study, 5) is None


def test_a_lesion_that_went_meanwhile_is_empty() -> None:
    study = study_of(ball(6.0))
    request = selected_request(study, 1)
    study.labels.array[:] = 0
    assert request is not None
    assert describe_selected(request) == Selected(1) or describe_selected(request).histogram is None


@pytest.mark.parametrize("voxels", [1, 5])
def test_a_tiny_lesion_has_a_histogram_and_no_edge(voxels: int) -> None:
    mask = np.zeros(SHAPE, bool)
    mask[20, 20, 20 : 20 + voxels] = True
    found = described(study_of(mask))
    assert found.edge is None
    assert found.histogram is not None
    assert int(found.histogram.counts.sum()) == voxels


def test_a_lesion_without_a_finite_voxel_has_no_histogram() -> None:
    study = study_of(ball(6.0))
    values = study.volume.array.copy()
    values[study.labels.array == 1] = np.nan
    study.volume = Volume(values, study.volume.grid, Modality.CT)
    measure(study)
    found = described(study)
    assert found.histogram is None
    assert found.scale is not None
