"""A backend that goes on by itself when the device has too little memory: fewer windows at once, then the CPU.

Nothing but the windows and the network is ever on a card: the sums of the sliding window are kept in main memory in
any case, so that between "fewer windows" and "the CPU" there is no further step to take.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from napari_lesion.core.errors import DeviceMemoryError
from napari_lesion.core.jobs import JobCancelled, JobContext
from napari_lesion.inference.backends.choose import batch_for, chosen
from napari_lesion.inference.ports import Backend
from napari_lesion.inference.settings import EngineSettings
from napari_lesion.models.bundle import BundleInfo

FloatArray = npt.NDArray[np.float32]
Open = Callable[[BundleInfo, EngineSettings, JobContext], tuple[Backend, tuple[str, ...]]]


class LastingBackend:
    """Runs a bundle on the device that was asked for, and on less of it when its memory does not do.

    Parameters
    ----------
    bundle
        The model.
    settings
        Device, backend, batch.
    ctx
        Told of each step down at once; asked for a cancel between parts of a batch.
    opening
        Opens a backend, as `choose.open_backend`.

    Raises
    ------
    DeviceMemoryError
        When one window does not fit into main memory either.

    Notes
    -----
    The backend that failed is closed only after its exception is gone, whose frames hold the arrays on the card.
    """

    def __init__(self, bundle: BundleInfo, settings: EngineSettings, ctx: JobContext, opening: Open) -> None:
        self._bundle = bundle
        self._settings = settings
        self._ctx = ctx
        self._opening = opening
        self._told: tuple[str, ...] = ()
        self._lowered = False
        self._backend = self._open()
        self._most = self.batch = batch_for(self._settings, self._backend.device, self._backend.name)

    @property
    def name(self) -> str:
        """Name of the backend that computes now."""
        return self._backend.name

    @property
    def device(self) -> str:
        """Where it computes now."""
        return self._backend.device

    @property
    def precision(self) -> str:
        """How exactly it computes now."""
        return self._backend.precision

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user shall know, one sentence each."""
        return self._told

    @property
    def lowered(self) -> bool:
        """Whether memory ran short."""
        return self._lowered

    def infer(self, windows: FloatArray) -> FloatArray:
        """Probability of lesion (n, x, y, z) of windows (n, channels, x, y, z)."""
        results: list[FloatArray] = []
        done = 0
        while done < len(windows):
            if done and self._ctx.token.cancelled:
                raise JobCancelled
            result = self._try(windows[done : done + self._most])
            if result is None:
                self._step_down()
                continue
            results.append(result)
            done += len(result)
        return results[0] if len(results) == 1 else np.concatenate(results)

    def close(self) -> None:
        """Give the memory of the device back."""
        self._backend.close()

    def _try(self, windows: FloatArray) -> FloatArray | None:
        """The result; None when memory ran short and there is something left to try."""
        try:
            return self._backend.infer(windows)
        except DeviceMemoryError:
            if self._most == 1 and not self._on_card:
                raise
        return None

    @property
    def _on_card(self) -> bool:
        return self._backend.device.startswith("cuda")

    def _step_down(self) -> None:
        if self._most > 1:
            self._most = max(1, self._most // 2)
            count = "one window" if self._most == 1 else f"{self._most} windows"
            whose = "card" if self._on_card else "computer"
            self._tell(f"Memory of the {whose} ran short: went on with {count} at a time")
            if not self._on_card:  # each window of a batch holds memory of its own
                self._backend.close()
                self._settings = replace(self._settings, batch=self._most)
                self._backend = self._open()
            return
        self._backend.close()
        self._tell("Memory of the card ran short even for one window: went on on the CPU")
        self._settings = _on_cpu(self._settings)
        self._backend = self._open()

    def _open(self) -> Backend:
        backend = self._try_open()
        if backend is None:
            self._tell("The model did not fit into the memory of the card: computed on the CPU")
            self._settings = _on_cpu(self._settings)
            backend = self._try_open()
        assert backend is not None
        return backend

    def _try_open(self) -> Backend | None:
        try:
            backend, notes = self._opening(self._bundle, self._settings, self._ctx)
        except DeviceMemoryError:
            if chosen(self._settings)[0] != "cuda":
                raise
            return None
        self._told += notes
        return backend

    def _tell(self, sentence: str) -> None:
        self._lowered = True
        self._told += (f"{sentence}.",)
        self._ctx.step(sentence)


def _on_cpu(settings: EngineSettings) -> EngineSettings:
    return replace(settings, device="cpu", backend="auto", batch=1)
