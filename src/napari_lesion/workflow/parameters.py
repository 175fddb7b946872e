"""What can be chosen: forms, options of the command line, run.json and docs are made from these dataclasses.

They stand apart from the use cases, so that a help text imports neither NumPy nor the engine.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from napari_lesion.core.parameters import Param, check_ranges
from napari_lesion.inference.settings import (
    BACKENDS,
    DEVICES,
    FLIPS,
    FLIPS_HELP,
    PRECISION_HELP,
    PRECISIONS,
    EngineSettings,
)

MASK_FORMATS = (".nii.gz", ".nrrd", ".mha")

MODALITIES = ("CT", "MR", "PT")

FEATURES_HELP = "Families or names of measures with commas between them, or core for all but the optional, or all"


def split_names(text: str) -> tuple[str, ...]:
    """Names that stand in a text with commas between them."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


@dataclass(frozen=True)
class CohortParameters:
    """What can be chosen for studies that are given on the command line.

    Parameters
    ----------
    modality
        Modality of all inputs; None for that of the file, or a guess.
    resample_sheared
        Whether voxels that lie on no rectangular grid are resampled.
    also
        Further images of the one input, on its grid, with commas between them; for models of several sequences.
    score_with
        Classifier whose scores become columns of the lesions: name or folder of a bundle; empty for none.
    scheduler
        Address of a Dask scheduler; empty for this machine.
    """

    modality: Annotated[
        str | None, Param("Modality of all inputs, for files that do not say it", choices=MODALITIES)
    ] = None
    resample_sheared: Annotated[
        bool, Param("Resample voxels that lie on no rectangular grid, instead of refusing them")
    ] = False
    also: Annotated[
        str,
        Param(
            "Further images of the one input with commas between them, in the order of the model's channels "
            "(napari-lesion models check names them)"
        ),
    ] = ""
    score_with: Annotated[
        str, Param("Bundle of a classifier, by name or folder: its scores of each lesion become columns of the table")
    ] = ""
    scheduler: Annotated[
        str, Param("Send the studies to the Dask cluster of this scheduler, such as tcp://host:8786")
    ] = ""

    @property
    def further(self) -> tuple[Path, ...]:
        """Paths of the further images."""
        return tuple(Path(part.strip()) for part in self.also.split(",") if part.strip())

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
    precision
        ``auto``, ``float32``, ``bf16`` or ``int8``.
    overlap
        Share of a window that overlaps its neighbour, 0 to 0.75; None for that of the model.
    flips
        ``none``, or the passes of a test-time augmentation: ``axes`` or ``all``.
    prepare
        Steps with blanks between them that are done on the image before the model looks at it; empty for none.
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
    precision: Annotated[str, Param(PRECISION_HELP, choices=PRECISIONS)] = "auto"
    overlap: Annotated[
        float | None,
        Param(
            "Share of a window that overlaps its neighbour; the model's own when empty", low=0.0, high=0.75, step=0.05
        ),
    ] = None
    flips: Annotated[str, Param(FLIPS_HELP, choices=FLIPS)] = "none"
    prepare: Annotated[
        str,
        Param(
            "Steps on the image before the model looks at it, with blanks between them, as `n4 nlm:strength=0.5`; "
            "measured is the original (napari-lesion preprocess --list)"
        ),
    ] = ""

    def __post_init__(self) -> None:
        check_ranges(self)

    @property
    def engine(self) -> EngineSettings:
        """The part that the inference engine needs."""
        return EngineSettings(
            device=self.device,
            backend=self.backend,
            overlap=self.overlap,
            flips=self.flips,
            precision=self.precision,
        )


@dataclass(frozen=True)
class EvaluateParameters:
    """What can be chosen for an evaluation.

    Parameters
    ----------
    section
        Section of the datalist; empty for testing, or else validation, or else training.
    fold
        Only the cases of this fold; None for all.
    lesion_from
        Value of the label map from which a voxel is lesion.
    instances
        Whether every value of the label map is one lesion, and not every connected part of it.
    hit_iou
        A mark hits a lesion when their intersection over union is above this.
    tolerance_mm
        Tolerance of the surface Dice, mm.
    modality
        Modality of all images; None for that of the file, or a guess.
    """

    section: Annotated[
        str, Param("Section of the datalist: training, validation or testing; empty for the last one that has labels")
    ] = ""
    fold: Annotated[int | None, Param("Only the cases of this fold", low=0)] = None
    lesion_from: Annotated[
        int, Param("Value of the label maps from which a voxel is lesion, such as a number of readers", low=1)
    ] = 1
    instances: Annotated[
        bool, Param("Every value of a label map is one lesion; otherwise every 26-connected part of it")
    ] = False
    hit_iou: Annotated[
        float, Param("A mark hits a lesion when their intersection over union is above this", low=0.0, high=0.99)
    ] = 0.1
    tolerance_mm: Annotated[float, Param("Tolerance of the surface Dice", unit="mm", low=0.0, high=50.0)] = 1.0
    modality: Annotated[
        str | None, Param("Modality of all images, for files that do not say it", choices=MODALITIES)
    ] = None

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True)
class AdaptParameters:
    """What can be chosen for an adaptation.

    Parameters
    ----------
    steps
        Optimizer steps.
    learning_rate
        Peak of the schedule.
    device
        ``auto``, ``cpu`` or ``cuda``.
    """

    steps: Annotated[int, Param("Steps of training; each looks at four windows", low=1, high=100000, step=50)] = 200
    learning_rate: Annotated[float, Param("How far each step goes", low=1e-7, high=0.1, step=0.0001)] = 2e-4
    device: Annotated[str, Param("Where to compute", choices=("auto", "cpu", "cuda"))] = "auto"

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True)
class MeasureParameters:
    """What can be chosen for the measuring of masks from files.

    Parameters
    ----------
    components
        Whether the masks are binary and each of their 26-connected parts is one lesion.
    features
        Families or names of measures with commas between them, or ``core`` or ``all``.
    modality
        Modality that the user states; None for that of the file, or a guess.
    bin_width
        Width of the intensity bins on CT, HU; None for 25.
    patient
        Word that stands for the patient, the same at every visit; empty for what the file says.
    pseudonymise
        Whether UIDs and names are replaced by keyed hashes, and dates and paths left out.
    organ
        ``lung`` to search the lungs in the image, or the file of a mask of the organ; empty for none.
    lobes
        File of a label map of the lobes, or folder with one mask a lobe; empty for none.
    """

    components: Annotated[bool, Param("The masks are binary: every 26-connected part of them is one lesion")] = False
    features: Annotated[str, Param(FEATURES_HELP)] = "core"
    modality: Annotated[
        str | None, Param("Modality of the image, if the file does not say it", choices=MODALITIES)
    ] = None
    bin_width: Annotated[
        float | None,
        Param("Width of the bins of entropy, uniformity and histogram on CT; 25 when not given", unit="HU", low=0.01),
    ] = None
    patient: Annotated[
        str, Param("Any word for the patient, the same at every visit; lesion_uid follows from its keyed hash")
    ] = ""
    pseudonymise: Annotated[bool, Param("Replace UIDs and names by keyed hashes, and leave dates and paths out")] = (
        False
    )

    organ: Annotated[
        str,
        Param("lung to find the lungs in a chest CT, or the mask of an organ, for side and distance to its border"),
    ] = ""
    lobes: Annotated[
        str,
        Param("Label map of the lobes with a JSON file of names beside it, or a folder with a mask for each lobe"),
    ] = ""

    def __post_init__(self) -> None:
        check_ranges(self)

    @property
    def names(self) -> tuple[str, ...]:
        """The words of ``features``."""
        return split_names(self.features)


@dataclass(frozen=True)
class ExportParameters:
    """What can be chosen for an export."""

    mask_format: Annotated[str, Param("File format of the mask", choices=MASK_FORMATS)] = ".nii.gz"
    pseudonymise: Annotated[bool, Param("Replace UIDs and names by keyed hashes, and leave dates and paths out")] = (
        False
    )
    save_probability: Annotated[bool, Param("Write the lesion probability beside the mask")] = False
    features: Annotated[str, Param(FEATURES_HELP)] = "core"

    def __post_init__(self) -> None:
        check_ranges(self)

    @property
    def names(self) -> tuple[str, ...]:
        """The words of ``features``."""
        return split_names(self.features)
