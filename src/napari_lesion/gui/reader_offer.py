"""The offer, made once, to open medical images with this plugin's reader when they are dropped on napari."""

from __future__ import annotations

from pathlib import Path

from napari_lesion.gui.preferences import PLUGIN
from napari_lesion.io.records import state_folder

PATTERNS = ("*.nii", "*.nii.gz", "*.nrrd", "*.nhdr", "*.mha", "*.mhd", "*.dcm")
ANSWERED = "reader_offer_answered"
WORDS = (
    "napari's own readers drop position and direction of medical images. "
    "Shall files that you drop on napari open with this plugin instead?"
)


class ReaderOffer:
    """Whether to ask, and what the answer changes: napari's preference "File extension readers"."""

    def __init__(self, folder: Path | None = None) -> None:
        self._mark = (folder or state_folder()) / ANSWERED

    @property
    def due(self) -> bool:
        """Whether the question was never answered, and no preference of the user stands against it."""
        if self._mark.exists():
            return False
        return any(pattern not in self._readers() for pattern in PATTERNS)

    def answer(self, yes: bool) -> None:
        """Take the answer; the question is not asked again. A preference that the user set stays."""
        if yes:
            from napari.settings import get_settings

            get_settings().plugins.extension2reader = {**dict.fromkeys(PATTERNS, PLUGIN), **self._readers()}
        try:
            self._mark.parent.mkdir(parents=True, exist_ok=True)
            self._mark.touch()
        except OSError:
            return

    @staticmethod
    def _readers() -> dict[str, str]:
        from napari.settings import get_settings

        return dict(get_settings().plugins.extension2reader)
