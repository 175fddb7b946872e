"""The engine: organ, model grid, windows, and the probability of lesion on the native grid."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from napari_lesion.core.display import Box
from napari_lesion.core.errors import ModelError
from napari_lesion.core.grid import Grid
from napari_lesion.core.jobs import JobContext
from napari_lesion.core.lesion import Lesion
from napari_lesion.core.probability import ProbabilityMap
from napari_lesion.core.volume import LabelMap, Volume
from napari_lesion.inference.augment import PASSES, FlippedBackend, mean_of_passes, with_members
from napari_lesion.inference.backends.choose import open_backend
from napari_lesion.inference.backends.fallback import LastingBackend
from napari_lesion.inference.components import components
from napari_lesion.inference.marks import scored
from napari_lesion.inference.organs import find_organ, mask_on, native_box
from napari_lesion.inference.ports import OrganMask
from napari_lesion.inference.refine import CandidateRule, refine
from napari_lesion.inference.resample import ModelFrame, to_model, to_native
from napari_lesion.inference.settings import FLOAT32, INT8, EngineSettings
from napari_lesion.inference.sliding import WindowCutter, run_windows
from napari_lesion.inference.timings import remember
from napari_lesion.inference.windows import Start, plan_windows
from napari_lesion.models.bundle import BundleInfo, Intensity

FloatArray = npt.NDArray[np.float32]

MARGIN_MM: Final = 16.0
"""Context around the search region, and how far a mark may grow out of it."""
WINDOW_STEP: Final = 32
"""Windows of small images are multiples of this many voxels, which every network here can halve often enough."""
CONNECTED_AT: Final = 0.1
"""Marks that reach the search region at this probability are kept whole; others are dropped."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the engine found, and how.

    Parameters
    ----------
    probability
        Probability of lesion on the native grid.
    organ
        The searched region.
    windows
        Number of windows that the network saw, flipped ones too.
    seconds
        Wall time by stage: ``organ``, ``resample``, ``model``, ``windows``, ``outlines`` (of a second
        stage), ``back``.
    device, backend, precision
        Where, with what and how exactly it was computed.
    notes
        Facts for the user, one sentence each.
    labels, lesions
        Marks that follow from the classes of a model and not from a threshold; None elsewhere.
    scores
        Class name to score of the whole image, of a classifier.
    """

    probability: ProbabilityMap
    organ: OrganMask
    windows: int
    seconds: dict[str, float] = field(default_factory=dict)
    device: str = "cpu"
    backend: str = ""
    precision: str = FLOAT32
    notes: tuple[str, ...] = ()
    labels: LabelMap | None = None
    lesions: Mapping[int, Lesion] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class WindowPlan:
    """The model grid over the search region, the windows on it, and what they see outside the image."""

    frame: ModelFrame
    region: npt.NDArray[np.bool_]
    roi: tuple[int, int, int]
    starts: list[Start]
    mirrored: bool = False


def predict(
    volume: Volume,
    bundle: BundleInfo,
    settings: EngineSettings | None = None,
    ctx: JobContext | None = None,
    organ: OrganMask | None = None,
) -> Prediction:
    """Run a model over a volume.

    Parameters
    ----------
    volume
        The image, in the units that the model expects (HU on CT). It is not changed.
    bundle
        The model.
    settings
        Device, backend, windows.
    ctx
        Progress by window, and cancel within one.
    organ
        Search region found before; found here when None.

    Raises
    ------
    ModelError
        When the model is damaged, or needs something that is not here.
    DeviceMemoryError
        When the device has too little memory.
    JobCancelled
        When the user asked to stop.
    """
    settings, ctx = settings or EngineSettings(), ctx or JobContext()
    _require_one_image(bundle)
    fitted = with_small_windows(bundle, volume.grid)
    if fitted is not bundle and settings.precision == INT8:
        settings = replace(settings, precision="auto")
    bundle = fitted
    clock = _Stopwatch()
    with clock.stage("organ"):
        organ = organ or find_organ(volume, bundle.organ, bundle.modality, ctx)
    with clock.stage("resample"):
        plan = plan_search(volume.grid, organ, bundle, settings.overlap)
        intensity = own_intensity(volume, organ, bundle.intensity)
        image, notes = network_image(volume, plan.frame, intensity, ctx)
    with clock.stage("model"):
        ctx.step("Loading the model")
        backend = LastingBackend(bundle, settings, ctx, open_backend)
    try:
        with clock.stage("windows"):
            found = _first_stage(image, plan, backend, settings, bundle, ctx)
    finally:
        backend.close()
    found = _Found(_within_region(found.dense, plan.region), found.members, backend.notes)
    if bundle.refinement:
        with clock.stage("outlines"):
            alike = _as_the_first(settings, bundle, backend.precision)
            found = _second_stage(found, image, plan.frame, bundle, alike, ctx)
    del image
    with clock.stage("back"):
        ctx.step("Collecting the marks")
        probability = with_members(to_native(found.dense, plan.frame), found.members)
    windows = len(plan.starts) * len(PASSES[settings.flips])
    if windows and not backend.lowered:
        remember(bundle, f"{backend.name} {backend.precision}", backend.device, clock.seconds["windows"] / windows)
    return Prediction(
        probability=probability,
        organ=organ,
        windows=windows,
        seconds=clock.seconds,
        device=backend.device,
        backend=backend.name,
        precision=backend.precision,
        notes=(*notes, *found.notes, *(() if organ.trusted else (f"{organ.reason}.",))),
    )


@dataclass(frozen=True, eq=False)
class _Found:
    """Probability on the model grid, the passes of an augmentation on the native grid, and notes."""

    dense: FloatArray
    members: tuple[ProbabilityMap, ...]
    notes: tuple[str, ...] = ()


def _first_stage(
    image: FloatArray,
    plan: WindowPlan,
    backend: LastingBackend,
    settings: EngineSettings,
    bundle: BundleInfo,
    ctx: JobContext,
) -> _Found:
    """All windows, once a pass; each pass has its marks judged as a whole where the model says how."""
    cutter = WindowCutter(image, plan.frame, plan.roi, mirrored=plan.mirrored)

    def run(axes: tuple[int, ...], ctx: JobContext) -> FloatArray:
        dense = run_windows(cutter, plan.starts, FlippedBackend(backend, axes), backend.batch, ctx)
        return dense if bundle.refinement else _judged(dense, image, plan.frame, bundle)

    return _Found(*mean_of_passes(run, PASSES[settings.flips], plan.frame, ctx))


def _judged(dense: FloatArray, image: FloatArray, frame: ModelFrame, bundle: BundleInfo) -> FloatArray:
    """Marks judged as a whole, where the model says how."""
    rule = bundle.mark_score
    return dense if rule is None else scored(dense, image, bundle.intensity, frame.spacing_zyx, rule)


def _as_the_first(settings: EngineSettings, bundle: BundleInfo, precision: str) -> EngineSettings:
    """Settings of the second network: what a bundle states of a precision was measured with both networks in it."""
    left_alone = settings.precision == "auto" and precision in bundle.precisions
    return replace(settings, precision=precision) if left_alone else settings


def _second_stage(
    first: _Found,
    image: FloatArray,
    frame: ModelFrame,
    bundle: BundleInfo,
    settings: EngineSettings,
    ctx: JobContext,
) -> _Found:
    """What the second network says around the marks of the first, once a pass; the marks are judged after it."""
    refinement = bundle.refinement
    assert refinement is not None
    z, y, x = frame.spacing_zyx
    rule = CandidateRule.of(refinement, z * y * x)
    roi = frame.roi_zyx(refinement.bundle.roi_size)
    cutter = WindowCutter(image, frame, roi, mirrored=refinement.bundle.mirrored)
    if settings.precision == INT8 and not refinement.bundle.quantised:
        settings = replace(settings, precision="auto")
    backend = LastingBackend(refinement.bundle, settings, ctx, open_backend)

    def run(axes: tuple[int, ...], ctx: JobContext) -> FloatArray:
        dense = refine(first.dense, cutter, FlippedBackend(backend, axes), rule, backend.batch, ctx)
        return _judged(dense, image, frame, bundle)

    try:
        dense, members = mean_of_passes(run, PASSES[settings.flips], frame, ctx)
    finally:
        backend.close()
    return _Found(dense, members, (*first.notes, *backend.notes))


def with_small_windows(bundle: BundleInfo, grid: Grid) -> BundleInfo:
    """The bundle with windows no larger than a small image needs; itself for an image as large as its windows.

    An image of 51 voxels in a window of 96 is mostly mirror, which no training showed: on 16 held-out cubes there
    were 0.94 false marks a cube so, and 0.19 in windows of 64 (lung_nodule_ct 0.1.0, fold 0). Only for bundles that
    mirror.
    """
    if not bundle.mirrored:
        return bundle
    z, y, x = (slice(0, n) for n in grid.shape)
    frame = ModelFrame.of(grid, (z, y, x), bundle.spacing_mm, bundle.axcodes)
    needed = [-(-frame.shape[axis] // WINDOW_STEP) * WINDOW_STEP for axis in frame.axes]
    first, second, third = (min(edge, least) for edge, least in zip(bundle.roi_size, needed, strict=True))
    roi = (first, second, third)
    if roi == tuple(bundle.roi_size):
        return bundle
    # the INT8 network of a bundle has windows of one size
    return replace(bundle, roi_size=roi, quantised={}, precisions=tuple(p for p in bundle.precisions if p != INT8))


def plan_search(grid: Grid, organ: OrganMask, bundle: BundleInfo, overlap: float | None = None) -> WindowPlan:
    """Model grid around the search region, and the windows that cover it.

    Parameters
    ----------
    grid
        Native grid.
    organ
        Search region.
    bundle
        Spacing, orientation and window size of the model.
    overlap
        Share by which windows overlap; None for the model's own.
    """
    around = native_box(organ, grid)
    frame = ModelFrame.of(grid, around, bundle.spacing_mm, bundle.axcodes)
    roi = frame.roi_zyx(bundle.roi_size)
    wide = _widened(around, grid, [r * q for r, q in zip(roi, frame.ratios, strict=True)])
    frame = ModelFrame.of(grid, wide, bundle.spacing_mm, bundle.axcodes)
    region = mask_on(organ, frame.grid)
    z, y, x = (round(MARGIN_MM / step) for step in frame.spacing_zyx)
    starts = plan_windows(region, roi, bundle.overlap if overlap is None else overlap, (z, y, x))
    return WindowPlan(frame, region, roi, starts, bundle.mirrored)


def _widened(box: Box, grid: Grid, least: list[float]) -> Box:
    """The box with a margin, and at least some native voxels an axis where the grid allows: real context."""
    parts = []
    for part, n, wanted, step in zip(box, grid.shape, least, grid.spacing_zyx, strict=True):
        margin = MARGIN_MM / step
        size = min(n, math.ceil(max(wanted, part.stop - part.start + 2 * margin)))
        start = min(max(0, (part.start + part.stop - size) // 2), n - size)
        parts.append(slice(start, start + size))
    return parts[0], parts[1], parts[2]


def own_intensity(volume: Volume, organ: OrganMask, intensity: Intensity) -> Intensity:
    """The map of values for this image: its mean and deviation over the organ are put in where a model asks for them.

    Parameters
    ----------
    volume
        The image.
    organ
        Voxels of it that count; zeros and voxels without a value do not.
    intensity
        As the bundle states it.
    """
    if not intensity.z_score:
        return intensity
    box = native_box(organ, volume.grid)
    values = volume.array[box][mask_on(organ, volume.grid)[box]]
    values = values[np.isfinite(values) & (values != 0)].astype(np.float64)
    if not values.size or not values.std() > 0:
        raise ModelError(
            "The model cannot run on this image",
            "its values do not differ, so they cannot be brought to one scale",
            "Check that the image is the one that you meant",
        )
    return intensity.in_units_of(float(values.mean()), float(values.std()))


def network_image(
    volume: Volume, frame: ModelFrame, intensity: Intensity, ctx: JobContext
) -> tuple[FloatArray, tuple[str, ...]]:
    """Resampled and scaled image on the model grid, and notes."""
    notes: tuple[str, ...] = ()
    missing = _count_nan(volume.array[frame.box])
    if missing:
        notes = (f"{missing} voxels without a value (NaN) were taken as {intensity.a_min:g}.",)
    image = to_model(volume.array, frame, intensity.a_min, lambda done, total: ctx.step("Resampling", done, total))
    scale = (intensity.b_max - intensity.b_min) / (intensity.a_max - intensity.a_min)
    image -= intensity.a_min
    image *= scale
    image += intensity.b_min
    if intensity.clip:
        np.clip(image, min(intensity.b_min, intensity.b_max), max(intensity.b_min, intensity.b_max), out=image)
    return image, notes


def _count_nan(part: npt.NDArray[Any]) -> int:
    if not np.issubdtype(part.dtype, np.floating):
        return 0
    return sum(int(np.count_nonzero(np.isnan(plane))) for plane in part)


def _within_region(dense: FloatArray, region: npt.NDArray[np.bool_]) -> FloatArray:
    """Drop marks that do not touch the search region; those that do stay whole, also where they grow out of it."""
    if region.all():
        return dense
    above = dense >= CONNECTED_AT
    dense[~above & ~region] = 0.0
    labels = components(above, 26)
    touching = np.zeros(int(labels.max()) + 1, dtype=bool)
    touching[np.unique(labels[region])] = True
    touching[0] = True
    dense[~touching[labels]] = 0.0
    return dense


def _require_one_image(bundle: BundleInfo) -> None:
    if bundle.channels != 1:
        raise ModelError(
            f"The model {bundle.name} cannot run on one image",
            f"it needs {bundle.channels} images of the same patient",
            "Choose a model with one input image",
        )


class _Stopwatch:
    """Wall time by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began
