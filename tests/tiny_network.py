"""The smallest network that a bundle of the tests holds."""

from __future__ import annotations

from typing import Any

TINY_UNET: dict[str, Any] = {
    "_target_": "UNet",
    "spatial_dims": 3,
    "in_channels": 1,
    "out_channels": 1,
    "channels": [4, 8, 16],
    "strides": [2, 2],
    "num_res_units": 1,
    "norm": "INSTANCE",
}
