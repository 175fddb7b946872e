"""Dice of the masks of body, lungs and brain, against phantoms and against the brain masks of real images.

    python benchmarks/masks.py [--data FOLDER] [--json FILE]

FOLDER holds ``other/ms_longitudinal_*`` (FLAIR of whole heads) and ``brain_flair`` (stripped before),
see docs/data.md.
The masks there were derived by threshold and morphology too: they are a reference, not the truth.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_lesion.core.errors import LesionError
from napari_lesion.core.volume import Modality, Volume
from napari_lesion.io.read import read_volume
from napari_lesion.phantom.anatomy import make_anatomy
from napari_lesion.phantom.chest import make_chest
from napari_lesion.phantom.space import Canvas
from napari_lesion.preprocess.chain import Chain, prepare

BoolArray = npt.NDArray[np.bool_]


def mask(volume: Volume, step: str) -> BoolArray:
    """Mask of one step."""
    return prepare(volume, Chain.parse([step])).array > 0


def dice(one: BoolArray, other: BoolArray) -> float:
    """Dice coefficient."""
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


def phantom_rows() -> Iterator[tuple[str, float]]:
    """The synthetic chest, whose skin and pleura are known."""
    chest = make_chest()
    canvas = Canvas(chest.volume.grid, -1000.0)
    skin = canvas.fine(make_anatomy(canvas.coarse).skin) < 0
    yield "body, synthetic chest", dice(mask(chest.volume, "body:as_mask=yes"), skin)
    closed = mask(chest.volume, "lungs:as_mask=yes")
    yield "lungs, synthetic chest", dice(closed, chest.lungs)
    yield "lungs, share of the true lung that is kept", float(closed[chest.lungs].mean())
    yield "lungs (tight), synthetic chest", dice(mask(chest.volume, "lungs:as_mask=yes,tight=yes"), chest.lungs)


def brain_rows(data: Path) -> Iterator[tuple[str, float]]:
    """Real MR: heads, then brains that were stripped before; NaN where no brain was found."""
    heads = sorted((data / "other").glob("ms_longitudinal_*/flair_*.nii.gz"))
    stripped = [
        path for name in ("flair", "t1", "t2") for path in sorted((data / "brain_flair").glob(f"*/{name}.nii.gz"))
    ]
    for path in (*heads, *stripped):
        volume = read_volume(path, modality=Modality.MR)
        truth = read_volume(path.parent / "brain_mask.nii.gz").array > 0
        try:
            found = dice(mask(volume, "brain:as_mask=yes"), truth)
        except LesionError:
            found = float("nan")
        yield f"brain, {path.parent.name}/{path.name.partition('.')[0]}", found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    rows: dict[str, Any] = {}
    for name, value in (*phantom_rows(), *(brain_rows(chosen.data) if chosen.data else ())):
        rows[name] = round(value, 3)
        print(f"{name:50s} {value:.3f}", flush=True)
    if chosen.json:
        chosen.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
