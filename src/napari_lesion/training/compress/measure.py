"""What a compressed network costs and gains: size, speed, Dice and sensitivity beside those of the float32 one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_lesion.inference.backends.choose import open_backend
from napari_lesion.inference.ports import Backend
from napari_lesion.inference.settings import FLOAT32, EngineSettings
from napari_lesion.models.bundle import QUANTISED, BundleInfo
from napari_lesion.training.compress.search import probability_of, windows_of
from napari_lesion.training.scenes import Scene
from napari_lesion.training.scoring import score_scene, summarise

FloatArray = npt.NDArray[np.float32]
MOST_LOST = 0.005
"""Largest loss of mean Dice and of sensitivity with which a variant is still worth shipping."""
TIMED_WINDOWS, TURNS = 4, 5


@dataclass(frozen=True)
class Variant:
    """A bundle in one precision.

    Parameters
    ----------
    bundle
        The model.
    precision
        As in `EngineSettings`.
    """

    bundle: BundleInfo
    precision: str = FLOAT32

    @property
    def name(self) -> str:
        """Words for the table."""
        return f"{self.bundle.name} {self.precision}"


@dataclass(frozen=True)
class Figures:
    """One row of the table.

    Parameters
    ----------
    name
        Bundle and precision.
    mib
        Size of the network's files, MiB.
    cpu_ms
        CPU time of a window of the first stage, on one thread, ms; the median of some turns.
    dice, sensitivity
        Of the nodules of three and more readers in the cubes, at the model's threshold.
    marks_per_cube, marks_per_scan
        Other marks.
    agreement
        Dice of all masks with those of the first variant of the table.
    """

    name: str
    mib: float
    cpu_ms: float
    dice: float
    sensitivity: float
    marks_per_cube: float
    marks_per_scan: float
    agreement: float


def measure(variants: Sequence[Variant], scenes: Sequence[Scene]) -> list[Figures]:
    """Figures of some variants on the same scenes; the first is what the others are compared with."""
    opened = [_open(variant) for variant in variants]
    timed = _timed(variants, [backends[0] for backends in opened], scenes)
    rows: list[Figures] = []
    masks: list[list[npt.NDArray[np.bool_]]] = []
    for variant, backends, milliseconds in zip(variants, opened, timed, strict=True):
        bundle = variant.bundle
        found = [probability_of(scene, bundle, backends) for scene in scenes]
        scores = [
            score_scene(scene, probability, bundle.default_threshold, int(bundle.min_volume_mm3))
            for scene, probability in zip(scenes, found, strict=True)
        ]
        summary = summarise(scenes, scores)
        masks.append([probability >= bundle.default_threshold for probability in found])
        rows.append(
            Figures(
                variant.name,
                _size_mib(variant),
                milliseconds,
                summary.dice,
                summary.sensitivity,
                summary.marks_per_cube,
                summary.marks_per_scan,
                _agreement(masks[0], masks[-1]),
            )
        )
    return rows


def worth(rows: Sequence[Figures]) -> list[bool]:
    """Which rows are faster than the first, and lose less than half a percent of Dice and of sensitivity."""
    first = rows[0]
    return [
        row.cpu_ms < first.cpu_ms
        and first.dice - row.dice < MOST_LOST
        and first.sensitivity - row.sensitivity < MOST_LOST
        for row in rows
    ]


def _open(variant: Variant) -> list[Backend]:
    stages = [variant.bundle, *([variant.bundle.refinement.bundle] if variant.bundle.refinement else [])]
    settings = EngineSettings(device="cpu", backend="openvino", batch=1, threads=1, precision=variant.precision)
    return [open_backend(stage, settings)[0] for stage in stages]


def _timed(variants: Sequence[Variant], backends: Sequence[Backend], scenes: Sequence[Scene]) -> list[float]:
    """CPU milliseconds a window; the variants take turns, so that all see the same load of the machine."""
    spent: list[list[float]] = [[] for _ in variants]
    for _ in range(TURNS):
        for variant, backend, times in zip(variants, backends, spent, strict=True):
            windows = windows_of(scenes[:1], variant.bundle, TIMED_WINDOWS)
            backend.infer(windows[0])
            began = time.process_time()
            for window in windows:
                backend.infer(window)
            times.append(1e3 * (time.process_time() - began) / len(windows))
    return [float(np.median(times)) for times in spent]


def _size_mib(variant: Variant) -> float:
    names = QUANTISED if variant.precision == "int8" else (variant.bundle.weights,)
    return sum((variant.bundle.path / name).stat().st_size for name in names) / 2**20


def _agreement(one: Sequence[npt.NDArray[np.bool_]], other: Sequence[npt.NDArray[np.bool_]]) -> float:
    """Dice of all masks together; 1 where both are empty."""
    both = sum(int((a & b).sum()) for a, b in zip(one, other, strict=True))
    total = sum(int(a.sum()) + int(b.sum()) for a, b in zip(one, other, strict=True))
    return 2.0 * both / total if total else 1.0
