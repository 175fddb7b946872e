"""Compressed networks: what is written can be run, and its figures are those of the network that ran."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_lesion.core.errors import InputError, LesionError
from napari_lesion.inference.backends.choose import open_backend
from napari_lesion.inference.backends.openvino_backend import input_shape
from napari_lesion.inference.settings import EngineSettings
from napari_lesion.models.bundle import BundleInfo, Refinement, load_network
from napari_lesion.models.metadata import read_bundle
from napari_lesion.training.cases import Case
from napari_lesion.training.compress.__main__ import _state
from napari_lesion.training.compress.measure import Figures, Variant, measure, worth
from napari_lesion.training.compress.prune import prune, write_pruned
from napari_lesion.training.compress.quantise import copied, quantise, write_quantised
from napari_lesion.training.compress.search import mirrored, probability_of, training_cases, windows_of
from napari_lesion.training.folds import load_folds
from napari_lesion.training.scenes import LESION, Scene

WriteBundle = Callable[..., Path]


def _scene(name: str = "a", edge: int = 40) -> Scene:
    """A bright ball in noise, all of it searched, outlined by four readers."""
    axes = np.ogrid[tuple(slice(0, edge) for _ in range(3))]
    ball = sum((axis - 20) ** 2 for axis in axes) <= 36
    image = np.where(ball, 0.8, 0.2) + np.random.default_rng(len(name)).normal(0, 0.02, ball.shape)
    label = np.where(ball, LESION, 0).astype(np.uint8)
    case = Case(name, "P", "cube", Path("none"), None, n_readers=4)
    points = np.argwhere(ball)
    return Scene(case, image.astype(np.float16), label, np.ones(ball.shape, dtype=bool), points, points)


class Bright:
    """A backend that finds what is bright."""

    name, device, precision = "bright", "cpu", "float32"

    def __init__(self, roi: tuple[int, ...]) -> None:
        self.roi, self.windows = roi, 0

    def infer(self, windows: np.ndarray) -> np.ndarray:
        assert windows.shape[2:] == self.roi
        self.windows += len(windows)
        return (windows[:, 0] > 0.5).astype(np.float32)

    def close(self) -> None:
        """Nothing to give back."""


def test_a_scene_is_searched_with_the_windows_of_the_engine(tiny_bundle: BundleInfo) -> None:
    scene, backend = _scene(), Bright(tiny_bundle.roi_size)
    assert np.array_equal(probability_of(scene, tiny_bundle, [backend]) > 0.5, scene.label == LESION)
    assert backend.windows == 8, "windows of 32 with an overlap of 0.25 on 40 voxels"


def test_a_scene_smaller_than_a_window_is_mirrored(tiny_bundle: BundleInfo) -> None:
    scene, wide = _scene(edge=40), replace(tiny_bundle, roi_size=(48, 48, 40))
    large, inner = mirrored(scene, wide.roi_size)
    assert large.image.shape == large.lung.shape == (48, 48, 40)
    assert np.array_equal(large.image[inner], scene.image)
    assert np.array_equal(large.image[:4], large.image[8:4:-1])
    assert large.lung.sum() == scene.lung.sum()
    found = probability_of(scene, wide, [Bright(wide.roi_size)]) > 0.5
    assert np.array_equal(found, scene.label == LESION)


def test_the_second_stage_looks_at_what_the_first_found(tiny_bundle: BundleInfo) -> None:
    second = replace(tiny_bundle, roi_size=(24, 24, 24))
    both = replace(tiny_bundle, refinement=Refinement(second, 0.5, 8.0))
    scene, backends = _scene(), [Bright(tiny_bundle.roi_size), Bright(second.roi_size)]
    assert np.array_equal(probability_of(scene, both, backends) > 0.5, scene.label == LESION)
    assert backends[1].windows == 1


def test_calibration_sees_no_patient_that_is_held_out(tiny_bundle: BundleInfo, tiny_data: Path) -> None:
    small = replace(tiny_bundle, roi_size=(48, 48, 48))
    cases, folds = training_cases(tiny_data, small, fold=0), load_folds()
    assert {case.kind for case in cases} == {"cube"}
    assert cases
    assert not any(folds.held_out(case.patient_id, 0) for case in cases)
    large = replace(tiny_bundle, roi_size=(96, 96, 96))
    assert {case.kind for case in training_cases(tiny_data, large, fold=0)} == {"scan"}
    fold = folds.fold_of["CMB-CRC-MSB-01068"]
    with pytest.raises(InputError, match="calibrate"):
        training_cases(tiny_data, large, fold)


def test_windows_are_drawn_once_and_the_same_each_time(tiny_bundle: BundleInfo) -> None:
    scenes = [_scene("a"), _scene("bc")]
    windows = windows_of(scenes, tiny_bundle, 5)
    assert [window.shape for window in windows] == [(1, 1, 32, 32, 32)] * 5
    assert len({window.tobytes() for window in windows}) == 5
    assert all(np.array_equal(a, b) for a, b in zip(windows, windows_of(scenes, tiny_bundle, 5), strict=True))
    assert len(windows_of(scenes, tiny_bundle, 100)) == 16


def test_int8_network_is_written_read_and_close(tiny_bundle: BundleInfo, tmp_path: Path) -> None:
    pytest.importorskip("nncf")
    windows = windows_of([_scene()], tiny_bundle, 6)
    folder = copied(tiny_bundle.path, tmp_path / "int8")
    write_quantised(quantise(tiny_bundle, windows), folder)
    bundle = read_bundle(folder)
    results = [
        np.concatenate(
            [open_backend(bundle, EngineSettings(device="cpu", precision=name))[0].infer(w) for w in windows]
        )
        for name in ("float32", "int8")
    ]
    difference = np.abs(results[0] - results[1])
    assert 1e-6 < difference.max() < 0.2
    assert difference.mean() < 0.02
    row = measure([Variant(bundle), Variant(bundle, "int8")], [_scene()])
    assert row[0].mib != row[1].mib > 0


def test_nncf_that_is_missing_is_named(tiny_bundle: BundleInfo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(LesionError, match=r"pip install .*compress"):
        quantise(tiny_bundle, [])


@pytest.mark.parametrize(
    "network",
    [
        {"channels": [8, 16, 32], "strides": [2, 2], "num_res_units": 2, "norm": "INSTANCE"},
        {
            "_target_": "DynUNet",
            "spatial_dims": 3,
            "in_channels": 1,
            "out_channels": 1,
            "kernel_size": [3, 3, 3],
            "strides": [1, 2, 2],
            "upsample_kernel_size": [2, 2],
            "filters": [8, 16, 32],
        },
    ],
    ids=["UNet", "DynUNet"],
)
def test_a_pruned_network_is_a_smaller_one_of_its_class(
    write_bundle: WriteBundle, tmp_path: Path, network: dict[str, Any]
) -> None:
    pytest.importorskip("torch_pruning")
    bundle = read_bundle(_whole_definition(write_bundle, tmp_path / "wide", network))
    folder = copied(bundle.path, tmp_path / "narrow")
    write_pruned(folder, *prune(bundle, 0.25))
    pruned = read_bundle(folder)
    widths = pruned.network_def["filters" if "filters" in network else "channels"]
    assert widths == [6, 12, 24]
    before, after = (sum(p.numel() for p in load_network(info).parameters()) for info in (bundle, pruned))
    assert after < 0.62 * before, "both the inputs and the outputs of a layer lose a quarter"
    shape = input_shape(pruned)
    result = open_backend(pruned, EngineSettings(device="cpu"))[0].infer(np.zeros(shape, np.float32))
    assert result.shape == (1, *shape[2:])


def test_what_is_pruned_is_what_weighs_least(write_bundle: WriteBundle, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("torch_pruning")
    network = {"channels": [8, 16], "strides": [2], "num_res_units": 0, "norm": "INSTANCE"}
    folder = write_bundle(tmp_path / "wide", network=network)
    state = torch.load(folder / "models" / "model.pt", weights_only=True)
    first = next(name for name, value in state.items() if value.ndim == 5 and value.shape[:2] == (8, 1))
    state[first][::4] *= 1e-3
    torch.save(state, folder / "models" / "model.pt")
    _, pruned = prune(read_bundle(folder), 0.25)
    kept = pruned[first].abs().sum(dim=(1, 2, 3, 4))
    assert len(kept) == 6
    assert kept.min() > 10 * state[first][::4].float().abs().sum(dim=(1, 2, 3, 4)).max()


def _whole_definition(write_bundle: WriteBundle, folder: Path, network: dict[str, Any]) -> Path:
    """A bundle whose network is of this definition, none of the small UNet's arguments left over."""
    if "_target_" not in network:
        return write_bundle(folder, network=network)
    import torch
    from monai.networks import nets

    write_bundle(folder)
    (folder / "configs" / "inference.json").write_text(json.dumps({"network_def": network}), encoding="utf-8")
    arguments = {key: value for key, value in network.items() if key != "_target_"}
    torch.save(getattr(nets, network["_target_"])(**arguments).state_dict(), folder / "models" / "model.pt")
    return folder


def test_figures_of_a_variant_against_itself(tiny_bundle: BundleInfo) -> None:
    rows = measure([Variant(tiny_bundle), Variant(tiny_bundle)], [_scene()])
    assert rows[0].agreement == rows[1].agreement == 1.0
    assert (rows[0].dice, rows[0].sensitivity) == (rows[1].dice, rows[1].sensitivity)
    assert rows[0].mib == pytest.approx((tiny_bundle.path / "models/model.pt").stat().st_size / 2**20)
    assert rows[0].cpu_ms > 0


def _row(cpu_ms: float, dice: float, sensitivity: float) -> Figures:
    return Figures("", 1.0, cpu_ms, dice, sensitivity, 0.0, 0.0, 1.0)


@pytest.mark.parametrize(
    ("row", "good"),
    [
        (_row(5.0, 0.80, 0.95), True),
        (_row(5.0, 0.796, 0.95), True),
        (_row(5.0, 0.794, 0.95), False),
        (_row(5.0, 0.80, 0.94), False),
        (_row(11.0, 0.90, 1.0), False),
    ],
)
def test_what_is_worth_shipping(row: Figures, good: bool) -> None:
    assert worth([_row(10.0, 0.80, 0.95), row]) == [False, good]


def test_what_loses_nothing_is_stated_in_both_stages(write_bundle: WriteBundle, tmp_path: Path) -> None:
    write_bundle(tmp_path / "second")
    stage = {"bundle": "second", "candidates_at": 0.5}
    first = read_bundle(write_bundle(tmp_path / "first", {"refinement": stage}))
    _state(first, ["bf16"])
    again = read_bundle(tmp_path / "first")
    assert again.precisions == ("bf16",)
    assert again.refinement is not None
    assert again.refinement.bundle.precisions == ("bf16",)


def test_a_bundle_is_not_written_over_another(tiny_bundle: BundleInfo, tmp_path: Path) -> None:
    with pytest.raises(LesionError, match="exists"):
        copied(tiny_bundle.path, tmp_path)
