"""Flipped passes: what is told of a lesion follows from what each of them marks."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_lesion.core.grid import Grid
from napari_lesion.core.jobs import JobContext, Progress
from napari_lesion.core.lesion import Lesion, Status
from napari_lesion.core.probability import ProbabilityMap, to_bytes
from napari_lesion.core.volume import LabelMap, Modality, Volume
from napari_lesion.inference import engine
from napari_lesion.inference.augment import (
    PASSES,
    FlippedBackend,
    mean_pairwise_dice,
    spread,
    with_agreement,
    with_members,
)
from napari_lesion.inference.candidates import find_candidates
from napari_lesion.inference.engine import predict
from napari_lesion.inference.estimate import estimate
from napari_lesion.inference.settings import FLIPS, EngineSettings
from napari_lesion.models.bundle import BundleInfo

GRID = Grid((48, 44, 40), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (0, 0, -1, 1, 0, 0, 0, -1, 0))
LESION_MM3 = 8.0**3


class Sided:
    """Sees as probability what is bright; of the far half of its first axis only a share."""

    name, device, precision = "sided", "cpu", "float32"

    def __init__(self, share: float) -> None:
        self.share = share
        self.count = 0

    def infer(self, windows: np.ndarray) -> np.ndarray:
        self.count += len(windows)
        result = windows[:, 0].copy()
        result[:, result.shape[1] // 2 :] *= self.share
        return result

    def close(self) -> None:
        return None


def _volume() -> Volume:
    hu = np.full(GRID.shape, -1000, np.int16)
    hu[16:24, 18:26, 20:28] = 400
    return Volume(hu, GRID, Modality.CT)


def _maps(*arrays: np.ndarray, grid: Grid = GRID) -> ProbabilityMap:
    """The mean of arrays with them as members."""
    mean = ProbabilityMap.from_dense(to_bytes(np.mean(arrays, axis=0)), grid)
    return with_members(mean, [ProbabilityMap.from_dense(to_bytes(array), grid) for array in arrays])


def _box(*bounds: tuple[int, int]) -> np.ndarray:
    array = np.zeros(GRID.shape, np.float32)
    array[tuple(slice(low, high) for low, high in bounds)] = 0.9
    return array


def test_the_passes_that_can_be_chosen() -> None:
    assert tuple(PASSES) == FLIPS
    assert [len(passes) for passes in PASSES.values()] == [1, 4, 8]
    assert all(len(set(passes)) == len(passes) and passes[0] == () for passes in PASSES.values())


@pytest.mark.parametrize("axes", PASSES["all"])
def test_flipped_there_and_back(axes: tuple[int, ...]) -> None:
    windows = np.random.default_rng(0).random((2, 1, 4, 6, 8)).astype(np.float32)
    np.testing.assert_array_equal(FlippedBackend(Sided(1.0), axes).infer(windows), windows[:, 0])
    lost = FlippedBackend(Sided(0.0), axes).infer(np.ones_like(windows))
    kept = lost[:, 2:] if 0 in axes else lost[:, :2]
    assert kept.all()
    assert lost.sum() == kept.size


@pytest.mark.parametrize("flips", ["axes", "all"])
def test_a_network_that_does_not_mind_agrees_with_itself(
    monkeypatch: pytest.MonkeyPatch, tiny_bundle: BundleInfo, flips: str
) -> None:
    plain, flipped = (_predict(monkeypatch, tiny_bundle, Sided(1.0), name) for name in ("none", flips))
    np.testing.assert_array_equal(plain.dense(), flipped.dense())
    assert not plain.members
    assert len(flipped.members) == len(PASSES[flips])
    assert not spread(flipped).dense().any()
    labels, lesions = find_candidates(flipped, 0.5)
    told = with_agreement(lesions, labels, flipped, 0.5)[1]
    assert told.agreement == 1.0
    assert told.volume_range_mm3 == (LESION_MM3, LESION_MM3)


def _predict(monkeypatch: pytest.MonkeyPatch, bundle: BundleInfo, backend: Sided, flips: str) -> ProbabilityMap:
    monkeypatch.setattr(engine, "open_backend", lambda *_: (backend, ()))
    return predict(_volume(), bundle, EngineSettings(device="cpu", flips=flips)).probability


def test_mean_and_spread_of_a_network_that_sees_one_side_only(
    monkeypatch: pytest.MonkeyPatch, tiny_bundle: BundleInfo
) -> None:
    """Each voxel is seen in full by a share of the passes: mean and SD of so many ones and zeros."""
    found = _predict(monkeypatch, tiny_bundle, Sided(0.0), "all")
    members = np.stack([member.dense() for member in found.members]) / 250
    inside = _volume().array > 0
    np.testing.assert_allclose(found.dense()[inside] / 250, members[:, inside].mean(axis=0), atol=0.003)
    np.testing.assert_allclose(spread(found).dense()[inside] / 250, members[:, inside].std(axis=0), atol=0.003)
    assert 0.1 < members[:, inside].std(axis=0).max() <= 0.5
    assert not found.dense()[~inside].any()


def test_windows_and_cost_are_counted_over_all_passes(
    monkeypatch: pytest.MonkeyPatch, tiny_bundle: BundleInfo
) -> None:
    backend, seen = Sided(1.0), []
    monkeypatch.setattr(engine, "open_backend", lambda *_: (backend, ()))
    once, eight = (EngineSettings(device="cpu", flips=flips) for flips in ("none", "all"))
    prediction = predict(_volume(), tiny_bundle, eight, JobContext(report=seen.append))
    windows = [progress for progress in seen if isinstance(progress, Progress) and progress.stage == "Searching"]
    assert {progress.total for progress in windows} == {backend.count} == {prediction.windows}
    assert [progress.done for progress in windows] == sorted(progress.done for progress in windows)
    assert estimate(GRID, tiny_bundle, eight, prediction.organ).windows == prediction.windows
    assert prediction.windows == 8 * estimate(GRID, tiny_bundle, once, prediction.organ).windows
    costs = [estimate(GRID, tiny_bundle, settings).memory_mib for settings in (once, eight)]
    assert costs[1] > costs[0]


def test_agreement_and_range_of_known_boxes() -> None:
    """Three passes mark 512, 512 and 256 voxels of which 256 are common: Dice 1, 2/3 and 2/3."""
    whole, half = _box((10, 18), (10, 18), (10, 18)), _box((10, 18), (10, 18), (10, 14))
    probability = _maps(whole, whole, half)
    labels, lesions = find_candidates(probability, 0.5)
    told = with_agreement(lesions, labels, probability, 0.5)[1]
    assert told.agreement == pytest.approx((1 + 2 / 3 + 2 / 3) / 3)
    assert told.volume_range_mm3 == (256.0, 512.0)


def test_a_lesion_of_one_pass_alone_has_agreement_0_and_a_range_from_0() -> None:
    nothing = np.zeros(GRID.shape, np.float32)
    probability = _maps(_box((10, 18), (10, 18), (10, 18)), nothing, nothing, nothing)
    labels, lesions = find_candidates(probability, 0.2)
    told = with_agreement(lesions, labels, probability, 0.2)[1]
    assert told.agreement == 0.0
    assert told.volume_range_mm3 == (0.0, 512.0)


def test_a_pass_that_joins_two_lesions_gives_each_its_own_part() -> None:
    two = _box((10, 18), (10, 18), (10, 15)) + _box((10, 18), (10, 18), (20, 25))
    joined = _box((10, 18), (10, 18), (10, 25))
    probability = _maps(two, two, two, joined)
    labels, lesions = find_candidates(probability, 0.5)
    assert len(lesions) == 2
    for lesion in with_agreement(lesions, labels, probability, 0.5).values():
        low, high = lesion.volume_range_mm3
        assert (low, high) == (320.0, 640.0), "the bridge of 320 mm³ counts, the other lesion does not"


def test_what_the_reader_changed_has_no_agreement() -> None:
    box = _box((10, 18), (10, 18), (10, 18))
    probability = _maps(box, box)
    labels, lesions = find_candidates(probability, 0.5)
    edited = {1: replace(lesions[1], status=Status.EDITED)}
    assert with_agreement(edited, labels, probability, 0.5) == edited
    assert math.isnan(edited[1].agreement)


def test_without_passes_nothing_is_told() -> None:
    probability = ProbabilityMap.from_dense(to_bytes(_box((10, 18), (10, 18), (10, 18))), GRID)
    labels, lesions = find_candidates(probability, 0.5)
    assert with_agreement(lesions, labels, probability, 0.5) == lesions
    empty = _maps(np.zeros(GRID.shape), np.zeros(GRID.shape))
    assert with_agreement({1: Lesion(1)}, LabelMap.empty(GRID), empty, 0.5) == {1: Lesion(1)}


@given(st.lists(st.lists(st.booleans(), min_size=12, max_size=12), min_size=2, max_size=8))
@settings(max_examples=50, deadline=None)
def test_mean_pairwise_dice_is_that_of_the_pairs(rows: list[list[bool]]) -> None:
    masks = np.array(rows)
    each = []
    for first in range(len(masks)):
        for second in range(first + 1, len(masks)):
            size = masks[first].sum() + masks[second].sum()
            each.append(2 * (masks[first] & masks[second]).sum() / size if size else 0.0)
    assert mean_pairwise_dice(masks) == pytest.approx(np.mean(each))


def test_members_keep_only_what_the_mean_keeps() -> None:
    grid = Grid((130, 70, 70), (1.0, 1.0, 1.0))
    one, other = np.zeros(grid.shape), np.zeros(grid.shape)
    one[5, 5, 5] = one[5, 5, 100] = 0.8
    mean = ProbabilityMap.from_dense(to_bytes(np.where(np.indices(grid.shape)[2] < 64, one / 2, 0)), grid)
    found = with_members(mean, [ProbabilityMap.from_dense(to_bytes(part), grid) for part in (one, other)])
    assert [sorted(member.blocks) for member in found.members] == [[(0, 0, 0)], []]
    assert found.nbytes == mean.nbytes + found.members[0].nbytes
