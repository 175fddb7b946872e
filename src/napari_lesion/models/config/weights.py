"""Where a configuration says that its weights lie: the path of its ``CheckpointLoader``, wherever that stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from napari_lesion.models.config.reading import SEPARATOR, BundleConfig

SCRIPT: Final = "models/model.ts"
"""TorchScript: weights and code in one archive."""
LOADER: Final = "CheckpointLoader"
USUAL: Final = "checkpointloader"
"""Id under which the bundles of the zoo put it; older ones put it among the handlers."""


def weights_id(config: BundleConfig) -> str | None:
    """Id of the path of the weights, such as ``handlers::0::load_path``; None when nothing states one."""
    usual = f"{USUAL}{SEPARATOR}load_path"
    if config.has(usual):
        return usual
    return next(
        (f"{where}{SEPARATOR}load_path" for where, step in targets(config, LOADER) if "load_path" in step), None
    )


def targets(config: BundleConfig, name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Id and content of every component of this class name, in the order of the configuration."""
    stack: list[tuple[str, Any]] = [(str(key), value) for key, value in reversed(list(config.inference.items()))]
    while stack:
        where, value = stack.pop()
        if isinstance(value, Mapping):
            if str(value.get("_target_", "")).rpartition(".")[2] == name:
                yield where, value
            stack.extend((f"{where}{SEPARATOR}{key}", item) for key, item in reversed(list(value.items())))
        elif isinstance(value, list):
            stack.extend((f"{where}{SEPARATOR}{place}", item) for place, item in reversed(list(enumerate(value))))
