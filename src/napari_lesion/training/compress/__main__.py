"""``python -m napari_lesion.training.compress``: make a network smaller or faster, and measure what that costs."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from napari_lesion.inference.backends.precision import processor_has_bf16
from napari_lesion.inference.settings import BF16, INT8
from napari_lesion.models.bundle import BundleInfo
from napari_lesion.models.metadata import read_bundle
from napari_lesion.training.compress.measure import Variant, measure, worth
from napari_lesion.training.compress.prune import prune, write_pruned
from napari_lesion.training.compress.quantise import copied, quantise, state, write_quantised
from napari_lesion.training.compress.search import training_cases, windows_of
from napari_lesion.training.config import Intensity
from napari_lesion.training.evaluate import held_out_scenes
from napari_lesion.training.scenes import load_scenes

log = logging.getLogger(__name__)
app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)

Data = Annotated[Path, typer.Option(help="Folder with lidc_nodules, lidc_slices, chest_ct and tables.")]
Bundle = Annotated[Path, typer.Option(help="Bundle folder.")]
Out = Annotated[Path, typer.Option(help="Bundle folder to write.")]
Fold = Annotated[int, typer.Option(help="Fold whose cases are left out of calibration, and measured on.")]
Cache = Annotated[Path | None, typer.Option(help="Folder of prepared cases.")]


@app.command("quantise")
def quantise_command(
    data: Data,
    bundle: Bundle,
    out: Out,
    windows: Annotated[int, typer.Option(help="Windows to calibrate on.")] = 64,
    fold: Fold = 0,
    cache: Cache = None,
) -> None:
    """Copy BUNDLE to OUT and put an INT8 network in, calibrated on windows of training patients."""
    info, window = read_bundle(bundle), Intensity()
    scenes = load_scenes(training_cases(data, info, fold), window, cache)
    model = quantise(info, windows_of(scenes, info, windows))
    write_quantised(model, copied(bundle, out))


@app.command("prune")
def prune_command(
    bundle: Bundle,
    out: Out,
    share: Annotated[float, typer.Option(help="Channels to take out of each level.", min=0.01, max=0.9)] = 0.25,
) -> None:
    """Copy BUNDLE to OUT with fewer channels; it has to be trained further before it is of use."""
    network, weights = prune(read_bundle(bundle), share)
    write_pruned(copied(bundle, out), network, weights)


@app.command("measure")
def measure_command(
    data: Data,
    bundle: Annotated[list[Path], typer.Option(help="Bundle folder; the first is what others are compared with.")],
    out: Annotated[Path, typer.Option(help="JSON file to write.")],
    say: Annotated[bool, typer.Option(help="State in the first bundle which precisions lose nothing.")] = False,
    fold: Fold = 0,
    cache: Cache = None,
) -> None:
    """Measure bundles in every precision on the fold that was held out."""
    infos = [read_bundle(path) for path in bundle]
    scenes = held_out_scenes(data, fold, Intensity(), cache)
    variants = [variant for info in infos for variant in _variants(info)]
    rows = measure(variants, scenes)
    kept = worth(rows)
    table = [{**asdict(row), "worth": good} for row, good in zip(rows, kept, strict=True)]
    out.write_text(json.dumps({"fold": fold, "rows": table}, indent=1) + "\n", encoding="utf-8")
    for line in table:
        log.info("%s", line)
    if say:
        found = [(row.cpu_ms, v) for row, good, v in zip(rows, kept, variants, strict=True) if good]
        _state(infos[0], [v.precision for _, v in sorted(found, key=lambda pair: pair[0]) if v.bundle is infos[0]])


def _variants(info: BundleInfo) -> list[Variant]:
    """A bundle in every precision that it and this machine have."""
    reduced = [BF16] if processor_has_bf16() else []
    stages = [info, *([info.refinement.bundle] if info.refinement else [])]
    int8 = [INT8] if all(stage.quantised for stage in stages) else []
    return [Variant(info), *(Variant(info, precision) for precision in [*reduced, *int8])]


def _state(info: BundleInfo, precisions: list[str]) -> None:
    for stage in [info, *([info.refinement.bundle] if info.refinement else [])]:
        state(stage.path, {"precisions": precisions})


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("monai").setLevel(logging.ERROR)
    app()
