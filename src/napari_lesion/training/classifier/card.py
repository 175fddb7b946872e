"""The card of the classifier, from what stands in its bundle.

``python -m napari_lesion.training.classifier.card BUNDLE`` writes it again, when a report was added to its docs.
"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from napari_lesion.models.metadata import OWN_KEY
from napari_lesion.training.checkpoints import load_weights
from napari_lesion.training.classifier.bundle_config import LIMITS
from napari_lesion.training.classifier.cross_validate import BOOSTED, DIAMETER, ENSEMBLE, NETWORK
from napari_lesion.training.classifier.recipe import Recipe

TEMPLATE: Final = "card.md.j2"
HISTORY: Final = "history.md"
FIGURES: Final = "figures"
FOUND_MASKS: Final = "found_masks"
BESIDE: Final = ("cross_fitted", "cubes", FOUND_MASKS)
"""Further reports in ``docs`` that the card names: of `cross_validate`, `check_cubes` and `found_masks`."""


def write_card(folder: Path, recipe: Recipe) -> Path:
    """Write ``docs/README.md`` from the reports in ``docs``, weights, metadata and ``docs/history.md`` where it is.

    Parameters
    ----------
    folder
        The bundle.
    recipe
        Recipe that its networks were trained by.
    """
    import jinja2

    text = (files("napari_lesion.training.classifier") / TEMPLATE).read_text(encoding="utf-8")
    docs = folder / "docs"
    history, figures = docs / HISTORY, _read(docs / f"{FIGURES}.json")
    own = _read(folder / "configs" / "metadata.json")[OWN_KEY]
    networks = load_weights(folder / "models" / "model.pt")
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False)
    environment.filters["figure"] = _figure
    card = environment.from_string(text).render(
        recipe=recipe,
        figures=figures,
        beside={name: _read(path) for name in BESIDE if (path := docs / f"{name}.json").is_file()},
        limits=LIMITS,
        models=[name for name in (DIAMETER, BOOSTED, NETWORK, ENSEMBLE) if name in figures["models"]],
        best=ENSEMBLE,
        members=len(networks),
        parameters=sum(value.numel() for value in next(iter(networks.values())).values()),
        patients=own["training_patients"],
        history=history.read_text(encoding="utf-8") if history.is_file() else "",
    )
    path = docs / "README.md"
    path.write_text(card, encoding="utf-8")
    return path


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _figure(value: float | None, digits: int = 3) -> str:
    """A number for a table; a dash where it is not defined."""
    return "-" if value is None else f"{value:.{digits}f}"


def main(bundle: Annotated[Path, typer.Argument(help="Bundle folder of the classifier.")]) -> None:
    """Write the card of BUNDLE again."""
    write_card(bundle, Recipe())


if __name__ == "__main__":
    typer.run(main)
