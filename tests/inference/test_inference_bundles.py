"""Bundles in the shapes of MONAI's zoo, run as they are: the same labels as MONAI's own parser and files give."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import zoo_shapes as zoo

from napari_lesion.core.errors import ModelError
from napari_lesion.core.jobs import CancelToken, JobCancelled, JobContext, Progress
from napari_lesion.core.volume import Volume
from napari_lesion.inference.bundles.outputs import Scored, Segmented, interpret
from napari_lesion.inference.bundles.run import run_bundle
from napari_lesion.io.read import read_volume
from napari_lesion.models.config.reading import read_configuration
from napari_lesion.models.trusted import trust

SIZE = (44, 40, 26)
AFFINE = np.array([[-0.9, 0.0, 0.0, 30.0], [0.0, 1.1, 0.0, -20.0], [0.0, 0.0, 2.0, 5.0], [0.0, 0.0, 0.0, 1.0]])


@pytest.fixture(autouse=True)
def _models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAPARI_LESION_MODELS", str(tmp_path / "installed"))


def _image(path: Path, seed: int) -> Path:
    """A smooth random CT, x flipped, 0.9 x 1.1 x 2 mm."""
    from scipy import ndimage

    noise = np.random.default_rng(seed).standard_normal(SIZE)
    smooth = ndimage.gaussian_filter(noise, 3)
    nibabel.save(nibabel.Nifti1Image((smooth / smooth.std() * 150).astype(np.int16), AFFINE), path)
    return path


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("images")
    return [_image(folder / f"s{seed}.nii.gz", seed) for seed in range(4)]


@pytest.fixture(scope="module")
def volumes(images: list[Path]) -> list[Volume]:
    return [read_volume(path) for path in images]


def _parser(root: Path, **more: Any) -> Any:
    from monai.bundle import ConfigParser

    config = json.loads((root / "configs" / "inference.json").read_text(encoding="utf-8"))
    config.update(bundle_root=str(root), device="$torch.device('cpu')", **more)
    config["network_def"].pop("pretrained", None)  # would fetch weights
    config["network_def"].pop("img_size", None)  # MONAI has dropped it
    for step in config["preprocessing"]["transforms"]:
        step.pop("reader", None)  # ITK is not installed; the files are NIfTI
    return ConfigParser(config)


def _write(root: Path, shape: Callable[[], dict[str, Any]], stated: dict[str, Any], name: str = "model.pt") -> Path:
    """A bundle with random weights, made by MONAI's own parser."""
    import torch

    zoo.write(root, shape(), stated)
    torch.manual_seed(0)
    network = _parser(root).get_parsed_content("network_def")
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.4)  # far from undecided, so that round-off decides nothing
    (root / "models").mkdir()
    torch.save(network.state_dict(), root / "models" / name)
    return root


def _by_monai(root: Path, images: list[Path], out: Path) -> Any:
    """What MONAI gives for the files: its loader, parser, inferer, and writer."""
    import torch
    from monai.data import decollate_batch, list_data_collate

    warnings.simplefilter("ignore")  # MONAI warns of its own defaults
    parser = _parser(root, output_dir=str(out))
    network = parser.get_parsed_content("network_def").eval()
    weights = next((root / "models").iterdir())
    network.load_state_dict(torch.load(weights, weights_only=True))
    source = [str(path) for path in images] if len(images) > 1 else str(images[0])
    batch = list_data_collate([parser.get_parsed_content("preprocessing")({"image": source})])
    with torch.inference_mode():
        result = parser.get_parsed_content("inferer")(batch["image"], network)
    (item,) = decollate_batch({**batch, "pred": result})
    for step in parser.get_parsed_content("postprocessing").transforms:
        if type(step).__name__ != "SaveClassificationd":
            item = step(item)
    return item["pred"]


def _saved(out: Path) -> Any:
    (path,) = out.rglob("*.nii.gz")
    return np.asarray(nibabel.load(path).dataobj).squeeze()


@pytest.mark.parametrize(
    ("shape", "stated", "sequences", "weights"),
    [
        (zoo.spleen, zoo.metadata(1, 2), 1, "model.pt"),
        (zoo.whole_body, zoo.metadata(1, 3), 1, "model_lowres.pt"),
        (zoo.brats, zoo.metadata(4, 3), 4, "model.pt"),
        (zoo.swin, zoo.metadata(1, 3), 1, "model.pt"),
    ],
    ids=["spleen", "whole body", "brats", "swin"],
)
def test_the_same_labels_as_monai(
    tmp_path: Path,
    images: list[Path],
    volumes: list[Volume],
    shape: Callable[[], dict[str, Any]],
    stated: dict[str, Any],
    sequences: int,
    weights: str,
) -> None:
    if shape is zoo.swin:
        pytest.importorskip("einops")
    root = _write(tmp_path / "model", shape, stated, weights)
    trust(root)
    expected = _by_monai(root, images[:sequences], tmp_path / "out")
    output = run_bundle(volumes[:sequences], read_configuration(root))
    assert isinstance(output, Segmented)
    assert output.labels.shape == volumes[0].array.shape
    assert len(np.unique(output.labels)) > 1
    np.testing.assert_array_equal(output.labels, np.asarray(expected)[0].T)
    np.testing.assert_array_equal(output.labels, _saved(tmp_path / "out").T)
    assert list((root).rglob("eval")) == []


def test_parts_under_names_of_their_own(tmp_path: Path, volumes: list[Volume]) -> None:
    """Without the bundle's own pre-processing the network would see other numbers, and the result look right."""
    usual = _write(tmp_path / "usual", zoo.spleen, zoo.metadata(1, 2))
    other = zoo.write(tmp_path / "other", zoo.named_otherwise(), zoo.metadata(1, 2))
    shutil.copytree(usual / "models", other / "models")
    expected, output = (run_bundle(volumes[:1], read_configuration(root)) for root in (usual, other))
    assert isinstance(expected, Segmented)
    assert isinstance(output, Segmented)
    assert len(np.unique(output.labels)) == 2
    np.testing.assert_array_equal(output.labels, expected.labels)


def test_one_channel_that_was_squeezed_away(tmp_path: Path, volumes: list[Volume]) -> None:
    def squeezed() -> dict[str, Any]:
        config = zoo.spleen()
        config["postprocessing"]["transforms"].append({"_target_": "SqueezeDimd", "keys": "pred", "dim": 0})
        return config

    plain, flat = (
        run_bundle(volumes[:1], read_configuration(_write(tmp_path / name, shape, zoo.metadata(1, 2))))
        for name, shape in (("plain", zoo.spleen), ("squeezed", squeezed))
    )
    assert isinstance(plain, Segmented)
    assert isinstance(flat, Segmented)
    np.testing.assert_array_equal(flat.labels, plain.labels)


def test_probability_agrees_with_the_labels(tmp_path: Path, volumes: list[Volume]) -> None:
    root = _write(tmp_path / "model", zoo.spleen, zoo.metadata(1, 2))
    output = run_bundle(volumes[:1], read_configuration(root))
    assert isinstance(output, Segmented)
    assert output.probability is not None
    assert output.classes == (1,)
    np.testing.assert_array_equal(output.probability[0] > 0.5, output.labels == 1)


def test_classification(tmp_path: Path, images: list[Path], volumes: list[Volume]) -> None:
    root = _write(tmp_path / "model", zoo.classification, zoo.metadata(1, 2))
    expected = _by_monai(root, images[:1], tmp_path / "out")
    output = run_bundle(volumes[:1], read_configuration(root))
    assert isinstance(output, Scored)
    np.testing.assert_allclose(output.scores, np.asarray(expected).ravel(), rtol=1e-5)
    assert output.meanings[1] == "class 1"


def test_trust_is_asked_for_and_ends_with_a_change(tmp_path: Path, volumes: list[Volume]) -> None:
    root = _write(tmp_path / "model", zoo.brats, zoo.metadata(4, 3))
    with pytest.raises(ModelError, match="--trust"):
        run_bundle(volumes, read_configuration(root))
    trust(root)
    run_bundle(volumes, read_configuration(root))
    (root / "configs" / "more.json").write_text("{}")
    with pytest.raises(ModelError, match="--trust"):
        run_bundle(volumes, read_configuration(root))


def test_code_of_a_trusted_bundle_is_its_own(tmp_path: Path, volumes: list[Volume]) -> None:
    """Two bundles with a package of the same name do not take each other's code."""
    found = []
    for factor in (1, 3):
        config = zoo.spleen()
        config["imports"].append("$import scripts")
        config["postprocessing"]["transforms"].append({"_target_": "scripts.steps.Timesd", "keys": "pred"})
        root = _write(tmp_path / f"model{factor}", lambda config=config: config, zoo.metadata(1, 2))
        (root / "scripts").mkdir()
        (root / "scripts" / "__init__.py").write_text("")
        text = (
            "class Timesd:\n    def __init__(self, keys): self.keys = keys\n"
            f"    def __call__(self, data): return {{**data, 'pred': data['pred'] * {factor}}}\n"
        )
        (root / "scripts" / "steps.py").write_text(text)
        trust(root)
        output = run_bundle(volumes[:1], read_configuration(root))
        assert isinstance(output, Segmented)
        found.append(int(output.labels.max()))
        assert not list(root.rglob("__pycache__"))
    assert found == [1, 3]


def test_pickled_architecture_of_a_trusted_bundle(tmp_path: Path, volumes: list[Volume]) -> None:
    import torch

    root = zoo.write(tmp_path / "model", zoo.dints(), zoo.metadata(1, 3))
    (root / "models").mkdir()
    rng = np.random.default_rng(0)
    code = {"arch_code_a": rng.integers(0, 2, (6, 7)), "arch_code_c": rng.integers(0, 5, (6, 7))}
    torch.save({**code, "node_a": rng.integers(0, 2, (7, 3))}, root / "models" / "search_code.pt")
    trust(root)
    with pytest.raises(ModelError) as caught:  # the code is read; the weights are missing
        run_bundle(volumes[:1], read_configuration(root))
    assert "models/model.pt" in caught.value.message


def test_progress_and_cancel_by_window(tmp_path: Path, volumes: list[Volume]) -> None:
    root = _write(tmp_path / "model", zoo.spleen, zoo.metadata(1, 2))
    config = read_configuration(root)
    seen: list[Progress] = []
    run_bundle(volumes[:1], config, ctx=JobContext(report=seen.append))
    searching = [progress for progress in seen if progress.stage == "Searching"]
    assert searching
    assert [progress.done for progress in searching] == list(range(len(searching)))
    assert {progress.total for progress in searching} == {len(searching)}
    token = CancelToken()

    def stop(progress: Progress) -> None:
        if progress.stage == "Searching":
            token.cancel()

    with pytest.raises(JobCancelled):
        run_bundle(volumes[:1], config, ctx=JobContext(token, stop))


def test_number_of_images(tmp_path: Path, volumes: list[Volume]) -> None:
    root = _write(tmp_path / "model", zoo.brats, zoo.metadata(4, 3))
    with pytest.raises(ModelError, match=r"needs 4 images.*sequence 3"):
        run_bundle(volumes[:1], read_configuration(root))


def test_fault_of_a_bundle_is_one_sentence(tmp_path: Path, volumes: list[Volume]) -> None:
    config = zoo.spleen()
    config["preprocessing"]["transforms"].insert(2, {"_target_": "SqueezeDimd", "keys": "image", "dim": 1})
    root = _write(tmp_path / "model", lambda: config, zoo.metadata(1, 2))
    with pytest.raises(ModelError, match="failed on this image"):
        run_bundle(volumes[:1], read_configuration(root))


def test_regions_in_each_other_go_to_the_smallest(volumes: list[Volume]) -> None:
    import torch

    regions = torch.zeros((2, *volumes[0].array.shape[::-1]))
    regions[0, :20] = 1
    regions[1, :10] = 1
    output = interpret(regions, volumes[0].grid, {0: "whole", 1: "core"}, "regions")
    assert isinstance(output, Segmented)
    assert [int((output.labels == label).sum()) for label in (1, 2)] == [10 * 40 * 26, 10 * 40 * 26]


@pytest.mark.parametrize("result", ["text", {"other": 1}])
def test_results_that_are_not_understood(volumes: list[Volume], result: Any) -> None:
    with pytest.raises(ModelError, match="not understood"):
        interpret(result, volumes[0].grid, {}, "odd")
