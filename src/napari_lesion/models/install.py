"""Install a bundle from a folder, a zip file, or an address, into the user's folder of models."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from napari_lesion.core.errors import ModelError, OutputError
from napari_lesion.core.jobs import JobContext
from napari_lesion.models.archive import MAX_BYTES, unpack
from napari_lesion.models.catalogue import user_folder
from napari_lesion.models.config.assessment import Assessment, assess, require_usable
from napari_lesion.models.config.files import file_problems
from napari_lesion.models.config.grammar import Trust
from napari_lesion.models.config.reading import SUFFIXES, read_configuration
from napari_lesion.models.safety import require_name, sha256_of
from napari_lesion.models.trusted import trust

TIMEOUT_S: Final = 30.0
CHUNK: Final = 2**20


@dataclass(frozen=True)
class InstallRequest:
    """What to install.

    Parameters
    ----------
    source
        Folder, zip file, or ``https://`` address of a zip file.
    trusted
        Whether the user trusts the code in it.
    sha256
        Hash that the zip file must have; empty for none.
    replace
        Whether a bundle of the same name is replaced.
    """

    source: str
    trusted: bool = False
    sha256: str = ""
    replace: bool = False


@dataclass(frozen=True)
class Installed:
    """A bundle that was installed, and its class."""

    path: Path
    assessment: Assessment


def install(request: InstallRequest, ctx: JobContext | None = None) -> Installed:
    """Install a bundle; it is whole in its place, or nothing has changed.

    Raises
    ------
    ModelError
        When it cannot be read, is refused, has another hash, or needs trust that was not given.
    OutputError
        When it cannot be written.
    """
    ctx = ctx or JobContext()
    with _workspace() as workspace:
        root = _fetched(request, workspace, ctx)
        name = require_name(root.name)
        config = read_configuration(root)
        assessment = assess(config)
        require_usable(config, assessment)
        if assessment.trust is Trust.NEEDS_TRUST and not request.trusted:
            raise needs_trust(name, assessment)
        target = user_folder() / name
        if target.exists() and not request.replace:
            raise ModelError(
                f"There is a model {name} already", f"it lies in {target}", "Give --replace, or another name"
            )
        _put(root, target, workspace)
    if request.trusted and assessment.trust is Trust.NEEDS_TRUST:
        trust(target)
    return Installed(target, assessment)


def needs_trust(name: str, assessment: Assessment) -> ModelError:
    """Say what of a bundle is code and would run."""
    return ModelError(
        f"The model {name} holds code that would run on this machine",
        assessment.named(Trust.NEEDS_TRUST, 3),
        "If you trust its author, say so with --trust; every file is pinned then, and any change asks again",
    )


@contextmanager
def _workspace() -> Iterator[Path]:
    """A folder beside the models, so that the last step is a rename."""
    folder = user_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        made = tempfile.TemporaryDirectory(dir=folder, prefix=".installing-")
    except OSError as error:
        raise OutputError(f"The folder {folder} cannot be written", error.strerror or str(error)) from error
    with made as name:
        yield Path(name)


def _fetched(request: InstallRequest, workspace: Path, ctx: JobContext) -> Path:
    """Folder of the bundle inside the workspace."""
    if "://" in request.source:
        archive = workspace / _file_name(request.source)
        download(request.source, archive, ctx)
        return _unpacked(request, archive, workspace, ctx)
    path = Path(request.source).expanduser()
    if path.is_file():
        return _unpacked(request, path, workspace, ctx)
    if not path.is_dir():
        raise ModelError(f"There is nothing at {path}", "", "Give the folder or the zip file of a MONAI bundle")
    if request.sha256:
        raise ModelError("A folder has no hash", "", "Give --sha256 with a zip file")
    return _copied(path.resolve(), workspace)


def _copied(path: Path, workspace: Path) -> Path:
    problems = list(file_problems(path))
    if problems:
        raise ModelError(f"The model {path.name} was refused; nothing of it was kept", ": ".join(problems[0]))
    try:
        copied = shutil.copytree(path, workspace / "copied" / path.name)
    except (OSError, shutil.Error) as error:
        raise OutputError(f"The model {path.name} cannot be copied", str(error).splitlines()[0][:200]) from error
    return Path(copied)


def _unpacked(request: InstallRequest, archive: Path, workspace: Path, ctx: JobContext) -> Path:
    found = sha256_of(archive)
    if request.sha256 and request.sha256.lower() != found:
        raise ModelError(
            f"{archive.name} is not the file that you meant",
            f"its SHA-256 is {found}, not {request.sha256.lower()}",
            "Nothing was installed. Get the file again, or check the hash",
        )
    folder = workspace / "unpacked"
    folder.mkdir()
    try:
        unpack(archive, folder, ctx)
    except OSError as error:
        raise OutputError(f"{archive.name} cannot be unpacked", error.strerror or str(error)) from error
    return bundle_in(folder, archive)


def bundle_in(folder: Path, archive: Path) -> Path:
    """Folder of the bundle in an unpacked archive: its top, which is named as the archive then, or one folder below.

    Raises
    ------
    ModelError
        When there is none, or more than one.
    """
    if _is_bundle(folder):
        named = folder.with_name(archive.name.partition(".")[0])
        return folder.rename(named) if named != folder else folder
    inner = [path for path in sorted(folder.iterdir()) if path.is_dir() and _is_bundle(path)]
    if len(inner) != 1:
        many = f"it holds {len(inner)} bundles" if inner else "it holds no configs/metadata"
        raise ModelError(f"{archive.name} is not a MONAI bundle", many, "Give the zip file of one bundle")
    return inner[0]


def _is_bundle(folder: Path) -> bool:
    return any((folder / f"configs/metadata{suffix}").is_file() for suffix in SUFFIXES)


def _put(root: Path, target: Path, workspace: Path) -> None:
    old = workspace / "old"
    try:
        if target.exists():
            target.rename(old)
        root.rename(target)
    except OSError as error:
        if old.exists() and not target.exists():
            old.rename(target)
        raise OutputError(f"The model cannot be put into {target}", error.strerror or str(error)) from error


def _file_name(address: str) -> str:
    name = Path(urllib.parse.unquote(urllib.parse.urlsplit(address).path)).name
    return name if name.endswith(".zip") else f"{name or 'model'}.zip"


def download(address: str, path: Path, ctx: JobContext) -> None:
    """Fetch a file over https; the only place of the program that uses the network.

    Raises
    ------
    ModelError
        For another kind of address, an answer that is no file, or more than 8 GiB.
    JobCancelled
        When the job was asked to stop.
    """
    if urllib.parse.urlsplit(address).scheme != "https":
        raise ModelError(f"{address} is not fetched", "only https addresses are", "Give an https address or a file")
    digest, received = hashlib.sha256(), 0
    try:
        with urllib.request.urlopen(address, timeout=TIMEOUT_S) as answer, path.open("xb") as sink:
            if urllib.parse.urlsplit(answer.url).scheme != "https":
                raise ModelError(f"{address} is not fetched", f"it leads to {answer.url}, which is not https")
            total = int(answer.headers.get("Content-Length") or 0)
            while chunk := answer.read(CHUNK):
                received += len(chunk)
                if received > MAX_BYTES:
                    raise ModelError(f"{address} is not fetched", "it is larger than 8 GiB")
                digest.update(chunk)
                sink.write(chunk)
                ctx.step("Fetching", received // CHUNK, max(1, total // CHUNK))
    except (urllib.error.URLError, TimeoutError, ConnectionError, ValueError) as error:
        raise ModelError(
            f"{address} cannot be fetched", str(error), "Check the address, or fetch the file and install that"
        ) from error
