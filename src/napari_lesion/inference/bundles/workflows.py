"""One batch through what a bundle does with it: its inferer, or a workflow of its own."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from napari_lesion.core.errors import ModelError
from napari_lesion.core.jobs import JobContext
from napari_lesion.inference.bundles.parts import Parts

STAGE: Final = "Searching"
PREDICTION: Final = "pred"


def predicted(sample: Any, parts: Parts, ctx: JobContext) -> dict[str, Any]:
    """The network's answer to a prepared sample, put beside the sample; post-processing comes after.

    Raises
    ------
    ModelError
        When a workflow of the bundle's own gives nothing.
    JobCancelled
        When the job was asked to stop.
    """
    if parts.evaluator is not None:
        return _by_own_workflow(sample, parts, ctx)
    return _by_inferer(sample, parts, ctx)


def _by_inferer(sample: Any, parts: Parts, ctx: JobContext) -> dict[str, Any]:
    import torch
    from monai.data import decollate_batch, list_data_collate

    batch = list_data_collate([sample])
    image = batch[parts.key].to(parts.device)
    with torch.inference_mode(), _watched(parts, tuple(image.shape[2:]), ctx):
        result = parts.inferer(image, parts.network)
    if isinstance(result, (list, tuple)):
        result = result[0]  # deep supervision: the finest one comes first
    (item,) = decollate_batch({**batch, PREDICTION: result.cpu() if hasattr(result, "cpu") else result})
    return dict(item)


def _by_own_workflow(sample: Any, parts: Parts, ctx: JobContext) -> dict[str, Any]:
    """What the bundle's evaluator makes of one batch: an ignite engine, run once without its handlers."""
    import torch
    from ignite.engine import Events
    from monai.data import DataLoader, Dataset, list_data_collate

    assert parts.evaluator is not None
    loader: Any = DataLoader(Dataset([sample]), batch_size=1, collate_fn=parts.collate or list_data_collate)
    found: list[Any] = []
    evaluator = parts.evaluator(val_data_loader=loader)
    evaluator.add_event_handler(Events.ITERATION_COMPLETED, lambda engine: found.append(engine.state.output))
    with torch.inference_mode(), _watched(parts, tuple(sample[parts.key].shape[1:]), ctx):
        evaluator.run()
    output = found[0] if found else None
    item = output[0] if isinstance(output, list) and output else output
    if not isinstance(item, Mapping) or PREDICTION not in item:
        raise ModelError("The model cannot be used", "its own evaluator gives no prediction")
    return {**item, parts.key: item.get(parts.key, sample[parts.key])}


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

    inferer = _sliding(inferer)
    if inferer is None:
        return 1
    roi = fall_back_tuple(_window(inferer, shape), shape)
    overlaps = ensure_tuple_rep(inferer.overlap, len(shape))
    size = tuple(max(n, r) for n, r in zip(shape, roi, strict=True))
    steps = [max(1, int(r * (1 - o))) if r != n else r for r, n, o in zip(roi, size, overlaps, strict=True)]
    windows = len(dense_patch_slices(size, roi, steps))
    return math.ceil(windows / int(inferer.sw_batch_size))


def _sliding(inferer: Any) -> Any:
    """The sliding window of an inferer, or of the detector in it; None when there is none."""
    for one in (inferer, getattr(getattr(inferer, "detector", None), "inferer", None)):
        if all(hasattr(one, name) for name in ("roi_size", "sw_batch_size", "overlap")):
            return one
    return None


def _window(inferer: Any, shape: tuple[int, ...]) -> Any:
    """Size of a window; one slice along the axis that an inferer of slices leaves out."""
    roi = inferer.roi_size
    if isinstance(roi, (list, tuple)) and len(roi) == len(shape) - 1:
        roi = list(roi)
        roi.insert(int(getattr(inferer, "spatial_dim", 0)), 1)
    return roi
