"""Write a trained segmenter as a MONAI bundle, with everything that made it beside the weights."""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from napari_lesion import __version__
from napari_lesion.core.errors import OutputError
from napari_lesion.io.atomic import output_error, write_text
from napari_lesion.io.records import to_plain
from napari_lesion.models.bundle import Refinement
from napari_lesion.models.metadata import STAGES
from napari_lesion.models.safety import require_name
from napari_lesion.models.training_data import TRAINING_DATA
from napari_lesion.training.bundle import (
    NetworkGrid,
    as_z_scores,
    half_precision,
    inference_config,
    package_versions,
    patch_format,
    write_configs,
    write_weights,
)
from napari_lesion.training.segmenter.checking import Standing
from napari_lesion.training.segmenter.config import SegmenterConfig
from napari_lesion.training.segmenter.journal import LOG
from napari_lesion.training.segmenter.prepare import PreparedCase, data_sha256
from napari_lesion.training.segmenter.split import Split

if TYPE_CHECKING:
    import torch

TRAINING: Final = "docs/training"
"""Folder of a bundle with configuration, split, log and record of its training."""
TEMPLATE: Final = "segmenter_card.md.j2"
LIBRARIES: Final = ("torch", "monai", "numpy", "nibabel", "SimpleITK")


@dataclass(frozen=True, eq=False)
class Trained:
    """What a training made.

    Parameters
    ----------
    config, split
        Configuration, and which cases were on which side.
    train, held_out
        Prepared cases.
    weights
        Best weights.
    steps
        Steps that were done.
    standings
        How good the weights are on the held-out cases, by threshold.
    started_from
        Identity of the bundle that the weights were taken from; empty for none.
    earlier_patients
        Patients that this bundle had been trained on.
    refinement
        Its second stage, which goes with the new first stage.
    """

    config: SegmenterConfig
    split: Split
    train: Sequence[PreparedCase]
    held_out: Sequence[PreparedCase]
    weights: dict[str, torch.Tensor]
    steps: int
    standings: Sequence[Standing]
    started_from: str = ""
    earlier_patients: Sequence[str] = ()
    refinement: Refinement | None = None

    @property
    def chosen(self) -> Standing:
        """The threshold of the configuration, or that of the largest Dice."""
        wanted = self.config.threshold
        stated = (standing for standing in self.standings if standing.threshold == wanted)
        return next(stated, max(self.standings, key=lambda standing: standing.dice))

    @property
    def patients(self) -> list[str]:
        """Patients that were trained on, also by the bundle that it started from."""
        return sorted({*self.earlier_patients, *(case.patient for case in self.split.train if case.patient)})


def write_segmenter(folder: Path, trained: Trained, run: Path) -> None:
    """Write a whole bundle: in a folder beside, then renamed, so that none is ever half there.

    Parameters
    ----------
    folder
        The bundle; its name is that of the model. One that is there is replaced.
    trained
        What was made.
    run
        Folder of the run, with its log.

    Raises
    ------
    ModelError
        When the name cannot be that of a model.
    OutputError
        When the bundle cannot be written.
    """
    require_name(folder.name)
    new = folder.with_name(f".{folder.name}.new")
    old = folder.with_name(f".{folder.name}.old")
    try:
        for path in (new, old):
            shutil.rmtree(path, ignore_errors=True)
        _write(new, folder.name, trained, run)
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise output_error(folder, error) from error
    except OutputError:
        shutil.rmtree(new, ignore_errors=True)
        raise


def _write(folder: Path, name: str, trained: Trained, run: Path) -> None:
    config = trained.config
    (folder / TRAINING).mkdir(parents=True)
    grid = NetworkGrid(config.spacing_mm, config.axcodes, config.overlap)
    inference = inference_config(config.network_def, config.intensity, config.roi_size, grid)
    if config.intensity.z_score:
        inference = as_z_scores(inference)
    stated = metadata(trained)
    write_configs(folder, inference, stated)
    write_weights(folder, half_precision(trained.weights))
    record = _record(trained)
    for file, content in (("config", asdict(config)), ("split", _split(trained)), ("record", record)):
        _write_json(folder / TRAINING / f"{file}.json", content)
    shutil.copy(run / LOG, folder / TRAINING / LOG)
    if trained.refinement:
        second = trained.refinement.bundle
        shutil.copytree(second.path, folder / STAGES / second.name)
    _write_json(folder / TRAINING_DATA, _training_data(trained))
    _write_card(folder, name, trained, stated, record)


def _write_json(path: Path, content: Any) -> None:
    write_text(path, json.dumps(to_plain(content), indent=1) + "\n")


def metadata(trained: Trained) -> dict[str, Any]:
    """Content of ``configs/metadata.json``, with what napari-lesion needs under its own key."""
    config, chosen = trained.config, trained.chosen
    second = trained.refinement
    image = {"format": "hounsfield" if config.modality == "CT" else "magnitude", "modality": config.modality}
    output = {"format": "segmentation", "value_range": [0, 1]}
    return {
        **package_versions(),
        "version": "0.1.0",
        "changelog": {"0.1.0": "trained by napari-lesion train"},
        "name": config.title,
        "task": f"Segmentation of {config.lesion} in {config.modality}",
        "description": config.description or f"Marks {config.lesion} in {config.modality}; trained by a user.",
        "authors": "the user of napari-lesion who trained it",
        "copyright": "as the user says",
        "data_source": "the user's datalist; hashes in docs/training_data.json",
        "data_type": "nibabel",
        "image_classes": "one channel, values clipped to the window and scaled to 0..1",
        "label_classes": f"1 is {config.lesion}, 0 everything else",
        "pred_classes": f"one channel, probability of {config.lesion}",
        "eval_metrics": {"mean_dice": round(chosen.dice, 4), "sensitivity": round(chosen.sensitivity, 4)},
        "intended_use": "Research only; not a medical device, not for diagnosis",
        "network_data_format": {
            "inputs": {"image": patch_format({**image, "value_range": [0, 1]}, "image", config.roi_size)},
            "outputs": {"pred": patch_format(output, config.lesion, config.roi_size)},
        },
        "napari_lesion": {
            "schema_version": 1,
            "title": config.title,
            "task": "segmentation",
            "organ": config.organ,
            "modality": config.modality,
            "spacing_mm": list(config.spacing_mm),
            "axcodes": config.axcodes,
            "intensity": asdict(config.intensity),
            "roi_size": list(config.roi_size),
            "overlap": config.overlap,
            "activation": "sigmoid",
            "lesion_channel": 0,
            "labels": {"1": config.lesion},
            "default_threshold": chosen.threshold,
            "min_volume_mm3": config.min_volume_mm3,
            "operating_points": [_operating_point(standing, trained) for standing in _points(trained)],
            "training_patients": trained.patients,
            **({"refinement": _refinement(second)} if second else {}),
        },
    }


def _refinement(second: Refinement) -> dict[str, Any]:
    limits = {"candidates_at": second.candidates_at, "min_volume_mm3": second.min_volume_mm3}
    return {"bundle": second.bundle.name, **limits}


def _points(trained: Trained) -> list[tuple[str, Standing]]:
    """The most sensitive threshold, the default, and the one of the fewest false marks."""
    rows = list(trained.standings)
    sensitive, specific = rows[0], rows[-1]
    points = {"sensitive": sensitive, "default": trained.chosen, "specific": specific}
    return [(name, row) for name, row in points.items() if name == "default" or row != trained.chosen]


def _operating_point(named: tuple[str, Standing], trained: Trained) -> dict[str, Any]:
    name, standing = named
    patients = len({case.group for case in trained.split.held_out})
    return {
        "name": name,
        "threshold": standing.threshold,
        "sensitivity": round(standing.sensitivity, 4),
        "false_marks_per_scan": round(standing.false_marks_per_case, 4),
        "measured_on": f"{standing.cases} held-out cases of {patients} patients, {standing.lesions} lesions",
    }


def _record(trained: Trained) -> dict[str, Any]:
    versions = {"napari-lesion": __version__, "python": platform.python_version()}
    for name in LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "schema_version": 1,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "seed": trained.config.seed,
        "steps": trained.steps,
        "versions": versions,
        "data_sha256": data_sha256([*trained.train, *trained.held_out]),
        "started_from": trained.started_from,
        "standings": [asdict(standing) for standing in trained.standings],
    }


def _split(trained: Trained) -> dict[str, Any]:
    def named(cases: Sequence[PreparedCase]) -> list[dict[str, str]]:
        return [{"name": c.case.name, "patient": c.case.patient, "image_sha256": c.image_sha256} for c in cases]

    return {"how": trained.split.how, "train": named(trained.train), "held_out": named(trained.held_out)}


def _training_data(trained: Trained) -> dict[str, Any]:
    cases = [{"patient": c.case.patient, "image_sha256": c.image_sha256} for c in trained.train]
    earlier = [{"patient": patient, "image_sha256": ""} for patient in trained.earlier_patients]
    return {"schema_version": 1, "cases": [*cases, *earlier]}


def _write_card(folder: Path, name: str, trained: Trained, stated: dict[str, Any], record: dict[str, Any]) -> None:
    import jinja2

    text = (files("napari_lesion.training.presets") / TEMPLATE).read_text(encoding="utf-8")
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False)
    card = environment.from_string(text).render(
        name=name,
        config=trained.config,
        trained=trained,
        chosen=trained.chosen,
        metadata=stated,
        record=record,
        parameters=sum(value.numel() for value in trained.weights.values()),
    )
    write_text(folder / "docs" / "README.md", card)
