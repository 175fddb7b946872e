"""Keep results and edits where a crash cannot reach them, and give them back when the same study is opened."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import time
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from napari_lesion.core.errors import InputError, OutputError
from napari_lesion.core.lesion import Review, Status
from napari_lesion.core.probability import ProbabilityMap
from napari_lesion.core.volume import LabelMap, Source, Volume
from napari_lesion.io.atomic import atomic_path
from napari_lesion.io.records import local_key, state_folder
from napari_lesion.workflow.autosave_state import (
    FORMAT_VERSION,
    PackedMasks,
    Snapshot,
    StudyState,
    detection_from,
    detection_record,
    probability_bytes,
    probability_from,
)
from napari_lesion.workflow.study import EditRecord, Study, now_utc

if TYPE_CHECKING:
    from napari_lesion.workflow.detect import Detection

__all__ = ["AutosaveStore", "Saved", "Snapshot", "image_key"]

SUFFIX = ".study"
PROBABILITY_SUFFIX = ".probability"
LIMIT_STUDIES = 20
LIMIT_BYTES = 512 * 2**20
SAMPLE_EDGE = 64
STALE_S = 600.0
"""A temporary file of this age was left by a process that was killed."""

logger = logging.getLogger("napari_lesion")


@dataclass(frozen=True, eq=False)
class Saved:
    """One autosave that was found, read whole: what becomes of its files afterwards does not matter.

    Parameters
    ----------
    key
        Key of the image that it belongs to, see `image_key`.
    time
        When it was written, ISO 8601 UTC.
    same_file
        Whether it was made from the very path that is open now, not from a copy of the image.
    lesions, edited, reviewed
        Numbers of lesions, of those drawn or changed by hand, and of those accepted or rejected.
    exported
        Whether everything in it was exported, too.
    masks
        Packed masks as edited, and those of the model.
    state, detection
        All the rest; no detection when its model is not installed any more, or its probability is gone.
    """

    key: str
    time: str
    same_file: bool
    lesions: int
    edited: int
    reviewed: int
    exported: bool
    masks: tuple[PackedMasks, PackedMasks]
    state: StudyState
    detection: Detection | None

    @property
    def sentence(self) -> str:
        """One line for the dock, with the time of day here."""
        when = datetime.fromisoformat(self.time).astimezone().strftime("%d %b %Y, %H:%M")
        parts = [f"{self.lesions} lesion" + ("" if self.lesions == 1 else "s")]
        parts += [f"{self.edited} edited"] if self.edited else []
        parts += [f"{self.reviewed} reviewed"] if self.reviewed else []
        return f"Work on this study was kept on {when}: {', '.join(parts)}"


def image_key(volume: Volume) -> str:
    """Key of an image: SHA-256 (first 32 hexadecimal digits) of its grid, type and a sample of at most 64³ voxels."""
    steps = tuple(slice(None, None, max(1, -(-n // SAMPLE_EDGE))) for n in volume.array.shape)
    digest = hashlib.sha256(json.dumps(volume.grid.as_dict(), sort_keys=True).encode())
    digest.update(volume.array.dtype.str.encode())
    digest.update(np.ascontiguousarray(volume.array[steps]).tobytes())
    return digest.hexdigest()[:32]


class AutosaveStore:
    """One file a study in a folder of the user, and one more with the probability of its detection.

    A file appears whole or not at all. Nothing in it names a patient: path and series UID are kept as keyed hashes.
    At most 20 studies and 512 MiB are kept; the oldest go first.

    Parameters
    ----------
    folder
        Where the files are; a folder of the user's state directory by default, which the environment variable
        ``NAPARI_LESION_STATE_DIR`` puts elsewhere.
    limit_studies, limit_bytes
        What is kept at most; the study saved last is kept in any case.
    """

    def __init__(
        self, folder: Path | None = None, limit_studies: int = LIMIT_STUDIES, limit_bytes: int = LIMIT_BYTES
    ) -> None:
        self.folder = folder or state_folder() / "autosave"
        self._limit_studies = limit_studies
        self._limit_bytes = limit_bytes
        self._written: WeakKeyDictionary[Detection, Path] = WeakKeyDictionary()

    def save(self, study: Study) -> Path:
        """Save a study as it is now; see `write`."""
        return self.write(study.volume, Snapshot.of(study))

    def write(self, volume: Volume, snapshot: Snapshot) -> Path:
        """Write a snapshot of a study of this volume; may run beside edits, in another thread.

        Raises
        ------
        OutputError
            When the folder is read only or full. What was saved before is still there then.
        """
        self._make_folder()
        key = image_key(volume)
        probability = self._write_probability(key, snapshot.detection)
        state = {
            **snapshot.state,
            "format": FORMAT_VERSION,
            "key": key,
            "time": now_utc(),
            "shape": list(volume.grid.shape),
            "source": _source_hash(volume.source),
            "detection": detection_record(snapshot.detection) if snapshot.detection else None,
            "probability": probability.name if probability else "",
        }
        path = self.folder / f"{key}{SUFFIX}"
        with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("state.json", json.dumps(state, allow_nan=False))
            for name, masks in (("labels", snapshot.labels), ("model", snapshot.model_labels)):
                archive.writestr(f"{name}.boxes", masks.header())
                archive.writestr(f"{name}.bits", masks.bits)
        self._tidy(path, probability)
        return path

    def find(self, volume: Volume) -> Saved | None:
        """The autosave of this very image, from wherever it was opened; None when there is none that can be read."""
        path = self.folder / f"{image_key(volume)}{SUFFIX}"
        if not path.exists():
            return None
        try:
            return self._read(path, volume)
        except InputError as error:
            logger.warning("%s", error)
            return None

    def restore(self, study: Study, saved: Saved) -> None:
        """Put an autosave into a study of the same image, in one step; its lesions have to be measured afterwards.

        Without a detection the masks are there, and their threshold cannot be moved.

        Raises
        ------
        InputError
            When it is of another image; the study is as it was then.
        """
        if saved.key != image_key(study.volume):
            raise InputError("The kept work was not restored", "it belongs to another image")
        for labels, masks in zip((study.labels, study.model_labels), saved.masks, strict=True):
            labels.array[...] = 0
            masks.unpack(labels.array)
        saved.state.install(study)
        study.detection = saved.detection
        study.log.append(EditRecord("restore", tuple(study.lesions)))
        study.touched()

    def discard(self, saved: Saved) -> None:
        """Forget one autosave."""
        for path in self.folder.glob(f"{saved.key}*"):
            with suppress(OSError):
                path.unlink()

    def clear(self) -> int:
        """Forget every autosave; returns the number of studies that were kept."""
        studies = self.studies
        for path in [*self._files(), *self.folder.glob(".*")]:
            with suppress(OSError):
                path.unlink()
        return studies

    @property
    def studies(self) -> int:
        """Number of studies that are kept."""
        return len(list(self.folder.glob(f"*{SUFFIX}")))

    @property
    def nbytes(self) -> int:
        """Bytes on the disk."""
        return sum(_size(path) for path in self._files())

    def _files(self) -> list[Path]:
        return [*self.folder.glob(f"*{SUFFIX}"), *self.folder.glob(f"*{PROBABILITY_SUFFIX}")]

    def _make_folder(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise OutputError("Your work is not autosaved", f"{self.folder}: {error.strerror}") from error

    def _write_probability(self, key: str, detection: Detection | None) -> Path | None:
        """Write the probability of a detection once; later saves of the same detection find it there."""
        if detection is None:
            return None
        known = self._written.get(detection)
        if known is not None and known.exists() and known.name.startswith(key):
            return known
        indices, blocks = probability_bytes(detection.probability)
        path = self.folder / f"{key}-{now_utc().replace(':', '')}-{id(detection):x}{PROBABILITY_SUFFIX}"
        with (
            atomic_path(path) as temporary,
            zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, True, 1) as archive,
        ):
            archive.writestr("indices", indices)
            with archive.open("voxels", "w", force_zip64=True) as entry:
                for block in blocks:
                    entry.write(block.tobytes())
        self._written[detection] = path
        return path

    def _read(self, path: Path, volume: Volume) -> Saved:
        like = LabelMap.empty(volume.grid).array
        with _opened(path) as archive:
            plain = _state(archive, volume)
            state = StudyState.from_plain(plain)
            masks = [
                PackedMasks.from_bytes(archive.read(f"{name}.boxes"), archive.read(f"{name}.bits"), like)
                for name in ("labels", "model")
            ]
            lesions = state.lesions.values()
            return Saved(
                key=plain["key"],
                time=plain["time"],
                same_file=plain["source"] == _source_hash(volume.source),
                lesions=len(lesions),
                edited=sum(lesion.status != Status.MODEL for lesion in lesions),
                reviewed=sum(lesion.review != Review.NONE for lesion in lesions),
                exported=bool(plain["exported"]),
                masks=(masks[0], masks[1]),
                state=state,
                detection=self._read_detection(plain, ProbabilityMap(volume.grid)),
            )

    def _read_detection(self, state: Mapping[str, Any], empty: ProbabilityMap) -> Detection | None:
        if not state["probability"]:
            return None
        path = self.folder / Path(state["probability"]).name
        try:
            with _opened(path) as archive:
                probability = probability_from(empty, archive.read("indices"), archive.read("voxels"))
                detection = detection_from(state["detection"], probability)
        except InputError as error:
            logger.warning("%s", error)
            return None
        if detection is not None:
            self._written[detection] = path
        return detection

    def _tidy(self, path: Path, probability: Path | None) -> None:
        """Remove probabilities and temporary files that no study needs, and the oldest studies over the limits."""
        key = path.name.removesuffix(SUFFIX)
        for other in self.folder.glob(f"{key}-*{PROBABILITY_SUFFIX}"):
            if other != probability:
                _remove(other)
        for other in self.folder.glob(f".{key}*"):
            if time.time() - _modified(other) > STALE_S:
                _remove(other)
        studies = sorted(self.folder.glob(f"*{SUFFIX}"), key=_modified, reverse=True)
        held = 0
        for number, study in enumerate([path, *(other for other in studies if other != path)]):
            files = list(self.folder.glob(f"{study.name.removesuffix(SUFFIX)}*"))
            held += sum(map(_size, files))
            if number and (number >= self._limit_studies or held > self._limit_bytes):
                for file in files:
                    _remove(file)


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open an autosave; every way in which it can be damaged is an `InputError`."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"The autosave {path.name} cannot be read", str(error), "Discard it") from error


def _state(archive: zipfile.ZipFile, volume: Volume) -> dict[str, Any]:
    state = json.loads(archive.read("state.json"))
    if not isinstance(state, dict) or state.get("format") != FORMAT_VERSION:
        raise ValueError("it was written by another version")
    if state["key"] != image_key(volume) or state["shape"] != list(volume.grid.shape):
        raise ValueError("it belongs to another image")
    return state


def _source_hash(source: Source) -> str:
    """Keyed hash of path and series UID: tells whether it is the same file, and nothing else."""
    words = f"{source.path or ''}\n{source.series_uid}"
    return hmac.new(local_key(), words.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
