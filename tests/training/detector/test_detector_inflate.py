"""A flat network, inflated, gives each slice of a volume that is constant across slices what the flat one gave."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from napari_lesion.training.detector.config import CropConfig, build_crop_network
from napari_lesion.training.detector.inflate import inflate

DYN = {
    "_target_": "DynUNet",
    "kernel_size": [3, 3, 3],
    "strides": [1, 2, 2],
    "upsample_kernel_size": [2, 2],
    "filters": [4, 8, 16],
    "norm_name": "INSTANCE",
}
RES = {"_target_": "SegResNet", "init_filters": 8, "blocks_down": [1, 1], "blocks_up": [1], "upsample_mode": "deconv"}


@pytest.mark.parametrize("network", [DYN, RES], ids=["DynUNet", "SegResNet"])
def test_constant_volumes_give_the_same(network: dict[str, Any]) -> None:
    config = CropConfig("tiny", (), network)
    torch.manual_seed(1)
    flat, deep = (build_crop_network(config, dims).eval() for dims in (2, 3))
    deep.load_state_dict(inflate(flat.state_dict(), deep))
    image = torch.rand(1, 1, 16, 16)
    with torch.no_grad():
        expected = flat(image)
        volume = deep(image[..., None].repeat(1, 1, 1, 1, 16))
    # Zero padding of wider kernels is felt near the ends only; the centre taps feel none.
    torch.testing.assert_close(volume[..., 8], expected, atol=1e-4, rtol=1e-4)


def test_weights_of_the_same_shape_stay() -> None:
    network = build_crop_network(CropConfig("tiny", (), DYN), 3)
    state = network.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in inflate(state, network).items())
