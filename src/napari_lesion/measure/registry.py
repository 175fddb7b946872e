"""All measures, in the order of the table, and how some of them are chosen by name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from napari_lesion.core.errors import LesionError
from napari_lesion.measure.agreement import AGREEMENT
from napari_lesion.measure.boundary import BOUNDARY
from napari_lesion.measure.density import DENSITY
from napari_lesion.measure.enclosing import ENCLOSING_SHAPE, ENCLOSING_SIZE
from napari_lesion.measure.fractal import FRACTAL
from napari_lesion.measure.histogram import HISTOGRAM
from napari_lesion.measure.identity import IDENTITY
from napari_lesion.measure.manual import MANUAL
from napari_lesion.measure.pet import PET
from napari_lesion.measure.place import PLACE
from napari_lesion.measure.provenance import PROVENANCE
from napari_lesion.measure.shape import SHAPE
from napari_lesion.measure.size import SIZE
from napari_lesion.measure.spec import Family, FeatureSpec, Scale
from napari_lesion.measure.texture import TEXTURE, require_texture
from napari_lesion.measure.tissue import TISSUE
from napari_lesion.measure.uncertainty import UNCERTAINTY

CORE = "core"
ALL = "all"
ALWAYS = ("label", "status", "probability", "review", "lesion_id", "flags")
"""Columns of every table, whatever was asked for."""

FEATURES: tuple[FeatureSpec, ...] = (
    *IDENTITY,
    *PLACE,
    *PROVENANCE,
    *SIZE,
    *MANUAL,
    *ENCLOSING_SIZE,
    *SHAPE,
    *ENCLOSING_SHAPE,
    *FRACTAL,
    *DENSITY,
    *TISSUE,
    *PET,
    *BOUNDARY,
    *UNCERTAINTY,
    *AGREEMENT,
    *HISTOGRAM,
    *TEXTURE,
)


def select(features: str | Iterable[str] = CORE) -> tuple[FeatureSpec, ...]:
    """Choose measures by name.

    Parameters
    ----------
    features
        Words, separated by commas or given one by one: ``core`` (everything that is not optional), ``all`` (but not
        texture, which needs an extra and is asked for by name), a family (``identity``, ``size``, ``shape``,
        ``density``, ...; its optional measures too), or a column name.

    Returns
    -------
    tuple of FeatureSpec
        In the order of the table; label, status, probability, review, lesion_id and flags are always among them.

    Raises
    ------
    LesionError
        For a word that names nothing, or texture without the library that computes it.
    """
    text = features if isinstance(features, str) else ",".join(features)
    words = [word.strip() for word in text.split(",") if word.strip()]
    wanted = {spec for spec in FEATURES if spec.name in ALWAYS}.union(*(_named(word) for word in words))
    if any(spec.family is Family.TEXTURE for spec in wanted):
        require_texture()
    return tuple(spec for spec in FEATURES if spec in wanted)


def _named(word: str) -> set[FeatureSpec]:
    found = {
        spec
        for spec in FEATURES
        if word in (spec.family.value, spec.name, *(spec.column_name(scale) for scale in Scale))
        or (word == CORE and not spec.optional)
        or (word == ALL and spec.family is not Family.TEXTURE)
    }
    if not found:
        known = [CORE, ALL, *Family, *(spec.column_name(Scale.HU) for spec in FEATURES)]
        near = difflib.get_close_matches(word, known, n=1)
        raise LesionError(
            f"There is no measure called {word!r}",
            todo=f"Did you mean {near[0]}" if near else f"Groups are {CORE}, {ALL}, {', '.join(Family)}",
        )
    return found
