"""Too little memory: the run goes on by itself with less, says so, and gives the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from napari_lesion.core.errors import DeviceMemoryError
from napari_lesion.core.grid import Grid
from napari_lesion.core.jobs import CancelToken, JobCancelled, JobContext, Progress
from napari_lesion.core.volume import Modality, Volume
from napari_lesion.inference import engine
from napari_lesion.inference.backends import fallback
from napari_lesion.inference.backends.fallback import LastingBackend
from napari_lesion.inference.backends.torch_backend import TorchBackend
from napari_lesion.inference.engine import predict
from napari_lesion.inference.settings import EngineSettings
from napari_lesion.inference.timings import recall
from napari_lesion.models.bundle import BundleInfo

SHORT = "The memory of the device is not enough"
WINDOWS = np.random.default_rng(0).random((7, 1, 8, 8, 8)).astype(np.float32)


class Card:
    """A backend with room for so many windows; the probability is the value."""

    name = "torch"

    def __init__(self, device: str, room: float) -> None:
        self.device = device
        self.precision = "float32"
        self.room = room
        self.sizes: list[int] = []
        self.closed = False

    def infer(self, windows: np.ndarray) -> np.ndarray:
        assert not self.closed
        if len(windows) > self.room:
            raise DeviceMemoryError(SHORT)
        self.sizes.append(len(windows))
        return windows[:, 0]

    def close(self) -> None:
        self.closed = True


class Machine:
    """Opens cards and processors that have room for so many windows, and remembers them."""

    def __init__(self, card: float, processor: float = 1, loads: bool = True) -> None:
        self.room = {"cuda": card, "cpu": processor}
        self.loads = loads
        self.opened: list[Card] = []
        self.asked: list[EngineSettings] = []

    def __call__(
        self, _bundle: BundleInfo, settings: EngineSettings, _ctx: Any = None
    ) -> tuple[Card, tuple[str, ...]]:
        kind = "cpu" if settings.device == "cpu" else "cuda"
        if kind == "cuda" and not self.loads:
            raise DeviceMemoryError(SHORT)
        self.asked.append(settings)
        self.opened.append(Card("cuda (Test)" if kind == "cuda" else "cpu", self.room[kind]))
        return self.opened[-1], ()


@pytest.fixture(autouse=True)
def _a_card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_lesion.inference.backends.choose.cuda_present", lambda: True)


@pytest.fixture
def lasting(tiny_bundle: BundleInfo) -> Callable[..., LastingBackend]:
    def build(machine: Machine, ctx: JobContext | None = None, batch: int = 0) -> LastingBackend:
        return LastingBackend(tiny_bundle, EngineSettings(batch=batch), ctx or JobContext(), machine)

    return build


def test_where_there_is_room_nothing_changes(lasting: Callable[..., LastingBackend]) -> None:
    machine = Machine(card=4)
    backend = lasting(machine)
    np.testing.assert_array_equal(backend.infer(WINDOWS[:4]), WINDOWS[:4, 0])
    assert (backend.batch, backend.lowered, backend.notes) == (4, False, ())
    assert machine.opened[0].sizes == [4]


@pytest.mark.parametrize(("room", "sizes"), [(2, [2, 2]), (1, [1, 1, 1, 1])])
def test_a_smaller_batch_goes_on_on_the_card(
    lasting: Callable[..., LastingBackend], room: int, sizes: list[int]
) -> None:
    machine, seen = Machine(card=room), []
    backend = lasting(machine, JobContext(report=seen.append))
    np.testing.assert_array_equal(backend.infer(WINDOWS[:4]), WINDOWS[:4, 0])
    np.testing.assert_array_equal(backend.infer(WINDOWS[4:]), WINDOWS[4:, 0])
    assert len(machine.opened) == 1
    assert machine.opened[0].sizes[: len(sizes)] == sizes
    assert len(backend.notes) == (1 if room == 2 else 2)
    assert [progress.stage + "." for progress in seen] == list(backend.notes), "told at once"


def test_then_the_processor(lasting: Callable[..., LastingBackend]) -> None:
    machine = Machine(card=0)
    backend = lasting(machine)
    np.testing.assert_array_equal(backend.infer(WINDOWS[:4]), WINDOWS[:4, 0])
    card, processor = machine.opened
    assert card.closed
    assert (backend.device, processor.sizes) == ("cpu", [1, 1, 1, 1])
    assert machine.asked[-1] == EngineSettings(device="cpu", batch=1)
    assert "one window at a time" in backend.notes[1]
    assert "went on on the CPU" in backend.notes[2]


def test_memory_that_runs_short_in_the_middle_keeps_what_is_done(lasting: Callable[..., LastingBackend]) -> None:
    machine = Machine(card=4)
    backend = lasting(machine)
    backend.infer(WINDOWS[:4])
    machine.opened[0].room = 0
    np.testing.assert_array_equal(backend.infer(WINDOWS[4:]), WINDOWS[4:, 0])
    assert backend.device == "cpu"


def test_a_model_that_does_not_fit_on_the_card_runs_on_the_processor(lasting: Callable[..., LastingBackend]) -> None:
    backend = lasting(Machine(card=4, loads=False))
    assert backend.device == "cpu"
    assert backend.batch == 1
    assert "did not fit" in backend.notes[0]


def test_a_batch_on_the_processor_is_made_smaller_too(lasting: Callable[..., LastingBackend]) -> None:
    machine = Machine(card=0, processor=2)
    backend = LastingBackend(lasting(machine)._bundle, EngineSettings("cpu", batch=4), JobContext(), machine)
    np.testing.assert_array_equal(backend.infer(WINDOWS[:4]), WINDOWS[:4, 0])
    assert [settings.batch for settings in machine.asked[-2:]] == [4, 2]
    assert "computer ran short" in backend.notes[0]


def test_nothing_left_to_try_is_an_error_in_plain_words(lasting: Callable[..., LastingBackend]) -> None:
    with pytest.raises(DeviceMemoryError, match="not enough"):
        lasting(Machine(card=0, processor=0)).infer(WINDOWS[:2])


def test_a_cancel_is_heard_between_parts_of_a_batch(lasting: Callable[..., LastingBackend]) -> None:
    token, machine = CancelToken(), Machine(card=1)
    backend = lasting(machine, JobContext(token))
    backend.infer(WINDOWS[:1])
    backend.infer(WINDOWS[:2])
    token.cancel()
    with pytest.raises(JobCancelled):
        backend.infer(WINDOWS[:4])
    assert len(machine.opened[0].sizes) == 4, "one window after the cancel"


def test_a_detection_goes_on_and_tells_of_it(
    monkeypatch: pytest.MonkeyPatch, tiny_bundle: BundleInfo, tmp_path: Any
) -> None:
    monkeypatch.setenv("NAPARI_LESION_CACHE_DIR", str(tmp_path))
    hu = np.full((40, 44, 48), -1000, np.int16)
    hu[15:22, 15:22, 15:22] = 400
    volume = Volume(hu, Grid((48, 44, 40), (1.0, 1.0, 1.0)), Modality.CT)
    maps, seen = [], []
    for machine in (Machine(card=4), Machine(card=0)):
        monkeypatch.setattr(engine, "open_backend", machine)
        prediction = predict(volume, tiny_bundle, EngineSettings(), JobContext(report=seen.append))
        maps.append(prediction.probability.dense())
        assert all(backend.closed for backend in machine.opened), "nothing is left on the card"
    assert np.array_equal(*maps)
    assert prediction.device == "cpu"
    assert any("ran short" in note for note in prediction.notes)
    assert any("ran short" in progress.stage for progress in seen if isinstance(progress, Progress))
    assert recall(tiny_bundle, "torch", "cpu") is None, "a run that changed its device tells no pace"


@pytest.mark.filterwarnings("ignore:CUDA is not available")
def test_the_cache_of_a_card_is_emptied_after_the_exception_is_gone(
    tiny_bundle: BundleInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    emptied: list[bool] = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append(True))
    backend = TorchBackend(tiny_bundle)
    windows = np.zeros((1, 1, 32, 32, 32), np.float32)
    network, backend._kind = backend._network, "cuda"

    def fail(*_: object) -> None:
        raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr(torch.Tensor, "to", lambda tensor, *_: tensor)
    backend._network = fail
    with pytest.raises(DeviceMemoryError):
        backend.infer(windows)
    assert not emptied
    backend._kind, backend._network = "cpu", network
    assert backend.infer(windows).shape == (1, 32, 32, 32)
    assert emptied == [True]


def test_the_same_settings_lead_to_the_processor_from_wherever() -> None:
    asked = EngineSettings(device="cuda", backend="torch", overlap=0.5, batch=8)
    assert fallback._on_cpu(asked) == EngineSettings(device="cpu", backend="auto", overlap=0.5, batch=1)
