"""The engine's own windows over prepared training cases, with any backend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_lesion.core.errors import InputError
from napari_lesion.core.jobs import JobContext
from napari_lesion.inference.marks import scored
from napari_lesion.inference.ports import Backend
from napari_lesion.inference.refine import CandidateRule, refine
from napari_lesion.inference.sliding import WindowCutter, run_windows
from napari_lesion.inference.windows import Start, plan_windows
from napari_lesion.models.bundle import BundleInfo
from napari_lesion.training.cases import Case, list_cases
from napari_lesion.training.folds import load_folds
from napari_lesion.training.scene_windows import scene_cutter
from napari_lesion.training.scenes import Scene

FloatArray = npt.NDArray[np.float32]
CUBE_EDGE = 51


def bundle_cutter(scene: Scene, bundle: BundleInfo) -> WindowCutter:
    """Windows of a scene as a bundle wants them."""
    return scene_cutter(scene, bundle.roi_size, mirrored=bundle.mirrored)


def scene_windows(scene: Scene, bundle: BundleInfo) -> list[Start]:
    """First voxels of the windows that cover the search region of a scene."""
    return plan_windows(scene.lung, bundle.roi_size, bundle.overlap)


def probability_of(scene: Scene, bundle: BundleInfo, backends: Sequence[Backend]) -> FloatArray:
    """Probability (x, y, z) of a scene inside its search region.

    Parameters
    ----------
    scene
        A prepared case.
    bundle
        The model.
    backends
        One that is open for the bundle, and one for its second stage where it has one.
    """
    whole, inner = mirrored(scene, bundle.roi_size)
    ctx, cutter = JobContext(), bundle_cutter(whole, bundle)
    dense = run_windows(cutter, scene_windows(whole, bundle), backends[0], 1, ctx)
    if bundle.refinement:
        stage = bundle.refinement
        cutter_of_second, rule = bundle_cutter(whole, stage.bundle), CandidateRule.of(stage, voxel_mm3=1.0)
        dense = refine(dense, cutter_of_second, backends[1], rule, 1, ctx)
    if bundle.mark_score:
        dense = scored(dense, cutter.image, bundle.intensity, (1.0, 1.0, 1.0), bundle.mark_score)
    return np.where(scene.lung, dense[inner], np.float32(0))


def mirrored(scene: Scene, roi: tuple[int, int, int]) -> tuple[Scene, tuple[slice, ...]]:
    """A scene mirrored up to the size of a window, as in the evaluation, and where it lies in that."""
    missing = [max(0, size - n) for size, n in zip(roi, scene.image.shape, strict=True)]
    around = [(n // 2, n - n // 2) for n in missing]
    inner = tuple(slice(low, low + n) for (low, _), n in zip(around, scene.image.shape, strict=True))
    image, lung = np.pad(scene.image, around, mode="reflect"), np.pad(scene.lung, around)
    return replace(scene, image=image, lung=lung), inner


def training_cases(data: Path, bundle: BundleInfo, fold: int) -> list[Case]:
    """Cases outside a fold that a network of this window size sees whole: scans, or cubes for small windows.

    Raises
    ------
    InputError
        When there is none.
    """
    kind = "cube" if max(bundle.roi_size) <= CUBE_EDGE else "scan"
    folds = load_folds()
    cases = [case for case in list_cases(data) if case.kind == kind and not folds.held_out(case.patient_id, fold)]
    if not cases:
        raise InputError(f"There is nothing to calibrate on below {data}", f"it holds no {kind} outside fold {fold}")
    return cases


def windows_of(scenes: Sequence[Scene], bundle: BundleInfo, count: int, seed: int = 2026) -> list[FloatArray]:
    """Windows (1, 1, x, y, z) as the network gets them in a search, drawn evenly from some scenes.

    Parameters
    ----------
    scenes
        Prepared cases.
    bundle
        The model.
    count
        How many; fewer where the scenes hold fewer.
    seed
        Of the draw.
    """
    rng = np.random.default_rng(seed)
    large = [mirrored(scene, bundle.roi_size)[0] for scene in scenes]
    places = [(scene, start) for scene in large for start in scene_windows(scene, bundle)]
    chosen = rng.permutation(len(places))[:count]
    return [bundle_cutter(places[k][0], bundle).cut(places[k][1])[None, None] for k in chosen]
