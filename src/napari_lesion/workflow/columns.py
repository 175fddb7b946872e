"""What a reader asks of a column: its group, and whether a flag of the row speaks of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache

from napari_lesion.core.table import Column
from napari_lesion.measure.rating import WHY_NOT
from napari_lesion.measure.registry import FEATURES
from napari_lesion.measure.spec import Family, Scale
from napari_lesion.measure.uncertainty import FLAGS

OTHER = "other"
"""Group of columns that the registry of measures does not know."""

INFORMATIVE = frozenset({"contrast_unknown", "modality_guessed", "not_hu", *WHY_NOT})
"""Flags that say something of the study or of a classifier, not of the measurements: named, without a mark."""

HIGHER_MOMENTS = ("density_skewness", "density_kurtosis", "density_entropy_bits")
AXES = (
    "long_axis_mm",
    "short_axis_mm",
    "mean_diameter_mm",
    "fleischner_diameter_mm",
    "lungrads_diameter_mm",
    "who_product_mm2",
    "solid_long_axis_mm",
    "solid_short_axis_mm",
    "solid_mean_diameter_mm",
)

_SHAPE = frozenset({Family.SHAPE, Family.BOUNDARY})
_EVERYTHING = frozenset({Family.SIZE, Family.SHAPE, Family.DENSITY, Family.BOUNDARY, Family.TEXTURE})
_DENSITY = frozenset({Family.DENSITY, Family.HISTOGRAM, Family.TEXTURE})
_OF_FAMILIES: dict[str, frozenset[Family]] = {
    "few_voxels": _SHAPE,
    "tiny": _SHAPE,
    "thin": _SHAPE,
    "anisotropic": frozenset({Family.SHAPE}),
    "cavity": frozenset({Family.SHAPE}),
    "touches_border": frozenset({Family.SIZE, Family.SHAPE}),
    "overlaps": _EVERYTHING,
    "hu_clipped": _DENSITY,
    "nonfinite": _DENSITY,
    "ring_small": frozenset({Family.BOUNDARY}),
}
_OF_COLUMNS: dict[str, tuple[str, ...]] = {
    "few_voxels": HIGHER_MOMENTS,
    "thick_slices": AXES,
    "multi_component": AXES,
    "oblique": AXES,
    "touches_border": AXES,
}


@cache
def _families() -> dict[str, Family]:
    return {spec.column_name(scale): spec.family for spec in FEATURES for scale in Scale}


@cache
def _meanings() -> dict[str, str]:
    return {flag.name: flag.meaning for flag in FLAGS}


def family_of(name: str) -> str:
    """Group of a column: a family of measures, or `OTHER`."""
    return str(_families().get(name, OTHER))


def by_family(columns: Iterable[Column]) -> dict[str, list[Column]]:
    """Columns by group, in the order of the families; each group in the order given."""
    groups: dict[str, list[Column]] = {str(family): [] for family in Family}
    for column in columns:
        groups.setdefault(family_of(column.name), []).append(column)
    return {name: members for name, members in groups.items() if members}


def flags_in(value: object) -> list[str]:
    """Flags of a row, from the value of its column ``flags``."""
    return [flag.strip() for flag in value.split(";") if flag.strip()] if isinstance(value, str) else []


def flag_words(flag: str) -> str:
    """Name and meaning of a flag, for people."""
    name = flag.replace("_", " ")
    meaning = _meanings().get(flag, "")
    if not meaning:
        return f"{name}."
    if not meaning[1:2].isupper():
        meaning = f"{meaning[:1].lower()}{meaning[1:]}"
    return f"{name[:1].upper()}{name[1:]}: {meaning}"


def flags_about(name: str, flags: Sequence[str]) -> list[str]:
    """Those of a row's flags that speak of this very column, informative ones left out."""
    family = _families().get(name)
    return [
        flag
        for flag in flags
        if flag not in INFORMATIVE
        and (family in _OF_FAMILIES.get(flag, frozenset()) or name in _OF_COLUMNS.get(flag, ()))
    ]


def is_unreliable(name: str, flags: Sequence[str]) -> bool:
    """Whether the lesion has too few voxels for this measure: it is shown, in grey."""
    return "few_voxels" in flags and bool(flags_about(name, ["few_voxels"]))
