"""The bundles that ship: they are small, pass MONAI's own checks, and run with MONAI alone."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

FOLDER = Path(__file__).resolve().parents[2] / "resources" / "bundles"
BUNDLES = sorted(path for path in FOLDER.iterdir() if (path / "configs" / "metadata.json").is_file())
MIB = 1 << 20
LARGEST_MIB, ALL_MIB = 20, 45

TENSOR = {
    "type": "object",
    "required": ["type", "format", "num_channels", "spatial_shape", "dtype", "value_range", "is_patch_data",
                 "channel_def"],
    "properties": {
        "type": {"enum": ["image", "series", "tuples", "probabilities"]},
        "format": {"type": "string"},
        "modality": {"type": "string"},
        "num_channels": {"type": "integer", "minimum": 1},
        "spatial_shape": {"type": "array", "items": {"type": ["integer", "string"]}},
        "dtype": {"type": "string"},
        "value_range": {"type": "array", "items": {"type": "number"}},
        "is_patch_data": {"type": "boolean"},
        "channel_def": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}  # fmt: skip
SPECIFICATION = {
    "type": "object",
    "required": ["schema", "version", "changelog", "monai_version", "pytorch_version", "numpy_version",
                 "required_packages_version", "task", "description", "authors", "copyright", "network_data_format"],
    "properties": {
        "version": {"type": "string"},
        "changelog": {"type": "object", "additionalProperties": {"type": "string"}},
        "required_packages_version": {"type": "object", "additionalProperties": {"type": "string"}},
        "network_data_format": {
            "type": "object",
            "required": ["inputs", "outputs"],
            "properties": {
                "inputs": {"type": "object", "additionalProperties": TENSOR},
                "outputs": {"type": "object", "additionalProperties": TENSOR},
            },
        },
    },
}  # fmt: skip
"""What the MONAI bundle specification (docs/source/mb_specification.rst) asks of metadata.json, as a JSON schema.

The schema that `verify_metadata` would fetch cannot be had without a network.
"""


def metadata_of(bundle: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((bundle / "configs" / "metadata.json").read_text(encoding="utf-8"))
    return content


def size_of(folder: Path) -> float:
    """MiB of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / MIB


def test_the_bundles_are_small() -> None:
    sizes = {bundle.name: size_of(bundle) for bundle in BUNDLES}
    assert sizes
    assert max(sizes.values()) <= LARGEST_MIB, sizes
    assert sum(sizes.values()) <= ALL_MIB, sizes


@pytest.fixture(params=BUNDLES, ids=lambda path: path.name)
def bundle(request: pytest.FixtureRequest) -> Path:
    """Each bundle that ships."""
    path: Path = request.param
    return path


def test_the_weights_are_plain_tensors(bundle: Path) -> None:
    import torch

    def tensors(content: Any) -> list[Any]:
        return [
            item for value in content.values() for item in (tensors(value) if isinstance(value, dict) else [value])
        ]

    found = tensors(torch.load(bundle / "models" / "model.pt", map_location="cpu", weights_only=True))
    assert found
    assert all(isinstance(item, torch.Tensor) and bool(torch.isfinite(item).all()) for item in found)
    for path in (bundle / "models").glob("*.npz"):
        with np.load(path, allow_pickle=False) as arrays:
            assert all(arrays[name].dtype.kind in "iufbU" for name in arrays)


def test_monai_finds_the_metadata_complete(bundle: Path, tmp_path: Path) -> None:
    """`verify_metadata` does not fetch a schema whose file is there already."""
    from monai.bundle import verify_metadata

    pytest.importorskip("jsonschema")
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps(SPECIFICATION), encoding="utf-8")
    known = {"filepath": schema, "hash_val": hashlib.sha256(schema.read_bytes()).hexdigest(), "hash_type": "sha256"}
    verify_metadata(meta_file=str(bundle / "configs" / "metadata.json"), **known)
    damaged = metadata_of(bundle)
    del damaged["network_data_format"]["inputs"]["image"]["num_channels"]
    (tmp_path / "metadata.json").write_text(json.dumps(damaged), encoding="utf-8")
    with pytest.raises(ValueError, match="Failed validating"):
        verify_metadata(meta_file=str(tmp_path / "metadata.json"), **known)


def test_monai_finds_the_network_as_the_metadata_say(bundle: Path) -> None:
    from monai.bundle import verify_net_in_out

    configs = bundle / "configs"
    verify_net_in_out(
        net_id="network_def",
        meta_file=str(configs / "metadata.json"),
        config_file=str(configs / "inference.json"),
        device="cpu",
    )


ALONE = """
import runpy, sys
sys.modules["napari_lesion"] = None  # any import of it is an error from here on
sys.argv[0] = "monai.bundle"
runpy.run_module("monai.bundle", run_name="__main__")
"""
AFFINE = np.asarray([[-1.0, 0, 0, 40], [0, -1.0, 0, 31], [0, 0, 1.25, -17], [0, 0, 0, 1]])
SHAPE = (64, 64, 56)


def _write(path: Path, array: np.ndarray) -> None:
    import nibabel

    nibabel.save(nibabel.Nifti1Image(array, AFFINE), path)


def _scene(modality: str) -> tuple[np.ndarray, np.ndarray]:
    """A ball in lung (HU) or in brain tissue (MR), and its mask."""
    rng = np.random.default_rng(3)
    x, y, z = np.ogrid[tuple(slice(n) for n in SHAPE)]
    ball = (x - 30) ** 2 + (y - 33) ** 2 + ((z - 27) * 1.25) ** 2 <= 8**2
    inside, around, noise = (30, -860, 25) if modality == "CT" else (300, 150, 8)
    image = np.where(ball, inside, around) + rng.normal(0, noise, SHAPE)
    return image.astype(np.int16), ball.astype(np.uint8)


def test_the_bundle_runs_in_a_process_that_cannot_import_this_package(bundle: Path, tmp_path: Path) -> None:
    """``python -m monai.bundle run`` with the configuration as it ships, on a folder of ours."""
    for module in ("ignite", "fire"):
        pytest.importorskip(module, reason="`monai.bundle run` needs it; the metadata of the bundle say so")
    metadata = metadata_of(bundle)
    rates = metadata["napari_lesion"]["task"] == "classification"
    image, mask = _scene(metadata["napari_lesion"]["modality"])
    folder, out = tmp_path / "input", tmp_path / "eval"
    folder.mkdir()
    _write(folder / ("scan_image.nii.gz" if rates else "scan.nii.gz"), image)
    if rates:
        _write(folder / "scan_mask.nii.gz", mask)
    words = {"bundle_root": bundle, "dataset_dir": folder, "output_dir": out}
    command = [sys.executable, "-c", ALONE, "run", "--config_file", str(bundle / "configs" / "inference.json")]
    command += ["--meta_file", str(bundle / "configs" / "metadata.json"), "--logging_file", "False"]
    command += [part for key, value in words.items() for part in (f"--{key}", str(value))]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    if rates:
        _check_ratings(out / "ratings.csv")
    else:
        _check_probability(out, mask)


def _check_ratings(path: Path) -> None:
    with path.open(newline="", encoding="utf-8") as stream:
        heads, row = csv.reader(stream)
    assert row[0] == "scan_image.nii.gz"
    values = dict(zip(heads[1:], map(float, row[1:]), strict=True))
    assert all(0 <= value <= 1 for value in values.values())
    assert sum(value for name, value in values.items() if name.startswith("texture_")) == pytest.approx(1, abs=1e-4)


def _check_probability(folder: Path, mask: np.ndarray) -> None:
    import nibabel

    (path,) = folder.rglob("*.nii.gz")
    saved = nibabel.load(path)
    assert saved.shape == SHAPE
    np.testing.assert_allclose(saved.affine, AFFINE, atol=1e-4)
    values = np.asarray(saved.dataobj)
    assert np.isfinite(values).all()
    assert values.min() >= 0
    assert values.max() <= 1
    assert values[mask > 0].mean() >= values[mask == 0].mean()
