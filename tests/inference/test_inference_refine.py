"""The second stage: windows around candidates, and what of them counts."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from napari_lesion.core.errors import ModelError
from napari_lesion.core.grid import Grid
from napari_lesion.core.jobs import CancelToken, JobCancelled, JobContext
from napari_lesion.core.volume import Modality, Volume
from napari_lesion.inference import engine
from napari_lesion.inference.augment import MirroredMean
from napari_lesion.inference.engine import predict
from napari_lesion.inference.refine import CandidateRule, refine
from napari_lesion.inference.resample import ModelFrame
from napari_lesion.inference.settings import EngineSettings
from napari_lesion.inference.sliding import WindowCutter
from napari_lesion.models.bundle import GEOMETRIC_MEAN, MARK_FEATURES, MarkScore
from napari_lesion.models.metadata import read_bundle

FloatArray = npt.NDArray[np.float32]
SHAPE = (40, 44, 48)
ROI = (16, 16, 16)


class Bright:
    """A network that finds everything above one half, and remembers its windows."""

    name, device, precision = "torch", "cpu", "float32"

    def __init__(self) -> None:
        self.seen: list[FloatArray] = []

    def infer(self, windows: FloatArray) -> FloatArray:
        self.seen += list(windows[:, 0])
        return np.where(windows[:, 0] > 0.5, np.float32(0.9), np.float32(0.0))

    def close(self) -> None: ...


def _cutter(image: FloatArray, axes: tuple[int, int, int] = (2, 1, 0)) -> WindowCutter:
    whole = (slice(0, SHAPE[0]), slice(0, SHAPE[1]), slice(0, SHAPE[2]))
    grid = Grid((SHAPE[2], SHAPE[1], SHAPE[0]), (1.0, 1.0, 1.0))
    return WindowCutter(image, ModelFrame(grid, whole, (1.0, 1.0, 1.0), axes, (True, True, False)), ROI)


def _box(*bounds: tuple[int, int]) -> tuple[slice, ...]:
    return tuple(slice(low, high) for low, high in bounds)


def test_the_outline_of_the_second_network_takes_the_place_of_the_first() -> None:
    image, first = np.zeros(SHAPE, np.float32), np.zeros(SHAPE, np.float32)
    image[_box((18, 24), (20, 27), (30, 34))] = 1.0
    first[_box((16, 26), (21, 25), (30, 33))] = 0.7
    refined = refine(first, _cutter(image), Bright(), CandidateRule(0.5))
    np.testing.assert_array_equal(refined, np.where(image > 0.5, np.float32(0.9), 0))


def test_the_geometric_mean_needs_both_networks() -> None:
    image, first = np.zeros(SHAPE, np.float32), np.zeros(SHAPE, np.float32)
    image[_box((18, 24), (20, 27), (30, 34))] = 1.0
    first[_box((16, 26), (21, 25), (30, 33))] = 0.4
    refined = refine(first, _cutter(image), Bright(), CandidateRule(0.3, combine=GEOMETRIC_MEAN))
    both = (first > 0) & (image > 0)
    np.testing.assert_allclose(refined[both], 0.6, rtol=1e-6)
    assert not refined[~both].any()


def test_seen_twice_a_window_gives_the_mean_of_both_ways() -> None:
    class Leftmost:
        """Answers 1 in the first half of the last axis, whatever it sees."""

        name, device, precision = "torch", "cpu", "float32"

        def infer(self, windows: FloatArray) -> FloatArray:
            result = np.zeros(windows[:, 0].shape, np.float32)
            result[..., :8] = 1.0
            return result

        def close(self) -> None: ...

    mean = MirroredMean(Leftmost()).infer(np.zeros((2, 1, 16, 16, 16), np.float32))
    assert mean.dtype == np.float32
    np.testing.assert_array_equal(mean, np.full((2, 16, 16, 16), 0.5))


def test_what_does_not_touch_the_candidate_is_left_out() -> None:
    image, first = np.zeros(SHAPE, np.float32), np.zeros(SHAPE, np.float32)
    image[_box((18, 22), (20, 24), (30, 34))] = 1.0
    image[_box((18, 22), (20, 24), (26, 28))] = 1.0
    first[_box((18, 22), (20, 24), (30, 34))] = 0.7
    refined = refine(first, _cutter(image), Bright(), CandidateRule(0.5))
    assert refined[20, 22, 27] == 0
    assert refined[20, 22, 31] == np.float32(0.9)


def test_a_candidate_that_the_second_network_does_not_see_goes() -> None:
    first = np.zeros(SHAPE, np.float32)
    first[_box((18, 22), (20, 24), (30, 34))] = 0.99
    assert not refine(first, _cutter(np.zeros(SHAPE, np.float32)), Bright(), CandidateRule(0.5)).any()


def test_weak_and_small_marks_are_no_candidates() -> None:
    first = np.zeros(SHAPE, np.float32)
    first[_box((5, 10), (5, 10), (5, 10))] = 0.4
    first[_box((30, 31), (30, 31), (30, 33))] = 0.9
    backend = Bright()
    refine(first, _cutter(np.ones(SHAPE, np.float32)), backend, CandidateRule(0.5, min_voxels=8))
    assert backend.seen == []


def test_windows_at_the_border_lie_inside_the_image() -> None:
    image = np.full(SHAPE, 0.25, np.float32)
    first = np.zeros(SHAPE, np.float32)
    first[:3, :3, -3:] = 0.9
    backend = Bright()
    refine(first, _cutter(image), backend, CandidateRule(0.5))
    assert [window.min() for window in backend.seen] == [np.float32(0.25)]


def test_a_candidate_larger_than_the_window_keeps_the_first_probability() -> None:
    first = np.zeros(SHAPE, np.float32)
    first[4:30, 10:14, 10:14] = 0.8
    refined = refine(first, _cutter(np.zeros(SHAPE, np.float32)), Bright(), CandidateRule(0.5))
    np.testing.assert_array_equal(refined, first)


def test_the_batch_changes_nothing() -> None:
    rng = np.random.default_rng(3)
    image, first = np.zeros(SHAPE, np.float32), np.zeros(SHAPE, np.float32)
    for z, y, x in rng.integers(4, 36, (7, 3)):
        first[z - 1 : z + 2, y - 1 : y + 2, x - 1 : x + 2] = 0.9
        image[z - 2 : z + 3, y - 2 : y + 2, x - 1 : x + 3] = 1.0
    one, four = (refine(first, _cutter(image), Bright(), CandidateRule(0.5), batch) for batch in (1, 4))
    np.testing.assert_array_equal(one, four)


def test_a_cancel_takes_effect_between_windows() -> None:
    first = np.zeros(SHAPE, np.float32)
    first[5:9, 5:9, 5:9] = 0.9
    token = CancelToken()
    token.cancel()
    with pytest.raises(JobCancelled):
        refine(first, _cutter(first), Bright(), CandidateRule(0.5), ctx=JobContext(token))


@pytest.fixture
def two_stages(write_bundle: Callable[..., Path], tmp_path: Path) -> Path:
    """A bundle with random weights whose second stage lies beside it."""
    write_bundle(tmp_path / "second", {"roi_size": [16, 16, 16]}, seed=1)
    stated = {"bundle": "second", "candidates_at": 0.2, "min_volume_mm3": 8}
    return write_bundle(tmp_path / "first", {"refinement": stated, "organ": ""})


def test_the_engine_runs_the_second_stage_of_a_bundle(two_stages: Path) -> None:
    bundle = read_bundle(two_stages)
    assert bundle.refinement is not None
    assert bundle.identity.endswith(f"+ {bundle.refinement.bundle.identity}")
    hu = np.random.default_rng(0).normal(-800, 200, (40, 40, 40)).astype(np.int16)
    volume = Volume(hu, Grid((40, 40, 40), (1.0, 1.0, 1.0)), Modality.CT)
    settings = EngineSettings(device="cpu", backend="torch")
    both = predict(volume, bundle, settings)
    alone = predict(volume, replace(bundle, refinement=None), settings)
    assert "outlines" in both.seconds
    assert "outlines" not in alone.seconds
    assert np.any(both.probability.dense() != alone.probability.dense())


def test_marks_are_judged_after_both_networks(two_stages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rule = MarkScore(0.3, 8, -600.0, 0.0, dict.fromkeys(MARK_FEATURES, 0.0))
    bundle = replace(read_bundle(two_stages), mark_score=rule)
    seen: list[float] = []
    judge = engine.scored

    def judged(dense: FloatArray, *rest: object) -> FloatArray:
        seen.append(float(dense.max()))
        return judge(dense, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(engine, "scored", judged)
    monkeypatch.setattr(engine, "refine", lambda first, *_: np.full_like(first, 0.77))
    hu = np.random.default_rng(0).normal(-800, 200, (40, 40, 40)).astype(np.int16)
    volume = Volume(hu, Grid((40, 40, 40), (1.0, 1.0, 1.0)), Modality.CT)
    found = predict(volume, bundle, EngineSettings(device="cpu", backend="torch"))
    assert seen == [pytest.approx(0.77)]
    assert found.probability.dense().max() <= 0.5 * 250


@pytest.mark.parametrize(("stated", "expected"), [(("bf16",), "bf16"), ((), "auto")])
def test_both_networks_compute_in_the_precision_that_was_measured(
    two_stages: Path, monkeypatch: pytest.MonkeyPatch, stated: tuple[str, ...], expected: str
) -> None:
    asked: list[str] = []

    class Told(Bright):
        precision = "bf16"

    def opened(_bundle: object, settings: EngineSettings, *_: object) -> tuple[Bright, tuple[str, ...]]:
        asked.append(settings.precision)
        return Told(), ()

    monkeypatch.setattr(engine, "open_backend", opened)
    hu = np.full((40, 40, 40), 400, np.int16)
    volume = Volume(hu, Grid((40, 40, 40), (1.0, 1.0, 1.0)), Modality.CT)
    predict(volume, replace(read_bundle(two_stages), precisions=stated), EngineSettings(device="cpu", batch=1))
    assert asked == ["auto", expected]


def test_stages_on_different_grids_are_refused(write_bundle: Callable[..., Path], two_stages: Path) -> None:
    write_bundle(two_stages.parent / "second", {"spacing_mm": [2, 2, 2]})
    with pytest.raises(ModelError, match="spacing_mm differ"):
        read_bundle(two_stages)


@pytest.mark.parametrize(
    "stated",
    [
        {"bundle": "../second", "candidates_at": 0.2},
        {"bundle": "second"},
        {"bundle": "none"},
        {"bundle": "second", "candidates_at": 0.2, "combine": "sum"},
    ],
)
def test_a_second_stage_that_cannot_be_is_refused(two_stages: Path, stated: dict[str, object]) -> None:
    path = two_stages / "configs" / "metadata.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["napari_lesion"]["refinement"] = stated
    path.write_text(json.dumps(content))
    with pytest.raises(ModelError):
        read_bundle(two_stages)
