"""``napari-lesion doctor``: what this machine has."""

from __future__ import annotations

import typer

from napari_lesion.cli.console import command, say
from napari_lesion.core.findings import Level

WORDS = {Level.GREEN: "ok", Level.YELLOW: "note", Level.RED: "fault"}


@command
def doctor() -> None:
    """Report versions, devices, memory, models, folders and display of this machine."""
    from napari_lesion.workflow.doctor import examine

    worst = Level.GREEN
    for fact in examine():
        say(f"{WORDS[fact.level]:<5}  {fact.name:<24}  {fact.value}")
        worst = max(worst, fact.level)
    if worst == Level.RED:
        raise typer.Exit(1)
