"""The parts of a bundle that a detection needs: of listed components, or, with trust, by MONAI's own parser."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from napari_lesion.core.errors import ModelError
from napari_lesion.inference.backends.telemetry import silence_telemetry
from napari_lesion.inference.bundles.network import Source, loaded_network
from napari_lesion.inference.bundles.trusted import Parsed, importable
from napari_lesion.models.config.assessment import Assessment, assess, require_usable
from napari_lesion.models.config.build import ABSENT, Builder
from napari_lesion.models.config.evaluators import has_own_evaluator
from napari_lesion.models.config.grammar import Trust
from napari_lesion.models.config.reading import SEPARATOR, BundleConfig
from napari_lesion.models.config.weights import targets
from napari_lesion.models.install import needs_trust
from napari_lesion.models.trusted import is_trusted

DEFAULT_KEY: Final = "image"
READERS: Final = ("LoadImaged", "LoadImageD", "LoadImageDict")
ARRAY_READER: Final = "LoadImage"
COLLATE: Final = f"dataloader{SEPARATOR}collate_fn"
NOT_GIVEN: Final = ("label", "mask", "seg", "box")
"""Beginnings of keys that a reader lists for training and testing, and nobody has for a new study."""


@dataclass(frozen=True, eq=False)
class Parts:
    """What a bundle does with an image.

    Parameters
    ----------
    network
        In evaluation mode, with its weights, on the device.
    preprocessing, postprocessing
        Transforms; None when the bundle has none.
    inferer
        Runs the network over the image.
    key
        Key of what the network takes.
    inputs
        Keys of the images that are read: one for all channels, or one for each.
    device
        ``cpu`` or ``cuda``.
    evaluator
        Makes the bundle's own workflow around a data loader; None when it uses MONAI's.
    collate
        Makes a batch of a list of samples; None for MONAI's.
    plain
        Whether the pre-processing takes an image and not a dictionary.
    with_meta
        Whether the steps want what the file says of an image beside it.
    """

    network: Any
    preprocessing: Any
    inferer: Any
    postprocessing: Any
    key: str
    inputs: tuple[str, ...]
    device: str
    evaluator: Callable[..., Any] | None = None
    collate: Callable[..., Any] | None = None
    plain: bool = False
    with_meta: bool = False


@contextmanager
def bundle_parts(config: BundleConfig, device: str = "cpu") -> Iterator[Parts]:
    """Parts of a bundle; what its code put into Python's search path is taken back at the end.

    Parameters
    ----------
    config
        Configuration of the bundle.
    device
        ``cpu`` or ``cuda``; every device in the configuration becomes this one.

    Raises
    ------
    ModelError
        When it is refused, needs trust that was not given or whose files changed since, or cannot be built.
    """
    silence_telemetry()
    assessment = assess(config)
    require_usable(config, assessment)
    if assessment.trust is Trust.SAFE:
        yield _parts(config, Builder(config, device), device, assessment)
        return
    _require_trust(config, assessment)
    with importable(config.root):
        yield _parts(config, Parsed(config, device), device, assessment)


def _require_trust(config: BundleConfig, assessment: Assessment) -> None:
    if not is_trusted(config.root):
        raise needs_trust(config.root.name, assessment)


def _parts(config: BundleConfig, source: Source, device: str, assessment: Assessment) -> Parts:
    network = loaded_network(config, source, device, assessment.trust)
    own = assessment.trust is Trust.NEEDS_TRUST and has_own_evaluator(config)
    return Parts(
        network=network,
        preprocessing=_lenient(_optional(config, source, "preprocessing")),
        inferer=_optional(config, source, "inferer") or _simple_inferer(),
        postprocessing=_lenient(_optional(config, source, "postprocessing")),
        key=_image_key(config),
        inputs=_input_keys(config, source),
        device=device,
        evaluator=source.get("evaluator") if own else None,
        collate=source.get(COLLATE) if own and config.has(COLLATE) else None,
        with_meta=_wants_meta(config),
        plain=next(targets(config, ARRAY_READER), None) is not None and _reader(config) is None,
    )


def _optional(config: BundleConfig, source: Source, identity: str) -> Any:
    part = source.get(identity) if config.has(identity) else None
    return None if part is ABSENT else part


def _lenient(chain: Any) -> Any:
    """A chain whose steps pass over the labels that they list for testing; what they list of the image is there."""
    for step in getattr(chain, "transforms", ()):
        keys = getattr(step, "keys", None)
        if hasattr(step, "allow_missing_keys") and isinstance(keys, tuple) and any(map(_not_given, keys)):
            step.allow_missing_keys = True
    return chain


def _not_given(key: object) -> bool:
    return str(key).lower().startswith(NOT_GIVEN)


def _simple_inferer() -> Any:
    from monai.inferers import SimpleInferer

    return SimpleInferer()


def _image_key(config: BundleConfig) -> str:
    """Key of the network's image: what the configuration names so, or ``image``."""
    stated = config.inference.get("image_key")
    if isinstance(stated, str) and stated.isidentifier():
        return stated
    inputs = config.metadata.get("network_data_format", {})
    named = inputs.get("inputs") if isinstance(inputs, Mapping) else None
    first = next(iter(named), DEFAULT_KEY) if isinstance(named, Mapping) else DEFAULT_KEY
    return str(first)


def _reader(config: BundleConfig) -> str | None:
    """Id of the first reading step of images."""
    found = (where for name in READERS for where, _ in targets(config, name))
    return next(found, None)


def _wants_meta(config: BundleConfig) -> bool:
    """Whether the reading step is told to give more than the image."""
    where = _reader(config)
    return where is not None and config.find(where).get("image_only", True) is False


def _input_keys(config: BundleConfig, source: Source) -> tuple[str, ...]:
    """Keys that the reading step fills, those of labels left out; the network's own when there is no such step."""
    where = _reader(config)
    if where is None or not config.has(f"{where}{SEPARATOR}keys"):
        return (_image_key(config),)
    try:
        stated = source.get(f"{where}{SEPARATOR}keys")
    except ModelError:
        return (_image_key(config),)
    keys = [stated] if isinstance(stated, str) else [str(key) for key in stated]
    return tuple(key for key in keys if not _not_given(key)) or (_image_key(config),)
