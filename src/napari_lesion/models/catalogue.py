"""Which models there are: those that ship with the program and those in the user's folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

from napari_lesion.core.errors import ModelError
from napari_lesion.models.bundle import BundleInfo
from napari_lesion.models.config.reading import SUFFIXES, read_metadata
from napari_lesion.models.foreign import foreign_info, is_foreign
from napari_lesion.models.metadata import OWN_KEY, read_bundle
from napari_lesion.models.safety import NAME_PATTERN, require_name

MODELS_VARIABLE: Final = "NAPARI_LESION_MODELS"

DEFAULT: Final = "lung_nodule_ct"
"""The shipped bundle that comes first, and is taken when none is named."""
RATING: Final = "classification"
"""Task of a bundle that rates lesions."""


@dataclass(frozen=True)
class Catalogue:
    """Everything found in the folders of models.

    Parameters
    ----------
    bundles
        Bundles that can be read, the shipped ones first, each folder by name.
    problems
        Path and reason of those that cannot.
    """

    bundles: tuple[BundleInfo, ...]
    problems: tuple[tuple[Path, ModelError], ...] = ()


def shipped_folder() -> Path:
    """Folder of the bundles that ship with the program."""
    return Path(str(files("napari_lesion").joinpath("resources", "bundles")))


def user_folder() -> Path:
    """Folder of the user's own bundles: ``NAPARI_LESION_MODELS``, or the place the system has for user data."""
    stated = os.environ.get(MODELS_VARIABLE, "")
    if stated:
        return Path(stated).expanduser()
    from platformdirs import user_data_path

    return user_data_path("napari-lesion", appauthor=False) / "models"


def scan_bundles() -> Catalogue:
    """Read every bundle of both folders; one damaged bundle does not hide the others.

    A user's bundle of the same name takes the place of a shipped one. Bundles that rate lesions are left out.
    """
    bundles: dict[str, BundleInfo] = {}
    problems: list[tuple[Path, ModelError]] = []
    for path in (*_bundle_folders(shipped_folder()), *_bundle_folders(user_folder())):
        if rates(path):
            continue
        try:
            bundles[path.name] = read_any(path)
        except ModelError as error:
            problems.append((path, error))
    return Catalogue(tuple(bundles.values()), tuple(problems))


def rates(path: Path) -> bool:
    """Whether a bundle rates lesions that are marked already; it finds none, so it is no model to detect with."""
    try:
        own = read_metadata(path).get(OWN_KEY)
    except ModelError:
        return False
    return isinstance(own, Mapping) and own.get("task") == RATING


def read_any(path: Path) -> BundleInfo:
    """What a bundle folder states: one of ours for the engine, or one made by others that is run by its own steps.

    Raises
    ------
    ModelError
        When it is damaged.
    """
    return foreign_info(path) if is_foreign(path) else read_bundle(path)


def list_bundles() -> list[BundleInfo]:
    """Bundles that can be read, the shipped ones first."""
    return list(scan_bundles().bundles)


def find_bundle(name_or_path: str | Path) -> BundleInfo:
    """The bundle of this name, or in this folder.

    Parameters
    ----------
    name_or_path
        A name that `list_bundles` gives, or the path of a bundle folder.

    Raises
    ------
    ModelError
        When there is none, or it is damaged.
    """
    return read_any(find_folder(name_or_path))


def bundle_folders() -> list[Path]:
    """Folders of all bundles, also of those that rate lesions or cannot be read; the shipped ones first."""
    return [*_bundle_folders(shipped_folder()), *_bundle_folders(user_folder())]


def find_folder(name_or_path: str | Path) -> Path:
    """Folder of the bundle of this name, or this folder; ModelError when there is none."""
    text = str(name_or_path)
    named = NAME_PATTERN.fullmatch(text)
    if named:
        for folder in (user_folder(), shipped_folder()):
            if any((folder / text / f"configs/metadata{suffix}").is_file() for suffix in SUFFIXES):
                return folder / text
    path = Path(text).expanduser()
    if os.path.isdir(path):  # unlike Path.is_dir, says no to a name that the system cannot take
        return path.resolve()
    if os.path.isfile(path):
        raise ModelError(f"{path} is not a model", "it is a file", "Give the folder of a MONAI bundle")
    if not named and path.name == text:
        require_name(text)
    names = ", ".join(info.name for info in list_bundles()) or "none"
    raise ModelError(f"There is no model {text!r}", f"the models here are: {names}", "Check the name or the path")


def _bundle_folders(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        return
    for path in sorted(folder.iterdir(), key=lambda path: (path.name != DEFAULT, path.name)):
        if path.is_dir() and NAME_PATTERN.fullmatch(path.name):
            yield path
