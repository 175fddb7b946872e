"""Run a bundle made by others as it is: its own transforms and inferer; our image, progress and cancel."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import numpy as np

from napari_lesion.core.errors import LesionError, ModelError
from napari_lesion.core.grid import Grid
from napari_lesion.core.jobs import JobCancelled, JobContext
from napari_lesion.core.volume import Volume
from napari_lesion.inference.backends.memory import memory_guard
from napari_lesion.inference.bundles.images import meta_tensor, native_array
from napari_lesion.inference.bundles.outputs import BundleOutput, Segmented, has_background, interpret
from napari_lesion.inference.bundles.parts import Parts, bundle_parts
from napari_lesion.models.config.needs import Needs, needs_of
from napari_lesion.models.config.reading import BundleConfig

STAGE: Final = "Searching"
PREDICTION: Final = "pred"
MAX_PROBABILITY_CLASSES: Final = 8
"""Probabilities of more classes than this are not brought back: a whole-body map of 105 takes tens of gigabytes."""
SOFT: Final = frozenset({"Activationsd", "Invertd", "EnsureTyped", "ToTensord", "ToDeviced"})
"""Post-processing that keeps probabilities what they are."""


def run_bundle(
    volumes: Sequence[Volume], config: BundleConfig, device: str = "cpu", ctx: JobContext | None = None
) -> BundleOutput:
    """Run a bundle over one volume, or over the sequences of one study.

    Parameters
    ----------
    volumes
        One volume a channel of the network, all on one grid.
    config
        Configuration of the bundle.
    device
        ``cpu`` or ``cuda``.
    ctx
        Progress by window, and cancel within one.

    Raises
    ------
    ModelError
        When the bundle is refused, needs trust, other images, or fails.
    DeviceMemoryError
        When the device has too little memory.
    JobCancelled
        When the job was asked to stop.
    """
    ctx = ctx or JobContext()
    grid, name, needs = volumes[0].grid, config.root.name, needs_of(config)
    _require_channels(volumes, name, needs)
    ctx.step("Loading the model")
    with _faults(name), bundle_parts(config, device) as parts, memory_guard(device):
        sample = _predicted(volumes, parts, ctx)
        ctx.step("Collecting the marks")
        meanings = needs.outputs[0].meanings if needs.outputs else {}
        processed = parts.postprocessing(dict(sample)) if parts.postprocessing else sample
        output = interpret(processed[PREDICTION], grid, meanings, name)
        if isinstance(output, Segmented):
            output = _with_probability(output, sample, parts, grid)
    return output


def _require_channels(volumes: Sequence[Volume], name: str, needs: Needs) -> None:
    wanted = needs.inputs[0].channels if needs.inputs else 0
    if wanted and wanted != len(volumes):
        named = ", ".join(needs.inputs[0].meanings.values()) or "as its card says"
        raise ModelError(
            f"The model {name} needs {wanted} images of one study",
            f"{len(volumes)} given; the channels are {named}",
            "Give one image for each channel, all on one grid",
        )


def _predicted(volumes: Sequence[Volume], parts: Parts, ctx: JobContext) -> dict[str, Any]:
    """The prepared sample with the network's own output put in."""
    import torch
    from monai.data import decollate_batch, list_data_collate

    ctx.step("Preparing the image")
    sample = {parts.key: meta_tensor(volumes)}
    prepared = parts.preprocessing(sample) if parts.preprocessing else sample
    if isinstance(prepared, list):
        raise ModelError("The model cannot be used", "its pre-processing makes several images of one")
    batch = list_data_collate([prepared])
    image = batch[parts.key].to(parts.device)
    with torch.inference_mode(), _watched(parts, tuple(image.shape[2:]), ctx):
        result = parts.inferer(image, parts.network)
    if isinstance(result, (list, tuple)):
        result = result[0]  # deep supervision: the finest one comes first
    item: dict[str, Any]
    (item,) = decollate_batch({**batch, PREDICTION: result.cpu() if hasattr(result, "cpu") else result})
    return item


@contextmanager
def _watched(parts: Parts, shape: tuple[int, ...], ctx: JobContext) -> Iterator[None]:
    """Report every call of the network, and stop before one when the job was cancelled."""
    total = _calls(parts.inferer, shape)
    done = 0

    def before(*_: Any) -> None:
        nonlocal done
        ctx.step(STAGE, min(done, total), total)
        done += 1

    handle = parts.network.register_forward_pre_hook(before)
    try:
        yield
    finally:
        handle.remove()


def _calls(inferer: Any, shape: tuple[int, ...]) -> int:
    """How often a sliding window calls the network; 1 for what is no sliding window."""
    from monai.data.utils import dense_patch_slices
    from monai.utils import ensure_tuple_rep, fall_back_tuple

    if not hasattr(inferer, "roi_size") or not hasattr(inferer, "sw_batch_size"):
        return 1
    roi = fall_back_tuple(inferer.roi_size, shape)
    overlaps = ensure_tuple_rep(inferer.overlap, len(shape))
    size = tuple(max(n, r) for n, r in zip(shape, roi, strict=True))
    steps = [max(1, int(r * (1 - o))) if r != n else r for r, n, o in zip(roi, size, overlaps, strict=True)]
    windows = len(dense_patch_slices(size, roi, steps))
    return math.ceil(windows / int(inferer.sw_batch_size))


def _with_probability(output: Segmented, sample: Mapping[str, Any], parts: Parts, grid: Grid) -> Segmented:
    """The segmentation with the probability of each class, brought back by the bundle's own steps."""
    if not 1 <= sample[PREDICTION].shape[0] <= MAX_PROBABILITY_CLASSES or parts.postprocessing is None:
        return output
    steps = [step for step in parts.postprocessing.transforms if type(step).__name__ in SOFT]
    if not any(type(step).__name__ == "Activationsd" for step in steps):
        return output
    data = dict(sample)
    for step in steps:
        data = step(data)
    array = native_array(data[PREDICTION], grid, nearest=False).astype(np.float32)
    if has_background(output.meanings) and array.shape[0] > 1:
        classes = tuple(range(1, array.shape[0]))
        return Segmented(output.labels, output.meanings, array[1:], classes)
    return Segmented(output.labels, output.meanings, array, tuple(range(1, array.shape[0] + 1)))


@contextmanager
def _faults(name: str) -> Iterator[None]:
    """Tell in one sentence what a bundle's own steps raise; cancel, memory and our own errors pass."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of older spellings in the bundle, which its user did not write
            yield
    except (LesionError, JobCancelled, MemoryError):
        raise
    except (ArithmeticError, AssertionError, AttributeError, ImportError, LookupError) as error:
        raise _failed(name, error) from error
    except (NotImplementedError, OSError, TypeError, ValueError, RuntimeError) as error:
        raise _failed(name, error) from error


def _failed(name: str, error: BaseException) -> ModelError:
    lines = [line for line in str(error.__cause__ or error).strip().splitlines() if line.strip()]
    reason = lines[0][:200] if lines else type(error).__name__
    return ModelError(f"The model {name} failed on this image", reason, "See its card for the images that it takes")
