"""Classifiers made by others, over a whole image or over a crop around each lesion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np

from napari_lesion.core.display import Box
from napari_lesion.core.errors import ModelError
from napari_lesion.core.jobs import JobContext
from napari_lesion.core.volume import Volume
from napari_lesion.inference.backends.memory import memory_guard
from napari_lesion.inference.bundles.outputs import Scored
from napari_lesion.inference.bundles.parts import Parts, bundle_parts
from napari_lesion.inference.bundles.run import faults, require_takes, run_parts
from napari_lesion.models.config.needs import needs_of
from napari_lesion.models.config.reading import BundleConfig

STAGE: Final = "Scoring lesions"
AROUND: Final = 2.0
"""Side of a crop over the largest extent of its lesion, where the bundle does not say how much it takes."""
LEAST_MM: Final = 32.0


def score_crops(
    volume: Volume, boxes: Mapping[int, Box], config: BundleConfig, device: str, ctx: JobContext
) -> dict[int, Scored]:
    """Scores of a classifier for a crop around each lesion; the crop goes through the bundle's own pre-processing.

    Parameters
    ----------
    volume
        The image.
    boxes
        Native box of each lesion.
    config
        Configuration of the bundle.
    device
        ``cpu`` or ``cuda``.
    ctx
        Told before each lesion, so that a cancel takes effect within one.

    Raises
    ------
    ModelError
        When the bundle is refused, needs trust or other images, fails, or gives no scores.
    """
    name, needs = config.root.name, needs_of(config)
    require_takes([volume], name, needs)
    ctx.step("Loading the model")
    quiet = JobContext(ctx.token)
    found: dict[int, Scored] = {}
    with faults(name), bundle_parts(config, device) as parts, memory_guard(device):
        least = field_of_view_mm(config, parts)
        for label, box in ctx.track(boxes.items(), STAGE, len(boxes)):
            output = run_parts([crop_around(volume, box, least)], parts, needs, name, quiet)
            if not isinstance(output, Scored):
                raise ModelError(f"The model {name} gives no scores", "its result is an image or boxes")
            found[label] = output
    return found


def crop_around(volume: Volume, box: Box, least_mm: tuple[float, float, float]) -> Volume:
    """A crop with the lesion in its middle, moved into the image at its border.

    Parameters
    ----------
    volume
        The image.
    box
        Native box of the lesion.
    least_mm
        Smallest size along the native axes (z, y, x); `AROUND` times the largest extent of the lesion when that is
        more.
    """
    spacing = volume.grid.spacing_zyx
    extent = max((part.stop - part.start) * step for part, step in zip(box, spacing, strict=True))
    parts = []
    for part, n, step, least in zip(box, volume.array.shape, spacing, least_mm, strict=True):
        size = min(n, round(max(least, AROUND * extent) / step))
        start = min(max(0, (part.start + part.stop - size) // 2), n - size)
        parts.append(slice(start, start + size))
    place = parts[0], parts[1], parts[2]
    return replace(volume, array=np.ascontiguousarray(volume.array[place]), grid=volume.grid.cropped(place))


def field_of_view_mm(config: BundleConfig, parts: Parts) -> tuple[float, float, float]:
    """What the network sees, mm along the native axes: its voxels at the spacing that the pre-processing makes.

    `LEAST_MM` along each axis where metadata and pre-processing do not say it. The longest side counts for all, since
    the pre-processing may turn the axes.
    """
    stated = config.metadata.get("network_data_format", {})
    inputs = stated.get("inputs") if isinstance(stated, Mapping) else None
    entry: Any = next(iter(inputs.values()), {}) if isinstance(inputs, Mapping) else {}
    shape = entry.get("spatial_shape") if isinstance(entry, Mapping) else None
    pixdim = _pixdim(parts)
    stated_whole = isinstance(shape, list) and len(shape) == 3 and all(type(n) is int and n > 0 for n in shape)
    if pixdim is None or not stated_whole:
        return LEAST_MM, LEAST_MM, LEAST_MM
    assert isinstance(shape, list)
    side = max(n * step for n, step in zip(shape, pixdim, strict=True))
    return side, side, side


def _pixdim(parts: Parts) -> list[float] | None:
    """Spacing that the pre-processing resamples to, along its own axes."""
    for step in getattr(parts.preprocessing, "transforms", ()):
        inner: Any = getattr(step, "spacing_transform", None)
        if inner is not None and len(inner.pixdim) == 3:
            return [float(value) for value in inner.pixdim]
    return None
