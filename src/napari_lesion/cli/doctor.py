"""``napari-lesion doctor``: what this machine has."""

from __future__ import annotations

import typer

from napari_lesion.cli.console import command, say
from napari_lesion.core.findings import Level

WORDS = {Level.GREEN: "ok", Level.YELLOW: "note", Level.RED: "fault"}


@command
def doctor() -> None:
    """Report what this machine has.

    Versions, device, memory, models, folders and display. The exit code is 1 when something is at fault.
    """
    from napari_lesion.workflow.doctor import examine

    worst = Level.GREEN
    for fact in examine():
        say(f"{WORDS[fact.level]:<5}  {fact.name:<24}  {fact.value}")
        worst = max(worst, fact.level)
    if worst == Level.RED:
        raise typer.Exit(1)
