"""Backends: the same answer from both, converted once, silent, and plain words when something fails."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_lesion.core.errors import DeviceMemoryError, ModelError
from napari_lesion.core.jobs import CancelToken, JobCancelled, JobContext
from napari_lesion.inference.backends import choose, openvino_backend
from napari_lesion.inference.backends.choose import batch_for, chosen, open_backend
from napari_lesion.inference.backends.memory import memory_guard
from napari_lesion.inference.backends.openvino_backend import OpenVinoBackend, cache_key
from napari_lesion.inference.backends.torch_backend import TorchBackend
from napari_lesion.inference.ports import Backend
from napari_lesion.inference.settings import EngineSettings
from napari_lesion.models.bundle import BundleInfo
from napari_lesion.models.metadata import read_bundle

WriteBundle = Callable[..., Path]
CPU = EngineSettings(device="cpu")


@pytest.fixture
def windows() -> np.ndarray:
    return np.random.default_rng(0).random((2, 1, 32, 32, 32)).astype(np.float32)


def test_both_backends_agree(tiny_bundle: BundleInfo, windows: np.ndarray) -> None:
    torch_backend, openvino = TorchBackend(tiny_bundle), OpenVinoBackend(tiny_bundle)
    assert isinstance(torch_backend, Backend)
    assert isinstance(openvino, Backend)
    results = [torch_backend.infer(windows), openvino.infer(windows)]
    for result in results:
        assert result.shape == (2, 32, 32, 32)
        assert result.dtype == np.float32
        assert 0 <= result.min() < result.max() <= 1
    np.testing.assert_allclose(results[0], results[1], atol=1e-4)
    torch_backend.close()
    openvino.close()


def test_softmax_picks_the_lesion_channel(write_bundle: WriteBundle, tmp_path: Path, windows: np.ndarray) -> None:
    import torch

    own = {"activation": "softmax", "lesion_channel": 2}
    bundle = read_bundle(write_bundle(tmp_path / "three", own, {"out_channels": 3}))
    backend = TorchBackend(bundle)
    with torch.no_grad():
        from napari_lesion.models.bundle import load_network

        expected = torch.softmax(load_network(bundle)(torch.from_numpy(windows)), dim=1)[:, 2].numpy()
    np.testing.assert_allclose(backend.infer(windows), expected, atol=1e-6)


def test_converted_once_and_then_without_torch(tiny_bundle: BundleInfo, windows: np.ndarray) -> None:
    expected = OpenVinoBackend(tiny_bundle).infer(windows[:1])
    code = (
        "import sys, numpy as np\n"
        "from napari_lesion.models.catalogue import find_bundle\n"
        "from napari_lesion.inference.backends.choose import open_backend\n"
        "from napari_lesion.inference.settings import EngineSettings\n"
        f"backend, notes = open_backend(find_bundle({str(tiny_bundle.path)!r}), EngineSettings(device='cpu'))\n"
        "x = np.random.default_rng(0).random((2, 1, 32, 32, 32)).astype(np.float32)[:1]\n"
        "np.save(sys.argv[1], backend.infer(x))\n"
        "assert backend.name == 'openvino', notes\n"
        "assert not {'torch', 'monai'} & set(sys.modules)\n"
    )
    target = tiny_bundle.path / "probability.npy"
    subprocess.run([sys.executable, "-c", code, str(target)], check=True)
    np.testing.assert_array_equal(np.load(target), expected)


def test_key_follows_what_matters(write_bundle: WriteBundle, tiny_bundle: BundleInfo, tmp_path: Path) -> None:
    other = read_bundle(write_bundle(tmp_path / "other", seed=1))
    softmax = read_bundle(write_bundle(tmp_path / "same", {"activation": "softmax"}))
    larger = read_bundle(write_bundle(tmp_path / "larger", {"roi_size": [48, 48, 48]}))
    assert len({cache_key(bundle) for bundle in (tiny_bundle, other, softmax, larger)}) == 4
    assert cache_key(tiny_bundle) == cache_key(read_bundle(tiny_bundle.path))


@pytest.mark.parametrize("part", ["model.xml", "model.bin"])
def test_damaged_cache_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_bundle: BundleInfo, part: str
) -> None:
    original = Path(os.environ["NAPARI_LESION_CACHE_DIR"])
    OpenVinoBackend(tiny_bundle)
    shutil.copytree(original / "openvino", tmp_path / "cache" / "openvino")
    monkeypatch.setenv("NAPARI_LESION_CACHE_DIR", str(tmp_path / "cache"))
    damaged = tmp_path / "cache" / "openvino" / cache_key(tiny_bundle) / part
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:-100] + bytes(100))
    OpenVinoBackend(tiny_bundle)
    assert not damaged.read_bytes().endswith(bytes(100))
    assert openvino_backend._is_whole(damaged.parent)


def test_cache_that_cannot_be_written_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_bundle: BundleInfo, windows: np.ndarray
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NAPARI_LESION_CACHE_DIR", str(tmp_path / "file"))
    assert OpenVinoBackend(tiny_bundle).infer(windows[:1]).shape == (1, 32, 32, 32)


def test_cancel_before_the_conversion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_bundle: BundleInfo
) -> None:
    monkeypatch.setenv("NAPARI_LESION_CACHE_DIR", str(tmp_path))
    token = CancelToken()
    token.cancel()
    with pytest.raises(JobCancelled):
        open_backend(tiny_bundle, CPU, JobContext(token))


@pytest.mark.parametrize("error", [ImportError("No module named 'openvino'"), RuntimeError("unsupported CPU")])
def test_falls_back_to_torch_with_a_note(
    monkeypatch: pytest.MonkeyPatch, tiny_bundle: BundleInfo, error: Exception
) -> None:
    def fail() -> Any:
        raise error

    monkeypatch.setattr(openvino_backend, "import_openvino", fail)
    backend, notes = open_backend(tiny_bundle, CPU)
    assert backend.name == "torch"
    assert "OpenVINO could not be used" in notes[0]
    assert str(error) in notes[0]


@pytest.mark.parametrize("backend", ["torch", "openvino"])
def test_network_that_does_not_fit_its_window(write_bundle: WriteBundle, backend: str, tmp_path: Path) -> None:
    bundle = read_bundle(write_bundle(tmp_path / "odd", {"roi_size": [33, 33, 33]}))

    def run() -> None:
        opened, _ = open_backend(bundle, EngineSettings(device="cpu", backend=backend))
        opened.infer(np.zeros((1, 1, 33, 33, 33), np.float32))

    with pytest.raises(ModelError, match="33 x 33 x 33"):
        run()


@pytest.mark.parametrize(
    "error",
    [MemoryError(), RuntimeError("CUDA out of memory. Tried to allocate 20 GiB"), RuntimeError("std::bad_alloc")],
)
def test_missing_memory_is_told_in_plain_words(error: Exception) -> None:
    with pytest.raises(DeviceMemoryError, match="cpu"), memory_guard("cpu"):
        raise error


def test_other_errors_pass_the_guard() -> None:
    with pytest.raises(RuntimeError, match="bug"), memory_guard("cpu"):
        raise RuntimeError("bug")


def test_choice_of_device_and_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "cuda_present", lambda: False)
    assert chosen(EngineSettings()) == ("cpu", "openvino")
    assert chosen(EngineSettings(backend="torch")) == ("cpu", "torch")
    with pytest.raises(ModelError, match="CUDA"):
        chosen(EngineSettings(device="cuda"))
    monkeypatch.setattr(choose, "cuda_present", lambda: True)
    assert chosen(EngineSettings()) == ("cuda", "torch")
    assert chosen(EngineSettings(backend="openvino")) == ("cpu", "openvino")
    assert chosen(EngineSettings(device="cpu")) == ("cpu", "openvino")
    assert batch_for(EngineSettings(), "cuda (H200)") == 4
    assert batch_for(EngineSettings(batch=3), "cpu") == 3
    assert batch_for(EngineSettings(threads=2), "cpu") == 2
    assert batch_for(EngineSettings(threads=64), "cpu") == 4
    assert batch_for(EngineSettings(threads=64), "cpu", "torch") == 1
    with pytest.raises(ModelError, match="OpenVINO"):
        chosen(EngineSettings(device="cuda", backend="openvino"))


def test_settings_outside_their_range() -> None:
    with pytest.raises(ValueError, match="overlap"):
        EngineSettings(overlap=1.5)
    with pytest.raises(ValueError, match="device"):
        EngineSettings(device="tpu")


@pytest.mark.parametrize(("converted", "expected"), [(True, "openvino"), (False, "monai openvino torch")])
def test_only_what_will_run_is_imported_ahead(
    tiny_bundle: BundleInfo, tmp_path: Path, converted: bool, expected: str
) -> None:
    code = (
        "import sys\n"
        "from napari_lesion.models.catalogue import find_bundle\n"
        "from napari_lesion.inference.backends.choose import preload\n"
        "from napari_lesion.inference.settings import EngineSettings\n"
        f"preload(find_bundle({str(tiny_bundle.path)!r}), EngineSettings(device='cpu'))\n"
        "print(*sorted({'openvino', 'torch', 'monai'} & set(sys.modules)))\n"
    )
    if converted:
        OpenVinoBackend(tiny_bundle)
    cache = os.environ["NAPARI_LESION_CACHE_DIR"] if converted else str(tmp_path)
    variables = {**os.environ, "NAPARI_LESION_CACHE_DIR": cache}
    done = subprocess.run([sys.executable, "-c", code], check=True, env=variables, capture_output=True, text=True)
    assert done.stdout.strip() == expected


def test_nothing_is_written_to_the_home_folder(tmp_path: Path, tiny_bundle: BundleInfo) -> None:
    home, cache = tmp_path / "home", tmp_path / "cache"
    home.mkdir()
    variables = {k: v for k, v in os.environ.items() if k not in ("CI", "ORT_DISABLE_TELEMETRY")}
    variables.update(HOME=str(home), NAPARI_LESION_CACHE_DIR=str(cache), XDG_CACHE_HOME=str(home / ".cache"))
    code = (
        "import numpy as np\n"
        "from napari_lesion.models.catalogue import find_bundle\n"
        "from napari_lesion.inference.backends.choose import open_backend\n"
        "from napari_lesion.inference.settings import EngineSettings\n"
        f"bundle = find_bundle({str(tiny_bundle.path)!r})\n"
        "for _ in range(2):\n"
        "    backend, notes = open_backend(bundle, EngineSettings(device='cpu'))\n"
        "    assert backend.name == 'openvino', notes\n"
        "    backend.infer(np.zeros((1, 1, 32, 32, 32), np.float32))\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=variables)
    assert [path.relative_to(home) for path in home.rglob("*")] == []
    assert any(cache.rglob("model.xml"))
