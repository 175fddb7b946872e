"""Nodule slices with known answers, made by the tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_lesion.inference.rating.crops import CropSpec
from napari_lesion.training.classifier.recipe import Recipe
from napari_lesion.training.classifier.slices import RATINGS, NoduleSlice
from napari_lesion.training.folds import load_folds

TINY = Recipe(
    name="tiny", planes=(4, 4, 8, 8), crop=CropSpec(size=16, pixel_mm=1.0), epochs=6, batch_size=8, learning_rate=1e-2
)


def disc(shape: int, centre: tuple[float, float], radius: float) -> np.ndarray:
    """Pixels within ``radius`` of the centre (y, x)."""
    y, x = np.indices((shape, shape))
    return np.asarray((y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2)


def nodule(
    number: int, fold: int, radius: float = 5.0, hu: int = 0, malignancy: int = 3, patient: str = ""
) -> NoduleSlice:
    """A disc in lung that two readers outline alike and a third a pixel wider."""
    image = np.full((31, 31), -850, dtype=np.int16)
    masks = np.stack([disc(31, (15, 15), r) for r in (radius, radius, radius + 1)])
    image[masks[0]] = hu
    votes = dict.fromkeys(RATINGS, (malignancy,) * 3)
    votes["calcification"] = (3, 3, 3) if hu > 200 else (6, 6, 6)
    votes["texture"] = (1, 1, 1) if hu < -500 else (3, 3, 3) if hu < -200 else (5, 5, 5)
    return NoduleSlice(
        name=str(number),
        patient_id=patient or load_folds().patients[fold][number],
        fold=fold,
        image=image,
        masks=masks,
        spacing_mm=0.7,
        thickness_mm=1.0,
        n_readers=3,
        diameter_mm=2 * radius * 0.7,
        ratings=votes,
    )


def collection(count: int = 60) -> list[NoduleSlice]:
    """Nodules whose rating follows their size, and whose texture and calcification follow their density."""
    random = np.random.default_rng(11)
    made = []
    for number in range(count):
        radius = float(random.uniform(3, 9))
        hu = int(random.choice([-600, -300, 0, 400]))
        malignancy = int(np.clip(round(radius / 2 + random.normal(0, 0.3)), 1, 5))
        made.append(nodule(number // 5, number % 5, radius, hu, malignancy))
    return made


def write_slices(folder: Path, nodules: list[NoduleSlice]) -> Path:
    """Write nodules in the layout of ``lidc_slices``; gives the data folder."""
    import csv

    target = folder / "lidc_slices"
    target.mkdir(parents=True)
    readers = np.stack([sum(mask.astype(np.uint8) << k for k, mask in enumerate(n.masks)) for n in nodules])
    image = np.stack([n.image for n in nodules])
    np.savez(target / "slices_0.npz", image=image, readers=readers, index=np.arange(len(nodules)))
    rows = [
        {
            "nodule_id": n.name,
            "patient_id": n.patient_id,
            "pixel_spacing_mm": n.spacing_mm,
            "slice_thickness_mm": n.thickness_mm,
            "n_readers": n.n_readers,
            "diameter_mm": n.diameter_mm,
            "shard": 0,
            "row": row,
            **{name: ";".join(map(str, n.ratings[name])) for name in RATINGS},
        }
        for row, n in enumerate(nodules)
    ]
    with (target / "slices.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return folder
