"""A model bundle as the rest of the program knows it, and the network in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from napari_lesion.core.errors import ModelError
from napari_lesion.core.grid import Triple
from napari_lesion.core.volume import Modality
from napari_lesion.models.safety import NETWORKS, inside, load_state_dict, network_class_name, sha256_of

if TYPE_CHECKING:
    import torch

WEIGHTS: Final = "models/model.pt"
MARK_FEATURES: Final = ("mean_logit", "log_volume_mm3", "log_axis_ratio", "air_around", "bright")
"""What a mark can be judged by as a whole; `napari_lesion.inference.marks` computes them."""
CARD: Final = "docs/README.md"
QUANTISED: Final = ("models/int8.xml", "models/int8.bin")
"""The INT8 network in OpenVINO's format, when a bundle has one."""
REDUCED: Final = ("bf16", "int8")


@dataclass(frozen=True)
class Intensity:
    """Linear map of image values to network values (MONAI's ``ScaleIntensityRange``).

    Parameters
    ----------
    a_min, a_max
        Image values, HU on CT, that become ``b_min`` and ``b_max``; with ``z_score`` standard deviations from the
        mean.
    b_min, b_max
        Network values.
    clip
        Whether values outside are cut.
    z_score
        Whether values are taken as z-scores, by the mean and the standard deviation of what is not zero in the
        searched organ (as MONAI's ``NormalizeIntensity`` computes them with ``nonzero``): for images without a unit.
    """

    a_min: float
    a_max: float
    b_min: float = 0.0
    b_max: float = 1.0
    clip: bool = True
    z_score: bool = False

    def in_units_of(self, mean: float, deviation: float) -> Intensity:
        """The same map for the values of one image, whose mean and standard deviation are given."""
        if not self.z_score:
            return self
        low, high = (mean + deviation * z for z in (self.a_min, self.a_max))
        return replace(self, a_min=low, a_max=high, z_score=False)

    def scaled(self, value: float) -> float:
        """Network value of an image value, before the cut."""
        return self.b_min + (value - self.a_min) * (self.b_max - self.b_min) / (self.a_max - self.a_min)


@dataclass(frozen=True)
class OperatingPoint:
    """What a model achieves at one threshold, as its card states.

    Parameters
    ----------
    name
        Short name, such as ``sensitive``.
    threshold
        Probability, 0 to 1.
    sensitivity
        Share of the lesions found, 0 to 1; None when not measured.
    false_marks_per_scan
        Mean number of marks that hit no lesion; None when not measured.
    measured_on
        Data, fold and number of patients.
    """

    name: str
    threshold: float
    sensitivity: float | None = None
    false_marks_per_scan: float | None = None
    measured_on: str = ""


REPLACED: Final = "replace"
GEOMETRIC_MEAN: Final = "geometric_mean"
COMBINED: Final = (REPLACED, GEOMETRIC_MEAN)
"""The second network's probability takes the place of the first's, or the geometric mean of both does."""


@dataclass(frozen=True)
class Refinement:
    """Second stage of a detector: a network that looks again at each mark in a window centred on it.

    Parameters
    ----------
    bundle
        Bundle of the second network: spacing, orientation and value scaling are those of the first.
    candidates_at
        Probability of the first stage from which a voxel belongs to a candidate.
    min_volume_mm3
        Smaller candidates are dropped.
    combine
        What becomes of the two probabilities, one of `COMBINED`.
    flipped
        Whether the second network sees each window a second time, flipped along all axes, and the mean counts.
    """

    bundle: BundleInfo
    candidates_at: float = 0.5
    min_volume_mm3: float = 0.0
    combine: str = REPLACED
    flipped: bool = False


@dataclass(frozen=True)
class MarkScore:
    """Logistic model that gives a mark of the network, as a whole, its probability of being a lesion.

    Parameters
    ----------
    level
        Probability of the network from which a voxel belongs to a mark, above 0 and below 1.
    min_voxels
        Smaller marks are dropped; voxels of the model grid.
    air_below
        Value in the input units (HU on CT) below which a voxel is aerated.
    intercept, weights
        Of the logistic model; one weight for each of `MARK_FEATURES`.
    """

    level: float
    min_voxels: int
    air_below: float
    intercept: float
    weights: Mapping[str, float]


@dataclass(frozen=True)
class BundleInfo:
    """What a bundle states about itself; nothing of it has been run.

    Parameters
    ----------
    name, title, path, version, description
        Folder name, name for people, folder, version, one paragraph.
    modality, organ, task
        What the network was made for; an empty organ means the whole volume.
    spacing_mm, axcodes
        Voxel spacing along the axes of the network input, and where those axes run to (``RAS``: first axis
        to the patient's right; increasing index, MONAI's and nibabel's convention).
    intensity, roi_size, overlap
        Value scaling, window size in voxels along those axes, and share by which windows overlap.
    channels, activation, lesion_channel, labels
        Input channels; how logits become probabilities; output channel that is the lesion; label meanings.
    default_threshold, min_volume_mm3, max_slice_spacing_mm
        Probability at which lesions are drawn, smallest lesion kept, thickest slices the model was made for.
    window_gflop
        Floating-point operations of one window, 10⁹; tells the time that a first run will take.
    operating_points, training_patients
        Of the model card.
    network_def
        Class and literal arguments of the network.
    refinement
        Second stage, when the model has one.
    mark_score
        How likely a mark as a whole is a lesion, when the model says so.
    foreign
        Whether it was made by others and is run by its own steps.
    channel_names
        What each input channel is, such as ``FLAIR``; empty when it is not stated.
    weights
        File of the weights, relative to the folder.
    mirrored
        Whether an image smaller than the window is mirrored up to it, instead of being filled with 0.
    precisions
        Reduced precisions that were measured to lose nothing, the best first: ``bf16``, ``int8``.
    quantised
        SHA-256 of the files of the INT8 network, by name; empty when there is none.
    """

    name: str
    path: Path
    network_def: Mapping[str, Any]
    intensity: Intensity
    title: str = ""
    version: str = ""
    description: str = ""
    task: str = "segmentation"
    modality: Modality = Modality.CT
    organ: str = ""
    spacing_mm: Triple = (1.0, 1.0, 1.0)
    axcodes: str = "RAS"
    roi_size: tuple[int, int, int] = (96, 96, 96)
    overlap: float = 0.25
    channels: int = 1
    activation: str = "sigmoid"
    lesion_channel: int = 0
    labels: Mapping[int, str] = field(default_factory=lambda: {1: "lesion"})
    default_threshold: float = 0.5
    min_volume_mm3: float = 0.0
    max_slice_spacing_mm: float | None = None
    window_gflop: float | None = None
    operating_points: tuple[OperatingPoint, ...] = ()
    training_patients: tuple[str, ...] = ()
    refinement: Refinement | None = None
    mark_score: MarkScore | None = None
    foreign: bool = False
    channel_names: tuple[str, ...] = ()
    weights: str = WEIGHTS
    mirrored: bool = False
    precisions: tuple[str, ...] = ()
    quantised: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def weights_sha256(self) -> str:
        """SHA-256 of the weights file, hexadecimal; ModelError when the file is missing."""
        return sha256_of(inside(self.path, self.weights))

    @property
    def card(self) -> Path | None:
        """The model card, when the bundle has one."""
        path = self.path / CARD
        return path if path.is_file() else None

    @property
    def identity(self) -> str:
        """Name, version and first digits of the hash, for records: ``lung_nodule_ct 0.1.0 (sha256 1a2b3c4d5e6f)``.

        That of the second stage follows, where there is one.
        """
        own = f"{self.name} {self.version} (sha256 {self.weights_sha256[:12]})"
        return f"{own} + {self.refinement.bundle.identity}" if self.refinement else own


def build_network(info: BundleInfo) -> torch.nn.Module:
    """Build the network of a bundle with random weights.

    Raises
    ------
    ModelError
        When its class is not on the list of `models.safety.NETWORKS`, or it refuses its arguments.
    """
    from importlib import import_module

    arguments = {key: value for key, value in info.network_def.items() if not key.startswith("_")}
    name = network_class_name(info.network_def.get("_target_"))
    try:
        factory = getattr(import_module(f"monai.networks.nets.{NETWORKS[name]}"), name)
        network: torch.nn.Module = factory(**arguments)
    except (ArithmeticError, AssertionError, AttributeError, ImportError, LookupError) as error:
        raise _unbuildable(info, name, error) from error
    except (MemoryError, RuntimeError, TypeError, ValueError) as error:
        raise _unbuildable(info, name, error) from error
    return network


def _unbuildable(info: BundleInfo, name: str, error: BaseException) -> ModelError:
    reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
    return ModelError(
        f"The network of the model {info.name} cannot be built",
        f"{name} refuses its arguments: {reason}",
        "Correct network_def in configs/inference.json",
    )


def load_network(info: BundleInfo) -> torch.nn.Module:
    """Network of a bundle with its weights, float32, on the CPU, in evaluation mode.

    Parameters
    ----------
    info
        A bundle from `models.catalogue`.

    Raises
    ------
    ModelError
        When the network cannot be built, or its weights are damaged or belong to another network.
    """
    state = load_state_dict(info.path, info.weights)
    network = build_network(info)
    try:
        network.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise ModelError(
            f"The weights of the model {info.name} do not fit its network",
            "names or shapes in models/model.pt differ from network_def in configs/inference.json",
            "Copy or install the bundle again",
        ) from error
    return network.float().eval()
