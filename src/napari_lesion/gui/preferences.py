"""Preferences of the user, as napari keeps them for the plugin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

PLUGIN = "napari-lesion"


@dataclass(frozen=True)
class Preferences:
    """Typed preferences; the manifest declares the same names, ranges and defaults.

    Parameters
    ----------
    device, backend, precision
        Where, with which library and how exactly models run.
    brush_diameter_mm
        Diameter of the brush when painting begins, mm.
    colours
        ``distinct`` colours for neighbouring lesions, or a ``single`` one.
    outline
        Whether lesions are drawn as outlines at first.
    outline_px
        Width of outlines, pixels of the image.
    fill_opacity
        Opacity of filled lesions, 0 to 1.
    columns
        Columns of the table of lesions; none for the main ones.
    """

    device: str = "auto"
    backend: str = "auto"
    precision: str = "auto"
    brush_diameter_mm: float = 4.0
    colours: str = "distinct"
    outline: bool = True
    outline_px: int = 1
    fill_opacity: float = 0.35
    columns: tuple[str, ...] = ()


def load_preferences() -> Preferences:
    """Preferences as they stand now; the defaults where napari does not know the plugin."""
    from napari.settings import get_plugin_settings

    try:
        kept = get_plugin_settings(PLUGIN)
    except KeyError:
        return Preferences()
    return Preferences(
        device=kept.inference.device,
        backend=kept.inference.backend,
        precision=kept.inference.precision,
        brush_diameter_mm=kept.masks.brush_diameter_mm,
        colours=kept.masks.colours,
        outline=kept.masks.outline,
        outline_px=kept.masks.outline_px,
        fill_opacity=kept.masks.fill_opacity,
        columns=tuple(name.strip() for name in kept.table.columns.split(",") if name.strip()),
    )


def remember_columns(names: Sequence[str]) -> None:
    """Keep the columns of the table for the next session; napari writes its preferences itself."""
    from napari.settings import get_plugin_settings

    try:
        get_plugin_settings(PLUGIN).table.columns = ",".join(names)
    except KeyError:
        return
