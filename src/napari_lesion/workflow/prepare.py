"""Prepare images with named steps: for the dock, for files, and before a detection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from napari_lesion.core.errors import InputError, OutputError
from napari_lesion.core.jobs import JobContext
from napari_lesion.core.volume import Modality, Volume
from napari_lesion.io.atomic import extension
from napari_lesion.io.images import WRITTEN_FORMATS, write_image
from napari_lesion.io.records import write_json
from napari_lesion.preprocess.chain import Chain, Chosen, prepare
from napari_lesion.preprocess.preview import Previewer, SlicePreview
from napari_lesion.preprocess.steps import STEPS, Step
from napari_lesion.workflow.export import make_folder
from napari_lesion.workflow.open_study import OpenRequest, open_study
from napari_lesion.workflow.record import input_record, library_versions, product_record
from napari_lesion.workflow.study import Study

__all__ = [
    "STEPS",
    "Chain",
    "Chosen",
    "PrepareFileRequest",
    "Previewer",
    "SlicePreview",
    "Step",
    "prepare",
    "prepare_file",
    "prepared_for_detection",
]

RECORD_SUFFIX = ".run.json"

_prepared: WeakKeyDictionary[Volume, tuple[str, Volume]] = WeakKeyDictionary()


@dataclass(frozen=True)
class PrepareFileRequest:
    """A file to prepare.

    Parameters
    ----------
    path
        Image file or DICOM folder.
    out
        File to write; its record goes beside it.
    chain
        The steps.
    modality
        Modality that the user states; None for that of the file, or a guess.
    """

    path: Path
    out: Path
    chain: Chain
    modality: Modality | None = None

    @property
    def record(self) -> Path:
        """The record beside the image."""
        return self.out.with_name(self.out.name.removesuffix(extension(self.out)) + RECORD_SUFFIX)


def prepare_file(request: PrepareFileRequest, ctx: JobContext | None = None) -> Volume:
    """Read an image, do the steps, and write the result with a record of what was done.

    Raises
    ------
    InputError
        When the file cannot be read, or a step does not suit it.
    OutputError
        When the result cannot be written there.
    """
    ctx = ctx or JobContext()
    if not request.chain:
        raise InputError("No step is given", "", f"Give one or more of --step {', --step '.join(STEPS)}")
    if extension(request.out).lower() not in WRITTEN_FORMATS:
        formats = ", ".join(WRITTEN_FORMATS)
        raise OutputError(f"{request.out.name} cannot be written", f"an image ends in one of {formats}")
    if request.out.resolve() == request.path.resolve():
        raise OutputError("The original would be lost", "--out names the input", "Choose another name")
    study = open_study(OpenRequest(request.path, modality=request.modality), ctx)
    made = prepare(study.volume, request.chain, ctx)
    ctx.step("Writing")
    make_folder(request.out.parent)
    write_image(request.out, made)
    write_json(request.record, _record(request, study, made))
    return made


def prepared_for_detection(volume: Volume, line: str, ctx: JobContext | None = None) -> Volume:
    """The image that a model looks at: the volume itself, or prepared by steps; the last one is remembered.

    Parameters
    ----------
    volume
        The image of the study.
    line
        Steps with blanks between them; empty for none.
    ctx
        Progress and cancel.

    Raises
    ------
    InputError
        When the steps put the image on another grid, or take away the HU or SUV that a model expects.
    """
    chain = Chain.parse_line(line)
    if not chain:
        return volume
    why = ""
    if chain.changes_grid:
        why = "marks must lie on the grid of the image; a model resamples by itself"
    elif volume.modality in (Modality.CT, Modality.PT) and not chain.keeps_unit:
        why = f"the steps {chain.text} take away the values that a model for {volume.modality} expects"
    if why:
        raise InputError("The image cannot be prepared so before a detection", why, "Leave the step out")
    known, made = _prepared.get(volume, ("", volume))
    if known != chain.text:
        made = prepare(volume, chain, ctx)
        _prepared[volume] = chain.text, made
    return made


def _record(request: PrepareFileRequest, study: Study, made: Volume) -> Mapping[str, Any]:
    """Everything that is needed to make the same image again."""
    return {
        **product_record(),
        "command": "preprocess",
        "input": input_record(study.volume, study.check),
        "steps": request.chain.as_list(),
        "line": request.chain.text,
        "grid": made.grid.as_dict(),
        "modality": str(made.modality),
        "files": [request.out.name, request.record.name],
        "versions": library_versions(),
    }
