"""The workflow that a configuration names: MONAI's, whose place the program takes, or the bundle's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from napari_lesion.models.config.allowed import OVERRIDDEN
from napari_lesion.models.config.reading import BundleConfig

EVALUATOR: Final = "evaluator"
PROGRAM_S_OWN: Final = (
    "val_data_loader", "val_handlers", "key_val_metric", "additional_metrics", "epoch_length", "metric_cmp_fn",
)  # fmt: skip
"""Arguments of a workflow that the program gives itself: data, and what writes, reports and compares."""


def has_own_evaluator(config: BundleConfig) -> bool:
    """Whether a bundle brings a workflow in place of MONAI's ``SupervisedEvaluator``."""
    part = config.inference.get(EVALUATOR)
    return isinstance(part, Mapping) and str(part.get("_target_", "")).rpartition(".")[2] not in OVERRIDDEN


def bare_evaluator(part: Mapping[str, Any]) -> dict[str, Any]:
    """The workflow as a function of its data loader, without its own data, handlers and metrics."""
    return {key: value for key, value in part.items() if key not in PROGRAM_S_OWN} | {"_mode_": "callable"}
