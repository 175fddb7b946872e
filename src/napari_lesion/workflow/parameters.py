"""What can be chosen: forms, options of the command line, run.json and docs are made from these dataclasses.

They stand apart from the use cases, so that a help text imports neither NumPy nor the engine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from napari_lesion.core.parameters import Param, check_ranges
from napari_lesion.inference.settings import BACKENDS, DEVICES, EngineSettings

MASK_FORMATS = (".nii.gz", ".nrrd", ".mha")

MODALITIES = ("CT", "MR", "PT")


@dataclass(frozen=True)
class OpenParameters:
    """What can be chosen for the opening of studies."""

    modality: Annotated[
        str | None, Param("Modality of all inputs, for files that do not say it", choices=MODALITIES)
    ] = None
    resample_sheared: Annotated[
        bool, Param("Resample voxels that lie on no rectangular grid, instead of refusing them")
    ] = False

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True)
class DetectParameters:
    """What can be chosen for a detection; the form, the command line and run.json are made from it.

    Parameters
    ----------
    threshold
        Probability from which a voxel counts as lesion, 0 to 1; None for that of the model.
    min_volume_mm3
        Smaller marks are dropped; None for the model's own limit.
    device
        ``auto``, ``cpu`` or ``cuda``.
    backend
        ``auto``, ``torch`` or ``openvino``.
    overlap
        Share of a window that overlaps its neighbour, 0 to 0.75; None for that of the model.
    """

    threshold: Annotated[
        float | None,
        Param(
            "Probability from which a voxel counts as lesion; the model's own when empty",
            low=0.02,
            high=1.0,
            step=0.01,
        ),
    ] = None
    min_volume_mm3: Annotated[
        float | None,
        Param(
            "Smaller marks are dropped; the model's own limit when empty",
            unit="mm³",
            low=0.0,
            high=10000.0,
            step=5.0,
            label="Smallest volume",
        ),
    ] = None
    device: Annotated[str, Param("Where the model runs; auto takes a GPU when there is one", choices=DEVICES)] = (
        "auto"
    )
    backend: Annotated[
        str, Param("Library that runs the model; auto takes the fastest one here", choices=BACKENDS)
    ] = "auto"
    overlap: Annotated[
        float | None,
        Param(
            "Share of a window that overlaps its neighbour; the model's own when empty", low=0.0, high=0.75, step=0.05
        ),
    ] = None

    def __post_init__(self) -> None:
        check_ranges(self)

    @property
    def engine(self) -> EngineSettings:
        """The part that the inference engine needs."""
        return EngineSettings(device=self.device, backend=self.backend, overlap=self.overlap)


@dataclass(frozen=True)
class ExportParameters:
    """What can be chosen for an export."""

    mask_format: Annotated[str, Param("File format of the mask", choices=MASK_FORMATS)] = ".nii.gz"
    pseudonymise: Annotated[bool, Param("Replace the series UID by a keyed hash, and leave paths out")] = False
    save_probability: Annotated[bool, Param("Write the lesion probability beside the mask")] = False

    def __post_init__(self) -> None:
        check_ranges(self)
