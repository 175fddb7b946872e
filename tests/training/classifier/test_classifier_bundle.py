"""The classifier as a MONAI bundle."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from classifier_tiny import TINY, collection

from napari_lesion.core.errors import InputError
from napari_lesion.inference.rating.heads import Heads, apply_heads, calibration_from_json
from napari_lesion.inference.trees import Trees
from napari_lesion.training.classifier.bundle import gather, shipped_weights, write_bundle
from napari_lesion.training.classifier.card import write_card
from napari_lesion.training.classifier.cross_validate import NETWORK, report, sources, without_nan
from napari_lesion.training.classifier.fit import TrainingSet
from napari_lesion.training.classifier.fold_scores import cross_fitted
from napari_lesion.training.classifier.judged import Truths
from napari_lesion.training.classifier.measured import Measures
from napari_lesion.training.classifier.network import predict_logits
from napari_lesion.training.classifier.networks import folder_of, held_out_singles, train_and_predict
from napari_lesion.training.classifier.recipe import Recipe
from napari_lesion.training.classifier.scores import network_scores


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, TrainingSet]:
    """A run of tiny networks on made nodules, the bundle of it, and the nodules."""
    run = tmp_path_factory.mktemp("run")
    data = TrainingSet.prepare(collection(100))
    for held_out in held_out_singles():
        train_and_predict(data, TINY, held_out, run)
    random = np.random.default_rng(4)
    measures = Measures(("diameter", "noise"), np.stack([_diameters(data), random.normal(size=100)], 1).astype("f4"))
    every = sources(data.nodules, measures, run)
    truths = Truths.of(data.nodules)
    figures = without_nan(
        {
            "scheme": "cross-fitted",
            "patients": 20,
            "nodules": 100,
            "measures": list(measures.names),
            **report({name: cross_fitted(data.nodules, every[name]) for name in every}, truths),
        }
    )
    bundle = run / "bundle"
    write_bundle(bundle, gather(data.nodules, measures, run, figures, TINY))
    return run, bundle, data


def _diameters(data: TrainingSet) -> np.ndarray:
    return np.array([nodule.diameter_mm for nodule in data.nodules])


def test_weights_are_half_precision_and_plain(finished: tuple[Path, Path, TrainingSet]) -> None:
    run, bundle, _ = finished
    content = torch.load(bundle / "models" / "model.pt", weights_only=True)
    assert list(content) == [f"without_{fold}" for fold in range(5)]
    assert all(v.dtype == torch.float16 for w in content.values() for v in w.values() if v.is_floating_point())
    assert all(w["fc.weight"].shape == (8, TINY.planes[-1]) for w in content.values())
    with pytest.raises(InputError, match="another recipe"):
        shipped_weights(folder_of(run, (0,)) / "weights.pt", Recipe())


def test_trees_and_calibrations_are_read_back(finished: tuple[Path, Path, TrainingSet]) -> None:
    _, bundle, _ = finished
    own = json.loads((bundle / "configs" / "metadata.json").read_text(encoding="utf-8"))["napari_lesion"]
    with np.load(bundle / "models" / "trees.npz", allow_pickle=False) as arrays:
        prefix = "without_3.malignancy."
        part = {name.removeprefix(prefix): arrays[name] for name in arrays if name.startswith(prefix)}
    rating = Trees.from_arrays(part, len(own["measures"]))(np.array([[4.0, 0.0], [12.0, 0.0]]))[:, 0]
    assert rating[1] > rating[0] + 0.3
    for heads in own["heads"].values():
        assert {calibration_from_json(heads[name]).to_json()["kind"] for name in heads} == {"logistic"}


def test_card_names_every_patient_and_figure(finished: tuple[Path, Path, TrainingSet]) -> None:
    _, bundle, data = finished
    card = (bundle / "docs" / "README.md").read_text(encoding="utf-8")
    assert all(nodule.patient_id in card for nodule in data.nodules)
    figures = json.loads((bundle / "docs" / "figures.json").read_text(encoding="utf-8"))
    for model in figures["models"].values():
        assert f"{model['suspicious']['all sizes']['auc_interval']['value']:.3f}" in card
        assert f"{model['texture']['balanced_accuracy']['value']:.3f}" in card


def test_the_card_takes_in_what_is_reached_on_masks_of_the_detector(
    finished: tuple[Path, Path, TrainingSet], tmp_path: Path
) -> None:
    _, bundle, _ = finished
    copy = Path(shutil.copytree(bundle, tmp_path / "bundle"))
    before = (copy / "docs" / "README.md").read_text(encoding="utf-8")
    assert "masks of the detector" not in before.lower()

    def interval(value: float) -> dict[str, float]:
        return {"value": value, "low": value - 0.1, "high": value + 0.1}

    def side(value: float) -> dict[str, object]:
        suspicious = {"all sizes": {"n": 51, "auc_interval": interval(value)}}
        return {"suspicious": suspicious, "texture": {"n": 77, "balanced_accuracy": interval(value - 0.2)}}

    change = {"auc": {"all sizes": interval(-0.031)}, "texture_balanced_accuracy": interval(-0.057)}
    model = {"readers": side(0.912), "found": side(0.881), "change": change}
    about = {"cubes": 101, "found": 94, "agreed": 78, "threshold": 0.2, "detector_dice": 0.75, "missed": []}
    report = {**about, "models": {NETWORK: model}}
    (copy / "docs" / "found_masks.json").write_text(json.dumps(report), encoding="utf-8")
    card = write_card(copy, TINY).read_text(encoding="utf-8")
    for words in ("finds 94 of 101", "0.912", "0.881", "-0.031", "-0.057", "(51)", "(77)"):
        assert words in card


def test_a_new_bundle_keeps_no_report_of_another_run(
    finished: tuple[Path, Path, TrainingSet], tmp_path: Path
) -> None:
    run, bundle, data = finished
    figures = json.loads((bundle / "docs" / "figures.json").read_text(encoding="utf-8"))
    random = np.random.default_rng(4)
    measures = Measures(("diameter", "noise"), np.stack([_diameters(data), random.normal(size=100)], 1).astype("f4"))
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "found_masks.json").write_text("{}", encoding="utf-8")
    write_bundle(tmp_path, gather(data.nodules, measures, run, figures, TINY))
    assert not (tmp_path / "docs" / "found_masks.json").exists()


@pytest.mark.filterwarnings("ignore::UserWarning")  # MONAI's readers name decoders that are not installed
def test_plain_monai_runs_the_bundle(finished: tuple[Path, Path, TrainingSet], tmp_path: Path) -> None:
    """MONAI's parser, without this package, gives what our own code gives, for a lesion in the middle of a volume."""
    import nibabel as nib
    from monai.bundle import ConfigWorkflow
    from monai.networks.nets import ResNet

    _, bundle, data = finished
    nodule = data.nodules[7]
    edge = nodule.spacing_mm
    image, mask = np.full((31, 31, 5), -850, np.int16), np.zeros((31, 31, 5), np.uint8)
    image[:, :, 2], mask[:, :, 2] = nodule.image.T, nodule.consensus.T
    mask[15, 15, 3] = 1
    for name, array in (("image", image), ("mask", mask)):
        nib.save(nib.Nifti1Image(array, np.diag([-edge, -edge, 2.0, 1.0])), tmp_path / f"a_{name}.nii.gz")
    workflow = ConfigWorkflow(
        config_file=str(bundle / "configs" / "inference.json"),
        meta_file=str(bundle / "configs" / "metadata.json"),
        workflow_type="inference",
        bundle_root=str(bundle),
        dataset_dir=str(tmp_path),
        output_dir=str(tmp_path / "out"),
    )
    with torch.no_grad():
        workflow.initialize()
        workflow.run()
    torch.set_grad_enabled(True)
    with (tmp_path / "out" / "ratings.csv").open(encoding="utf-8") as stream:
        (row,) = csv.DictReader(stream)
    metadata = json.loads((bundle / "configs" / "metadata.json").read_text(encoding="utf-8"))
    heads = {k: calibration_from_json(v) for k, v in metadata["napari_lesion"]["heads"][NETWORK].items()}
    definition = json.loads((bundle / "configs" / "inference.json").read_text(encoding="utf-8"))["network_def"]
    network = ResNet(**{key: value for key, value in definition.items() if key != "_target_"})
    members = torch.load(bundle / "models" / "model.pt", weights_only=True).values()
    logits = []
    for weights in members:
        network.load_state_dict(weights)
        logits.append(predict_logits(network, data.source, TINY, np.array([7])))
    kept = np.mean(logits, axis=0)
    whole = np.zeros((1, 32), dtype=np.float32)
    whole[:, [0, 1, 2, 3, 28, 29, 30, 31]] = kept
    first, texture, chalk = apply_heads(Heads(**heads, method="platt"), network_scores(whole))
    assert float(row["malignancy_suspicious_probability"]) == pytest.approx(first[0], abs=0.03)
    assert float(row["calcified_probability"]) == pytest.approx(chalk[0], abs=0.03)
    said = [float(row[f"texture_{name}"]) for name in metadata["napari_lesion"]["textures"]]
    assert said == pytest.approx(texture[0], abs=0.03)
