from __future__ import annotations

import json
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from training_tiny import chest

from napari_lesion.training.bundle import inference_config, write_bundle
from napari_lesion.training.cases import list_cases
from napari_lesion.training.checkpoints import load_weights
from napari_lesion.training.config import Intensity, TrainingConfig, load_config
from napari_lesion.training.evaluate import bundle_network, held_out_scenes, report, sweep
from napari_lesion.training.folds import TEST_ONLY, load_folds
from napari_lesion.training.network import build_network, network_arguments, predict_probability
from napari_lesion.training.scoring import SCAN_ROI

pytestmark = pytest.mark.filterwarnings("ignore:NvImgCodecPydicomReader:UserWarning")

SHIPPED = Path(__file__).parents[2] / "resources" / "bundles" / "lung_nodule_ct"


@pytest.fixture(scope="module")
def tiny_bundle(tiny_data: Path, tiny_config: TrainingConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles") / "tiny"
    torch.manual_seed(3)
    network = build_network(tiny_config).eval()
    scenes = held_out_scenes(tiny_data, 0, Intensity())
    figures = report(scenes, sweep(network, scenes), 0)
    write_bundle(folder, tiny_config, list_cases(tiny_data), network.state_dict(), figures)
    return folder


def test_figures_name_fold_and_patients(tiny_data: Path, tiny_config: TrainingConfig) -> None:
    scenes = held_out_scenes(tiny_data, 0, Intensity())
    figures = report(scenes, sweep(build_network(tiny_config).eval(), scenes), 0)
    assert figures["fold"] == 0
    assert len(figures["patients"]) == figures["cubes"] == figures["agreed_nodules"] == 2
    assert figures["threshold"] in {row["threshold"] for row in figures["thresholds"]}
    assert all(load_folds().fold_of[patient] == 0 for patient in figures["patients"])


def test_the_card_states_figures_and_cases(tiny_bundle: Path, tiny_data: Path) -> None:
    card = (tiny_bundle / "docs" / "README.md").read_text(encoding="utf-8")
    assert all(case.name in card for case in list_cases(tiny_data))
    figures = json.loads((tiny_bundle / "docs" / "figures.json").read_text(encoding="utf-8"))
    for row in figures["thresholds"]:
        assert f"{row['dice']:.3f}" in card
    assert "nan" not in card.lower().split()
    assert "A whole scan" not in card


def test_weights_survive_half_precision(tiny_bundle: Path, tiny_config: TrainingConfig) -> None:
    weights = load_weights(tiny_bundle / "models" / "model.pt")
    assert {value.dtype for value in weights.values()} == {torch.float16}
    network = bundle_network(tiny_bundle)
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}
    torch.manual_seed(3)
    full = build_network(tiny_config).eval()
    image = torch.rand(32, 32, 32)
    torch.testing.assert_close(
        predict_probability(network, image, 32), predict_probability(full, image, 32), atol=2e-3, rtol=0
    )


def test_the_bundle_runs_with_monai_alone(tiny_bundle: Path, tmp_path: Path) -> None:
    """What `monai.bundle run` does, short of its evaluator, which needs pytorch-ignite."""
    from monai.bundle import ConfigParser
    from monai.data import decollate_batch

    (tmp_path / "input").mkdir()
    affine = np.diag([-1.5, -1.5, 2.5, 1.0])
    image = chest(np.random.default_rng(1))[::2, ::2, ::2]
    nibabel.save(nibabel.Nifti1Image(image, affine), tmp_path / "input" / "scan.nii.gz")
    parser = ConfigParser(ConfigParser.load_config_file(tiny_bundle / "configs" / "inference.json"))
    parser.update({"bundle_root": str(tmp_path), "inferer::roi_size": [32, 32, 32]})
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


def test_the_product_reads_the_bundle_as_it_was_written(tiny_bundle: Path, tiny_config: TrainingConfig) -> None:
    from napari_lesion.models.metadata import read_bundle

    info = read_bundle(tiny_bundle)
    assert info.network_def["channels"] == list(tiny_config.channels)
    assert (info.organ, info.axcodes, info.spacing_mm) == ("lung", "RAS", (1.0, 1.0, 1.0))
    assert (info.intensity.a_min, info.intensity.a_max) == (-1000.0, 400.0)
    assert info.min_volume_mm3 == 30


def test_the_shipped_metadata_is_complete() -> None:
    content = json.loads((SHIPPED / "configs" / "metadata.json").read_text(encoding="utf-8"))
    for key in ("version", "changelog", "monai_version", "pytorch_version", "numpy_version", "task", "description"):
        assert content[key], key
    own = content["napari_lesion"]
    assert own["schema_version"] == 1
    assert [point["name"] for point in own["operating_points"]] == ["sensitive", "default", "specific"]
    assert own["default_threshold"] == own["operating_points"][1]["threshold"]
    folds = load_folds()
    trained = own["training_patients"]
    assert trained
    assert TEST_ONLY.isdisjoint(trained)
    assert not any(folds.held_out(patient, 0) for patient in trained)


def test_the_shipped_config_is_what_the_preset_gives() -> None:
    config = json.loads((SHIPPED / "configs" / "inference.json").read_text(encoding="utf-8"))
    preset = load_config("lung_nodule_ct")
    network = {"_target_": "UNet", **network_arguments(preset)}
    assert config == json.loads(json.dumps(inference_config(network, preset.intensity, SCAN_ROI)))


def test_the_shipped_weights_load_and_find_a_ball() -> None:
    network = bundle_network(SHIPPED)
    axes = np.ogrid[:64, :64, :64]
    inside = sum((axis - 32) ** 2 for axis in axes) <= 6**2
    noise = np.random.default_rng(0).normal(0, 25, inside.shape)
    image = (np.where(inside, 20, -860) + noise + 1000) / 1400
    probability = predict_probability(network, torch.from_numpy(image.clip(0, 1)).float(), 64).numpy()
    assert probability[32, 32, 32] > 0.5
    assert probability[5, 5, 5] < 0.1


def test_the_card_names_every_training_patient() -> None:
    card = (SHIPPED / "docs" / "README.md").read_text(encoding="utf-8")
    own = json.loads((SHIPPED / "configs" / "metadata.json").read_text(encoding="utf-8"))["napari_lesion"]
    missing = [patient for patient in own["training_patients"] if patient not in card]
    assert missing == []
    assert (SHIPPED / "LICENSE").is_file()


@pytest.mark.real
def test_the_shipped_figures_can_be_measured_again(shared_data: Path, tmp_path: Path) -> None:
    figures = json.loads((SHIPPED / "docs" / "figures.json").read_text(encoding="utf-8"))
    stated = next(row for row in figures["thresholds"] if row["threshold"] == figures["threshold"])
    shutil.copytree(SHIPPED, tmp_path / "bundle")
    config = load_config("lung_nodule_ct")
    scenes = [s for s in held_out_scenes(shared_data / "data", 0, config.intensity) if s.case.kind == "cube"]
    measured = report(scenes, sweep(bundle_network(tmp_path / "bundle"), scenes), 0)
    again = next(row for row in measured["thresholds"] if row["threshold"] == figures["threshold"])
    assert again["dice"] == pytest.approx(stated["dice"], abs=0.005)
    assert again["sensitivity"] == stated["sensitivity"]
