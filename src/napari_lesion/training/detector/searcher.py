"""The network of a run, or its two networks, over prepared cases: what the program does, without its bundle.

A second network, trained by itself, lies in the folder `SECOND` of a run. It looks again at each mark of the first
(`napari_lesion.inference.refine`), in a window and in the same one flipped, and a voxel gets the geometric mean of
both networks.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from napari_lesion.core.errors import InputError
from napari_lesion.inference.refine import CandidateRule, refine
from napari_lesion.models.bundle import GEOMETRIC_MEAN
from napari_lesion.training.checkpoints import load_weights
from napari_lesion.training.config import Intensity
from napari_lesion.training.detector.config import RECORD, SECOND, CropConfig, build_crop_network, read_record
from napari_lesion.training.scene_windows import scene_cutter
from napari_lesion.training.scenes import Scene
from napari_lesion.training.scoring import probability_of

if TYPE_CHECKING:
    import torch

FloatArray = npt.NDArray[np.float32]

CANDIDATES: Final = CandidateRule(threshold=0.1, min_voxels=25, combine=GEOMETRIC_MEAN, flipped=True)
"""Marks that the second network looks at again; a mean of 0.3 needs 0.09 of the first, and a mark 30 such voxels."""


def last_weights(run: Path, config: CropConfig) -> dict[str, torch.Tensor]:
    """Weights of the last stretch of a run."""
    return load_weights(run / config.stretches[-1].name / "weights.pt")


def trained_network(run: Path) -> tuple[torch.nn.Module, CropConfig, int | None]:
    """Network of a run with its last weights, ready to be used, its configuration and its fold."""
    config, fold = read_record(run)
    network = build_crop_network(config, 3).eval()
    network.load_state_dict(last_weights(run, config))
    return network, config, fold


def configs_of(run: Path) -> tuple[CropConfig, ...]:
    """Configuration of the first network of a run, and of the second where it has one."""
    return tuple(read_record(part)[0] for part in (run, *([run / SECOND] if has_second(run) else [])))


def has_second(run: Path) -> bool:
    """Whether a run has a second network."""
    return (run / SECOND / RECORD).is_file()


@dataclass(frozen=True, eq=False)
class Searcher:
    """One run over prepared cases.

    Parameters
    ----------
    network, window
        First network and the edge of its windows, voxels.
    intensity
        HU window of both.
    fold
        What was held out; None for nothing.
    second
        The other network, with the edge of its windows.
    """

    network: torch.nn.Module
    window: int
    intensity: Intensity
    fold: int | None
    second: tuple[torch.nn.Module, int] | None = None

    @classmethod
    def of(cls, run: Path) -> Searcher:
        """Load the weights of a run.

        Raises
        ------
        InputError
            When its two networks do not belong together.
        """
        network, config, fold = trained_network(run)
        if not has_second(run):
            return cls(network, config.window, config.intensity, fold)
        other, its, its_fold = trained_network(run / SECOND)
        if its_fold != fold or its.intensity != config.intensity:
            raise InputError(f"The networks of {run} do not belong together", "their folds or HU windows differ")
        return cls(network, config.window, config.intensity, fold, (other, its.window))

    def probability(self, scene: Scene) -> FloatArray:
        """Probability (x, y, z) inside the search region of a scene, in float32."""
        first = probability_of(self.network, scene, self.window)
        if self.second is None:
            return first
        network, window = self.second
        cutter = scene_cutter(scene, (window, window, window), mirrored=True)
        both = refine(first, cutter, _Windows(network), CANDIDATES)
        return np.where(scene.lung, both, np.float32(0))


class _Windows:
    """A network as the backend of `refine`."""

    name, device, precision = "torch", "cpu", "float32"

    def __init__(self, network: torch.nn.Module) -> None:
        self._network = network

    def infer(self, windows: FloatArray) -> FloatArray:
        """Probability (n, x, y, z) of windows (n, 1, x, y, z)."""
        import torch

        device = next(self._network.parameters()).device
        with torch.inference_mode():
            logits = self._network(torch.from_numpy(windows).to(device))
        found: FloatArray = torch.sigmoid(logits.float())[:, 0].cpu().numpy()
        return found

    def close(self) -> None:
        """Nothing is held."""
