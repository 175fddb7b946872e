"""Run a bundle made by others as it is: its own transforms and inferer; our image, progress and cancel."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

import numpy as np

from napari_lesion.core.errors import LesionError, ModelError
from napari_lesion.core.jobs import JobCancelled, JobContext
from napari_lesion.core.volume import Volume
from napari_lesion.inference.backends.memory import memory_guard
from napari_lesion.inference.bundles.boxes import boxed
from napari_lesion.inference.bundles.images import meta_tensor, native_array
from napari_lesion.inference.bundles.meanings import label_channels
from napari_lesion.inference.bundles.outputs import BundleOutput, Scored, Segmented, has_background, interpret
from napari_lesion.inference.bundles.parts import Parts, bundle_parts
from napari_lesion.inference.bundles.workflows import PREDICTION, predicted
from napari_lesion.models.config.needs import Needs, needs_of
from napari_lesion.models.config.reading import BundleConfig

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
    name, needs = config.root.name, needs_of(config)
    require_takes(volumes, name, needs)
    ctx.step("Loading the model")
    with faults(name), bundle_parts(config, device) as parts, memory_guard(device):
        return run_parts(volumes, parts, needs, name, ctx)


def run_parts(volumes: Sequence[Volume], parts: Parts, needs: Needs, name: str, ctx: JobContext) -> BundleOutput:
    """Run the parts of a bundle that are built already, inside `faults` and `bundle_parts`."""
    grid = volumes[0].grid
    meanings = needs.outputs[0].meanings if needs.outputs else {}
    sample = predicted(_prepared(volumes, parts, ctx), parts, ctx)
    ctx.step("Collecting the marks")
    if isinstance(sample[PREDICTION], Mapping):
        return boxed(sample, parts, meanings, name)
    processed = _processed(sample, parts)
    channels = label_channels(parts, sample, processed, meanings)
    if channels:
        meanings = {label: meanings.get(channel, f"class {channel}") for label, channel in channels.items()}
    output = interpret(processed[PREDICTION], grid, meanings, name)
    if isinstance(output, Segmented):
        return _with_probability(output, sample, parts, {channel: label for label, channel in channels.items()})
    return _undecided(output, sample, parts) if isinstance(output, Scored) else output


def require_takes(volumes: Sequence[Volume], name: str, needs: Needs) -> None:
    """Stop for a model of pictures, and for another number of images than it takes."""
    if needs.flat:
        raise ModelError(f"The model {name} takes two-dimensional pictures", "and this program gives it volumes")
    wanted = needs.inputs[0].channels if needs.inputs else 0
    if wanted and wanted != len(volumes):
        named = ", ".join(needs.inputs[0].meanings.values()) or "as its card says"
        raise ModelError(
            f"The model {name} needs {wanted} images of one study",
            f"{len(volumes)} given; the channels are {named}",
            "Give one image for each channel, all on one grid",
        )


def _prepared(volumes: Sequence[Volume], parts: Parts, ctx: JobContext) -> dict[str, Any]:
    """What the bundle's own pre-processing makes of the images."""
    ctx.step("Preparing the image")
    if parts.plain:
        image = meta_tensor(volumes)
        return {parts.key: parts.preprocessing(image) if parts.preprocessing else image}
    several = len(parts.inputs) > 1 and len(parts.inputs) == len(volumes)
    if several:
        sample = {key: meta_tensor([volume]) for key, volume in zip(parts.inputs, volumes, strict=True)}
    else:
        sample = {parts.inputs[0]: meta_tensor(volumes)}
    if parts.with_meta:  # as LoadImaged(image_only=False) gives it
        sample |= {f"{key}_meta_dict": dict(image.meta) for key, image in sample.items()}
    prepared = parts.preprocessing(sample) if parts.preprocessing else sample
    if isinstance(prepared, list):
        raise ModelError("The model cannot be used", "its pre-processing makes several images of one")
    if parts.key not in prepared and len(parts.inputs) == 1:
        prepared[parts.key] = prepared[parts.inputs[0]]
    return dict(prepared)


def _processed(sample: Mapping[str, Any], parts: Parts) -> Mapping[str, Any]:
    """The sample after the bundle's post-processing; a workflow of its own has done that by itself."""
    if parts.evaluator is not None or parts.postprocessing is None:
        return sample
    processed: Mapping[str, Any] = parts.postprocessing(dict(sample))
    return processed


def _with_probability(
    output: Segmented, sample: Mapping[str, Any], parts: Parts, labels: Mapping[int, int]
) -> Segmented:
    """The segmentation with the probability of each class, brought back by the bundle's own steps.

    ``labels`` says which label a channel became; one more than its number where it says nothing.
    """
    steps = _soft_steps(parts)
    if not steps or not 1 <= sample[PREDICTION].shape[0] <= MAX_PROBABILITY_CLASSES:
        return output
    data = dict(sample)
    for step in steps:
        data = step(data)
    array = native_array(data[PREDICTION], output.grid, nearest=False).astype(np.float32)
    if has_background(output.meanings) and array.shape[0] > 1:
        return replace(output, probability=array[1:], classes=tuple(range(1, array.shape[0])))
    classes = tuple(labels.get(channel, channel + 1) for channel in range(array.shape[0]))
    return replace(output, probability=array, classes=classes)


def _undecided(output: Scored, sample: Mapping[str, Any], parts: Parts) -> Scored:
    """The scores before the bundle's post-processing decided for one class, where it says how they become scores."""
    steps = [step for step in _soft_steps(parts) if type(step).__name__ != "Invertd"]
    if not steps:
        return output
    data = dict(sample)
    for step in steps:
        data = step(data)
    return Scored(np.asarray(data[PREDICTION].detach().cpu(), dtype=np.float64).ravel(), output.meanings)


def _soft_steps(parts: Parts) -> list[Any]:
    """Steps of the post-processing that give probabilities; none when nothing makes them."""
    if parts.evaluator is not None or parts.postprocessing is None:
        return []
    steps = [step for step in parts.postprocessing.transforms if type(step).__name__ in SOFT]
    return steps if any(type(step).__name__ == "Activationsd" for step in steps) else []


@contextmanager
def faults(name: str) -> Iterator[None]:
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
