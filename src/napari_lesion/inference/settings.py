"""How the engine computes; but for overlap, flips and precision none of it changes what is found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from napari_lesion.core.parameters import Param, check_ranges

DEVICES: Final = ("auto", "cpu", "cuda")
BACKENDS: Final = ("auto", "openvino", "torch")
FLIPS: Final = ("none", "axes", "all")
FLOAT32: Final = "float32"
BF16: Final = "bf16"
INT8: Final = "int8"
FLOAT16: Final = "float16"
"""Only what auto means on a card: on the CPU it is slower than float32."""
PRECISIONS: Final = ("auto", FLOAT32, BF16, INT8)
PRECISION_HELP: Final = (
    "How exactly the network is computed; auto takes what was measured to lose nothing with this model, and float32 "
    "elsewhere"
)
FLIPS_HELP: Final = (
    "Test-time augmentation: windows are also run flipped, which takes as many times longer; axes for 4 passes, "
    "all for 8; tells how far the model agrees with itself on each lesion"
)


@dataclass(frozen=True)
class EngineSettings:
    """Device, backend, precision and windows.

    Raises
    ------
    ValueError
        When a value lies outside its range.
    """

    device: Annotated[str, Param("Where to compute; auto takes a CUDA card when there is one", choices=DEVICES)] = (
        "auto"
    )
    backend: Annotated[str, Param("Library that runs the network; auto is openvino on the CPU", choices=BACKENDS)] = (
        "auto"
    )
    overlap: Annotated[
        float | None, Param("Share by which windows overlap; empty for the model's own", low=0.0, high=0.9, step=0.05)
    ] = None
    batch: Annotated[
        int, Param("Windows computed together; 0 chooses: 4, or one a core of a smaller CPU", low=0, high=64)
    ] = 0
    flips: Annotated[str, Param(FLIPS_HELP, choices=FLIPS)] = "none"
    precision: Annotated[str, Param(PRECISION_HELP, choices=PRECISIONS)] = "auto"
    threads: Annotated[int, Param("CPU threads; 0 for all that this process may use", low=0, high=256)] = 0

    def __post_init__(self) -> None:
        check_ranges(self)
