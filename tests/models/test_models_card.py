"""Cards of bundles: of ours, of strangers, of strangers who mean harm."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from napari_lesion.models.card import LARGEST_BYTES, RESEARCH, read_card
from napari_lesion.models.catalogue import bundle_folders, find_folder

BUNDLES = Path(__file__).resolve().parents[2] / "resources" / "bundles"
SHIPPED = sorted(path.parents[1] for path in BUNDLES.glob("*/docs/README.md"))


def stranger(folder: Path, metadata: object = None, card: str | bytes | None = None) -> Path:
    (folder / "configs").mkdir(parents=True)
    (folder / "docs").mkdir()
    if metadata is not None:
        (folder / "configs" / "metadata.json").write_text(json.dumps(metadata), encoding="utf-8")
    if card is not None:
        (folder / "docs" / "README.md").write_bytes(card if isinstance(card, bytes) else card.encode())
    return folder


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_a_shipped_card_is_the_authors_and_names_every_training_patient(path: Path) -> None:
    card = read_card(path)
    own = json.loads((path / "configs" / "metadata.json").read_text(encoding="utf-8"))["napari_lesion"]
    assert card.written
    assert (path / "docs" / "README.md").read_text(encoding="utf-8").strip()[:200] in card.text
    assert [patient for patient in own["training_patients"] if patient not in card.text] == []
    assert "research use" in card.text.lower()


def test_a_bundle_without_a_card_gets_one_from_its_metadata(tmp_path: Path) -> None:
    metadata = {
        "name": "Spleen",
        "version": "0.5.3",
        "intended_use": "An example",
        "data_source": "Task09_Spleen.tar",
        "eval_metrics": {"mean_dice": 0.96},
        "references": ["Xia 2018"],
    }
    card = read_card(stranger(tmp_path / "spleen", metadata))
    assert not card.written
    assert card.title == "Spleen"
    for words in ("Version 0.5.3", "## Intended use\n\nAn example", "Task09", "- mean_dice: 0.96", "- Xia 2018"):
        assert words in card.text
    assert card.text.rstrip().endswith(f"*{RESEARCH}*")


def test_the_pictures_of_a_card_are_those_inside_its_folder(tmp_path: Path) -> None:
    text = "![Curve](curve.png) ![](deep/map.jpg) ![x](../LICENSE) ![y](https://a.b/c.png) ![z](gone.png) [l](a.txt)"
    root = stranger(tmp_path / "mine", {}, text)
    (root / "LICENSE").write_text("x")
    (root / "docs" / "deep").mkdir()
    for name in ("curve.png", "deep/map.jpg", "a.txt"):
        (root / "docs" / name).write_bytes(b"x")
    card = read_card(root)
    assert card.pictures == (root / "docs" / "curve.png", root / "docs" / "deep" / "map.jpg")
    assert card.beside("../LICENSE") is None
    assert card.beside("") is None


def test_patients_that_the_card_does_not_name_are_added(tmp_path: Path) -> None:
    own = {"napari_lesion": {"training_patients": ["A-1", "B-2"]}}
    card = read_card(stranger(tmp_path / "mine", own, "# Mine\n\nTrained on A-1. Research use only."))
    assert "Stated in the metadata (2): A-1, B-2" in card.text
    assert RESEARCH not in card.text


@pytest.mark.parametrize(
    "metadata", [None, [], {"napari_lesion": 3}, {"napari_lesion": {"training_patients": "all"}}]
)
def test_odd_metadata_do_not_hide_the_card(tmp_path: Path, metadata: object) -> None:
    card = read_card(stranger(tmp_path / "odd", metadata, "# Odd"))
    assert card.written
    assert card.text.startswith("# Odd")


def test_bytes_that_are_no_text_and_a_card_without_end(tmp_path: Path) -> None:
    assert "\N{REPLACEMENT CHARACTER}" in read_card(stranger(tmp_path / "bytes", {}, b"# A \xff\xfe card")).text
    long = read_card(stranger(tmp_path / "long", {}, "x" * (LARGEST_BYTES + 10))).text
    assert len(long) < LARGEST_BYTES + 200
    assert "longer than 1 MiB" in long


def test_a_card_that_leads_out_of_the_bundle_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret.md").write_text("# Secret")
    folder = stranger(tmp_path / "thief", {"name": "Thief"})
    (folder / "docs" / "README.md").symlink_to(tmp_path / "secret.md")
    card = read_card(folder)
    assert not card.written
    assert "Secret" not in card.text


def test_a_card_is_found_by_the_name_of_any_bundle(write_bundle: Callable[..., Path], tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "mine")
    assert read_card(find_folder(folder)).text.startswith("# Random weights")
    assert find_folder("lung_nodule_ct") in bundle_folders()
