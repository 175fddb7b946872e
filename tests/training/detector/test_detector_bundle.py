"""The bundle of a detector: what it states, and that MONAI alone and the product run it."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from scipy.special import logit
from training_tiny import chest

from napari_lesion.core.errors import InputError
from napari_lesion.inference.engine import predict
from napari_lesion.inference.settings import EngineSettings
from napari_lesion.io.read import read_volume
from napari_lesion.models.bundle import MARK_FEATURES
from napari_lesion.models.metadata import STAGES, read_bundle
from napari_lesion.models.training_data import read_training_data
from napari_lesion.training.bundle import half_precision, inference_config
from napari_lesion.training.cases import list_cases
from napari_lesion.training.checkpoints import load_weights
from napari_lesion.training.config import Intensity
from napari_lesion.training.detector.__main__ import main as train
from napari_lesion.training.detector.bundle import main
from napari_lesion.training.detector.config import CropConfig, build_crop_network, load_crop_config
from napari_lesion.training.detector.fold_bundle import main as write_fold
from napari_lesion.training.detector.measure import SeenCase, SeenMark
from napari_lesion.training.detector.pool import THRESHOLDS, final_score, pool, read_folds
from napari_lesion.training.detector.searcher import Searcher, trained_network
from napari_lesion.training.evaluate import bundle_network
from napari_lesion.training.folds import TEST_ONLY, load_folds
from napari_lesion.training.network import predict_probability
from napari_lesion.training.scenes import Scene, load_scene
from napari_lesion.training.scoring import probability_of

pytestmark = pytest.mark.filterwarnings("ignore:NvImgCodecPydicomReader:UserWarning")

SHIPPED = Path(__file__).parents[3] / "resources" / "bundles" / "lung_nodule_ct"
SECOND_SHIPPED = SHIPPED / STAGES / "lung_nodule_outline"


def report(folder: Path, fold: int) -> Path:
    """A report of two nodules and a scan with two other marks."""
    rng = np.random.default_rng(fold)
    nodules = [SeenMark(tuple(rng.normal((3, 6, 0.2, 0.9, 0.7), 0.1)), 100, 90, 0.8, False) for _ in range(2)]
    others = [SeenMark(tuple(rng.normal((1, 4, 1.2, 0.4, 0.8), 0.1)), 50, 0, 0.0, False) for _ in range(2)]
    cases = [
        SeenCase(f"n{fold}{k}", f"p{fold}{k}", "cube", 4, 0.8, 102, {"0.5": [nodules[k]], "0.3": [nodules[k]]})
        for k in range(2)
    ]
    cases.append(SeenCase(f"s{fold}", f"q{fold}", "scan", 0, None, 0, {"0.5": others, "0.3": others}))
    path = folder / f"fold{fold}.json"
    path.write_text(json.dumps({"fold": fold, "cases": [asdict(case) for case in cases]}), encoding="utf-8")
    return path


@pytest.fixture
def data(tiny_data: Path, slices: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("lidc_nodules", "tables", "chest_ct"):
        (folder / name).symlink_to(tiny_data / name)
    (folder / "lidc_slices").symlink_to(slices)
    return folder


@pytest.fixture
def bundle(data: Path, tiny_crops: CropConfig, tmp_path: Path) -> Path:
    """A bundle of a run of a few steps, through the commands that make the shipped one."""
    preset = tmp_path / "preset.json"
    preset.write_text(json.dumps(asdict(tiny_crops)), encoding="utf-8")
    train(data, tmp_path / "run", str(preset), -1)
    folder = tmp_path / "bundle"
    main([report(tmp_path, 0), report(tmp_path, 1)], data, tmp_path / "run", folder, 0.5, 0.5)
    return folder


def test_it_states_what_was_measured_and_who_was_seen(bundle: Path, data: Path, tmp_path: Path) -> None:
    info = read_bundle(bundle)
    assert (info.organ, info.axcodes, info.roi_size) == ("lung", "RAS", (48,) * 3)
    assert info.mark_score is not None
    assert set(info.mark_score.weights) == set(MARK_FEATURES)
    assert [point.name for point in info.operating_points] == ["sensitive", "default", "specific"]
    card = (bundle / "docs" / "README.md").read_text(encoding="utf-8")
    figures = json.loads((bundle / "docs" / "figures.json").read_text(encoding="utf-8"))
    assert all(f"{row['dice']:.3f}" in card for row in figures["thresholds"])
    assert {case.patient_id for case in list_cases(data)} <= set(info.training_patients)
    assert all(patient in card for patient in info.training_patients)
    seen = read_training_data(info)
    assert seen.patients == set(info.training_patients)
    assert len(seen.images) == len([case for case in list_cases(data) if case.kind != "slab"])


def _make_bold(run: Path, scene: Scene) -> None:
    """Raise the last bias of a run of a few steps until one voxel in 200 of a case has a probability of 0.4."""
    network, config, _ = trained_network(run)
    probability = probability_of(network, scene, config.window)
    path = run / config.stretches[-1].name / "weights.pt"
    weights = load_weights(path)
    weights["output_block.conv.conv.bias"] += logit(0.4) - logit(float(np.quantile(probability, 0.995)))
    torch.save(weights, path)


def test_a_second_network_lies_inside_and_looks_again(data: Path, tiny_crops: CropConfig, tmp_path: Path) -> None:
    """What the bundle finds in a case through the engine is what the run finds in it."""
    deep = replace(tiny_crops.stretches[1], slabs=True)
    for name, config in (("two", replace(tiny_crops, name="two", seed=7, stretches=(deep,))), ("one", tiny_crops)):
        stated = replace(config, window=32, second="" if name == "two" else str(tmp_path / "two.json"))
        (tmp_path / f"{name}.json").write_text(json.dumps(asdict(stated)), encoding="utf-8")
    run, folder = tmp_path / "run", tmp_path / "bundle"
    train(data, run, str(tmp_path / "one.json"), -1)
    case = next(case for case in list_cases(data) if case.kind == "cube")
    scene = load_scene(case, Intensity())
    for part in (run, run / "second"):
        _make_bold(part, scene)
    main([report(tmp_path, 0), report(tmp_path, 1)], data, run, folder, 0.5, 0.5)
    info = read_bundle(folder)
    assert info.refinement is not None
    assert info.refinement.bundle.path == folder / STAGES / "two"
    assert (info.refinement.combine, info.refinement.flipped) == ("geometric_mean", True)
    assert len(read_training_data(info).images) == len(list_cases(data))

    expected = Searcher.of(run).probability(scene)
    bare = replace(info, mark_score=None)
    found = predict(read_volume(case.image), bare, EngineSettings(device="cpu", backend="torch", precision="float32"))
    ours = np.flip(found.probability.dense().astype(np.float32).transpose() / 250, (0, 1))
    assert (expected > 0.1).any()
    overlap = 2 * ((ours >= 0.1) & (expected >= 0.1)).sum() / ((ours >= 0.1).sum() + (expected >= 0.1).sum())
    assert overlap > 0.9


def test_weights_survive_half_precision(bundle: Path, tiny_crops: CropConfig, tmp_path: Path) -> None:
    weights = load_weights(bundle / "models" / "model.pt")
    assert {value.dtype for value in weights.values()} == {torch.float16}
    full = build_crop_network(tiny_crops, 3).eval()
    full.load_state_dict(load_weights(tmp_path / "run" / "cubes" / "weights.pt"))
    image = torch.rand(32, 32, 32)
    ours = predict_probability(bundle_network(bundle), image, 32)
    torch.testing.assert_close(ours, predict_probability(full, image, 32), atol=5e-3, rtol=0)
    assert half_precision(weights).keys() == weights.keys()


def test_a_run_with_a_fold_held_out_is_not_shipped(data: Path, tiny_crops: CropConfig, tmp_path: Path) -> None:
    preset = tmp_path / "preset.json"
    preset.write_text(json.dumps(asdict(tiny_crops)), encoding="utf-8")
    train(data, tmp_path / "held", str(preset), 0)
    with pytest.raises(InputError, match="held fold 0 out"):
        main([report(tmp_path, 0), report(tmp_path, 1)], data, tmp_path / "held", tmp_path / "bundle")


def test_a_run_can_be_written_to_be_evaluated_on_its_fold(data: Path, tiny_crops: CropConfig, tmp_path: Path) -> None:
    preset = tmp_path / "preset.json"
    preset.write_text(json.dumps(asdict(tiny_crops)), encoding="utf-8")
    train(data, tmp_path / "held", str(preset), 0)
    reports = [report(tmp_path, 0), report(tmp_path, 1)]
    write_fold(reports, data, tmp_path / "held", tmp_path / "bundle", 0.5, 0.5)
    info = read_bundle(tmp_path / "bundle")
    out = set(load_folds().patients[0])
    assert info.training_patients
    assert not out & set(info.training_patients)
    assert not out & read_training_data(info).patients
    assert info.mark_score is not None
    own = final_score(read_folds([tmp_path / "fold1.json"]), 0.5)
    assert dict(info.mark_score.weights) == pytest.approx(own.weights)


def test_it_runs_with_monai_alone(bundle: Path, tmp_path: Path) -> None:
    """What `monai.bundle run` does, short of its evaluator, which needs pytorch-ignite."""
    from monai.bundle import ConfigParser
    from monai.data import decollate_batch

    (tmp_path / "input").mkdir()
    affine = np.diag([-1.5, -1.5, 2.5, 1.0])
    image = chest(np.random.default_rng(1))[::2, ::2, ::2]
    nibabel.save(nibabel.Nifti1Image(image, affine), tmp_path / "input" / "scan.nii.gz")
    parser = ConfigParser(ConfigParser.load_config_file(bundle / "configs" / "inference.json"))
    parser.update({"bundle_root": str(tmp_path)})
    network = parser.get_parsed_content("network").eval()
    inferer, post = parser.get_parsed_content("inferer"), parser.get_parsed_content("postprocessing")
    for batch in parser.get_parsed_content("dataloader"):
        with torch.inference_mode():
            batch["pred"] = inferer(batch["image"], network)
        for item in decollate_batch(batch):
            post(item)
    saved = nibabel.load(tmp_path / "eval" / "scan_probability.nii.gz")
    assert saved.shape == image.shape
    np.testing.assert_allclose(saved.affine, affine, atol=1e-5)
    values = np.asarray(saved.dataobj)
    assert values.min() >= 0
    assert values.max() <= 1
    assert values.std() > 0


def test_the_shipped_metadata_is_complete() -> None:
    content = json.loads((SHIPPED / "configs" / "metadata.json").read_text(encoding="utf-8"))
    for key in ("version", "changelog", "monai_version", "pytorch_version", "numpy_version", "task", "description"):
        assert content[key], key
    own = content["napari_lesion"]
    assert [point["name"] for point in own["operating_points"]] == ["sensitive", "default", "specific"]
    assert own["default_threshold"] == own["operating_points"][1]["threshold"]
    trained = set(own["training_patients"])
    assert TEST_ONLY.isdisjoint(trained)
    assert trained <= set(load_folds().fold_of)
    card = (SHIPPED / "docs" / "README.md").read_text(encoding="utf-8")
    assert [patient for patient in trained if patient not in card] == []
    assert (SHIPPED / "LICENSE").is_file()


@pytest.mark.parametrize(
    ("name", "folder"),
    [("lung_nodule_ct", SHIPPED), ("lung_nodule_outline", SECOND_SHIPPED)],
)
def test_the_shipped_config_is_what_the_preset_gives(name: str, folder: Path) -> None:
    config = json.loads((folder / "configs" / "inference.json").read_text(encoding="utf-8"))
    preset = load_crop_config(name)
    network = {**preset.network, "spatial_dims": 3, "in_channels": 1, "out_channels": 1}
    assert config == json.loads(json.dumps(inference_config(network, preset.intensity, preset.window)))


def test_the_shipped_weights_load_and_find_a_ball() -> None:
    network = bundle_network(SHIPPED)
    axes = np.ogrid[:48, :48, :48]
    inside = sum((axis - 24) ** 2 for axis in axes) <= 6**2
    noise = np.random.default_rng(0).normal(0, 25, inside.shape)
    image = (np.where(inside, 20, -860) + noise + 1000) / 1400
    probability = predict_probability(network, torch.from_numpy(image.clip(0, 1)).float(), 48).numpy()
    assert probability[24, 24, 24] > 0.5
    assert probability[5, 5, 5] < 0.1


def test_the_shipped_figures_follow_from_their_cases() -> None:
    """Dice and sensitivity of the card are those of its own list of cases."""
    figures = json.loads((SHIPPED / "docs" / "figures.json").read_text(encoding="utf-8"))
    agreed = [case for case in figures["cases"] if case["kind"] == "cube" and case["n_readers"] >= 3]
    assert len(agreed) == figures["nodules"]
    assert np.mean([case["dice"] for case in agreed]) == pytest.approx(figures["dice"]["value"], abs=1e-4)
    assert np.mean([case["dice"] > 0 for case in agreed]) == pytest.approx(figures["sensitivity"]["value"])
    folds = load_folds()
    assert all(folds.fold_of[case["patient_id"]] == case["fold"] for case in figures["cases"])
    assert {row["threshold"] for row in figures["thresholds"]} == set(THRESHOLDS)


def test_pooling_needs_a_nodule_of_three_readers() -> None:
    lonely = [SeenCase("s", "q", "scan", 0, None, 0, {"0.5": []})]
    with pytest.raises(InputError):
        pool({0: lonely}, 0.5, 0.5)
