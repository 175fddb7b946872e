"""Windows: everything is covered, little is computed twice, and blending is MONAI's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_lesion.core.grid import Grid
from napari_lesion.core.jobs import CancelToken, JobCancelled, JobContext, Progress
from napari_lesion.inference.resample import ModelFrame
from napari_lesion.inference.sliding import WindowCutter, run_windows
from napari_lesion.inference.windows import gaussian_weights, plan_windows


class IdentityBackend:
    """Gives the window back as its probability."""

    name, device, precision = "identity", "cpu", "float32"

    def __init__(self) -> None:
        self.calls = 0

    def infer(self, windows: np.ndarray) -> np.ndarray:
        self.calls += 1
        return windows[:, 0]

    def close(self) -> None:
        return None


def _covered(shape: tuple[int, ...], starts: list[tuple[int, int, int]], roi: tuple[int, int, int]) -> np.ndarray:
    count = np.zeros(shape, int)
    for start in starts:
        count[tuple(slice(max(0, s), s + r) for s, r in zip(start, roi, strict=True))] += 1
    return count


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(*[st.integers(5, 70)] * 3),
    roi=st.tuples(*[st.sampled_from([8, 16, 24])] * 3),
    overlap=st.sampled_from([0.0, 0.25, 0.5]),
    seed=st.integers(0, 99),
    density=st.sampled_from([0.0005, 0.01, 1.0]),
)
def test_every_voxel_of_the_region_is_covered(
    shape: tuple[int, int, int], roi: tuple[int, int, int], overlap: float, seed: int, density: float
) -> None:
    region = np.random.default_rng(seed).random(shape) < density
    plain = plan_windows(region, roi, overlap)
    starts = plan_windows(region, roi, overlap, (3, 4, 5))
    assert all(_covered(shape, plan, roi)[region].all() for plan in (plain, starts))
    assert len(set(starts)) == len(starts)
    for start in starts:
        inside = tuple(slice(max(0, s), s + r) for s, r in zip(start, roi, strict=True))
        assert region[inside].any()
        for s, r, n in zip(start, roi, shape, strict=True):
            assert (0 <= s <= n - r) if n > r else s == -((r - n) // 2)


@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5])
def test_neighbours_overlap_at_least_as_much_as_asked(overlap: float) -> None:
    starts = plan_windows(np.ones((100, 20, 20), bool), (24, 24, 24), overlap)
    places = sorted({start[0] for start in starts})
    assert (places[0], places[-1]) == (0, 100 - 24)
    assert max(np.diff(places)) <= 24 * (1 - overlap) + 1


def test_a_margin_is_covered_where_it_is_free() -> None:
    region = np.zeros((100, 20, 20), bool)
    region[40:60] = True
    assert [start[0] for start in plan_windows(region, (24, 24, 24), 0.25, (9, 0, 0))] == [38]
    region[30:70] = True
    places = [start[0] for start in plan_windows(region, (24, 24, 24), 0.25, (1, 0, 0))]
    assert (places[0], places[-1] + 24) == (29, 71)
    assert len(places) == len(plan_windows(region, (24, 24, 24), 0.25))


def test_no_more_windows_than_monai_for_a_whole_volume() -> None:
    from monai.data.utils import dense_patch_slices

    shape, roi = (96, 130, 150), (48, 48, 48)
    theirs = dense_patch_slices(shape, roi, (36, 36, 36))
    assert len(plan_windows(np.ones(shape, bool), roi, 0.25)) <= len(theirs)


def test_nothing_to_search_needs_no_window() -> None:
    assert plan_windows(np.zeros((20, 20, 20), bool), (8, 8, 8), 0.25) == []


@pytest.mark.parametrize("roi", [(96, 96, 96), (32, 48, 64), (7, 8, 9)])
def test_weights_are_those_of_monai(roi: tuple[int, int, int]) -> None:
    from monai.data.utils import compute_importance_map

    expected = compute_importance_map(roi, mode="gaussian", sigma_scale=0.125).numpy()
    np.testing.assert_allclose(gaussian_weights(roi), expected, rtol=1e-5)


@pytest.mark.parametrize("shape", [(40, 50, 60), (10, 50, 20)])
@pytest.mark.parametrize("batch", [1, 3])
def test_blending_gives_a_consistent_prediction_back(shape: tuple[int, int, int], batch: int) -> None:
    grid = Grid((shape[2], shape[1], shape[0]), (1.0, 1.0, 1.0), direction=(0, 0, -1, 1, 0, 0, 0, -1, 0))
    frame = ModelFrame.of(grid, (slice(0, shape[0]), slice(0, shape[1]), slice(0, shape[2])), (1.0, 1.0, 1.0))
    image = np.random.default_rng(1).random(shape).astype(np.float32)
    starts = plan_windows(np.ones(shape, bool), (24, 24, 24), 0.25)
    cutter = WindowCutter(image, frame, (24, 24, 24))
    result = run_windows(cutter, starts, IdentityBackend(), batch, JobContext())
    np.testing.assert_allclose(result, image, atol=1e-5)


def test_same_windows_as_monai_give_the_same_probability() -> None:
    import torch
    from monai.data.utils import dense_patch_slices
    from monai.inferers import sliding_window_inference

    shape, roi = (40, 44, 48), (32, 32, 32)
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv3d(1, 1, 5, padding=2), torch.nn.Sigmoid()).eval()

    class Torch(IdentityBackend):
        def infer(self, windows: np.ndarray) -> np.ndarray:
            with torch.no_grad():
                return network(torch.from_numpy(windows))[:, 0].numpy()

    image = np.random.default_rng(2).random(shape).astype(np.float32)
    grid = Grid((48, 44, 40), (1.0, 1.0, 1.0))
    frame = ModelFrame(grid, (slice(0, 40), slice(0, 44), slice(0, 48)), (1.0,) * 3, (0, 1, 2), (False,) * 3)
    starts = [tuple(part.start for part in box) for box in dense_patch_slices(shape, roi, (24, 24, 24))]
    ours = run_windows(WindowCutter(image, frame, roi), starts, Torch(), 1, JobContext())
    with torch.no_grad():
        theirs = sliding_window_inference(
            torch.from_numpy(image)[None, None], roi, 1, network, overlap=0.25, mode="gaussian"
        )[0, 0].numpy()
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("mode", ["constant", "reflect"])
def test_an_image_smaller_than_the_window_is_padded_as_monai_pads_it(mode: str) -> None:
    import torch
    from monai.inferers import sliding_window_inference

    shape, roi = (9, 32, 20), (32, 32, 32)
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv3d(1, 1, 7, padding=3), torch.nn.Sigmoid()).eval()

    class Torch(IdentityBackend):
        def infer(self, windows: np.ndarray) -> np.ndarray:
            with torch.no_grad():
                return network(torch.from_numpy(windows))[:, 0].numpy()

    image = np.random.default_rng(2).random(shape).astype(np.float32)
    grid = Grid(shape[::-1], (1.0, 1.0, 1.0))
    frame = ModelFrame(grid, tuple(slice(0, n) for n in shape), (1.0,) * 3, (0, 1, 2), (False,) * 3)
    cutter = WindowCutter(image, frame, roi, mirrored=mode == "reflect")
    starts = plan_windows(np.ones(shape, bool), roi, 0.25)
    ours = run_windows(cutter, starts, Torch(), 1, JobContext())
    with torch.no_grad():
        padded = torch.from_numpy(np.pad(image, [((32 - n) // 2, 32 - n - (32 - n) // 2) for n in shape], mode=mode))
        inside = tuple(slice((32 - n) // 2, (32 - n) // 2 + n) for n in shape)
        alone = sliding_window_inference(padded[None, None], roi, 1, network)[0, 0].numpy()[inside]
    np.testing.assert_allclose(ours, alone, atol=1e-5)


def test_progress_by_window_and_cancel_within_one() -> None:
    backend, token, seen = IdentityBackend(), CancelToken(), []

    def report(progress: Progress) -> None:
        seen.append(progress)
        if progress.done == 2:
            token.cancel()

    grid = Grid((60, 60, 60), (1.0, 1.0, 1.0))
    frame = ModelFrame.of(grid, (slice(0, 60), slice(0, 60), slice(0, 60)), (1.0, 1.0, 1.0))
    cutter = WindowCutter(np.zeros((60, 60, 60), np.float32), frame, (24, 24, 24))
    starts = plan_windows(np.ones((60, 60, 60), bool), (24, 24, 24), 0.25)
    with pytest.raises(JobCancelled):
        run_windows(cutter, starts, backend, 1, JobContext(token, report))
    assert backend.calls == 3
    assert {progress.stage for progress in seen} == {"Searching"}
    assert {progress.total for progress in seen} == {len(starts)}
