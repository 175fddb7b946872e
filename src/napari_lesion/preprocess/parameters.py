"""What can be chosen in each step: forms, command line, run.json and docs are made from these dataclasses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from napari_lesion.core.parameters import Param, check_ranges

INTERPOLATIONS = ("linear", "nearest", "cubic")


@dataclass(frozen=True)
class StepParameters:
    """Base of the parameters of a step: values out of range are refused (ValueError)."""

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True)
class WindowParameters(StepParameters):
    """Linear map of a window."""

    low: Annotated[float, Param("Value that becomes the lowest", low=-1e6, high=1e6, step=10.0)] = -1000.0
    high: Annotated[float, Param("Value that becomes the highest", low=-1e6, high=1e6, step=10.0)] = 400.0
    to_low: Annotated[float, Param("Lowest value of the result", low=-1e6, high=1e6, step=0.1)] = 0.0
    to_high: Annotated[float, Param("Highest value of the result", low=-1e6, high=1e6, step=0.1)] = 1.0
    clip: Annotated[bool, Param("Cut values outside the window")] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.low < self.high:
            raise ValueError(f"low must be below high, not {self.low:g} and {self.high:g}")


@dataclass(frozen=True)
class NormaliseParameters(StepParameters):
    """Mean 0 and standard deviation 1."""

    nonzero: Annotated[bool, Param("Only voxels that are not 0 count, and change (after a mask)")] = False


@dataclass(frozen=True)
class PercentileParameters(StepParameters):
    """Linear map between two percentiles."""

    lower: Annotated[float, Param("Percentile that becomes 0", low=0.0, high=100.0, step=0.5)] = 0.5
    upper: Annotated[float, Param("Percentile that becomes 1", low=0.0, high=100.0, step=0.5)] = 99.5
    clip: Annotated[bool, Param("Cut values outside")] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.lower < self.upper:
            raise ValueError(f"lower must be below upper, not {self.lower:g} and {self.upper:g}")


@dataclass(frozen=True)
class N4Parameters(StepParameters):
    """N4 bias field correction."""

    levels: Annotated[int, Param("Resolutions of the bias field; more follow it closer", low=1, high=6, step=1)] = 4
    iterations: Annotated[int, Param("Most iterations at each resolution", low=1, high=500, step=10)] = 50
    working_mm: Annotated[
        float, Param("Spacing at which the field is estimated", unit="mm", low=0.5, high=10.0, step=0.5)
    ] = 4.0


@dataclass(frozen=True)
class CurvatureFlowParameters(StepParameters):
    """Curvature flow."""

    iterations: Annotated[int, Param("Steps in time; more are smoother", low=1, high=100, step=1)] = 5


@dataclass(frozen=True)
class NonLocalMeansParameters(StepParameters):
    """Non-local means."""

    strength: Annotated[
        float, Param("Smoothing as a multiple of the estimated noise", low=0.05, high=5.0, step=0.05)
    ] = 0.8
    patch_size: Annotated[int, Param("Side of a patch", unit="pixels", low=3, high=15, step=2)] = 5
    patch_distance: Annotated[int, Param("Farthest patch compared", unit="pixels", low=1, high=20, step=1)] = 4


@dataclass(frozen=True)
class MedianParameters(StepParameters):
    """Median filter."""

    radius: Annotated[int, Param("Voxels on each side that count", unit="voxels", low=1, high=5, step=1)] = 1


@dataclass(frozen=True)
class ClaheParameters(StepParameters):
    """Contrast-limited adaptive histogram equalisation."""

    clip_limit: Annotated[
        float, Param("Limit of the contrast; higher gives more", low=0.001, high=1.0, step=0.005)
    ] = 0.01
    regions: Annotated[int, Param("Regions along each axis", low=1, high=64, step=1)] = 8


@dataclass(frozen=True)
class ResampleParameters(StepParameters):
    """Another voxel spacing."""

    spacing_mm: Annotated[
        float, Param("Spacing along all axes of the file", unit="mm", low=0.1, high=20.0, step=0.1)
    ] = 1.0
    x_mm: Annotated[float, Param("Other along x; 0 for the same", unit="mm", low=0.0, high=20.0, step=0.1)] = 0.0
    y_mm: Annotated[float, Param("Other along y; 0 for the same", unit="mm", low=0.0, high=20.0, step=0.1)] = 0.0
    z_mm: Annotated[float, Param("Other along z; 0 for the same", unit="mm", low=0.0, high=20.0, step=0.1)] = 0.0
    interpolation: Annotated[str, Param("How values between voxels are found", choices=INTERPOLATIONS)] = "linear"

    @property
    def pixdim(self) -> tuple[float, float, float]:
        """Spacing along (x, y, z), mm."""
        x, y, z = (value or self.spacing_mm for value in (self.x_mm, self.y_mm, self.z_mm))
        return x, y, z


@dataclass(frozen=True)
class RegionParameters(StepParameters):
    """A region that is kept."""

    outside: Annotated[
        float | None,
        Param("Value outside; the smallest of the image when empty", low=-1e6, high=1e6, step=1.0),
    ] = None
    as_mask: Annotated[bool, Param("Give the mask itself: 1 inside, 0 outside")] = False


@dataclass(frozen=True)
class LungParameters(RegionParameters):
    """The lungs."""

    tight: Annotated[
        bool, Param("Without the closed gaps and the margin of 4 mm in which nodules at the pleura lie")
    ] = False
