"""A bundle that rates lesions which are marked already: what it states, and its networks and trees."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from napari_lesion.core.errors import ModelError
from napari_lesion.models.bundle import WEIGHTS
from napari_lesion.models.catalogue import RATING, shipped_folder, user_folder
from napari_lesion.models.config.reading import read_mapping
from napari_lesion.models.metadata import INFERENCE, METADATA, OWN_KEY
from napari_lesion.models.safety import inside, literal, load_state_dicts, sha256_of

if TYPE_CHECKING:
    import torch

CLASSIFIER: Final = "lung_nodule_classifier"
TREES: Final = "models/trees.npz"
NETWORKS: Final[Mapping[str, str]] = {"ResNet": "resnet"}
"""Network classes of classifiers that may be built, and the module of ``monai.networks.nets`` each one stands in."""
ANSWERS: Final = ("suspicious", "texture", "calcified")
TEXTURE_COUNT: Final = 3
AGAIN: Final = "Copy or install the bundle again"


@dataclass(frozen=True)
class Limits:
    """What a lesion must be like to be rated; beyond it the classifier was never trained.

    Parameters
    ----------
    max_slice_spacing_mm, max_pixel_mm
        Distance of axial slices, and the longer edge of a pixel in them.
    diameter_mm
        Smallest and largest diameter of a disc with the area of the slice.
    min_aerated_share
        Least share of aerated lung (HU within ``aerated_hu``) among the pixels of the crop beside the lesion.
    aerated_hu
        Range of HU of aerated lung.
    """

    max_slice_spacing_mm: float
    max_pixel_mm: float
    diameter_mm: tuple[float, float]
    min_aerated_share: float
    aerated_hu: tuple[float, float]


@dataclass(frozen=True, eq=False)
class ClassifierInfo:
    """What the bundle of a classifier states; nothing of it has been run.

    Parameters
    ----------
    name, title, version, path
        Folder name, name for people, version, folder.
    network_def
        Class and literal arguments of the networks.
    members
        Names of the networks, each with its set of trees.
    size, pixel_mm, a_min, a_max
        Edge of the crop in pixels, edge of a pixel, HU that become 0 and 1.
    textures
        Words for the textures, in the order of the outputs.
    measures
        Columns of the engine that the trees ask for.
    heads
        Calibration of each of `ANSWERS`: weights (class, score) and bias (class,) of a logistic map of all scores.
    limits
        What a lesion must be like.
    training_patients
        Everyone who was trained on.
    """

    name: str
    title: str
    version: str
    path: Path
    network_def: Mapping[str, Any]
    members: tuple[str, ...]
    size: int
    pixel_mm: float
    a_min: float
    a_max: float
    textures: tuple[str, ...]
    measures: tuple[str, ...]
    heads: Mapping[str, tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]
    limits: Limits
    training_patients: tuple[str, ...] = ()

    @cached_property
    def weights_sha256(self) -> str:
        """SHA-256 of the weights file, hexadecimal; ModelError when the file is missing."""
        return sha256_of(inside(self.path, WEIGHTS))

    @property
    def identity(self) -> str:
        """Name, version and first digits of the hash, for records."""
        return f"{self.name} {self.version} (sha256 {self.weights_sha256[:12]})"


def find_classifier() -> ClassifierInfo | None:
    """The classifier of lung nodules, the user's own before the one that ships; None where there is none.

    Raises
    ------
    ModelError
        When it is damaged.
    """
    for folder in (user_folder(), shipped_folder()):
        if (folder / CLASSIFIER / METADATA).is_file():
            return read_classifier(folder / CLASSIFIER)
    return None


def read_classifier(path: Path) -> ClassifierInfo:
    """Read and check what the bundle of a classifier states.

    Parameters
    ----------
    path
        Folder of the bundle.

    Raises
    ------
    ModelError
        When it rates no lesions, a file is missing, or a value impossible.
    """
    metadata, config = read_mapping(path, METADATA), read_mapping(path, INFERENCE)
    own = metadata.get(OWN_KEY)
    if not isinstance(own, Mapping) or own.get("task") != RATING:
        raise _unusable(path, f"its task is not {RATING}")
    try:
        info = _info(path, metadata, own, _network(config))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _unusable(path, f"configs/metadata.json lacks or garbles {str(error)[:80]}") from error
    return info


def _info(path: Path, metadata: Mapping[str, Any], own: Mapping[str, Any], network: dict[str, Any]) -> ClassifierInfo:
    textures = _texts(own["textures"])
    heads = own["heads"][own["ships"]]
    classes = {"suspicious": (1, 2), "texture": (len(textures), 2 * len(textures)), "calcified": (1, 2)}
    info = ClassifierInfo(
        name=path.name,
        title=str(own.get("title", path.name)),
        version=str(metadata.get("version", "")),
        path=path,
        network_def=network,
        members=_texts(own["members"]),
        size=int(_within(own["size"], 8, 512)),
        pixel_mm=_within(own["pixel_mm"], 0.05, 10),
        a_min=_within(own["intensity"]["a_min"], -1e5, 1e5),
        a_max=_within(own["intensity"]["a_max"], -1e5, 1e5),
        textures=textures,
        measures=_texts(own["measures"]),
        heads={name: _head(heads[name], classes[name]) for name in ANSWERS},
        limits=_limits(own["limits"]),
        training_patients=_texts(own.get("training_patients", ())),
    )
    if not info.members or not info.a_min < info.a_max or len(textures) != TEXTURE_COUNT:
        raise ValueError("members, intensity or textures")
    return info


def _network(config: Mapping[str, Any]) -> dict[str, Any]:
    part = config["network_def"]
    target = str(part["_target_"])
    prefix, _, name = target.rpartition(".")
    if name not in NETWORKS or prefix not in ("", "monai.networks.nets", f"monai.networks.nets.{NETWORKS[name]}"):
        raise ModelError(
            f"The network {target!r} is not built", "it is not on the list of networks of classifiers that are safe"
        )
    return {"_target_": name, **literal({k: v for k, v in part.items() if k != "_target_"}, config)}


def _head(
    stated: Mapping[str, Any], shape: tuple[int, int]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    weights, bias = np.asarray(stated["weights"], float), np.asarray(stated["bias"], float)
    if (
        weights.shape != shape
        or bias.shape != shape[:1]
        or not np.isfinite(weights).all()
        or not np.isfinite(bias).all()
    ):
        raise ValueError("heads")
    return weights, bias


def _limits(stated: Mapping[str, Any]) -> Limits:
    low, high = (_within(value, 0, 1e3) for value in stated["diameter_mm"])
    dark, bright = (_within(value, -1e5, 1e5) for value in stated["aerated_hu"])
    return Limits(
        _within(stated["max_slice_spacing_mm"], 0.1, 100),
        _within(stated["max_pixel_mm"], 0.01, 100),
        (low, high),
        _within(stated["min_aerated_share"], 0, 1),
        (dark, bright),
    )


def load_members(info: ClassifierInfo) -> list[torch.nn.Module]:
    """Networks of a classifier with their weights, float32, on the CPU, in evaluation mode, in the order of members.

    Raises
    ------
    ModelError
        When a network cannot be built, or its weights are missing, damaged or another network's.
    """
    states = load_state_dicts(info.path, WEIGHTS)
    arguments = {key: value for key, value in info.network_def.items() if not key.startswith("_")}
    name = str(info.network_def["_target_"])
    factory = getattr(import_module(f"monai.networks.nets.{NETWORKS[name]}"), name)
    networks = []
    for member in info.members:
        try:
            network: torch.nn.Module = factory(**arguments)
            network.load_state_dict(states[member], strict=True)
        except KeyError as error:
            raise _unusable(info.path, f"{WEIGHTS} lacks the member {member}") from error
        except (ArithmeticError, AssertionError, RuntimeError, TypeError, ValueError) as error:
            raise _unusable(info.path, f"{name} refuses its arguments or the weights of {member}") from error
        networks.append(network.float().eval())
    return networks


def load_trees(info: ClassifierInfo) -> dict[str, dict[str, npt.NDArray[Any]]]:
    """Arrays of the trees of each member by name; ModelError when the file is missing or damaged.

    Nothing but plain arrays is read.
    """
    path = inside(info.path, TREES)
    try:
        with np.load(path, allow_pickle=False) as kept:
            arrays = {name: kept[name] for name in kept.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise _unusable(info.path, f"{TREES} is damaged") from error
    return {
        member: {
            name.removeprefix(f"{member}."): array for name, array in arrays.items() if name.startswith(f"{member}.")
        }
        for member in info.members
    }


def _unusable(path: Path, why: str) -> ModelError:
    return ModelError(f"The classifier {path.name} cannot be used", why, AGAIN)


def _texts(values: Any) -> tuple[str, ...]:
    if isinstance(values, str) or not all(isinstance(value, str) for value in values):
        raise TypeError(str(values)[:40])
    return tuple(values)


def _within(value: Any, low: float, high: float) -> float:
    number = float(value)
    if not (math.isfinite(number) and low <= number <= high):
        raise ValueError(str(value))
    return number
