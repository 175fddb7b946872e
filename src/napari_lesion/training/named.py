"""Networks, losses, optimisers, schedules and augmentations of MONAI and torch, built by name.

Only classes of the packages below, and only those of the right kind, are built: a configuration runs no other code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Final

from napari_lesion.core.errors import InputError

PACKAGES: Final[Mapping[str, tuple[str, ...]]] = {
    "network": ("monai.networks.nets",),
    "loss": ("monai.losses", "torch.nn"),
    "optimizer": ("torch.optim", "monai.optimizers"),
    "schedule": ("torch.optim.lr_scheduler", "monai.optimizers"),
    "augmentation": ("monai.transforms",),
}
"""Where a name of each kind is looked for; it may be written with or without its package."""

REFUSED: Final = ("Lambda", "Load", "Save", "Write", "Callback", "DataStats", "LBFGS", "OnPlateau")
"""Parts of the names of transforms that run code, read or write; and of what cannot be stepped without a closure or
a figure."""


def build(kind: str, definition: Mapping[str, Any], *args: Any, **more: Any) -> Any:
    """Instantiate what a configuration names.

    Parameters
    ----------
    kind
        A key of `PACKAGES`.
    definition
        ``_target_`` and arguments, as in a MONAI bundle.
    args, more
        Further arguments.

    Raises
    ------
    InputError
        When there is no such class of this kind, or it does not take these arguments.
    """
    content = dict(definition)
    name = str(content.pop("_target_", ""))
    made = _find(kind, name)
    try:
        return made(*args, **content, **more)
    except (AssertionError, AttributeError, LookupError, NotImplementedError, TypeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"The {kind} {name} cannot be made", reason) from error


def _find(kind: str, name: str) -> Callable[..., Any]:
    package, _, last = name.rpartition(".")
    places = [place for place in PACKAGES[kind] if package in ("", place)]
    for place in places:
        found = getattr(import_module(place), last, None) if last.isidentifier() else None
        if isinstance(found, type) and _is_a(kind, found) and not any(part in last for part in REFUSED):
            return found
    raise InputError(
        f"There is no {kind} named {name or '(nothing)'}",
        f"{' and '.join(PACKAGES[kind])} have none of this name that may be used",
        "Give the name of a class, such as those in docs/training.md",
    )


def _is_a(kind: str, found: type) -> bool:
    import torch

    if kind == "augmentation":
        from monai.transforms import MapTransform

        return issubclass(found, MapTransform)
    if kind == "loss":
        from torch.nn.modules.loss import _Loss

        return issubclass(found, _Loss)
    bases: dict[str, type] = {
        "network": torch.nn.Module,
        "optimizer": torch.optim.Optimizer,
        "schedule": torch.optim.lr_scheduler.LRScheduler,
    }
    return issubclass(found, bases[kind])
