"""Read what a bundle states: our own metadata key first, then the parts that every MONAI bundle has."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeVar

from napari_lesion.core.errors import ModelError
from napari_lesion.core.volume import Modality
from napari_lesion.models.bundle import (
    COMBINED,
    MARK_FEATURES,
    QUANTISED,
    REDUCED,
    REPLACED,
    BundleInfo,
    Intensity,
    MarkScore,
    OperatingPoint,
    Refinement,
)
from napari_lesion.models.config.reading import read_mapping
from napari_lesion.models.safety import literal, network_class_name, require_name

T = TypeVar("T")

OWN_KEY: Final = "napari_lesion"
SCHEMA_VERSION: Final = 1
METADATA: Final = "configs/metadata.json"
INFERENCE: Final = "configs/inference.json"
ACTIVATIONS: Final = ("sigmoid", "softmax")
MAX_ROI: Final = 1024
STAGES: Final = "stages"
"""Folder of a bundle that holds bundles of further stages, so that it can be copied as one."""


def read_bundle(path: Path) -> BundleInfo:
    """Read the configuration of a bundle folder; neither weights nor code of it are touched.

    Parameters
    ----------
    path
        Folder with ``configs/metadata.json`` and ``configs/inference.json``.

    Raises
    ------
    ModelError
        When a file is missing or garbled, a value impossible, or the network not one that is built here.
    """
    metadata, config = read_mapping(path, METADATA), read_mapping(path, INFERENCE)
    reader = _Reader(path.name, metadata, config)
    network = reader.network()
    first = BundleInfo(
        name=path.name,
        path=path,
        network_def=network,
        title=reader.own("title", _text, str(metadata.get("name", path.name))),
        version=str(metadata.get("version", "")),
        description=str(metadata.get("description", "")),
        task=reader.own("task", _text, "segmentation"),
        organ=reader.own("organ", _text, ""),
        modality=reader.own("modality", _modality, reader.image("modality", _modality, Modality.UNKNOWN)),
        spacing_mm=reader.own("spacing_mm", _spacing, reader.step("Spacing", "pixdim", _spacing, (1.0, 1.0, 1.0))),
        axcodes=reader.own("axcodes", _axcodes, reader.step("Orientation", "axcodes", _axcodes, "RAS")),
        intensity=reader.intensity(),
        roi_size=reader.roi_size(),
        overlap=reader.own("overlap", _share, reader.inferer("overlap", _share, 0.25)),
        channels=reader.channels(network),
        mirrored=reader.inferer("padding_mode", _text, "constant") == "reflect",
        operating_points=tuple(reader.own("operating_points", _points, [])),
        training_patients=reader.own("training_patients", _texts, ()),
        mark_score=reader.own("mark_score", _mark_score, None),
        precisions=reader.own("precisions", _precisions, ()),
        quantised=reader.own("int8_sha256", _quantised, {}),
        **reader.output(network),
    )
    stated = reader.own("refinement", _mapping, None)
    return replace(first, refinement=_refinement(first, stated)) if stated else first


def _refinement(first: BundleInfo, stated: Mapping[str, Any]) -> Refinement:
    """Read the second stage, which lies inside the bundle of the first, or in the folder beside it."""
    name = str(stated.get("bundle", ""))
    require_name(name)
    inner = first.path / STAGES / name
    second = read_bundle(inner if inner.is_dir() else first.path.parent / name)
    alike = ("spacing_mm", "axcodes", "intensity", "channels")
    differing = [key for key in alike if getattr(first, key) != getattr(second, key)]
    if differing or second.refinement:
        reason = f"its {', '.join(differing)} differ" if differing else "it has a second stage itself"
        raise ModelError(f"The model {first.name} cannot use {name} as its second stage", reason)
    try:
        at, least = _probability(stated["candidates_at"]), _not_negative(stated.get("min_volume_mm3", 0.0))
        combine = _combination(stated.get("combine", REPLACED))
        flipped = bool(stated.get("flipped", False))
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"The model {first.name} cannot be used", f"{OWN_KEY}.refinement is not complete: {error}"
        ) from error
    return Refinement(second, at, least, combine, flipped)


def _combination(value: Any) -> str:
    if value not in COMBINED:
        raise ValueError(f"combine is one of {', '.join(COMBINED)}, not {value}")
    return str(value)


class _Reader:
    """Values of one bundle with their fall-backs; every complaint names the bundle and the key."""

    def __init__(self, name: str, metadata: Mapping[str, Any], config: Mapping[str, Any]) -> None:
        self.name = name
        self.metadata = metadata
        self.config = config
        own = metadata.get(OWN_KEY, {})
        if not isinstance(own, Mapping):
            raise self._wrong(OWN_KEY, own)
        schema = own.get("schema_version", SCHEMA_VERSION)
        if schema != SCHEMA_VERSION:
            raise ModelError(
                f"The model {name} cannot be read",
                f"its metadata has schema version {schema}, this program knows {SCHEMA_VERSION}",
                "Update napari-lesion",
            )
        self._own = own

    def own(self, key: str, convert: Callable[[Any], T], fallback: T) -> T:
        """Value below our own metadata key."""
        if self._own.get(key) is None:
            return fallback
        return self._converted(f"{OWN_KEY}.{key}", self._own[key], convert)

    def image(self, key: str, convert: Callable[[Any], T], fallback: T) -> T:
        """Value of the image in MONAI's network data format; the fall-back where it says nothing usable."""
        found: Any = self.metadata
        for part in ("network_data_format", "inputs", "image", key):
            found = found.get(part) if isinstance(found, Mapping) else None
        return _attempt(convert, found, fallback)

    def step(self, transform: str, key: str, convert: Callable[[Any], T], fallback: T) -> T:
        """Argument of a pre- or post-processing transform, array or dictionary version."""
        for part in _components(self.config):
            if str(part.get("_target_", "")).rpartition(".")[2] in (transform, f"{transform}d"):
                return _attempt(convert, self._literal(part.get(key)), fallback)
        return fallback

    def inferer(self, key: str, convert: Callable[[Any], T], fallback: T) -> T:
        """Argument of the inferer."""
        part = self.config.get("inferer")
        return _attempt(convert, self._literal(part.get(key)) if isinstance(part, Mapping) else None, fallback)

    def network(self) -> dict[str, Any]:
        """Class and literal arguments of the network."""
        part = self.config.get("network_def")
        if not isinstance(part, Mapping):
            raise ModelError(f"The model {self.name} cannot be used", "configs/inference.json has no network_def")
        arguments = literal({k: v for k, v in part.items() if k != "_target_"}, self.config)
        return {"_target_": network_class_name(part.get("_target_")), **arguments}

    def channels(self, network: Mapping[str, Any]) -> int:
        """Input channels."""
        stated = network.get("in_channels", self.image("num_channels", int, 1))
        return self._converted("in_channels", stated, int)

    def intensity(self) -> Intensity:
        """Value scaling; ModelError when the bundle states none that is known here."""
        own = self._own.get("intensity")
        part: Any = own
        if own is None:
            names = ("ScaleIntensityRange", "ScaleIntensityRanged")
            steps = (p for p in _components(self.config) if str(p.get("_target_", "")).rpartition(".")[2] in names)
            part = next(steps, None)
        if not isinstance(part, Mapping):
            raise ModelError(
                f"The model {self.name} cannot be used",
                "it states no intensity range for its input",
                f"Give {OWN_KEY}.intensity in configs/metadata.json",
            )
        values = {k: self._literal(v) for k, v in part.items() if k in Intensity.__dataclass_fields__}
        return self._converted("intensity", values, _intensity)

    def roi_size(self) -> tuple[int, int, int]:
        """Window size in voxels."""
        shape = self.image("spatial_shape", _roi, (96, 96, 96))
        return self.own("roi_size", _roi, self.inferer("roi_size", _roi, shape))

    def output(self, network: Mapping[str, Any]) -> dict[str, Any]:
        """Activation, lesion channel, label meanings and thresholds."""
        channels = self._converted("out_channels", network.get("out_channels", network.get("num_classes", 1)), int)
        soft = self.step("Activations", "softmax", bool, channels > 1)
        channel = self.own("lesion_channel", int, 0 if channels == 1 else 1)
        if not 0 <= channel < channels:
            raise self._wrong(f"{OWN_KEY}.lesion_channel", channel)
        return {
            "activation": self.own("activation", _activation, "softmax" if soft else "sigmoid"),
            "lesion_channel": channel,
            "labels": self.own("labels", _labels, {1: "lesion"}),
            "default_threshold": self.own("default_threshold", _probability, 0.5),
            "min_volume_mm3": self.own("min_volume_mm3", _not_negative, 0.0),
            "max_slice_spacing_mm": self.own("max_slice_spacing_mm", _optional_positive, None),
            "window_gflop": self.own("window_gflop", _optional_positive, None),
        }

    def _literal(self, value: Any) -> Any:
        try:
            return literal(value, self.config)
        except ModelError:
            return None

    def _converted(self, key: str, value: Any, convert: Callable[[Any], T]) -> T:
        try:
            return convert(value)
        except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
            raise self._wrong(key, value) from error

    def _wrong(self, key: str, value: object) -> ModelError:
        return ModelError(
            f"The model {self.name} cannot be used",
            f"{key} has the impossible value {str(value)[:80]!r}",
            "Correct the files in configs, or install the bundle again",
        )


def _attempt(convert: Callable[[Any], T], value: Any, fallback: T) -> T:
    if value is None:
        return fallback
    try:
        return convert(value)
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError):
        return fallback


def _components(value: Any, depth: int = 0) -> Iterator[Mapping[str, Any]]:
    if depth > 8:
        return
    if isinstance(value, Mapping):
        if "_target_" in value:
            yield value
        for item in value.values():
            yield from _components(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            yield from _components(item, depth + 1)


def _number(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(value)
    return number


def _within(low: float, high: float, value: Any) -> float:
    number = _number(value)
    if not low <= number <= high:
        raise ValueError(value)
    return number


def _probability(value: Any) -> float:
    return _within(0.0, 1.0, value)


def _share(value: Any) -> float:
    return _within(0.0, 0.9, value)


def _not_negative(value: Any) -> float:
    return _within(0.0, math.inf, value)


def _optional_positive(value: Any) -> float | None:
    return _within(1e-6, 1e6, value)


def _spacing(value: Any) -> tuple[float, float, float]:
    x, y, z = (_within(0.01, 100.0, item) for item in value)
    return x, y, z


def _roi(value: Any) -> tuple[int, int, int]:
    x, y, z = (int(_within(8, MAX_ROI, item)) for item in value)
    return x, y, z


def _axcodes(value: Any) -> str:
    text = "".join(value).upper()
    families = ("RL", "AP", "SI")
    if sorted(next(i for i, f in enumerate(families) if c in f) for c in text) != [0, 1, 2]:
        raise ValueError(value)
    return text


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _mapping(value: Any) -> Mapping[str, Any] | None:
    if not isinstance(value, Mapping):
        raise TypeError(value)
    return value


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(_text(item) for item in value)


def _precisions(value: Any) -> tuple[str, ...]:
    found = _texts(value)
    if not set(found) <= set(REDUCED):
        raise ValueError(value)
    return found


def _quantised(value: Any) -> dict[str, str]:
    return {name: _text(value[name]) for name in QUANTISED}


def _modality(value: Any) -> Modality:
    known = {"CT": Modality.CT, "MR": Modality.MR, "MRI": Modality.MR, "PT": Modality.PT, "PET": Modality.PT}
    return known[_text(value).upper()]


def _activation(value: Any) -> str:
    if value not in ACTIVATIONS:
        raise ValueError(value)
    return str(value)


def _labels(value: Any) -> dict[int, str]:
    return {int(key): _text(item) for key, item in value.items()}


def _intensity(value: Any) -> Intensity:
    numbers = {key: _number(value[key]) for key in ("a_min", "a_max")}
    outer = {key: _number(value[key]) for key in ("b_min", "b_max") if value.get(key) is not None}
    if not numbers["a_min"] < numbers["a_max"]:
        raise ValueError(value)
    clip = bool(True if value.get("clip") is None else value["clip"])
    return Intensity(**numbers, **outer, clip=clip, z_score=bool(value.get("z_score", False)))


def _mark_score(value: Any) -> MarkScore | None:
    content = _mapping(value) or {}
    return MarkScore(
        level=_within(0.01, 0.99, content["level"]),
        min_voxels=int(_not_negative(content.get("min_voxels", 0))),
        air_below=_number(content["air_below"]),
        intercept=_number(content["intercept"]),
        weights={name: _number(content["weights"][name]) for name in MARK_FEATURES},
    )


def _points(value: Any) -> list[OperatingPoint]:
    return [
        OperatingPoint(
            name=_text(item["name"]),
            threshold=_probability(item["threshold"]),
            sensitivity=_attempt(_probability, item.get("sensitivity"), None),
            false_marks_per_scan=_attempt(_not_negative, item.get("false_marks_per_scan"), None),
            measured_on=str(item.get("measured_on", "")),
        )
        for item in value
    ]
