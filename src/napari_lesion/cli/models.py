"""``napari-lesion models``: which models there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from napari_lesion.cli.console import command, say, say_json, show_table

if TYPE_CHECKING:
    from napari_lesion.workflow.models import BundleInfo


@command
def models(as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False) -> None:
    """List the models that can be used.

    Those that ship with napari-lesion come first, then those in your own folder (see `napari-lesion doctor`).
    """
    from napari_lesion.workflow.models import list_models

    found = list_models()
    if as_json:
        say_json([_record(model) for model in found])
    elif found:
        columns = ["name", "version", "title", "modality", "organ", "threshold"]
        show_table(columns, [[str(_record(model)[column]) for column in columns] for model in found])
    else:
        say("No model is installed.")


def _record(model: BundleInfo) -> dict[str, object]:
    return {
        "name": model.name,
        "version": model.version,
        "title": model.title,
        "modality": str(model.modality),
        "organ": model.organ or "whole volume",
        "threshold": model.default_threshold,
        "sha256": model.weights_sha256,
        "path": str(model.path),
        "card": str(model.card) if model.card else None,
    }
