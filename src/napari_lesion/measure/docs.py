"""The page of measures, written from the registry: ``python -m napari_lesion.measure.docs > docs/measures.md``."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from napari_lesion.measure.registry import FEATURES
from napari_lesion.measure.spec import Family, FeatureSpec, Scale
from napari_lesion.measure.uncertainty import FLAGS

INTRODUCTION = """# Measures

<!-- Written by `python -m napari_lesion.measure.docs > docs/measures.md`; edit the registry, not this page. -->

One row a lesion, one column a measure. Every column of `lesions.csv`, every tool tip of the table and this page come
from one registry (`napari_lesion.measure.registry.FEATURES`). Research use only.

## Conventions

- Arrays are (z, y, x); positions are LPS millimetres at voxel centres, with the direction cosines of the image.
- A lesion is the set of voxels of one label; 26-connected in three dimensions, 8-connected in a slice.
- An axial slice lies across the array axis that is nearest to the patient's head-foot direction.
- Computation is in double precision; nothing is rounded on the way. A file holds six significant digits.
- A value that is undefined is empty (NaN in memory), never 0; `flags` says why.
- Voxels that are not finite count for the geometry and are left out of the density.
- Moments are population moments, kurtosis is excess kurtosis, percentiles interpolate linearly (type 7).
- The covariance behind the PCA axes divides by N - 1, which the reference values of IBSI need.
- Mesh: marching cubes at 0.5 on the mask, not smoothed; two voxels that touch by an edge or a corner only stay apart.
- Names end in `_hu` on CT, `_suv` on PET in SUV, `_au` elsewhere. On CT they are written as below; measures that need
  HU have no column elsewhere.
- Optional measures (marked *opt*) are computed when asked for: `--features all`, a family, or the name of a column.
- Texture is computed by MIRP and only when asked for by name (`--features texture`), not by `all`. It needs
  `pip install "napari-lesion[radiomics]"` (2 GB; MIRP is under EUPL-1.2). On the phantom of IBSI all 95 values agree.
- Side and distance to the pleura come from the lungs that the detection found, or from `--organ`; the lobe from
  `--lobes`. Without a trusted mask they are empty.
"""

DIFFERENCES = (
    (
        "long axis",
        "ITK Feret: largest distance of voxel centres, in 3-D. PyRadiomics: of mesh vertices",
        "largest distance of segment midpoints of the outline, in one axial slice",
    ),
    ("mesh diameters", "PyRadiomics: the same", "`max_3d_diameter_mm`, `max_2d_diameter_mesh_mm`"),
    ("PCA axes", "PyRadiomics: covariance divided by N", "divided by N - 1"),
    ("elongation, flatness", "ITK: ratios above 1 of other pairs of eigenvalues", "IBSI, between 0 and 1"),
    ("surface area", "ITK: Cauchy-Crofton. IBSI, PyRadiomics: mesh", "both"),
    (
        "mesh where voxels touch by an edge only",
        "tables of marching cubes differ",
        "scikit-image's Lorensen table; beside PyRadiomics 6e-4 in volume and 2e-3 in area on its case brain1",
    ),
    ("kurtosis", "PyRadiomics: 3 more", "excess kurtosis"),
    ("energy", "PyRadiomics: of values with a shift, where one is set", "of raw values"),
    (
        "area of the enclosing ellipsoid",
        "IBSI: a series with the eccentricities of b and of c against a",
        "the same, although it is not the area: 3.7 % below it on the IBSI phantom",
    ),
    (
        "ties between axes",
        "not stated",
        "larger slice, then longer short axis, then narrower outline, then lower slice: lengths survive a flip",
    ),
)

MODALITIES = {Scale.HU: "CT", Scale.AU: "MR", Scale.SUV: "PET"}


def page() -> str:
    """The whole page, Markdown."""
    return "\n".join([INTRODUCTION, *_sections(), _flags(), _differences()])


def _sections() -> Iterator[str]:
    for family in Family:
        specs = [spec for spec in FEATURES if spec.family is family]
        if not specs:
            continue
        rows = [_row(spec) for spec in specs]
        head = "| column | definition | unit (UCUM) | reference, code |\n|---|---|---|---|"
        yield f"## {family.value.capitalize()}\n\n{head}\n" + "\n".join(rows) + "\n"


def _row(spec: FeatureSpec) -> str:
    column = spec.column(spec.scales[0] if spec.scales else Scale.HU)
    unit = f"{column.unit} (`{column.ucum}`)" if column.unit else (f"`{column.ucum}`" if column.ucum else "text")
    sources = "; ".join(part for part in (column.reference, column.code) if part) or "this project"
    notes = [" *opt*"] if spec.optional else []
    notes += [f" *{', '.join(MODALITIES[scale] for scale in spec.scales)}*"] if spec.scales else []
    notes += [" *experimental*"] if spec.experimental else []
    definition = f"{column.definition} ± `{column.error}`." if column.error else column.definition
    cells = (f"`{column.name}`{''.join(notes)}", definition, unit, sources)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _flags() -> str:
    rows = [f"| `{flag.name}` | {flag.meaning} |" for flag in FLAGS]
    return "## Flags\n\n| flag | condition |\n|---|---|\n" + "\n".join(rows) + "\n"


def _differences() -> str:
    rows = ["| " + " | ".join(row) + " |" for row in DIFFERENCES]
    head = "| measure | there | here |\n|---|---|---|"
    return f"## Where other tools differ\n\n{head}\n" + "\n".join(rows) + "\n"


if __name__ == "__main__":
    sys.stdout.write(page())
