"""The parts of a configuration under the names that the zoo gives them, where a bundle calls them otherwise.

The layout of a bundle recommends ``network_def``, ``preprocessing``, ``inferer`` and ``postprocessing``, and does not
require them: MONAI runs what its workflow refers to. A part that is missing under its usual name is looked for there,
since a model that runs without its own pre-processing gives a result that is wrong and looks right.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from napari_lesion.models.config.limits import MAX_DEPTH
from napari_lesion.models.safety import lookup

WORKFLOW: Final = "SupervisedEvaluator"
EVALUATOR: Final = "evaluator"
NETWORKS: Final = ("network_def", "network")
_MOVED: Final = re.compile(r"[$]?@(\w+(?:(?:::|#)\w+)*)(?:\.to\([^()]*\))?")
"""A reference, also to what is only moved to a device."""


def with_usual_names(inference: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration, with the parts of its workflow under their usual names too.

    Parameters
    ----------
    inference
        Content of the inference configuration, macros put in.
    """
    workflow = _workflow(inference)
    found = dict(inference)
    if not any(name in found for name in NETWORKS) and "network" in workflow:
        found["network"] = workflow["network"]
    for name in ("inferer", "postprocessing"):
        if name not in found and workflow.get(name) is not None:
            found[name] = workflow[name]
    transform = _transform(inference, workflow)
    if "preprocessing" not in found and transform is not None:
        found["preprocessing"] = transform
    return found


def component_named(inference: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    """The component under the first of the names that is there, behind references; empty when it is an expression."""
    return _mapping(inference, next((inference[name] for name in names if name in inference), None))


def _workflow(inference: Mapping[str, Any]) -> Mapping[str, Any]:
    """The component that runs the network: what stands under its usual name, or the first of MONAI's."""
    usual = inference.get(EVALUATOR)
    if isinstance(usual, Mapping):
        return usual
    candidates = (value for value in inference.values() if isinstance(value, Mapping))
    return next((value for value in candidates if _last(value.get("_target_")) == WORKFLOW), {})


def _transform(inference: Mapping[str, Any], workflow: Mapping[str, Any]) -> Any:
    """What the data set of the workflow does with an image."""
    loader = _mapping(inference, workflow.get("val_data_loader"))
    return _mapping(inference, loader.get("dataset")).get("transform")


def _mapping(inference: Mapping[str, Any], value: Any) -> Mapping[str, Any]:
    """The mapping behind references; empty when there is none."""
    for _ in range(MAX_DEPTH):
        match = _MOVED.fullmatch(value.strip()) if isinstance(value, str) else None
        if match is None:
            break
        try:
            value = lookup(inference, match[1])
        except KeyError:
            break
    return value if isinstance(value, Mapping) else {}


def _last(target: object) -> str:
    return target.rpartition(".")[2] if isinstance(target, str) else ""
