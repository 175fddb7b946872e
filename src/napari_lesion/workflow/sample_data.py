"""The sample studies: what they are, where they come from, and their true masks.

The synthetic chest is made on first use and kept in the user's cache folder (``NAPARI_LESION_CACHE_DIR``
names another one); the real part of LIDC-IDRI-0314 ships with the package.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType

from napari_lesion.core.errors import LesionError
from napari_lesion.core.jobs import JobContext
from napari_lesion.core.volume import LabelMap, Modality, Volume

CACHE_VARIABLE = "NAPARI_LESION_CACHE_DIR"
SYNTHETIC, REAL = "synthetic_chest", "lidc_0314_part"


@dataclass(frozen=True)
class Sample:
    """One sample study.

    Parameters
    ----------
    name
        Stable name; also the name of its case.
    title
        Words for a menu.
    description
        One or two sentences.
    attribution
        Whom to name, and the licence.
    """

    name: str
    title: str
    description: str
    attribution: str


SAMPLES: Mapping[str, Sample] = MappingProxyType(
    {
        REAL: Sample(
            REAL,
            "Chest CT, part of LIDC-IDRI-0314",
            "The right lung of a real chest CT, 200 x 200 x 120 voxels, with a nodule of about 15 mm that four "
            "radiologists outlined.",
            "Part of LIDC-IDRI (Armato et al. 2011, doi:10.7937/K9/TCIA.2015.LO9QL9SX), The Cancer Imaging "
            "Archive, CC BY 3.0; cropped.",
        ),
        SYNTHETIC: Sample(
            SYNTHETIC,
            "Synthetic chest CT",
            "A chest CT made by computation, with ten nodules of known place, size and density: solid, "
            "part-solid, ground-glass, calcified, beside a vessel and against the chest wall.",
            "Made by napari-lesion (BSD-3-Clause); no patient.",
        ),
    }
)


def load_sample(name: str, ctx: JobContext | None = None) -> Volume:
    """Image of a sample; the synthetic one is made when the cache does not hold it.

    Raises
    ------
    KeyError
        When there is no sample of this name.
    JobCancelled
        When the user cancels.
    """
    sample = SAMPLES[name]
    ctx = ctx or JobContext()
    volume = _read(_shipped(f"{REAL}.nii.gz"), ctx) if name == REAL else _synthetic(ctx)[0]
    source = replace(
        volume.source,
        case=sample.name,
        description=sample.title,
        modality_stated=True,
        notes=(sample.attribution,),
    )
    return Volume(volume.array, volume.grid, Modality.CT, source)


def sample_truth(name: str, ctx: JobContext | None = None) -> LabelMap:
    """True mask of a sample: known by construction, or the voxels that two of four readers outlined.

    Raises
    ------
    KeyError
        When there is no sample of this name.
    JobCancelled
        When the user cancels.
    """
    sample = SAMPLES[name]
    if sample.name == REAL:
        return _read_labels(_shipped(f"{REAL}_mask.nii.gz"))
    return _synthetic(ctx or JobContext())[1]


def cache_folder() -> Path:
    """Folder of everything that can be made again."""
    import platformdirs

    named = os.environ.get(CACHE_VARIABLE, "")
    return Path(named) if named else Path(platformdirs.user_cache_dir("napari-lesion"))


def _synthetic(ctx: JobContext) -> tuple[Volume, LabelMap]:
    """Image and truth from the cache; made, and kept if that is possible, when they are not there or damaged."""
    from napari_lesion.io.images import write_image
    from napari_lesion.phantom.chest import VERSION, ChestSpec, make_chest

    spec = ChestSpec()
    stem = f"{SYNTHETIC}-v{VERSION}-seed{spec.seed}"
    image, mask = (cache_folder() / f"{stem}{ending}.mha" for ending in ("", "-truth"))
    if image.is_file() and mask.is_file():
        with suppress(LesionError):
            volume, truth = _read(image, ctx), _read_labels(mask)
            if volume.grid.agrees_with(spec.grid) and truth.grid.agrees_with(spec.grid):
                return volume, truth
    chest = make_chest(spec, ctx)
    volume = chest.volume
    with suppress(LesionError, OSError):
        image.parent.mkdir(parents=True, exist_ok=True)
        write_image(mask, chest.truth, compress=True)
        write_image(image, volume)
        volume = replace(volume, source=replace(volume.source, path=image, files=(image,)))
    return volume, chest.truth


def _read(path: Path, ctx: JobContext) -> Volume:
    from napari_lesion.io.read import read_volume

    return read_volume(path, modality=Modality.CT, ctx=ctx)


def _read_labels(path: Path) -> LabelMap:
    from napari_lesion.io.masks import read_labels

    return read_labels(path)


def _shipped(file_name: str) -> Path:
    return Path(str(files("napari_lesion"))) / "resources" / "sample" / file_name
