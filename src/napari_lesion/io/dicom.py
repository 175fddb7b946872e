"""A DICOM series as one volume: decoded by SimpleITK on all cores, on the grid of its ImageSeriesReader."""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_lesion.core.errors import InputError
from napari_lesion.core.grid import FloatArray, Grid
from napari_lesion.core.jobs import JobContext
from napari_lesion.core.volume import Modality
from napari_lesion.io.facts import series_facts
from napari_lesion.io.frames import read_frames
from napari_lesion.io.headers import SliceHeader
from napari_lesion.io.loaded import Loaded, kept_type
from napari_lesion.io.pet import multi_frame_facts, to_suv
from napari_lesion.io.series import SAME_PLACE_MM, SeriesInfo
from napari_lesion.io.skew import skewed_grid

MAX_THREADS = 8


def read_dicom(info: SeriesInfo, ctx: JobContext) -> Loaded:
    """Decode one volume of a DICOM folder.

    The grid and the order of the slices are those of SimpleITK's ImageSeriesReader, unless the slices
    are sheared (gantry tilt) or so uneven that a rectangular grid would give wrong sizes.

    Raises
    ------
    InputError
        When a file cannot be decoded, is no single-channel image, or the series holds no volume.
    """
    if info.headers[0].samples != 1:
        raise InputError(
            "The series holds colour images", "a lesion is measured in one channel", "Open the original images"
        )
    if len(info.files) == 1 and info.n_slices > 1:
        loaded = read_frames(info)
        if info.modality == Modality.PT:
            loaded.headers.update(multi_frame_facts(info.headers[0].units))
        return loaded
    info, repeated = _one_image_a_place(info)
    grid = _series_grid(info)
    array = _decode(info, ctx)
    if array.shape != grid.shape:
        raise InputError("The images differ in size from their headers", f"{array.shape} against {grid.shape}")
    headers = series_facts(info)
    headers["repeated_mm"], headers["files"] = repeated, info.files
    if info.modality == Modality.PT:
        array, facts = to_suv(array, info.files)
        headers.update(facts)
    skewed = skewed_grid(grid.size, _affine(info, grid), [h.height for h in info.headers])
    if skewed is not None:
        headers["tilt_deg"] = skewed.tilt_deg
    return Loaded(array, skewed or grid, headers)


def _one_image_a_place(info: SeriesInfo) -> tuple[SeriesInfo, tuple[float, ...]]:
    """Leave out images that repeat a place; the first by instance number stays. Also the places, mm."""
    kept: list[SliceHeader] = []
    repeated: list[float] = []
    for header in info.headers:
        if kept and abs(header.height - kept[-1].height) <= SAME_PLACE_MM:
            repeated.append(header.height)
        else:
            kept.append(header)
    if not repeated:
        return info, ()
    kept_info = replace(info, headers=tuple(kept), files=tuple(h.path for h in kept), n_slices=len(kept))
    return kept_info, tuple(sorted(set(repeated)))


def _series_grid(info: SeriesInfo) -> Grid:
    """Grid that ImageSeriesReader gives: it looks at the first and the last file, and at their number."""
    import SimpleITK

    files = info.files if len(info.files) == 1 else (info.files[0], info.files[-1])
    reader = SimpleITK.ImageSeriesReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileNames([str(file) for file in files])
    SimpleITK.ProcessObject.GlobalWarningDisplayOff()
    try:
        image = reader.Execute()
    except RuntimeError as error:
        # One of the two is damaged: say which.
        for file in files:
            _decode_file(file)
        raise _damaged(files[-1]) from error
    x, y, z = image.GetSpacing()
    placed = all(math.isfinite(h.height) for h in info.headers)
    step = z / (len(info.files) - 1) if placed and len(files) > 1 else z
    return Grid(
        size=(*image.GetSize()[:2], len(info.files)),
        spacing=(x, y, step),
        origin=image.GetOrigin(),
        direction=image.GetDirection(),
    )


def _decode(info: SeriesInfo, ctx: JobContext) -> npt.NDArray[Any]:
    """All slices (z, y, x), each decoded on its own: progress, cancel, and all cores (SimpleITK frees the GIL)."""
    total = len(info.files)
    first = _decode_file(info.files[0])
    array = np.empty((total, *first.shape), dtype=first.dtype)
    ctx.step("Reading", 0, total)
    with ThreadPoolExecutor(min(MAX_THREADS, os.cpu_count() or 1), "dicom") as pool:
        futures = {pool.submit(_decode_file, file): k for k, file in enumerate(info.files)}
        try:
            for done, future in enumerate(as_completed(futures), start=1):
                array = _put(array, futures.pop(future), future.result(), info)
                ctx.step("Reading", done, total)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    return array


def _put(array: npt.NDArray[Any], k: int, part: npt.NDArray[Any], info: SeriesInfo) -> npt.NDArray[Any]:
    """Put slice ``k`` in, in a wider type when it needs one: slices of one series may have slopes of their own."""
    if part.shape != array.shape[1:]:
        raise InputError(
            "The images differ in size from their headers",
            f"{info.files[k].name} is {part.shape}",
            "Export them again",
        )
    if part.dtype != array.dtype:
        array = array.astype(np.float32, copy=False)
    array[k] = part
    return array


def _decode_file(path: Path) -> npt.NDArray[Any]:
    import SimpleITK

    reader = SimpleITK.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(path))
    try:
        image = reader.Execute()
    except RuntimeError as error:
        raise _damaged(path) from error
    pixels = SimpleITK.GetArrayViewFromImage(image)
    if image.GetNumberOfComponentsPerPixel() != 1 or pixels.shape[0] != 1 or pixels.ndim != 3:
        raise InputError(f"{path.name} is not a single-channel slice", f"its pixels have the shape {pixels.shape}")
    return kept_type(pixels[0]).copy()


def _damaged(path: Path) -> InputError:
    return InputError(
        f"{path.name} cannot be decoded",
        "its pixel data are damaged or of an unknown kind",
        "Export the series again",
    )


def _affine(info: SeriesInfo, grid: Grid) -> FloatArray:
    """Matrix from index (x, y, z, 1) to LPS mm with the step from slice to slice as the headers state it."""
    affine = grid.affine_lps.copy()
    first, last = info.headers[0].position, info.headers[-1].position
    if first is not None and last is not None and len(info.headers) > 1:
        affine[:3, 2] = (np.asarray(last) - np.asarray(first)) / (len(info.headers) - 1)
    return affine
