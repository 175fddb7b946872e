"""The models that can be chosen, what a bundle is made of, and how one is installed."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from napari_lesion.core.errors import ModelError
from napari_lesion.core.jobs import JobContext
from napari_lesion.models.archive import unpack
from napari_lesion.models.bundle import BundleInfo, OperatingPoint
from napari_lesion.models.card import ModelCard
from napari_lesion.models.card import read_card as read_model_card
from napari_lesion.models.catalogue import (
    bundle_folders,
    find_bundle,
    find_folder,
    list_bundles,
    read_any,
    user_folder,
)
from napari_lesion.models.config.assessment import Assessment, Reason, assess
from napari_lesion.models.config.grammar import Trust
from napari_lesion.models.config.needs import Needs, Port, needs_of
from napari_lesion.models.config.reading import BundleConfig, printable, read_configuration
from napari_lesion.models.config.usual import NETWORKS
from napari_lesion.models.config.weights import SCRIPT
from napari_lesion.models.foreign import CLASS_SCORES
from napari_lesion.models.install import Installed, InstallRequest, bundle_in, install
from napari_lesion.models.metadata import OWN_KEY
from napari_lesion.models.trusted import changed_files, is_trusted
from napari_lesion.workflow.consent import code_files

__all__ = [
    "CLASS_SCORES",
    "BundleInfo",
    "InstallRequest",
    "Installed",
    "ModelCard",
    "ModelReport",
    "Needs",
    "OperatingPoint",
    "Port",
    "Reason",
    "Trust",
    "bundle_folders",
    "card_of",
    "check_model",
    "default_model",
    "find_model",
    "install",
    "is_installed",
    "list_models",
    "read_model_card",
]

AFTER_DETECTION = ("refinement", "classification")
"""Tasks of the bundles that look at what another has found, and are not offered by themselves."""


@dataclass(frozen=True)
class ModelReport:
    """What a bundle is made of, and whether it can run here.

    Parameters
    ----------
    name, title
        Folder name, and name for people.
    assessment
        Its class and why.
    needs
        What it takes, gives and needs.
    trusted
        Whether the user trusted it, and nothing changed since.
    changed
        Files that changed since they were trusted.
    obstacles
        Why it cannot run here, one clause each; empty when it can.
    code
        Files in it that hold code.
    """

    name: str
    title: str
    assessment: Assessment
    needs: Needs
    trusted: bool
    changed: tuple[str, ...]
    obstacles: tuple[str, ...]
    code: tuple[str, ...] = ()

    @property
    def sentences(self) -> list[str]:
        """All of it for people, one line each."""
        state = " (you trusted it)" if self.trusted else ""
        lines = [f"{self.name}: {self.title}", f"Class: {self.assessment.trust.words}{state}"]
        lines += [f"  {reason.trust.words}: {reason}" for reason in self.assessment.reasons]
        if self.assessment.trust is Trust.NEEDS_TRUST:
            lines += [f"  code that could run: {file}" for file in self.code]
        lines += [f"  not built, the program does it itself: {replaced}" for replaced in self.assessment.replaced]
        for name, ports in (("Takes", self.needs.inputs), ("Gives", self.needs.outputs)):
            lines += [f"{name} {port.words}" for port in ports]
        if self.changed:
            lines.append(f"Changed since you trusted it: {', '.join(self.changed)}")
        return [printable(line) for line in (*lines, self.verdict)]

    @property
    def verdict(self) -> str:
        """Whether it can run here, in one line."""
        return "Can run here: " + ("yes" if not self.obstacles else "no; " + "; ".join(self.obstacles))


def check_model(path: Path, ctx: JobContext | None = None) -> ModelReport:
    """Look at a bundle folder or its zip file; nothing of it is run, installed or kept.

    Raises
    ------
    ModelError
        When it is no bundle, or is damaged.
    """
    if not path.is_file():
        if not path.is_dir():
            raise ModelError(f"There is nothing at {path}", "", "Give the folder or the zip file of a MONAI bundle")
        return _report(path.resolve())
    with tempfile.TemporaryDirectory(prefix="napari-lesion-") as folder:
        unpacked = Path(folder) / "unpacked"
        unpacked.mkdir()
        unpack(path, unpacked, ctx)
        return _report(bundle_in(unpacked, path))


def _report(root: Path) -> ModelReport:
    config = read_configuration(root)
    assessment, needs = assess(config), needs_of(config)
    trusted = assessment.trust is Trust.NEEDS_TRUST and is_trusted(root)
    return ModelReport(
        name=root.name,
        title=printable(str(config.metadata.get("name", root.name))),
        assessment=assessment,
        needs=needs,
        trusted=trusted,
        changed=changed_files(root),
        obstacles=tuple(_obstacles(config, assessment, needs, trusted=trusted)),
        code=code_files(root),
    )


def _obstacles(config: BundleConfig, assessment: Assessment, needs: Needs, *, trusted: bool) -> list[str]:
    found = [f"{name} is not installed: pip install {name}" for name in needs.missing]
    named = any(config.has(name) for name in NETWORKS) or (config.root / SCRIPT).is_file()
    if not named and OWN_KEY not in config.metadata:
        found.append("its configuration has no network_def")
    if not any(path.suffix in (".pt", ".ts", ".pth") for path in (config.root / "models").glob("*")):
        found.append("models/model.pt is missing: the weights of zoo bundles are fetched apart (large_files.yml)")
    if needs.flat:
        found.append("it takes two-dimensional pictures, not volumes")
    if assessment.trust is Trust.REFUSED:
        return ["it is refused", *found]
    if assessment.trust is Trust.NEEDS_TRUST and not trusted:
        found.append("you have not said that you trust it")
    try:
        read_any(config.root)
    except ModelError as error:
        found.append(error.why or error.what)
    return found


def is_installed(name: str) -> bool:
    """Whether the user's folder holds a bundle of this name."""
    return (user_folder() / name).exists()


def list_models() -> list[BundleInfo]:
    """Bundles that find lesions: those that ship with the package, then those of the user."""
    return [bundle for bundle in list_bundles() if bundle.task not in AFTER_DETECTION]


def find_model(name: str | Path | None) -> BundleInfo:
    """The bundle of this name or folder; the first one of the catalogue for None."""
    return find_bundle(name) if name else default_model()


def card_of(name: str | Path) -> ModelCard:
    """The card of the bundle of this name or folder, also of one that rates lesions."""
    return read_model_card(find_folder(name))


def default_model() -> BundleInfo:
    """The first bundle that finds lesions.

    Raises
    ------
    ModelError
        When no bundle is installed.
    """
    bundles = list_models()
    if not bundles:
        raise ModelError("No model is installed", "the package holds none", "Install napari-lesion again")
    return bundles[0]
