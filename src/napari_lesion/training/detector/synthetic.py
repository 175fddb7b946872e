"""Synthetic chests of `napari_lesion.phantom` as further background: every structure in them is known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from napari_lesion.io.images import write_image
from napari_lesion.phantom.chest import ChestSpec, make_chest
from napari_lesion.training.cases import Case
from napari_lesion.training.config import Intensity
from napari_lesion.training.scenes import Scene, load_scenes


def synthetic_scenes(seeds: Sequence[int], intensity: Intensity, folder: Path) -> list[Scene]:
    """Scans of nobody, which belong to no fold; their nodules are lesions, all else is background.

    Parameters
    ----------
    seeds
        One for each study.
    intensity
        HU window.
    folder
        Where studies and prepared scenes are kept; what is there already is not made again.
    """
    return load_scenes([_case(seed, folder) for seed in seeds], intensity, folder)


def _case(seed: int, folder: Path) -> Case:
    name = f"synthetic-{seed}"
    image, mask = folder / f"{name}.nii.gz", folder / f"{name}_mask.nii.gz"
    if not (image.is_file() and mask.is_file()):
        folder.mkdir(parents=True, exist_ok=True)
        chest = make_chest(ChestSpec(seed=seed))
        write_image(mask, chest.truth, compress=True)
        write_image(image, chest.volume, compress=True)
    return Case(name=name, patient_id=name, kind="scan", image=image, mask=mask, lesion_from=1)
