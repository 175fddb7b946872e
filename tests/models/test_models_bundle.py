"""Bundles: what they state, and the network in them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_network import TINY_UNET as UNET

from napari_lesion.core.errors import ModelError
from napari_lesion.core.volume import Modality
from napari_lesion.models.bundle import load_network
from napari_lesion.models.catalogue import find_bundle, list_bundles, scan_bundles
from napari_lesion.models.metadata import read_bundle

WriteBundle = Callable[..., Path]


@pytest.fixture(scope="module")
def bundle_folder(write_bundle: WriteBundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


def test_own_metadata_is_read(bundle_folder: Path) -> None:
    info = read_bundle(bundle_folder)
    assert (info.name, info.title, info.version) == ("tiny", "Lung nodules, CT", "0.0.1")
    assert (info.organ, info.modality, info.axcodes) == ("lung", Modality.CT, "RAS")
    assert info.spacing_mm == (1.0, 1.0, 1.0)
    assert info.roi_size == (32, 32, 32)
    assert (info.intensity.a_min, info.intensity.a_max) == (-1000.0, 400.0)
    assert info.labels == {1: "lung nodule"}
    assert info.operating_points[0].false_marks_per_scan == 2.0
    assert info.training_patients == ("A", "B")
    assert info.card is not None
    assert len(info.weights_sha256) == 64
    assert info.weights_sha256[:12] in info.identity


def test_monai_parts_are_the_fallback(write_bundle: WriteBundle, bundle_folder: Path, tmp_path: Path) -> None:
    root = write_bundle(tmp_path / "plain", network={"out_channels": 2})
    (root / "configs" / "metadata.json").write_text(
        json.dumps(
            {
                "version": "0.3.0",
                "name": "Spleen CT",
                "network_data_format": {
                    "inputs": {"image": {"modality": "CT", "num_channels": 1, "spatial_shape": [64, 64, 64]}}
                },
            }
        )
    )
    (root / "configs" / "inference.json").write_text(
        json.dumps(
            {
                "pixdim": [1.5, 1.5, 2.0],
                "network_def": {**UNET, "out_channels": 2, "channels": "@widths"},
                "widths": [4, 8, 16],
                "preprocessing": {
                    "_target_": "Compose",
                    "transforms": [
                        {"_target_": "LoadImaged", "keys": "image"},
                        {"_target_": "Orientationd", "keys": "image", "axcodes": "LPS"},
                        {"_target_": "Spacingd", "keys": "image", "pixdim": "@pixdim"},
                        {"_target_": "ScaleIntensityRanged", "keys": "image", "a_min": -57, "a_max": 164},
                    ],
                },
                "inferer": {"_target_": "SlidingWindowInferer", "roi_size": [48, 48, 32], "overlap": 0.5},
                "postprocessing": {
                    "_target_": "Compose",
                    "transforms": [{"_target_": "Activationsd", "keys": "pred", "softmax": True}],
                },
            }
        )
    )
    info = read_bundle(root)
    assert info.title == "Spleen CT"
    assert info.spacing_mm == (1.5, 1.5, 2.0)
    assert info.axcodes == "LPS"
    assert (info.intensity.a_min, info.intensity.a_max) == (-57.0, 164.0)
    assert info.roi_size == (48, 48, 32)
    assert info.overlap == 0.5
    assert (info.activation, info.lesion_channel) == ("softmax", 1)
    assert info.network_def["channels"] == [4, 8, 16]
    load_network(info)


def test_network_is_loaded_in_float32(bundle_folder: Path) -> None:
    import torch

    network = load_network(read_bundle(bundle_folder))
    stored = torch.load(bundle_folder / "models" / "model.pt", weights_only=True)
    assert not network.training
    for name, tensor in network.state_dict().items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, stored[name].float())


@pytest.mark.parametrize("name", ["UNet", "monai.networks.nets.UNet", "monai.networks.nets.unet.UNet"])
def test_spellings_of_one_network(write_bundle: WriteBundle, name: str, bundle_folder: Path, tmp_path: Path) -> None:
    root = write_bundle(tmp_path / "spelled")
    (root / "configs" / "inference.json").write_text(json.dumps({"network_def": {**UNET, "_target_": name}}))
    assert read_bundle(root).network_def["_target_"] == "UNet"


def test_catalogue_lists_the_users_bundles(
    write_bundle: WriteBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAPARI_LESION_MODELS", str(tmp_path))
    write_bundle(tmp_path / "mine")
    broken = write_bundle(tmp_path / "broken")
    (broken / "configs" / "metadata.json").write_text("{")
    (tmp_path / "not a name").mkdir()
    assert "mine" in [info.name for info in list_bundles()]
    assert [path.name for path, _ in scan_bundles().problems] == ["broken"]
    assert find_bundle("mine").path == tmp_path / "mine"
    assert find_bundle(tmp_path / "mine").name == "mine"


def test_unknown_model_names_the_known_ones(
    write_bundle: WriteBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAPARI_LESION_MODELS", str(tmp_path))
    write_bundle(tmp_path / "mine")
    with pytest.raises(ModelError, match="mine"):
        find_bundle("yours")
