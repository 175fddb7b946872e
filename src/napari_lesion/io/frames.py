"""A multi-frame DICOM object (Enhanced CT, MR or PET) as one volume."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from napari_lesion.core.errors import InputError
from napari_lesion.core.grid import Grid
from napari_lesion.io.facts import series_facts
from napari_lesion.io.headers import lenient, read_dataset
from napari_lesion.io.loaded import Loaded, SkewedGrid, kept_type
from napari_lesion.io.series import SeriesInfo
from napari_lesion.io.skew import skewed_grid

EPSILON = 1e-3


def read_frames(info: SeriesInfo) -> Loaded:
    """Decode a multi-frame object whose frames are one stack of parallel slices.

    The geometry comes from the functional groups of the frames, in their stored order; a stack stored
    from the far side of its normal gets a left-handed grid, as the file says.

    Raises
    ------
    InputError
        When the frames have no positions, are not one stack in order, or cannot be decoded.
    """
    import SimpleITK

    path = info.files[0]
    with lenient():
        dataset = read_dataset(path, None)
        positions, orientation, measures = _geometry(dataset, path.name)
    steps = np.diff(positions, axis=0)
    step = (positions[-1] - positions[0]) / len(steps)
    distance = float(np.linalg.norm(step))
    along = steps @ (step / distance if distance else step)
    if distance == 0 or along.min() <= 0:
        raise InputError(
            f"{path.name} holds no single volume",
            "its frames are not one stack of slices in order (several echoes, times or directions)",
            "Export the series as single images",
        )
    reader = SimpleITK.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(path))
    try:
        image = reader.Execute()
    except RuntimeError as error:
        raise InputError(
            f"{path.name} cannot be decoded", "its pixel data are damaged or of an unknown kind"
        ) from error
    pixels = kept_type(SimpleITK.GetArrayViewFromImage(image)).copy()
    if pixels.shape != (len(positions), info.rows, info.columns):
        raise InputError(f"{path.name} cannot be decoded", f"its pixels have the shape {pixels.shape}")
    heights = tuple(float(p) for p in positions @ (step / distance))
    grid = _grid(positions, orientation, measures, pixels.shape)
    facts = _facts(info, dataset, heights)
    if isinstance(grid, SkewedGrid):
        facts["tilt_deg"] = grid.tilt_deg
    return Loaded(pixels, grid, facts)


def _geometry(dataset: Any, name: str) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], tuple[float, float]]:
    """Positions (frames, 3), the one orientation (2, 3) and the distances of rows and columns of all frames."""
    shared = _first(dataset.get("SharedFunctionalGroupsSequence"))
    frames = dataset.get("PerFrameFunctionalGroupsSequence") or []
    try:
        positions = [_group(f, shared, "PlanePositionSequence").ImagePositionPatient for f in frames]
        orientations = [_group(f, shared, "PlaneOrientationSequence").ImageOrientationPatient for f in frames]
        measures = [_group(f, shared, "PixelMeasuresSequence").PixelSpacing for f in frames]
        places = np.asarray([[float(v) for v in p] for p in positions]).reshape(-1, 3)
        turned = np.asarray([[float(v) for v in o] for o in orientations]).reshape(-1, 2, 3)
        spacing = np.asarray([[float(v) for v in m] for m in measures]).reshape(-1, 2)
    except (AttributeError, TypeError, ValueError) as error:
        raise _placeless(name) from error
    if len(places) < 2:
        raise _placeless(name)
    if np.ptp(turned, axis=0).max() > EPSILON or np.ptp(spacing, axis=0).max() > EPSILON:
        raise InputError(f"{name} holds no single volume", "its frames differ in direction or pixel spacing")
    return places, turned[0], (float(spacing[0, 0]), float(spacing[0, 1]))


def _placeless(name: str) -> InputError:
    return InputError(
        f"{name} cannot be measured",
        "its frames do not state their places in the patient",
        "Open the original images",
    )


def _first(sequence: Any) -> Any:
    return sequence[0] if sequence else None


def _group(frame: Any, shared: Any, name: str) -> Any:
    """Functional group of a frame, or the one that all frames share; AttributeError when there is none."""
    for owner in (frame, shared):
        if owner is not None and owner.get(name):
            return owner.get(name)[0]
    raise AttributeError(name)


def _grid(
    positions: np.ndarray[Any, Any],
    orientation: np.ndarray[Any, Any],
    measures: tuple[float, float],
    shape: tuple[int, ...],
) -> Grid | SkewedGrid:
    step = (positions[-1] - positions[0]) / (len(positions) - 1)
    normal = np.cross(orientation[0], orientation[1])
    along = float(step @ normal)
    size = (shape[2], shape[1], shape[0])
    row_distance, column_distance = measures
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = orientation[0] * column_distance, orientation[1] * row_distance
    affine[:3, 2], affine[:3, 3] = step, positions[0]
    skewed = skewed_grid(size, affine, [float(p) for p in positions @ (normal if along > 0 else -normal)])
    if skewed is not None:
        return skewed
    direction = np.column_stack([orientation[0], orientation[1], normal if along > 0 else -normal])
    return Grid(
        size=size,
        spacing=(column_distance, row_distance, abs(along)),
        origin=(float(positions[0, 0]), float(positions[0, 1]), float(positions[0, 2])),
        direction=tuple(float(c) for c in direction.ravel()),
    )


def _facts(info: SeriesInfo, dataset: Any, heights: tuple[float, ...]) -> dict[str, Any]:
    first = info.headers[0]
    shared = _first(dataset.get("SharedFunctionalGroupsSequence"))
    frame = _first(dataset.get("PerFrameFunctionalGroupsSequence"))
    try:
        rescaled = "RescaleSlope" in _group(frame, shared, "PixelValueTransformationSequence")
    except AttributeError:
        rescaled = first.rescaled
    try:
        thickness = float(_group(frame, shared, "PixelMeasuresSequence").SliceThickness)
    except (AttributeError, TypeError, ValueError):
        thickness = math.nan
    return {
        **series_facts(info),
        "slice_positions_mm": heights,
        "instance_numbers": tuple(range(1, len(heights) + 1)),
        "slice_thickness_mm": thickness,
        "rescale_stated": rescaled,
        "orientation_stated": True,
        "comments": ((None, first.comment),) if first.comment else (),
        "multi_frame": True,
    }
