"""Rate the cubes on the masks that the detector finds, beside those of the readers.

``python -m napari_lesion.training.classifier.found_masks RUNS... --detector DIR --data DIR --run DIR --bundle DIR``

Each cube is searched by the detector's run that held its patient out, and rated by the models and the calibration of
the classifier that left the same fold out; the rating is that of the program, which sees no reader's outline.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import typer

from napari_lesion.core.errors import InputError
from napari_lesion.evaluation.bootstrap import bootstrap
from napari_lesion.evaluation.classification import auc_gain, balanced_accuracy
from napari_lesion.training.cases import Case, list_cases
from napari_lesion.training.classifier.card import FOUND_MASKS, write_card
from napari_lesion.training.classifier.check_cubes import judge_cubes
from napari_lesion.training.classifier.cross_validate import BOOSTED, ENSEMBLE, NETWORK, without_nan
from napari_lesion.training.classifier.cubes import load_cubes
from napari_lesion.training.classifier.judged import SIZES_MM, Judged, Truths, figures_of
from napari_lesion.training.classifier.recipe import Recipe
from napari_lesion.training.classifier.slices import NoduleSlice, load_slices
from napari_lesion.training.classifier.targets import TEXTURES
from napari_lesion.training.detector.bundle import FIGURES
from napari_lesion.training.detector.look import FoldModel, fold_models

BoolArray = npt.NDArray[np.bool_]

log = logging.getLogger(__name__)


def found_slice(cube: NoduleSlice, hu: npt.NDArray[np.int16], mask: BoolArray) -> NoduleSlice:
    """Slice of a nodule as the program cuts it from the mask of the detector.

    Parameters
    ----------
    cube
        The nodule with what its readers said and how large they drew it; groups of size go by the latter.
    hu, mask
        Image and mask of the whole cube, shape (x, y, z), axes to right, anterior and superior.
    """
    z = int(mask.sum(axis=(0, 1)).argmax())
    # Rows run to posterior and columns to left, as in the slices of the training.
    turned = (slice(None, None, -1), slice(None, None, -1), z)
    marked = np.ascontiguousarray(mask[turned].T)
    return replace(cube, image=np.ascontiguousarray(hu[turned].T), masks=np.stack([marked] * cube.n_readers))


def find_slice(model: FoldModel, case: Case, cube: NoduleSlice, threshold: float) -> NoduleSlice | None:
    """Search one cube; None when its nodule is missed."""
    import nibabel

    look = model.look(case)
    mask = look.mask(look.on_the_nodule(threshold))
    if not mask.any():
        return None
    image = nibabel.as_closest_canonical(nibabel.load(str(case.image)))
    hu = np.asarray(image.dataobj).astype(np.int16)
    if hu.shape != mask.shape:
        raise InputError(f"{case.name} cannot be rated", f"its image of {hu.shape} voxels is not one of 1 mm")
    return found_slice(cube, hu, mask)


def find_slices(
    models: Mapping[int, FoldModel], cases: Mapping[str, Case], cubes: Sequence[NoduleSlice], threshold: float
) -> tuple[list[NoduleSlice], list[NoduleSlice]]:
    """Cubes whose nodule the detector finds, on the masks of the readers and on those of the detector."""
    readers, found = [], []
    for number, cube in enumerate(cubes, 1):
        slice_ = find_slice(models[cube.fold], cases[cube.name], cube, threshold)
        if slice_ is not None:
            readers.append(cube)
            found.append(slice_)
        if number % 20 == 0:
            log.info("searched %d of %d", number, len(cubes))
    return readers, found


def losses(readers: Judged, found: Judged, truths: Truths) -> dict[str, Any]:
    """What the masks of the detector change against those of the readers, nodules of three and four readers."""
    decided = truths.agreed & ~np.isnan(truths.suspicious)
    changes = {}
    for size, (low, high) in SIZES_MM.items():
        known = decided & (truths.diameter_mm >= low) & (truths.diameter_mm <= high)
        pair = found.ranked[known], readers.ranked[known]
        changes[size] = asdict(bootstrap(auc_gain, truths.patients[known].tolist(), truths.suspicious[known], *pair))
    known = truths.agreed & (truths.texture >= 0)
    guesses = [judged.texture[known].argmax(axis=1) for judged in (found, readers)]

    def better(truth: npt.NDArray[np.int64], one: npt.NDArray[np.int64], other: npt.NDArray[np.int64]) -> float:
        return float(balanced_accuracy(truth, one, len(TEXTURES)) - balanced_accuracy(truth, other, len(TEXTURES)))

    texture = bootstrap(better, truths.patients[known].tolist(), truths.texture[known], *guesses)
    return {"auc": changes, "texture_balanced_accuracy": asdict(texture)}


def compare(
    readers: Sequence[NoduleSlice], found: Sequence[NoduleSlice], slices: Sequence[NoduleSlice], run: Path
) -> dict[str, Any]:
    """Figures of every model on the same nodules, with both kinds of masks."""
    truths = Truths.of(readers)
    models = {}
    for name in (BOOSTED, NETWORK, ENSEMBLE):
        judged = {"readers": judge_cubes(name, readers, slices, run), "found": judge_cubes(name, found, slices, run)}
        figures = {kind: figures_of(one, truths) for kind, one in judged.items()}
        for each in figures.values():
            # The cubes saturate at 400 HU.
            del each["calcified"]
        models[name] = {**figures, "change": losses(judged["readers"], judged["found"], truths)}
    return models


def main(
    runs: Annotated[list[Path], typer.Argument(help="Runs of the detector that held out one fold each.")],
    detector: Annotated[Path, typer.Option(help="Bundle of the detector, with docs/figures.json of these runs.")],
    data: Annotated[Path, typer.Option(help="Folder with lidc_slices, lidc_nodules, chest_ct and tables.")],
    run: Annotated[Path, typer.Option(help="Folder of the cross-validation of the classifier.")],
    bundle: Annotated[Path, typer.Option(help="Bundle of the classifier; its card is written again.")],
) -> None:
    """Add to the card of BUNDLE what it reaches on masks of the detector; calcification is left out."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("monai").setLevel(logging.ERROR)
    measured = json.loads((detector / "docs" / FIGURES).read_text(encoding="utf-8"))
    cubes, slices = load_cubes(data), load_slices(data)
    cases = {case.name: case for case in list_cases(data)}
    threshold = float(measured["threshold"])
    readers, found = find_slices(fold_models(runs, measured), cases, cubes, threshold)
    content = {
        "cubes": len(cubes),
        "found": len(found),
        "missed": sorted({cube.name for cube in cubes} - {cube.name for cube in found}),
        "agreed": sum(cube.agreed for cube in readers),
        "threshold": threshold,
        "detector_dice": measured["dice"]["value"],
        "models": compare(readers, found, slices, run),
    }
    path = bundle / "docs" / f"{FOUND_MASKS}.json"
    path.write_text(json.dumps(without_nan(content), indent=1) + "\n", encoding="utf-8")
    write_card(bundle, Recipe())
    log.info("%d of %d cubes found", len(found), len(cubes))
    for name, figures in content["models"].items():
        log.info("%s: %s", name, figures["change"])


if __name__ == "__main__":
    typer.run(main)
