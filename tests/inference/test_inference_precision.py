"""Which precision is taken, and that it is the one that computes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_lesion.core.errors import ModelError
from napari_lesion.inference.backends import choose, precision
from napari_lesion.inference.backends.choose import open_backend
from napari_lesion.inference.backends.openvino_backend import OpenVinoBackend
from napari_lesion.inference.backends.precision import precision_for, processor_has_bf16
from napari_lesion.inference.backends.telemetry import import_openvino
from napari_lesion.inference.backends.torch_backend import TorchBackend
from napari_lesion.inference.settings import EngineSettings
from napari_lesion.models.bundle import QUANTISED, BundleInfo
from napari_lesion.models.metadata import read_bundle
from napari_lesion.models.safety import sha256_of

WriteBundle = Callable[..., Path]
FILES = dict.fromkeys(QUANTISED, "0")


@pytest.mark.parametrize("bf16", [True, False])
@pytest.mark.parametrize(
    ("asked", "measured", "device", "backend", "with_bf16", "without"),
    [
        ("auto", (), "cpu", "openvino", "float32", "float32"),
        ("auto", ("bf16",), "cpu", "openvino", "bf16", "float32"),
        ("auto", ("bf16", "int8"), "cpu", "openvino", "bf16", "int8"),
        ("auto", ("bf16",), "cpu", "torch", "float32", "float32"),
        ("auto", ("bf16",), "cuda", "torch", "float16", "float16"),
        ("float32", ("bf16",), "cpu", "openvino", "float32", "float32"),
        ("float32", (), "cuda", "torch", "float32", "float32"),
        ("bf16", (), "cpu", "openvino", "bf16", "float32"),
        ("int8", (), "cpu", "openvino", "int8", "int8"),
    ],
)
def test_precision_that_is_taken(
    tiny_bundle: BundleInfo,
    monkeypatch: pytest.MonkeyPatch,
    bf16: bool,
    asked: str,
    measured: tuple[str, ...],
    device: str,
    backend: str,
    with_bf16: str,
    without: str,
) -> None:
    monkeypatch.setattr(precision, "processor_has_bf16", lambda: bf16)
    bundle = replace(tiny_bundle, precisions=measured, quantised=FILES)
    found = precision_for(bundle, EngineSettings(precision=asked), device, backend)
    assert found == (with_bf16 if bf16 else without)


def test_a_processor_without_bfloat16_is_told(tiny_bundle: BundleInfo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "processor_has_bf16", lambda: False)
    backend, notes = open_backend(tiny_bundle, EngineSettings(device="cpu", precision="bf16"))
    assert backend.precision == "float32"
    assert notes == (choose.NO_BF16,)


@pytest.mark.parametrize("backend", ["openvino", "torch"])
def test_int8_that_is_not_there_is_refused(tiny_bundle: BundleInfo, backend: str) -> None:
    with pytest.raises(ModelError, match="INT8"):
        open_backend(tiny_bundle, EngineSettings(device="cpu", backend=backend, precision="int8"))


def test_precision_outside_the_list() -> None:
    with pytest.raises(ValueError, match="precision"):
        EngineSettings(precision="float64")


@pytest.mark.parametrize("kind", [OpenVinoBackend, TorchBackend])
def test_bfloat16_differs_from_float32_by_its_rounding(tiny_bundle: BundleInfo, kind: Callable[..., object]) -> None:
    if kind is OpenVinoBackend and not processor_has_bf16():
        pytest.skip("this processor does not compute in bfloat16")
    windows = np.random.default_rng(0).random((3, 1, 32, 32, 32)).astype(np.float32)
    exact, reduced = (kind(tiny_bundle, precision=name) for name in ("float32", "bf16"))
    assert (exact.precision, reduced.precision) == ("float32", "bf16")
    difference = np.abs(exact.infer(windows) - reduced.infer(windows)).max()
    assert 1e-6 < difference < 0.05


def test_windows_at_once_and_one_by_one(tiny_bundle: BundleInfo) -> None:
    windows = np.random.default_rng(1).random((5, 1, 32, 32, 32)).astype(np.float32)
    one, two = OpenVinoBackend(tiny_bundle), OpenVinoBackend(tiny_bundle, batch=2, threads=2)
    np.testing.assert_array_equal(two.infer(windows), np.concatenate([one.infer(window[None]) for window in windows]))


@pytest.mark.parametrize("stated", [{"precisions": ["float8"]}, {"int8_sha256": {"models/int8.xml": "0"}}])
def test_metadata_that_make_no_sense(write_bundle: WriteBundle, tmp_path: Path, stated: dict[str, object]) -> None:
    with pytest.raises(ModelError, match="impossible value"):
        read_bundle(write_bundle(tmp_path / "odd", stated))


@pytest.fixture
def bundle_with_int8(write_bundle: WriteBundle, tmp_path: Path) -> Path:
    """A bundle with a network of its own in the files of the INT8 one: all windows become a half."""
    folder = write_bundle(tmp_path / "quantised")
    openvino = import_openvino()
    ops = openvino.opset13
    parameter = ops.parameter([1, 1, 32, 32, 32], np.float32)
    half = ops.multiply(ops.squeeze(parameter, ops.constant([1])), ops.constant(np.float32(0.5)))
    openvino.save_model(openvino.Model([half], [parameter]), folder / QUANTISED[0], compress_to_fp16=False)
    metadata = json.loads((folder / "configs/metadata.json").read_text(encoding="utf-8"))
    metadata["napari_lesion"]["int8_sha256"] = {name: sha256_of(folder / name) for name in QUANTISED}
    (folder / "configs/metadata.json").write_text(json.dumps(metadata), encoding="utf-8")
    return folder


def test_the_int8_network_of_a_bundle_computes(bundle_with_int8: Path) -> None:
    backend, _ = open_backend(read_bundle(bundle_with_int8), EngineSettings(device="cpu", precision="int8"))
    assert (backend.name, backend.precision) == ("openvino", "int8")
    windows = np.random.default_rng(2).random((2, 1, 32, 32, 32)).astype(np.float32)
    np.testing.assert_allclose(backend.infer(windows), 0.5 * windows[:, 0], atol=2e-3)


def test_an_int8_network_of_other_bytes_is_refused(bundle_with_int8: Path) -> None:
    path = bundle_with_int8 / QUANTISED[0]
    path.write_bytes(path.read_bytes().replace(b"squeeze", b"Squeeze") + b"\n")
    with pytest.raises(ModelError, match="INT8 network"):
        open_backend(read_bundle(bundle_with_int8), EngineSettings(device="cpu", precision="int8"))
