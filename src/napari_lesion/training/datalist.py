"""Write the LIDC cubes as a datalist with their folds: consensus masks, and masks of what nobody can be sure of.

``python -m napari_lesion.training.datalist --data FOLDER --out DIR`` makes what `napari-lesion evaluate` and
`napari-lesion train` take.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from napari_lesion.core.volume import LabelMap
from napari_lesion.io.atomic import write_text
from napari_lesion.io.masks import write_labels
from napari_lesion.io.read import read_volume
from napari_lesion.training.cases import Case, list_cases
from napari_lesion.training.folds import load_folds
from napari_lesion.training.scenes import IGNORE, LESION, label_voxels
from napari_lesion.training.scoring import AGREED_READERS

DATALIST = "datalist.json"


def cube_entry(case: Case, fold: int, out: Path) -> dict[str, object]:
    """Entry of one cube; its two masks are written below ``out``."""
    volume = read_volume(case.image)
    readers = read_volume(case.mask or case.image).array.astype(np.float32)
    label = label_voxels(case, readers.transpose(2, 1, 0), volume.grid.affine_ras).transpose(2, 1, 0)
    entry: dict[str, object] = {
        "name": case.name,
        "image": os.path.relpath(case.image, out),
        "patient": case.patient_id,
        "fold": fold,
        "n_readers": case.n_readers,
    }
    for key, value in (("label", LESION), ("ignore", IGNORE)):
        mask = np.asarray(label == value, dtype=np.uint8)
        if key == "label" or mask.any():
            path = out / key / f"{case.name}.nii.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_labels(path, LabelMap(mask, volume.grid), volume.source)
            entry[key] = os.path.relpath(path, out)
    return entry


def main(
    data: Annotated[Path, typer.Option(help="Folder with lidc_nodules, lidc_slices, chest_ct and tables.")],
    out: Annotated[Path, typer.Option(help="Folder for the datalist and the masks.")],
    readers: Annotated[int, typer.Option(help="Nodules of fewer readers are left out.", min=2)] = AGREED_READERS,
) -> None:
    """Write OUT/datalist.json: every cube with its consensus of at least half of the readers, and its fold."""
    out = out.resolve()
    fold_of = load_folds().fold_of
    cases = [case for case in list_cases(data.resolve()) if case.kind == "cube" and case.n_readers >= readers]
    entries = [cube_entry(case, fold_of[case.patient_id], out) for case in cases]
    write_text(out / DATALIST, json.dumps({"training": entries}, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
