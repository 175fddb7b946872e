"""The question whether code in a bundle may run: what exactly would, and the hashes that are kept with the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from napari_lesion.models.config.assessment import assess, require_usable
from napari_lesion.models.config.files import digests
from napari_lesion.models.config.grammar import Trust
from napari_lesion.models.config.reading import printable, read_configuration
from napari_lesion.models.config.scripts import script_files
from napari_lesion.models.trusted import changed_files, is_trusted, trust

__all__ = ["Consent", "consent_needed", "give_consent"]


@dataclass(frozen=True, eq=False)
class Consent:
    """What would run.

    Parameters
    ----------
    name, title
        Folder name, and name for people.
    path
        Folder of the bundle.
    runs
        What in the configuration is code, one clause each: where it stands, and what it is.
    files
        Files that hold code, relative to the folder, with the number of their lines.
    changed
        Files that changed since the user agreed the last time.
    seen
        SHA-256 of every file as it was when this was made.
    """

    name: str
    title: str
    path: Path
    runs: tuple[str, ...]
    files: tuple[str, ...]
    changed: tuple[str, ...]
    seen: Mapping[str, str]


def consent_needed(path: Path) -> Consent | None:
    """The question that a bundle needs; None when nothing of it is code, or the user agreed and nothing changed.

    Raises
    ------
    ModelError
        When the bundle is damaged or refused.
    """
    config = read_configuration(path)
    assessment = assess(config)
    require_usable(config, assessment)
    if assessment.trust is Trust.SAFE or is_trusted(path):
        return None
    return Consent(
        name=path.name,
        title=printable(str(config.metadata.get("name", path.name))),
        path=path,
        runs=tuple(str(reason) for reason in assessment.reasons),
        files=tuple(map(printable, code_files(path))),
        changed=tuple(map(printable, changed_files(path))),
        seen=digests(path),
    )


def give_consent(consent: Consent) -> None:
    """Keep that the user agreed, with the hash of every file that the question was about.

    Raises
    ------
    ModelError
        When a file changed while the question was asked.
    OutputError
        When it cannot be kept.
    """
    trust(consent.path, consent.seen)


def code_files(path: Path) -> tuple[str, ...]:
    """Files of a bundle that hold code, with the number of their lines."""
    found = [f"{file.relative_to(path).as_posix()} ({_lines(file)} lines)" for file in script_files(path)]
    return (
        *found,
        *(f"{file.relative_to(path).as_posix()} (TorchScript)" for file in sorted(path.glob("models/*.ts"))),
    )


def _lines(file: Path) -> int:
    with file.open("rb") as stream:
        return sum(1 for _ in stream)
