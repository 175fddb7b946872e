"""The model card of a bundle: what its author wrote, or what its metadata says where there is none."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from napari_lesion.core.errors import ModelError
from napari_lesion.models.bundle import CARD
from napari_lesion.models.config.reading import read_metadata
from napari_lesion.models.metadata import OWN_KEY
from napari_lesion.models.safety import inside

LARGEST_BYTES: Final = 1 << 20
PICTURE: Final = re.compile(r"!\[[^\]]*\]\(([^)\s]+)\)")
RESEARCH: Final = "Research use only. Not a medical device; not for diagnosis."
STATED: Final = (
    ("task", "Task"),
    ("description", "Description"),
    ("intended_use", "Intended use"),
    ("data_source", "Training data"),
    ("data_type", "Format of the data"),
    ("eval_metrics", "Figures stated by the authors"),
    ("authors", "Authors"),
    ("copyright", "Copyright"),
    ("license", "Licence"),
    ("references", "References"),
)
"""Keys of MONAI's metadata that a card is made of, and their headings."""


@dataclass(frozen=True)
class ModelCard:
    """A card to be read.

    Parameters
    ----------
    name, title
        Folder name of the bundle, and name for people.
    text
        Markdown; data from a stranger, so that HTML in it is to be shown as text.
    folder
        Folder of pictures and links of the card.
    written
        Whether the author wrote it; else it is made from the metadata.
    """

    name: str
    title: str
    text: str
    folder: Path
    written: bool

    @property
    def pictures(self) -> tuple[Path, ...]:
        """Files of the pictures that it shows, in order."""
        found = (self.beside(name) for name in PICTURE.findall(self.text))
        return tuple(path for path in found if path is not None)

    def beside(self, name: str) -> Path | None:
        """A file that the card names, inside its own folder; None for anything else."""
        path = (self.folder / name).resolve()
        return path if name and path.is_file() and path.is_relative_to(self.folder.resolve()) else None


def read_card(root: Path) -> ModelCard:
    """Card of a bundle folder; nothing of the bundle is run.

    Training patients that the card does not name are added from the metadata, so that anyone can see leakage; so is
    the sentence about research use. Metadata that cannot be read are left out.
    """
    try:
        metadata: Mapping[str, Any] = read_metadata(root)
    except ModelError:
        metadata = {}
    own = metadata.get(OWN_KEY)
    own = own if isinstance(own, Mapping) else {}
    title = str(own.get("title") or metadata.get("name") or root.name)
    text = _written(root)
    written = text is not None
    if text is None:
        text = _from_metadata(title, metadata)
    parts = [text.rstrip(), *_added(text, own)]
    return ModelCard(root.name, title, "\n\n".join(parts) + "\n", (root / CARD).parent, written)


def _written(root: Path) -> str | None:
    """What the author wrote, up to 1 MiB; None without a file inside the bundle."""
    try:
        path = inside(root, CARD)
        with path.open("rb") as stream:
            content = stream.read(LARGEST_BYTES + 1)
    except (ModelError, OSError):
        return None
    text = content[:LARGEST_BYTES].decode("utf-8", errors="replace")
    if len(content) > LARGEST_BYTES:
        text += "\n\n*(The card is longer than 1 MiB; the rest is left out.)*"
    return text if text.strip() else None


def _from_metadata(title: str, metadata: Mapping[str, Any]) -> str:
    parts = [f"# {title}", "*This bundle has no model card; its metadata say:*"]
    version = metadata.get("version")
    if version:
        parts.append(f"Version {version}")
    for key, heading in STATED:
        value = metadata.get(key)
        if value:
            parts.append(f"## {heading}\n\n{_words(value)}")
    return "\n\n".join(parts)


def _words(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return "\n".join(f"- {key}: {_plain(item)}" for key, item in value.items())
    if isinstance(value, list):
        return "\n".join(f"- {_plain(item)}" for item in value)
    return _plain(value)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _added(text: str, own: Mapping[str, Any]) -> Iterator[str]:
    """What a card must say and this one does not."""
    patients = own.get("training_patients")
    patients = [str(patient) for patient in patients] if isinstance(patients, list) else []
    missing = [patient for patient in patients if patient not in text]
    if missing:
        yield f"## Training patients\n\nStated in the metadata ({len(patients)}): {', '.join(patients)}"
    if "research use" not in text.lower():
        yield f"*{RESEARCH}*"
