"""Small DICOM series written with pydicom, each slice filled with its own values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian, generate_uid

ROWS, COLUMNS = 10, 12
STACKS = ((1, 0, 0, 0, 1, 0), (-1, 0, 0, 0, -1, 0), (1, 0, 0, 0, 0, -1), (0, 1, 0, 0, 0, -1))
PATIENT = "Doe^Jane"
BIRTH_DATE = "19500102"


@dataclass
class Series:
    """What to write; ``changes`` are attributes put over those of every slice (None takes one out)."""

    positions: Sequence[float] = tuple(range(0, 20, 2))
    orientation: Sequence[float] = (1, 0, 0, 0, 1, 0)
    pixel_spacing: tuple[float, float] = (0.7, 0.6)
    origin: Sequence[float] = (-31.5, 20.25, -100.0)
    tilt_step: Sequence[float] = (0.0, 0.0, 0.0)
    uid: str = field(default_factory=generate_uid)
    study: str = field(default_factory=generate_uid)
    frame: str = field(default_factory=generate_uid)
    modality: str = "CT"
    shape: tuple[int, int] = (ROWS, COLUMNS)
    first_number: int = 1
    backwards: bool = False
    extension: str = ".dcm"
    prefix: str = "im"
    changes: dict[str, Any] = field(default_factory=dict)

    @property
    def normal(self) -> np.ndarray:
        o = np.asarray(self.orientation, dtype=float)
        return np.cross(o[:3], o[3:])


def pixels(k: int, shape: tuple[int, int] = (ROWS, COLUMNS)) -> np.ndarray:
    """Stored values of slice ``k``: different in every slice, row and column."""
    rows, columns = np.indices(shape)
    return (100 * k + 10 * rows + columns).astype(np.uint16)


def write_series(folder: Path, series: Series) -> list[Path]:
    """Write one file a position, named so that the names are not in the order of the slices."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    order = range(len(series.positions))
    for k in order:
        number = series.first_number + (len(series.positions) - 1 - k if series.backwards else k)
        path = folder / f"{series.prefix}{(7 * k) % 97:03d}_{k}{series.extension}"
        slice_dataset(series, k, number).save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths


def slice_dataset(series: Series, k: int, number: int) -> FileDataset:
    dataset = _dataset(CTImageStorage)
    dataset.Modality = series.modality
    dataset.SeriesInstanceUID, dataset.StudyInstanceUID = series.uid, series.study
    dataset.FrameOfReferenceUID = series.frame
    dataset.SeriesDescription = "Chest 1.0"
    dataset.SeriesDate = "20200304"
    dataset.InstanceNumber = number
    place = np.asarray(series.origin) + series.positions[k] * series.normal + k * np.asarray(series.tilt_step)
    dataset.ImagePositionPatient = [f"{v:.6f}" for v in place]
    dataset.ImageOrientationPatient = [f"{v:.9f}"[:16] for v in series.orientation]
    dataset.PixelSpacing = list(series.pixel_spacing)
    dataset.SliceThickness = 2.0
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, -1024
    _put_pixels(dataset, pixels(k, series.shape))
    change(dataset, series.changes)
    return dataset


def change(dataset: Dataset, changes: dict[str, Any]) -> None:
    for name, value in changes.items():
        if value is None:
            if name in dataset:
                delattr(dataset, name)
        else:
            setattr(dataset, name, value)


def enhanced(path: Path, heights: Sequence[float], sideways: float = 0.0) -> Path:
    """Write one Enhanced CT object with a frame a height."""
    dataset = _dataset(EnhancedCTImageStorage)
    dataset.Modality = "CT"
    dataset.SeriesInstanceUID, dataset.StudyInstanceUID = generate_uid(), generate_uid()
    dataset.NumberOfFrames = len(heights)
    shared, measures, turned, rescale = Dataset(), Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [0.7, 0.6], 2.0
    turned.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    rescale.RescaleSlope, rescale.RescaleIntercept, rescale.RescaleType = 1, -1024, "HU"
    shared.PixelMeasuresSequence = DicomSequence([measures])
    shared.PlaneOrientationSequence = DicomSequence([turned])
    shared.PixelValueTransformationSequence = DicomSequence([rescale])
    dataset.SharedFunctionalGroupsSequence = DicomSequence([shared])
    frames = []
    for k, height in enumerate(heights):
        frame, place = Dataset(), Dataset()
        place.ImagePositionPatient = [-31.5 + k * sideways, 20.25, height]
        frame.PlanePositionSequence = DicomSequence([place])
        frames.append(frame)
    dataset.PerFrameFunctionalGroupsSequence = DicomSequence(frames)
    _put_pixels(dataset, np.stack([pixels(k) for k in range(len(heights))]))
    dataset.save_as(path, enforce_file_format=True)
    return path


def other_object(path: Path, sop_class: str, modality: str) -> Path:
    """Write an object without an image, such as a structured report."""
    dataset = _dataset(sop_class)
    dataset.Modality = modality
    dataset.SeriesInstanceUID, dataset.StudyInstanceUID = generate_uid(), generate_uid()
    dataset.save_as(path, enforce_file_format=True)
    return path


def _dataset(sop_class: str) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = sop_class, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    dataset.PatientName, dataset.PatientBirthDate, dataset.PatientID = PATIENT, BIRTH_DATE, "id-1"
    return dataset


def _put_pixels(dataset: Dataset, values: np.ndarray) -> None:
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = values.shape[-2:]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 0
    dataset.PixelData = values.astype("<u2").tobytes()
