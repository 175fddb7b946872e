"""The engine as a whole: what bright voxels go in at a place comes out as probability at that place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from napari_lesion.core.errors import ModelError
from napari_lesion.core.grid import Grid
from napari_lesion.core.jobs import CancelToken, JobCancelled, JobContext, Progress
from napari_lesion.core.volume import Modality, Volume
from napari_lesion.inference import engine
from napari_lesion.inference.candidates import find_candidates
from napari_lesion.inference.engine import plan_search, predict, with_small_windows
from napari_lesion.inference.estimate import Basis, estimate, probe_window
from napari_lesion.inference.organs import find_organ
from napari_lesion.inference.settings import EngineSettings
from napari_lesion.models.bundle import BundleInfo
from napari_lesion.models.metadata import read_bundle

CPU = EngineSettings(device="cpu", batch=1)
"""One window at a time, so that windows can be counted; left alone, the processor decides."""
WriteBundle = Callable[..., Path]


class BrightBackend:
    """Probability = scaled image value: a lesion is what is bright."""

    name, device, precision = "bright", "cpu", "float32"

    def __init__(self) -> None:
        self.closed = False
        self.windows: list[np.ndarray] = []

    def infer(self, windows: np.ndarray) -> np.ndarray:
        self.windows.append(windows)
        return windows[:, 0]

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def bright(monkeypatch: pytest.MonkeyPatch) -> BrightBackend:
    backend = BrightBackend()
    monkeypatch.setattr(engine, "open_backend", lambda *_: (backend, ("a note",)))
    return backend


def _ball(grid: Grid, centre: np.ndarray, radius_mm: float) -> Volume:
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1)
    distance = np.linalg.norm(grid.to_physical(index) - centre, axis=-1)
    hu = np.where(distance < radius_mm, 400, -1000).astype(np.int16)
    hu.setflags(write=False)
    return Volume(hu, grid, Modality.CT)


GRIDS = [
    Grid((64, 60, 56), (0.8, 0.8, 1.0), (-20.0, 11.0, 5.0)),
    Grid((60, 64, 24), (0.7, 0.7, 2.5), (5.0, 5.0, 5.0), (-1, 0, 0, 0, -1, 0, 0, 0, 1)),
    Grid((50, 40, 60), (1.2, 1.5, 0.9), (0.0, 0.0, 0.0), (0, 0, 1, 1, 0, 0, 0, -1, 0)),
    Grid(
        (56, 56, 30),
        (0.9, 0.9, 2.0),
        (7.0, -3.0, 0.0),
        tuple(Rotation.from_rotvec([0.2, -0.1, 0.15]).as_matrix().ravel()),
    ),
]


@pytest.mark.parametrize("grid", GRIDS, ids=["native", "flipped", "permuted", "oblique"])
@pytest.mark.parametrize("place", [(0.5, 0.5, 0.5), (0.3, 0.65, 0.4)])
def test_probability_lands_at_the_same_physical_place(
    bright: BrightBackend, tiny_bundle: BundleInfo, grid: Grid, place: tuple[float, float, float]
) -> None:
    centre = grid.to_physical([p * (n - 1) for p, n in zip(place, grid.shape, strict=True)])
    prediction = predict(_ball(grid, centre, 7.0), tiny_bundle, CPU)
    labels, lesions = find_candidates(prediction.probability, 0.5, 30.0)
    assert len(lesions) == 1
    found = grid.to_physical(np.argwhere(labels.array == 1).mean(axis=0))
    assert np.linalg.norm(found - centre) < 0.5 * min(grid.spacing)
    volume = (labels.array == 1).sum() * grid.voxel_volume_mm3
    assert volume == pytest.approx(4 / 3 * np.pi * 7.0**3, rel=0.12)
    assert bright.closed


def test_the_network_sees_right_anterior_superior(bright: BrightBackend, tiny_bundle: BundleInfo) -> None:
    grid = Grid((30, 30, 30), (1.0, 1.0, 1.0), direction=(-1, 0, 0, 0, 1, 0, 0, 0, -1))
    right_anterior_superior = grid.to_physical([3, 3, 3])  # x index runs to R, y to P, z to I
    predict(_ball(grid, right_anterior_superior, 3.0), tiny_bundle, CPU)
    window = bright.windows[0][0, 0]
    x, y, z = np.argwhere(window > 0.5).mean(axis=0)
    assert x < 16 < y, "first axis runs to R from the left, second to A from posterior"
    assert z > 16


@pytest.mark.parametrize("shape", [(1, 50, 60), (5, 4, 3), (40, 1, 50)])
def test_thin_and_tiny_volumes(bright: BrightBackend, tiny_bundle: BundleInfo, shape: tuple[int, int, int]) -> None:
    hu = np.full(shape, 400, np.int16)
    grid = Grid((shape[2], shape[1], shape[0]), (0.8, 0.9, 2.5), direction=(0, 0, 1, 1, 0, 0, 0, -1, 0))
    dense = predict(Volume(hu, grid, Modality.CT), tiny_bundle, CPU).probability.dense()
    assert (dense == 250).all()


@pytest.mark.parametrize(
    ("mirrored", "size", "roi"),
    [
        (True, (51, 51, 51), (64, 64, 64)),
        (True, (200, 200, 200), (96, 96, 96)),
        (True, (200, 200, 12), (96, 96, 32)),
        (False, (51, 51, 51), (96, 96, 96)),
    ],
)
def test_windows_of_a_small_image_are_small(
    tiny_bundle: BundleInfo, mirrored: bool, size: tuple[int, int, int], roi: tuple[int, int, int]
) -> None:
    bundle = replace(tiny_bundle, mirrored=mirrored, roi_size=(96, 96, 96))
    found = with_small_windows(bundle, Grid(size, (1.0, 1.0, 1.0)))
    assert found.roi_size == roi
    assert (found is bundle) == (roi == (96, 96, 96))


def test_what_is_reported(bright: BrightBackend, tiny_bundle: BundleInfo) -> None:
    volume = _ball(GRIDS[0], GRIDS[0].to_physical([28, 30, 32]), 5.0)
    seen: list[Progress] = []
    prediction = predict(volume, tiny_bundle, CPU, JobContext(report=seen.append))
    assert prediction.windows == len(bright.windows) == seen[-2].total
    assert (prediction.backend, prediction.device) == ("bright", "cpu")
    assert set(prediction.seconds) == {"organ", "resample", "model", "windows", "back"}
    assert not prediction.organ.trusted
    assert prediction.notes[0] == "a note"
    assert "whole volume is searched" in prediction.notes[1]
    stages = list(dict.fromkeys(progress.stage for progress in seen))
    expected = ["Finding the lungs", "Resampling", "Loading the model", "Searching", "Collecting the marks"]
    assert stages == expected


def test_missing_values_become_air_with_a_note(bright: BrightBackend, tiny_bundle: BundleInfo) -> None:
    grid = GRIDS[0]
    ball = _ball(grid, grid.to_physical([28, 30, 32]), 7.0)
    hu = ball.array.astype(np.float32)
    hu[:5] = np.nan
    prediction = predict(Volume(hu, grid, Modality.CT), tiny_bundle, CPU)
    assert any(f"{5 * 60 * 64} voxels without a value" in note for note in prediction.notes)
    assert all(np.isfinite(window).all() for window in bright.windows)
    assert len(find_candidates(prediction.probability, 0.5, 30.0)[1]) == 1
    assert np.isnan(hu[0, 0, 0]), "the volume was changed"


def test_marks_outside_the_region_go_and_those_that_grow_out_stay(
    bright: BrightBackend, tiny_bundle: BundleInfo
) -> None:
    grid = Grid((60, 60, 60), (1.0, 1.0, 1.0))
    hu = np.full(grid.shape, -1000, np.int16)
    hu[20:40, 20:40, 25:34] = 300
    hu[50:56, 50:56, 50:56] = 300
    volume = Volume(hu, grid, Modality.CT)
    region = np.zeros(grid.shape, bool)
    region[10:50, 10:50, 10:30] = True
    organ = replace(find_organ(volume, "lung", Modality.CT), grid=grid, array=region, trusted=True)
    prediction = predict(volume, tiny_bundle, CPU, organ=organ)
    labels, lesions = find_candidates(prediction.probability, 0.5)
    assert len(lesions) == 1
    assert (labels.array > 0).sum() == pytest.approx(20 * 20 * 9, rel=0.15)
    assert (labels.array > 0)[:, :, 32:34].any()


def test_cancel_while_searching_closes_the_backend(bright: BrightBackend, tiny_bundle: BundleInfo) -> None:
    token = CancelToken()

    def stop(progress: Progress) -> None:
        if progress.stage == "Searching" and progress.done == 1:
            token.cancel()

    volume = _ball(GRIDS[0], GRIDS[0].to_physical([28, 30, 32]), 5.0)
    with pytest.raises(JobCancelled):
        predict(volume, tiny_bundle, CPU, JobContext(token, stop))
    assert bright.closed
    assert len(bright.windows) == 2


@pytest.mark.parametrize("name", ["openvino", "torch"])
@pytest.mark.parametrize("flips", ["none", "axes"])
def test_cancel_takes_effect_within_one_window_of_either_backend(
    tiny_bundle: BundleInfo, monkeypatch: pytest.MonkeyPatch, name: str, flips: str
) -> None:
    token, opened, after = CancelToken(), engine.open_backend, []

    class Watched:
        """The backend itself, with a user who cancels while its second window is computed."""

        def __init__(self, *given: object) -> None:
            self.below, _ = opened(*given)
            self.name, self.device, self.close = self.below.name, self.below.device, self.below.close
            self.precision = self.below.precision

        def infer(self, windows: np.ndarray) -> np.ndarray:
            after.append(token.cancelled)
            if len(after) == 2:
                token.cancel()
            return self.below.infer(windows)

    monkeypatch.setattr(engine, "open_backend", lambda *given: (Watched(*given), ()))
    volume = _ball(GRIDS[0], GRIDS[0].to_physical([28, 30, 32]), 5.0)
    with pytest.raises(JobCancelled):
        predict(volume, tiny_bundle, EngineSettings(device="cpu", backend=name, flips=flips), JobContext(token))
    assert after == [False, False], "no window was begun after the cancel"


def test_a_model_of_several_images_is_refused(tmp_path: Path, write_bundle: WriteBundle) -> None:
    bundle = read_bundle(write_bundle(tmp_path / "brats", network={"in_channels": 4}))
    with pytest.raises(ModelError, match="needs 4 images"):
        predict(_ball(GRIDS[0], np.zeros(3), 5.0), bundle, CPU)


def test_both_backends_give_the_same_lesions(tiny_bundle: BundleInfo) -> None:
    volume = _ball(GRIDS[3], GRIDS[3].to_physical([15, 28, 28]), 8.0)
    maps = [
        predict(volume, tiny_bundle, EngineSettings(device="cpu", backend=backend)).probability.dense().astype(int)
        for backend in ("openvino", "torch")
    ]
    assert maps[0].max() > 0
    assert np.abs(maps[0] - maps[1]).max() <= 1


def test_estimate_counts_the_windows_and_learns_the_pace(
    tiny_bundle: BundleInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAPARI_LESION_CACHE_DIR", str(tmp_path))
    volume = _ball(GRIDS[0], GRIDS[0].to_physical([28, 30, 32]), 5.0)
    before = estimate(volume.grid, tiny_bundle, CPU)
    assert (before.seconds, before.basis, before.exact) == (None, Basis.UNKNOWN, False)
    assert "not known" in before.words
    prediction = predict(volume, tiny_bundle, CPU)
    after = estimate(volume.grid, tiny_bundle, CPU, prediction.organ)
    assert after.windows == before.windows == prediction.windows
    assert after.basis is Basis.LAST_RUN
    assert after.seconds == pytest.approx(prediction.seconds["windows"], rel=0.05)
    assert after.words.startswith("about")


def test_estimate_can_probe(tiny_bundle: BundleInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAPARI_LESION_CACHE_DIR", str(tmp_path))
    probed = estimate(GRIDS[0], tiny_bundle, CPU, probe=True)
    assert probed.basis is Basis.PROBE
    assert probed.seconds is not None
    assert probed.seconds > 0
    assert estimate(GRIDS[0], tiny_bundle, CPU).basis is Basis.LAST_RUN
    assert probe_window(tiny_bundle, replace(CPU, backend="torch")) > 0


def test_a_damaged_cache_of_timings_is_forgotten(
    tiny_bundle: BundleInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAPARI_LESION_CACHE_DIR", str(tmp_path))
    (tmp_path / "timings.json").write_text("[1, 2")
    assert estimate(GRIDS[0], tiny_bundle, CPU).basis is Basis.UNKNOWN


def test_the_plan_stays_inside_the_search_region(tiny_bundle: BundleInfo) -> None:
    grid = Grid((200, 200, 100), (1.0, 1.0, 1.0))
    region = np.zeros(grid.shape, bool)
    region[40:60, 80:100, 100:160] = True
    whole = find_organ(Volume(np.zeros(grid.shape, np.int16), grid), "", Modality.CT)
    organ = replace(whole, grid=grid, array=region, trusted=True)
    plan = plan_search(grid, organ, tiny_bundle)
    assert plan.frame.shape == (52, 52, 92)
    assert len(plan.starts) == 3
    assert (plan.starts[0][2], plan.starts[-1][2] + 32) == (6, 86), "the region runs from 16 to 76"
    assert len(plan_search(grid, whole, tiny_bundle).starts) > 100


def test_the_speed_of_the_processor_tells_the_time_of_a_first_run(
    write_bundle: Callable[..., Path], tmp_path: Path
) -> None:
    bundles = [
        read_bundle(write_bundle(tmp_path / name, own={"window_gflop": gflop}, seed=71))
        for name, gflop in (("small", 1.0), ("large", 40.0))
    ]
    small, large = (estimate(GRIDS[0], bundle, CPU) for bundle in bundles)
    assert small.basis is Basis.SPEED
    assert small.seconds is not None
    assert large.seconds == pytest.approx(40 * small.seconds)
    assert "roughly" in large.words
