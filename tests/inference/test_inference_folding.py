"""The folded tail of a network gives what the network gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from monai.networks.nets import DynUNet, UNet

from napari_lesion.inference.backends.folding import fold_tail, folded_weights, subpixel_weights
from napari_lesion.inference.backends.openvino_backend import convert
from napari_lesion.inference.backends.telemetry import import_openvino


def _run(model: Any, window: np.ndarray) -> np.ndarray:
    compiled = import_openvino().Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return compiled({0: window})[0]


def _kinds(model: Any) -> list[str]:
    return [op.get_type_name() for op in model.get_ordered_ops()]


def _unet(**changes: Any) -> torch.nn.Module:
    torch.manual_seed(3)
    stated = {"channels": (4, 8, 8), "strides": (2, 2), "num_res_units": 2, "norm": "INSTANCE"} | changes
    return UNet(3, 1, 1, **stated).eval()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"num_res_units": 0},
        {"act": "RELU"},
        {"strides": (4, 2), "up_kernel_size": 5},
        {"kernel_size": 5, "up_kernel_size": 3},
    ],
    ids=["residual", "plain", "relu", "stride 4", "kernel 5"],
)
def test_the_folded_network_is_the_network(changes: dict[str, Any]) -> None:
    network, window = _unet(**changes), np.random.default_rng(0).random((1, 1, 32, 24, 16)).astype(np.float32)
    model = convert(network, list(window.shape), import_openvino())
    assert _kinds(model).count("DepthToSpace") == 1, "the tail was folded, and unfolded once"
    with torch.no_grad():
        expected = network(torch.from_numpy(window)).numpy()
    np.testing.assert_allclose(_run(model, window), expected, atol=2e-4 * np.abs(expected).max())


@pytest.mark.parametrize(
    "network",
    [
        _unet(num_res_units=0, act="SELU"),
        DynUNet(3, 1, 1, (3, 3, 3), (1, 2, 2), (2, 2), filters=(4, 8, 8)).eval(),
        UNet(3, 1, 3, (4, 8), (2,)).eval(),
    ],
    ids=["an unknown activation", "no transposed convolution at the end", "three channels"],
)
def test_other_networks_stay_what_they_are(network: torch.nn.Module) -> None:
    window = np.random.default_rng(1).random((1, 1, 16, 16, 16)).astype(np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(window)).numpy()
    result = _run(convert(network, list(window.shape), import_openvino()), window)
    np.testing.assert_allclose(result, expected, atol=2e-4 * np.abs(expected).max())


def test_a_model_without_transposed_convolutions_is_left_alone() -> None:
    openvino = import_openvino()
    ops = openvino.opset13
    parameter = ops.parameter([1, 1, 4, 4, 4], np.float32)
    model = openvino.Model([ops.relu(parameter)], [parameter])
    assert not fold_tail(model, openvino)
    assert _kinds(model) == ["Parameter", "Relu", "Result"]


@pytest.mark.parametrize(("size", "stride", "pad"), [(3, 2, 1), (2, 2, 0), (4, 2, 1), (5, 3, 1)])
def test_sub_grids_of_a_transposed_convolution(size: int, stride: int, pad: int) -> None:
    rng = np.random.default_rng(size)
    weights, image = rng.random((2, 3, size, size, size)), rng.random((1, 2, 5, 5, 5))
    kernel, begin = subpixel_weights(weights.astype(np.float32), [stride] * 3, [pad] * 3)
    padding = [n for before in begin for n in (before, kernel.shape[2] - 1 - before)]
    conv, transposed = torch.nn.functional.conv3d, torch.nn.functional.conv_transpose3d
    padded = torch.nn.functional.pad(torch.from_numpy(image).float(), padding)
    grids = conv(padded, torch.from_numpy(kernel)).reshape(3, stride, stride, stride, 5, 5, 5)
    expected = (
        transposed(
            torch.from_numpy(image).float(),
            torch.from_numpy(weights).float(),
            stride=stride,
            padding=pad,
            output_padding=2 * pad + stride - size,
        )[0]
        if 0 <= 2 * pad + stride - size < stride
        else None
    )
    if expected is None:
        pytest.skip("torch has no output padding that makes the size a multiple of the stride")
    for place in np.ndindex(stride, stride, stride):
        part = expected[:, place[0] :: stride, place[1] :: stride, place[2] :: stride]
        torch.testing.assert_close(grids[:, *place], part, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("size", "stride"), [(3, 2), (5, 2), (3, 3), (1, 2)])
def test_a_convolution_between_sub_grids(size: int, stride: int) -> None:
    rng = np.random.default_rng(size + stride)
    weights = rng.random((1, 1, size, size, size)).astype(np.float32)
    image = torch.from_numpy(rng.random((1, 1, 4 * stride, 4 * stride, 4 * stride))).float()
    kernel, (begin, end) = folded_weights(weights, [stride] * 3, [size // 2] * 3)
    places = list(np.ndindex(stride, stride, stride))
    grids = torch.cat([image[:, :, z::stride, y::stride, x::stride] for z, y, x in places], dim=1)
    padding = [n for pair in zip(begin, end, strict=True) for n in pair]
    result = torch.nn.functional.conv3d(torch.nn.functional.pad(grids, padding), torch.from_numpy(kernel))
    expected = torch.nn.functional.conv3d(image, torch.from_numpy(weights), padding=size // 2)
    for number, (z, y, x) in enumerate(places):
        torch.testing.assert_close(result[:, number], expected[:, 0, z::stride, y::stride, x::stride])
