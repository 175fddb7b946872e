"""What an autosave holds: the masks of a study as packed bits, and everything else as plain JSON."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_lesion.core.display import Box
from napari_lesion.core.lesion import Lesion, Review, Status
from napari_lesion.core.probability import ProbabilityMap
from napari_lesion.core.table import LesionTable
from napari_lesion.workflow.caliper import caliper_from, caliper_record, lies_on
from napari_lesion.workflow.edit_boxes import BoxIndex, IntArray
from napari_lesion.workflow.study import EditRecord, Study

if TYPE_CHECKING:
    from napari_lesion.workflow.detect import Detection

FORMAT_VERSION = 1
TEXTS = ("lesion_id", "lesion_uid", "edited_at", "reviewed_at", "finding")
"""Fields of a lesion that are texts, empty in states of before them."""


@dataclass(frozen=True, eq=False)
class PackedMasks:
    """Label masks as boxes and bits.

    Parameters
    ----------
    boxes
        Native box (z, y, x) of each label, ascending.
    bits
        Of each label its voxels in the box, one bit each in scan order (``numpy.packbits``), one after the other.
    """

    boxes: Mapping[int, Box]
    bits: bytes

    @classmethod
    def of(cls, array: IntArray, boxes: Mapping[int, Box]) -> PackedMasks:
        """Pack the labels that have a box."""
        ordered = {label: boxes[label] for label in sorted(boxes)}
        parts = [np.packbits(array[box] == label).tobytes() for label, box in ordered.items()]
        return cls(ordered, b"".join(parts))

    def header(self) -> bytes:
        """Labels and boxes as little-endian int64: label, then start and stop along z, y, x."""
        rows = [
            [label, *(bound for part in box for bound in (part.start, part.stop))]
            for label, box in self.boxes.items()
        ]
        return np.asarray(rows, dtype="<i8").tobytes()

    @classmethod
    def from_bytes(cls, header: bytes, bits: bytes, like: IntArray) -> PackedMasks:
        """The masks of `header` and ``bits``; ValueError when they do not fit together or into such an array."""
        rows = np.frombuffer(header, dtype="<i8").reshape(-1, 7)
        boxes: dict[int, Box] = {}
        for label, z0, z1, y0, y1, x0, x1 in rows.tolist():
            boxes[label] = slice(z0, z1), slice(y0, y1), slice(x0, x1)
            if not 1 <= label <= np.iinfo(like.dtype).max:
                raise ValueError(f"{label} is no label")
            if any(not 0 <= p.start < p.stop <= n for p, n in zip(boxes[label], like.shape, strict=True)):
                raise ValueError(f"label {label} lies outside the volume")
        masks = cls(boxes, bits)
        if len(bits) != sum(_packed_size(box) for box in boxes.values()):
            raise ValueError("the masks are cut off")
        return masks

    def unpack(self, array: IntArray) -> None:
        """Write the masks into an array of zeros."""
        at = 0
        for label, box in self.boxes.items():
            size = _packed_size(box)
            shape = [part.stop - part.start for part in box]
            bits = np.frombuffer(self.bits, dtype=np.uint8, count=size, offset=at)
            array[box][np.unpackbits(bits, count=math.prod(shape)).reshape(shape).astype(bool)] = label
            at += size


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A study at one moment, with nothing in it that later edits could change.

    Parameters
    ----------
    labels, model_labels
        Masks as edited and as the model gave them.
    state
        Lesions, threshold, edit log and so on, as plain values for JSON.
    detection
        The detection that the masks came from; never changed after it was made.
    revision
        Revision of the study.
    """

    labels: PackedMasks
    model_labels: PackedMasks
    state: Mapping[str, Any]
    detection: Detection | None
    revision: int

    @classmethod
    def of(cls, study: Study, boxes: BoxIndex | None = None, model_boxes: BoxIndex | None = None) -> Snapshot:
        """Take a snapshot; box indices that somebody keeps up to date save a look at the whole label maps."""
        present = boxes or BoxIndex(study.labels.array)
        original = model_boxes or BoxIndex(study.model_labels.array)
        return cls(
            labels=PackedMasks.of(study.labels.array, present.boxes(present.labels)),
            model_labels=PackedMasks.of(study.model_labels.array, original.boxes(original.labels)),
            state=_state_of(study),
            detection=study.detection,
            revision=study.revision,
        )


def _state_of(study: Study) -> dict[str, Any]:
    return {
        "lesions": [_lesion_record(lesion) for lesion in study.lesions.values()],
        "threshold": study.threshold,
        "min_volume_mm3": study.min_volume_mm3,
        "dismissed": [list(index) for index in study.dismissed],
        "log": [record.as_dict() for record in study.log],
        "exported": study.revision == study.exported_revision,
    }


@dataclass(frozen=True, eq=False)
class StudyState:
    """Everything of a snapshot but masks and detection, read and checked."""

    lesions: Mapping[int, Lesion]
    threshold: float | None
    min_volume_mm3: float
    dismissed: tuple[tuple[int, int, int], ...]
    log: tuple[EditRecord, ...]

    @classmethod
    def from_plain(cls, state: Mapping[str, Any]) -> StudyState:
        """Read plain values; KeyError, TypeError or ValueError when something is missing or makes no sense."""
        lesions = [_lesion_from(record) for record in state["lesions"]]
        log = [
            EditRecord(str(record["action"]), tuple(record["labels"]), int(record["voxels"]), str(record["time"]))
            for record in state["log"]
        ]
        return cls(
            lesions={lesion.label: lesion for lesion in lesions},
            threshold=None if state["threshold"] is None else float(state["threshold"]),
            min_volume_mm3=float(state["min_volume_mm3"]),
            dismissed=tuple((int(z), int(y), int(x)) for z, y, x in state["dismissed"]),
            log=tuple(log),
        )

    def install(self, study: Study) -> None:
        """Put it into a study; the table is empty then. A caliper that lies outside the image is left out."""
        grid = study.volume.grid
        study.lesions = {
            label: lesion
            if lesion.caliper is None or lies_on(lesion.caliper, grid)
            else replace(lesion, caliper=None)
            for label, lesion in self.lesions.items()
        }
        study.threshold = self.threshold
        study.min_volume_mm3 = self.min_volume_mm3
        study.dismissed = self.dismissed
        study.log[:] = self.log
        study.table = LesionTable(study.table.columns)


def detection_record(detection: Detection) -> dict[str, Any]:
    """What is needed to say later which model made the masks, and to find it again."""
    return {
        "model": detection.model.name,
        "model_path": str(detection.model.path),
        "model_sha256": detection.model.weights_sha256,
        "parameters": asdict(detection.parameters),
        "device": detection.device,
        "backend": detection.backend,
        "precision": detection.precision,
        "windows": detection.windows,
        "seconds": dict(detection.seconds),
        "organ": detection.organ,
        "notes": list(detection.notes),
    }


def detection_from(record: Mapping[str, Any], probability: ProbabilityMap) -> Detection | None:
    """The detection of a record; None when its model is not installed any more, or is another one by now."""
    from napari_lesion.core.errors import ModelError
    from napari_lesion.workflow.detect import Detection, DetectParameters
    from napari_lesion.workflow.models import find_model
    from napari_lesion.workflow.threshold import Marks

    for name in (record["model"], record["model_path"]):
        try:
            model = find_model(name)
            same = model.weights_sha256 == record["model_sha256"]
        except ModelError:
            continue
        if same:
            break
    else:
        return None
    nothing = np.zeros((0, 0, 0), dtype=np.uint16)
    return Detection(
        model=model,
        parameters=DetectParameters(**record["parameters"]),
        probability=probability,
        marks=Marks(model.default_threshold, model.min_volume_mm3, None, nothing, nothing, {}),
        table=LesionTable(),
        device=record["device"],
        backend=record["backend"],
        windows=record["windows"],
        seconds=dict(record["seconds"]),
        organ=record["organ"],
        notes=tuple(record["notes"]),
        precision=record.get("precision", ""),
    )


def probability_bytes(probability: ProbabilityMap) -> tuple[bytes, Iterable[npt.NDArray[np.uint8]]]:
    """Indices of the blocks as little-endian int64 rows (z, y, x), and their voxels in the same order."""
    indices = sorted(probability.blocks)
    return np.asarray(indices, dtype="<i8").tobytes(), (probability.blocks[index] for index in indices)


def probability_from(probability: ProbabilityMap, indices: bytes, voxels: bytes) -> ProbabilityMap:
    """Fill an empty map with the blocks of `probability_bytes`; ValueError when they do not fit its grid."""
    at = 0
    for z, y, x in np.frombuffer(indices, dtype="<i8").reshape(-1, 3).tolist():
        shape = [part.stop - part.start for part in probability.block_box((z, y, x))]
        count = math.prod(shape)
        block = np.frombuffer(voxels, dtype=np.uint8, count=count, offset=at).reshape(shape)
        probability.blocks[z, y, x] = block.copy()
        at += count
    if at != len(voxels):
        raise ValueError("the probability does not fit the grid")
    return probability


def _lesion_record(lesion: Lesion) -> dict[str, Any]:
    probability = None if math.isnan(lesion.probability) else lesion.probability
    return {
        "label": lesion.label,
        "status": str(lesion.status),
        "probability": probability,
        "review": str(lesion.review),
        "lesion_id": lesion.lesion_id,
        "lesion_uid": lesion.lesion_uid,
        "edited_at": lesion.edited_at,
        "reviewed_at": lesion.reviewed_at,
        "finding": lesion.finding,
        "caliper": caliper_record(lesion.caliper),
        **{name: value for name, value in _numbers(lesion).items() if not math.isnan(value)},
    }


def _numbers(lesion: Lesion) -> dict[str, float]:
    """What is a number when it is known."""
    low, high = lesion.volume_range_mm3
    return {"threshold": lesion.threshold, "agreement": lesion.agreement, "volume_low": low, "volume_high": high}


def _lesion_from(record: Mapping[str, Any]) -> Lesion:
    probability = record["probability"]
    return Lesion(
        label=int(record["label"]),
        status=Status(record["status"]),
        probability=float("nan") if probability is None else float(probability),
        review=Review(record["review"]),
        **{name: str(record.get(name, "")) for name in TEXTS},
        caliper=caliper_from(record.get("caliper")),
        threshold=float(record.get("threshold", math.nan)),
        agreement=float(record.get("agreement", math.nan)),
        volume_range_mm3=(float(record.get("volume_low", math.nan)), float(record.get("volume_high", math.nan))),
    )


def _packed_size(box: Box) -> int:
    count: int = math.prod(part.stop - part.start for part in box)
    return -(-count // 8)
