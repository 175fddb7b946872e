"""The bundle of a run, and the one that ships: read, checked, the same with plain MONAI, and what its card says."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch

from napari_lesion.core.probability import threshold_byte
from napari_lesion.core.volume import Modality
from napari_lesion.evaluation.segmentation import dice
from napari_lesion.inference.engine import own_intensity, predict
from napari_lesion.inference.organs import find_organ
from napari_lesion.inference.settings import EngineSettings
from napari_lesion.io.masks import read_labels
from napari_lesion.io.read import read_volume
from napari_lesion.models.bundle import BundleInfo
from napari_lesion.models.metadata import read_bundle
from napari_lesion.training.brain.__main__ import train
from napari_lesion.training.brain.bundle import brain_inference, write_brain_bundle
from napari_lesion.training.brain.cases import list_visits
from napari_lesion.training.brain.measure import THRESHOLDS, report
from napari_lesion.training.detector.config import CropConfig, load_crop_config

pytestmark = pytest.mark.filterwarnings("ignore:NvImgCodecPydicomReader:UserWarning")

SHIPPED = Path(__file__).parents[3] / "resources" / "bundles" / "brain_flair_lesion"
RUNS = ("ljubljana_ms_p07", "mslesseg_P14")


@pytest.fixture(scope="module")
def runs(brain_pool: Path, brain_config: CropConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("all_runs")
    for name in RUNS:
        train(brain_config, brain_pool, folder / name, name)
    return folder


@pytest.fixture(scope="module")
def bundle(runs: Path, brain_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle") / "brain_tiny"
    figures = json.loads(json.dumps(report(brain_data, runs)))
    write_brain_bundle(folder, runs / "template", figures)
    return folder


def test_every_visit_is_measured_by_the_run_without_its_patient(
    runs: Path, brain_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_lesion.training.brain import measure

    seen: list[tuple[str, str]] = []
    written = measure.write_brain_bundle

    def noted(folder: Path, run: Path, figures: dict[str, object] | None = None) -> None:
        seen.append((run.name, ""))
        written(folder, run, figures)

    def visited(bundle: Path, visits: list[object]) -> dict[float, list[object]]:
        seen[-1] = (seen[-1][0], ",".join(visit.patient for visit in visits))  # type: ignore[attr-defined]
        return {threshold: [] for threshold in THRESHOLDS}

    monkeypatch.setattr(measure, "write_brain_bundle", noted)
    monkeypatch.setattr(measure, "sweep", visited)
    measure.unseen(brain_data, runs)
    assert seen == [
        ("ljubljana_ms_p07", "ljubljana_ms_p07"),
        ("mslesseg_P14", "mslesseg_P14,mslesseg_P14"),
    ]


def test_the_bundle_states_what_the_engine_needs(bundle: Path) -> None:
    info = read_bundle(bundle)
    assert (info.organ, info.modality, info.channels) == ("brain", Modality.MR, 1)
    assert info.intensity.z_score
    assert (info.intensity.a_min, info.intensity.a_max) == (-4.0, 6.0)
    assert set(info.training_patients) == {
        "ljubljana_ms_p01",
        *(name for name in info.training_patients if name.startswith("soop")),
    }
    assert "experimental" in info.title


def test_the_card_says_each_figure(bundle: Path) -> None:
    card = (bundle / "docs" / "README.md").read_text(encoding="utf-8")
    figures = json.loads((bundle / "docs" / "figures.json").read_text(encoding="utf-8"))
    for row in (*figures["model"]["visits"], *figures["baseline"]["visits"]):
        assert row["visit"] in card
        assert f"{row['dice']:.3f}" in card
    assert "Research use only" in card
    assert "ljubljana_ms_p01" in card


def test_plain_monai_prepares_an_image_as_the_engine_does(brain_data: Path, tmp_path: Path) -> None:
    from monai.bundle import ConfigParser

    config = load_crop_config("brain_flair_lesion")
    path = list_visits(brain_data)[0].file("flair")
    definition = {"_target_": "UNet", "spatial_dims": 3}
    (tmp_path / "inference.json").write_text(json.dumps(brain_inference(definition, config)), encoding="utf-8")
    parser = ConfigParser(ConfigParser.load_config_file(tmp_path / "inference.json"))
    plain = parser.get_parsed_content("preprocessing")({"image": str(path)})["image"][0].numpy()
    volume = read_volume(path, modality=Modality.MR)
    values = volume.array[volume.array != 0].astype(float)
    z = (nibabel.as_closest_canonical(nibabel.load(path)).get_fdata() - values.mean()) / values.std()
    shown = nibabel.as_closest_canonical(nibabel.load(path)).get_fdata() != 0
    wanted = np.clip((z + 4) / 10, 0, 1)
    np.testing.assert_allclose(plain[shown], wanted[shown], atol=1e-4)
    assert (plain[~shown] == 0).all(), "what is outside is the darkest value, as it is nearly in the engine"
    assert wanted[~shown].max() < 0.1
    organ = find_organ(volume, "none", Modality.MR)
    own = own_intensity(volume, organ, config_intensity())
    assert own.a_min == pytest.approx(values.mean() - 4 * values.std())


def config_intensity() -> object:
    from napari_lesion.models.bundle import Intensity

    return Intensity(-4.0, 6.0, z_score=True)


@pytest.fixture(scope="module")
def shipped() -> BundleInfo:
    return read_bundle(SHIPPED)


def test_the_shipped_bundle_is_small_and_whole(shipped: BundleInfo) -> None:
    from napari_lesion.models.bundle import load_network

    assert sum(file.stat().st_size for file in SHIPPED.rglob("*") if file.is_file()) < 5e6
    network = load_network(shipped)
    assert sum(p.numel() for p in network.parameters()) > 1e6
    assert {value.dtype for value in torch.load(SHIPPED / "models" / "model.pt", weights_only=True).values()} == {
        torch.float16
    }


def test_the_shipped_card_agrees_with_its_figures(shipped: BundleInfo) -> None:
    figures = json.loads((SHIPPED / "docs" / "figures.json").read_text(encoding="utf-8"))
    card = (SHIPPED / "docs" / "README.md").read_text(encoding="utf-8")
    assert shipped.default_threshold == figures["threshold"]
    assert f"{figures['model']['dice']['mean']:.3f}" in card
    assert figures["model"]["patients"] == 4
    measured = {row["patient"] for row in (*figures["model"]["visits"], *figures["stroke"])}
    assert not any(trained.startswith(patient) for patient in measured for trained in shipped.training_patients)


def test_the_shipped_configuration_is_the_presets(shipped: BundleInfo) -> None:
    config = load_crop_config("brain_flair_lesion")
    assert shipped.network_def["filters"] == config.network["filters"]
    assert (shipped.intensity.a_min, shipped.intensity.a_max) == (config.intensity.a_min, config.intensity.a_max)
    stated = json.loads((SHIPPED / "configs" / "inference.json").read_text(encoding="utf-8"))
    targets = [step["_target_"] for step in stated["preprocessing"]["transforms"]]
    assert targets[3:6] == ["Spacingd", "NormalizeIntensityd", "MapLabelValued"]


def test_most_of_what_it_marks_in_a_real_patient_is_lesion(shipped: BundleInfo, shared_data: Path) -> None:
    """A patient who was never learned from; the Dice that was measured is 0.68."""
    folder = shared_data / "data" / "brain_flair" / "mslesseg_P14_T1"
    volume = read_volume(folder / "flair.nii.gz", modality=Modality.MR)
    found = predict(volume, shipped, EngineSettings(device="cpu"))
    assert found.organ.trusted
    marked = found.probability.dense() >= threshold_byte(shipped.default_threshold)
    assert dice(read_labels(folder / "lesion.nii.gz").array > 0, marked) > 0.6
