"""``napari-lesion models``: which models there are, what a bundle is made of, and installing one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_lesion.cli.console import command, say, say_json, show_table

if TYPE_CHECKING:
    from napari_lesion.workflow.models import BundleInfo, ModelReport

models = typer.Typer(
    help="List the models that can be used; look at a bundle; install one.",
    rich_markup_mode=None,
    add_completion=False,
)


@models.callback(invoke_without_command=True)
def _models(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """List the models that can be used.

    Those that ship with napari-lesion come first, then those in your own folder (see `napari-lesion doctor`).
    """
    if context.invoked_subcommand is None:
        list_them(as_json)


@command
def list_them(as_json: bool) -> None:
    """Print the models that can be used."""
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


@models.command()
@command
def check(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Folder or zip file of a MONAI bundle.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Explain what a bundle needs, its class, and whether it can run here.

    Nothing of it is run. Safe: only listed components and simple expressions. Needs trust: it holds code. Refused:
    something that no model needs. The exit code is 1 when it cannot run here.
    """
    from napari_lesion.workflow.models import check_model

    report = check_model(path)
    if as_json:
        say_json(_report_record(report))
    else:
        for sentence in report.sentences:
            say(sentence)
    if report.obstacles:
        raise typer.Exit(1)


@models.command()
@command
def card(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Model of `napari-lesion models`, or a bundle folder.")],
) -> None:
    """Print the model card: intended use, training data and patients, and what was measured.

    A bundle without a card gets one from its metadata. Where its pictures lie is said at the end.
    """
    from napari_lesion.workflow.models import card_of

    found = card_of(name)
    say(found.text.rstrip())
    if found.pictures:
        say("\nPictures of this card:")
    for path in found.pictures:
        say(f"  {path}")


@models.command()
@command
def add(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="Folder, zip file, or https address of the zip file of a bundle.")
    ],
    trusted: Annotated[
        bool, typer.Option("--trust", help="You trust the author: code in the bundle may run on this machine.")
    ] = False,
    sha256: Annotated[str, typer.Option(metavar="HASH", help="SHA-256 that the zip file must have.")] = "",
    replace: Annotated[bool, typer.Option("--replace", help="Replace an installed bundle of the same name.")] = False,
) -> None:
    """Install a bundle into your own folder of models.

    The network is used only when SOURCE is an address.
    """
    from napari_lesion.cli.progress import job_bars
    from napari_lesion.workflow.models import InstallRequest, install

    with job_bars() as bars:
        installed = install(InstallRequest(source, trusted, sha256, replace), bars.context(source))
    say(f"{installed.path.name} ({installed.assessment.trust.words}) is in {installed.path}")


def _report_record(report: ModelReport) -> dict[str, object]:
    return {
        "name": report.name,
        "title": report.title,
        "class": report.assessment.trust.words,
        "reasons": [
            {"where": reason.where, "what": reason.what, "class": reason.trust.words}
            for reason in report.assessment.reasons
        ],
        "replaced": list(report.assessment.replaced),
        "inputs": [port.words for port in report.needs.inputs],
        "outputs": [port.words for port in report.needs.outputs],
        "packages": list(report.needs.packages),
        "missing_packages": list(report.needs.missing),
        "trusted": report.trusted,
        "changed": list(report.changed),
        "can_run": not report.obstacles,
        "obstacles": list(report.obstacles),
    }
