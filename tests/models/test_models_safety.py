"""Damaged and hostile bundles: plain words, and nothing of them runs."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_network import TINY_UNET as UNET

from napari_lesion.core.errors import ModelError
from napari_lesion.models.bundle import load_network
from napari_lesion.models.catalogue import find_bundle
from napari_lesion.models.metadata import read_bundle

WriteBundle = Callable[..., Path]


@pytest.fixture
def bundle(write_bundle: WriteBundle, tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "tiny")


def _config(bundle: Path, **entries: Any) -> None:
    (bundle / "configs" / "inference.json").write_text(json.dumps({"network_def": UNET, **entries}))


@pytest.mark.parametrize("name", ["metadata.json", "inference.json"])
@pytest.mark.parametrize("content", ["", "{", "[1, 2]", '{"a": "\udcff"}', "[" * 100_000])
def test_garbled_json(bundle: Path, name: str, content: str) -> None:
    (bundle / "configs" / name).write_text(content, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(ModelError, match=r"damaged.*" + name):
        read_bundle(bundle)


@pytest.mark.parametrize("name", ["configs/metadata.json", "configs/inference.json", "models/model.pt"])
def test_missing_file(bundle: Path, name: str) -> None:
    (bundle / name).unlink()
    with pytest.raises(ModelError, match="missing"):
        load_network(read_bundle(bundle))


@pytest.mark.parametrize("keep", [0, 1, 100, 0.5, 0.99])
def test_truncated_weights(bundle: Path, keep: float) -> None:
    path = bundle / "models" / "model.pt"
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content)) if keep < 1 else int(keep)])
    with pytest.raises(ModelError, match="weights of the model tiny"):
        load_network(read_bundle(bundle))


def test_weights_of_another_network(bundle: Path) -> None:
    _config(bundle, network_def={**UNET, "channels": [8, 8, 16]})
    with pytest.raises(ModelError, match="do not fit"):
        load_network(read_bundle(bundle))


def test_weights_that_are_not_finite(bundle: Path) -> None:
    import torch

    path = bundle / "models" / "model.pt"
    state = torch.load(path, weights_only=True)
    next(iter(state.values())).fill_(float("nan"))
    torch.save(state, path)
    with pytest.raises(ModelError, match="not finite"):
        load_network(read_bundle(bundle))


class _Hostile:
    """Runs a command when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("kind", ["torch", "torch nested", "legacy", "plain pickle"])
def test_hostile_pickle_does_not_run(bundle: Path, tmp_path: Path, kind: str) -> None:
    import torch

    marker, path = tmp_path / "ran", bundle / "models" / "model.pt"
    hostile = _Hostile(marker)
    if kind == "plain pickle":
        path.write_bytes(pickle.dumps(hostile))
    elif kind == "torch nested":
        torch.save({"state_dict": {"weight": torch.zeros(1), "more": hostile}}, path)
    else:
        torch.save(hostile, path, _use_new_zipfile_serialization=kind == "torch")
    with pytest.raises(ModelError):
        load_network(read_bundle(bundle))
    assert not marker.exists()


@pytest.mark.parametrize(
    "definition",
    [
        {"_target_": "os.system", "command": "touch ran"},
        {"_target_": "subprocess.Popen", "args": ["touch", "ran"]},
        {"_target_": "builtins.eval"},
        {"_target_": "evil.UNet"},
        {"_target_": "monai.networks.nets.unet.UNet.__init__.__globals__"},
        {"_target_": "monai.networks.nets.dynunet.UNet"},
        {"_target_": ["UNet"]},
        {"_target_": "FlexibleUNet"},
        {},
        {**UNET, "channels": "$__import__('os').system('touch ran')"},
        {**UNET, "channels": {"_target_": "os.system", "command": "touch ran"}},
        {**UNET, "channels": ["%other.json::channels"]},
        {**UNET, "channels": "@widths"},
        {**UNET, "channels": "@loop"},
        {**UNET, "_requires_": "$import os"},
    ],
)
def test_configuration_that_is_more_than_data(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, definition: dict[str, Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    _config(bundle, network_def=definition, loop="@loop", imports=["$import os; os.system('touch ran')"])
    with pytest.raises(ModelError):
        load_network(read_bundle(bundle))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("arguments", [{"channels": []}, {"strides": [2]}, {"norm": "NOSUCH"}, {"nonsense": 1}])
def test_arguments_that_the_network_refuses(bundle: Path, arguments: dict[str, Any]) -> None:
    _config(bundle, network_def={**UNET, **arguments})
    with pytest.raises(ModelError, match="tiny"):
        load_network(read_bundle(bundle))


@pytest.mark.parametrize(
    "own",
    [
        {"spacing_mm": [1, 1]},
        {"spacing_mm": [0, 1, 1]},
        {"spacing_mm": "big"},
        {"axcodes": "RRS"},
        {"roi_size": [96, 96, 10**9]},
        {"overlap": 1.0},
        {"default_threshold": float("nan")},
        {"intensity": {"a_min": 400, "a_max": -1000}},
        {"activation": "$eval"},
        {"lesion_channel": 7},
        {"modality": "US"},
        {"schema_version": 99},
        {"operating_points": [{"name": "x"}]},
    ],
)
def test_impossible_values_are_named(write_bundle: WriteBundle, bundle: Path, own: dict[str, Any]) -> None:
    write_bundle(bundle, own)
    with pytest.raises(ModelError, match="tiny"):
        read_bundle(bundle)


@pytest.mark.parametrize("name", ["../secret", "..", "a/../../b", "/etc", "a\\b", "\0", "-x", " ", "x" * 300])
def test_names_do_not_walk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("NAPARI_LESION_MODELS", str(tmp_path / "models"))
    with pytest.raises(ModelError):
        find_bundle(name)


def test_link_out_of_the_bundle_is_refused(bundle: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.pt"
    weights = bundle / "models" / "model.pt"
    weights.rename(outside)
    weights.symlink_to(outside)
    with pytest.raises(ModelError, match="leads out"):
        load_network(read_bundle(bundle))
