"""The registry of named steps: what each does, what can be chosen, and which MONAI transform it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

import numpy as np

from napari_lesion.core.volume import Modality
from napari_lesion.preprocess import parameters as choices

MONAI: Final = "monai.transforms"
FILTERS: Final = "napari_lesion.preprocess.filters"
MASKS: Final = "napari_lesion.preprocess.masks"
INTERPOLATION: Final = {"linear": "bilinear", "nearest": "nearest", "cubic": 3}


@dataclass(frozen=True)
class Step:
    """One named step.

    Parameters
    ----------
    name
        Short name, for the command line and records.
    title, summary
        Name for people, and one sentence.
    parameters
        Dataclass of what can be chosen.
    target
        Array form of the transform, as ``_target_`` names it; the dictionary form has a ``d`` behind it.
    arguments
        Arguments of the transform from an instance of ``parameters``.
    settled
        Target and arguments of a transform that has taken its statistics from a coarse copy of the image; None for
        transforms that do so by themselves (``frozen``) or need none.
    reach
        Voxels (z) around a slice that the step looks at.
    modalities
        Modalities that it is made for; empty for all.
    keeps_unit
        Whether HU stay HU, and SUV SUV.
    changes_grid
        Whether the result lies on another grid.
    """

    name: str
    title: str
    summary: str
    parameters: type[Any]
    target: str
    arguments: Callable[[Any], dict[str, Any]]
    settled: Callable[[Any, Any], tuple[str, dict[str, Any]]] | None = None
    reach: Callable[[Any], int] = lambda _: 0
    modalities: tuple[Modality, ...] = ()
    keeps_unit: bool = True
    changes_grid: bool = False

    def build(self, parameters: Any) -> Any:
        """The transform, array form."""
        return _made(self.target, self.arguments(parameters))

    def build_frozen(self, parameters: Any, coarse: Any) -> Any:
        """The transform for parts of an image of which ``coarse`` is a coarse copy (channel, x, y, z)."""
        if self.settled is not None:
            return _made(*self.settled(parameters, coarse))
        made = self.build(parameters)
        return made.frozen(coarse) if hasattr(made, "frozen") else made


def _made(target: str, arguments: Mapping[str, Any]) -> Any:
    module, _, name = target.rpartition(".")
    return getattr(import_module(module), name)(**arguments)


def _named(parameters: Any, **more: Any) -> dict[str, Any]:
    return {**{name: getattr(parameters, name) for name in parameters.__dataclass_fields__}, **more}


def _window(p: choices.WindowParameters) -> dict[str, Any]:
    return {"a_min": p.low, "a_max": p.high, "b_min": p.to_low, "b_max": p.to_high, "clip": p.clip}


def _normalise(p: choices.NormaliseParameters) -> dict[str, Any]:
    return {"nonzero": p.nonzero, "channel_wise": True}


def _settled_normalise(p: choices.NormaliseParameters, coarse: Any) -> tuple[str, dict[str, Any]]:
    values = np.asarray(coarse)
    values = values[values != 0] if p.nonzero and values.any() else values
    return f"{MONAI}.NormalizeIntensity", {
        "subtrahend": float(values.mean()),
        "divisor": float(values.std()) or 1.0,
        "nonzero": p.nonzero,
    }


def _percentiles(p: choices.PercentileParameters) -> dict[str, Any]:
    return {"lower": p.lower, "upper": p.upper, "b_min": 0.0, "b_max": 1.0, "clip": p.clip}


def _settled_percentiles(p: choices.PercentileParameters, coarse: Any) -> tuple[str, dict[str, Any]]:
    low, high = (float(value) for value in np.percentile(np.asarray(coarse), (p.lower, p.upper)))
    return f"{MONAI}.ScaleIntensityRange", {"a_min": low, "a_max": high, "b_min": 0.0, "b_max": 1.0, "clip": p.clip}


def _resample(p: choices.ResampleParameters) -> dict[str, Any]:
    return {"pixdim": p.pixdim, "mode": INTERPOLATION[p.interpolation], "padding_mode": "border", "dtype": np.float32}


_ALL: Final = (
    Step(
        "window",
        "Window",
        "Maps a window of values, HU on CT, to 0 to 1",
        choices.WindowParameters,
        f"{MONAI}.ScaleIntensityRange",
        _window,
        keeps_unit=False,
    ),
    Step(
        "normalise",
        "Normalise",
        "Subtracts the mean and divides by the standard deviation",
        choices.NormaliseParameters,
        f"{MONAI}.NormalizeIntensity",
        _normalise,
        settled=_settled_normalise,
        keeps_unit=False,
    ),
    Step(
        "percentiles",
        "Scale by percentiles",
        "Maps the range between two percentiles to 0 to 1",
        choices.PercentileParameters,
        f"{MONAI}.ScaleIntensityRangePercentiles",
        _percentiles,
        settled=_settled_percentiles,
        keeps_unit=False,
    ),
    Step(
        "n4",
        "N4 bias correction",
        "Takes the slow change of brightness of the coils out of an MR image",
        choices.N4Parameters,
        f"{FILTERS}.N4BiasFieldCorrection",
        _named,
        modalities=(Modality.MR,),
    ),
    Step(
        "curvature",
        "Denoise by curvature flow",
        "Smooths along edges, not across them",
        choices.CurvatureFlowParameters,
        f"{FILTERS}.CurvatureFlow",
        _named,
        reach=lambda p: int(min(p.iterations, 8)) + 1,
    ),
    Step(
        "nlm",
        "Denoise by non-local means",
        "Averages patches that look alike, axial slice by slice",
        choices.NonLocalMeansParameters,
        f"{FILTERS}.NonLocalMeans",
        _named,
    ),
    Step(
        "median",
        "Denoise by the median",
        "Gives each voxel the median of its neighbourhood",
        choices.MedianParameters,
        f"{MONAI}.MedianSmooth",
        _named,
        reach=lambda p: int(p.radius),
    ),
    Step(
        "clahe",
        "Local histogram equalisation (CLAHE)",
        "Raises the contrast in each region of the image; gives 0 to 1",
        choices.ClaheParameters,
        f"{FILTERS}.CLAHE",
        _named,
        reach=lambda _: 4,
        keeps_unit=False,
    ),
    Step(
        "resample",
        "Resample",
        "Puts the image on another voxel spacing; places in the patient stay",
        choices.ResampleParameters,
        f"{MONAI}.Spacing",
        _resample,
        reach=lambda p: 3,
        changes_grid=True,
    ),
    Step(
        "body",
        "Keep the body",
        "Takes table, clothes and the air around away",
        choices.RegionParameters,
        f"{MASKS}.BodyMask",
        _named,
    ),
    Step(
        "lungs",
        "Keep the lungs",
        "Takes everything but the lungs of a chest CT away",
        choices.LungParameters,
        f"{MASKS}.LungMask",
        _named,
        modalities=(Modality.CT,),
    ),
    Step(
        "brain",
        "Keep the brain",
        "Takes skull and scalp away (made for FLAIR; look at the result)",
        choices.RegionParameters,
        f"{MASKS}.BrainMask",
        _named,
        modalities=(Modality.MR,),
    ),
)

STEPS: Final[Mapping[str, Step]] = {step.name: step for step in _ALL}
"""Every step by name, in the order in which they are offered."""
