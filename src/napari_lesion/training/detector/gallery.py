"""Pictures for the card of a detector: the nodules it missed or outlined worst, and the false marks it was surest of.

``python -m napari_lesion.training.detector.gallery RUNS... --data FOLDER --bundle DIR`` takes the runs of the folds
and what `napari_lesion.training.detector.bundle` wrote of them. Each picture is by the run that held the patient out.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from napari_lesion.core.errors import InputError
from napari_lesion.evaluation.sheet import Tile, draw_sheet
from napari_lesion.evaluation.size_chart import Band, draw_size_chart
from napari_lesion.training.cases import list_cases
from napari_lesion.training.detector.bundle import FIGURES, GALLERY, write_card
from napari_lesion.training.detector.gallery_cases import Shown, show_nodule, show_other_marks
from napari_lesion.training.detector.look import FoldModel, fold_models
from napari_lesion.training.detector.searcher import configs_of
from napari_lesion.training.scoring import AGREED_READERS

PICTURE: Final = "gallery.jpg"
CHART: Final = "size_curve.png"
NODULES: Final = 10
OTHER_MARKS: Final = 6
QUALITY: Final = 85
LARGEST_BYTES: Final = 400_000

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Collection:
    """Data whose licence allows to hand its pictures on.

    Parameters
    ----------
    prefix
        How its patient numbers begin.
    title, licence, source
        Its name, its licence, and where it is.
    """

    prefix: str
    title: str
    licence: str
    source: str


COLLECTIONS: Final = (
    Collection("LIDC-IDRI-", "LIDC-IDRI", "CC BY 3.0", "doi:10.7937/K9/TCIA.2015.LO9QL9SX"),
    Collection("Lung_Dx-", "Lung-PET-CT-Dx", "CC BY 4.0", "doi:10.7937/TCIA.2020.NNC2-0461"),
)
"""Nothing else is shown: of the other scans the licence of the copies that were used is not confirmed."""


def collection_of(patient: str) -> Collection | None:
    """Collection of a patient whose pictures may be shown; None where they may not."""
    return next((one for one in COLLECTIONS if patient.startswith(one.prefix)), None)


def worst_nodules(figures: Mapping[str, Any], count: int = NODULES) -> list[dict[str, Any]]:
    """Nodules of three and more readers with the lowest Dice, missed ones first; in the order of the card's table."""
    agreed = [case for case in figures["cases"] if case["kind"] == "cube" and case["n_readers"] >= AGREED_READERS]
    worst = sorted(agreed, key=lambda case: float(case["dice"]))[:count]
    return [case for case in worst if collection_of(case["patient_id"])]


def collect(models: Mapping[int, FoldModel], data: Path, figures: Mapping[str, Any]) -> list[Shown]:
    """Everything that the gallery shows, in order: nodules by Dice, then other marks by probability."""
    cases = {case.name: case for case in list_cases(data)}
    shown = [
        show_nodule(models[row["fold"]], cases[row["name"]], row, figures["threshold"])
        for row in worst_nodules(figures)
    ]
    scans = [row for row in figures["cases"] if row["kind"] == "scan" and collection_of(row["patient_id"])]
    others = [
        mark
        for row in scans
        for mark in show_other_marks(models[row["fold"]], cases[row["name"]], figures["threshold"], OTHER_MARKS)
    ]
    return shown + sorted(others, key=lambda mark: -mark.probability_or_zero)[:OTHER_MARKS]


def write_gallery(folder: Path, shown: Sequence[Shown], figures: Mapping[str, Any]) -> None:
    """Write the picture, the curve by size and what the card says of them."""
    tiles = [Tile(one.picture, (f"{number}  {one.case}", one.words)) for number, one in enumerate(shown, 1)]
    draw_sheet(tiles).save(folder / PICTURE, quality=QUALITY, subsampling=0, optimize=True)
    write_size_chart(folder / CHART, figures)
    size = sum((folder / name).stat().st_size for name in (PICTURE, CHART))
    if size > LARGEST_BYTES:
        raise InputError("The gallery is too large for a bundle", f"{size} bytes of {LARGEST_BYTES}")
    used = [one for one in COLLECTIONS if any(one is collection_of(each.case) for each in shown)]
    scans = {row["name"]: row["patient_id"] for row in figures["cases"] if row["kind"] == "scan"}
    content = {
        "picture": PICTURE,
        "size_curve": CHART,
        "tiles": [one.record(number) for number, one in enumerate(shown, 1)],
        "collections": [asdict(one) for one in used],
        "not_shown": [name for name, patient in scans.items() if collection_of(patient) is None],
    }
    (folder / GALLERY).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def write_size_chart(path: Path, figures: Mapping[str, Any]) -> None:
    """Draw the nodules of three and more readers by size."""
    agreed = worst_nodules(figures, len(figures["cases"]))
    bands = [
        Band(row["from_mm"], row["to_mm"] or float("inf"), row["sensitivity"], interval["low"], interval["high"])
        for row in figures["by_size"]
        if (interval := row["sensitivity_interval"]) is not None
    ]
    image = draw_size_chart([(case["diameter_mm"], case["dice"]) for case in agreed], bands)
    image.save(path, optimize=True)


def main(
    runs: Annotated[list[Path], typer.Argument(help="Folders of the runs that held out one fold each.")],
    data: Annotated[Path, typer.Option(help="Folder with lidc_nodules, lidc_slices, chest_ct and tables.")],
    bundle: Annotated[Path, typer.Option(help="Bundle folder, with docs/figures.json of these runs.")],
) -> None:
    """Add the pictures to the card of BUNDLE."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("monai").setLevel(logging.ERROR)
    figures = json.loads((bundle / "docs" / FIGURES).read_text(encoding="utf-8"))
    shown = collect(fold_models(runs, figures), data, figures)
    write_gallery(bundle / "docs", shown, figures)
    write_card(bundle, configs_of(runs[0]))
    log.info("%d pictures in %s", len(shown), bundle / "docs" / PICTURE)


if __name__ == "__main__":
    typer.run(main)
