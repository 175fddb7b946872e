"""Bundles with a workflow of their own, in the structure of the zoo's: detectors, prompted models; and odd inputs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pytest
import zoo_shapes as zoo
from detector_process import GRID, smooth_volume
from zoo_weights import trusted_bundle

from napari_lesion.core.errors import ModelError
from napari_lesion.core.volume import Volume
from napari_lesion.inference.bundles.boxes import form_of
from napari_lesion.inference.bundles.outputs import Segmented
from napari_lesion.inference.bundles.run import run_bundle
from napari_lesion.inference.bundles.trusted import Parsed
from napari_lesion.models.config.needs import needs_of
from napari_lesion.models.config.reading import read_configuration
from napari_lesion.models.trusted import trust

pytest.importorskip("ignite")


@pytest.fixture(autouse=True)
def _models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAPARI_LESION_MODELS", str(tmp_path / "installed"))


@pytest.fixture(scope="module")
def volume() -> Volume:
    return smooth_volume()


def test_a_detector_gives_boxes_in_the_patient(tmp_path: Path) -> None:
    """In a process of its own, since MONAI looks for torchvision only when its detectors are imported first."""
    found = _detected(tmp_path)
    boxes = len(found["scores"])
    assert 0 < boxes <= 7, "what the evaluator requires is done: at most seven boxes"
    assert len(found["index"]) == len(found["sizes"]) == len(found["labels"]) == boxes
    index = np.array(found["index"])
    assert (index > -1).all()
    assert (index < np.array(GRID.shape)).all(), "centres lie in the image, in LPS"
    assert (np.array(found["sizes"]) > 0).all()
    assert "Searching" in found["stages"]
    assert found["written"] == []


def _detected(folder: Path) -> dict[str, Any]:
    """What `detector_process` prints."""
    script = Path(__file__).parents[1] / "detector_process.py"
    done = subprocess.run(
        [sys.executable, str(script), str(folder)], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_detector_says_that_torchvision_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    root = zoo.add_scripts(zoo.write(tmp_path / "detector", zoo.detector()), zoo.DETECTOR_SCRIPTS)
    assert needs_of(read_configuration(root)).missing == ("torchvision",)


@pytest.mark.parametrize("lps", [True, False])
def test_the_form_of_boxes_is_what_the_steps_say(lps: bool) -> None:
    step = {"box_keys": "box", "box_ref_image_keys": "image"}
    from monai.apps.detection.transforms import dictionary
    from monai.transforms import Compose

    world = dictionary.AffineBoxToWorldCoordinated(**step, affine_lps_to_ras=lps)
    centres = dictionary.ConvertBoxModed(box_keys="box", src_mode="xyzxyz", dst_mode="cccwhd")
    form = form_of(Compose([world, centres]))
    assert (form.mode, form.space) == ("cccwhd", "LPS" if lps else "RAS")
    assert form_of(Compose([world])).mode == "xyzxyz"
    assert form_of(None).space == "image"


class _Steps:
    """A post-processing that leaves the boxes as they are, and says what form they have."""

    def __init__(self, *transforms: Any) -> None:
        self.transforms = transforms

    def __call__(self, data: dict[str, Any]) -> dict[str, Any]:
        return data


@pytest.mark.parametrize(
    ("space", "centre", "size"),
    [
        ("LPS", (12.0, -17.5, 33.0), (4.0, 5.0, 6.0)),
        ("RAS", (-12.0, 17.5, 33.0), (4.0, 5.0, 6.0)),
        ("image", (-22.0, -52.5, 104.0), (8.0, 15.0, 24.0)),
    ],
)
def test_boxes_are_told_in_lps_millimetres(space: str, centre: tuple[float, ...], size: tuple[float, ...]) -> None:
    """Corners of one box, in each of the spaces that a post-processing can leave it in."""
    import torch
    from monai.data import MetaTensor

    from napari_lesion.inference.bundles.boxes import boxed

    steps = []
    if space != "image":
        steps.append(type("AffineBoxToWorldCoordinated", (), {"affine_lps_to_ras": space == "LPS"})())
    affine = torch.tensor([[2.0, 0, 0, -2.0], [0, 3.0, 0, 0.0], [0, 0, 4.0, -28.0], [0, 0, 0, 1.0]])
    if space == "image":
        affine[1, 3] = 105.0
    box = torch.tensor([[10.0, -20.0, 30.0, 14.0, -15.0, 36.0]])
    answer = {"box": box, "label": torch.tensor([0]), "label_scores": torch.tensor([0.9])}
    sample = {"image": MetaTensor(torch.zeros(1, 4, 4, 4), affine=affine), "pred": answer}
    parts = MagicMock(postprocessing=_Steps(*steps), key="image")
    output = boxed(sample, parts, {0: "nodule"}, "detector")
    np.testing.assert_allclose(output.centres, [centre])
    np.testing.assert_allclose(output.sizes, [size])
    assert output.scores.tolist() == pytest.approx([0.9])


def test_a_prompted_model_gives_its_classes(tmp_path: Path, volume: Volume) -> None:
    stated = zoo.metadata(1, 6)
    root = trusted_bundle(tmp_path / "vista", zoo.vista(), stated, zoo.VISTA_SCRIPTS)
    output = run_bundle([volume], read_configuration(root))
    assert isinstance(output, Segmented)
    assert output.labels.shape == volume.array.shape
    found = set(np.unique(output.labels).tolist())
    assert found - {0}
    assert found <= {0, 1, 3, 4, 5}, "the classes that the workflow asks for by itself"
    assert output.meanings[5] == "class 5"


def test_own_workflow_that_gives_nothing(tmp_path: Path, volume: Volume) -> None:
    scripts = {**zoo.VISTA_SCRIPTS}
    scripts["evaluator.py"] = scripts["evaluator.py"].replace("engine.state.output[Keys.PRED] =", "_ =")
    root = trusted_bundle(tmp_path / "vista", zoo.vista(), zoo.metadata(1, 6), scripts)
    with pytest.raises(ModelError, match=r"vista"):
        run_bundle([volume], read_configuration(root))


def test_images_by_their_own_keys(tmp_path: Path, volume: Volume) -> None:
    """Three phases under three names, concatenated by a step of the bundle's own, with older meta dictionaries."""
    config = zoo.spleen()
    phases = ["artery", "vein", "excret"]
    config["network_def"] = {**zoo.UNET, "in_channels": 3}
    config["preprocessing"] = zoo.chain(
        {"_target_": "LoadImaged", "keys": [*phases, "label"], "image_only": False},
        {"_target_": "EnsureChannelFirstd", "keys": phases},
        {"_target_": "Orientationd", "keys": phases, "axcodes": "LPS"},
        {"_target_": "scripts.steps.Join", "keys": phases},
        {**zoo.window(-1000, 1000)},
    )
    after = [{**zoo.invert(False), "orig_keys": "artery"}, zoo.SOFTMAX, {**zoo.ARGMAX, "keys": ["pred", "label"]}]
    config["postprocessing"] = zoo.chain(*after, zoo.SAVE, {**zoo.SAVE, "keys": "label"})
    config["handlers"] = [{"_target_": "CheckpointLoader", "load_path": "$@bundle_root + '/models/model.pt'"}]
    del config["checkpointloader"]
    scripts = {
        "steps.py": "from monai.transforms import ConcatItemsd\n\nclass Join:\n    def __init__(self, keys):\n"
        "        self.keys = keys\n    def __call__(self, data):\n"
        "        assert all(f'{key}_meta_dict' in data for key in self.keys)\n"
        "        return ConcatItemsd(self.keys, 'image')(data)\n"
    }
    stated = zoo.metadata(3, 2)
    root = trusted_bundle(tmp_path / "renal", config, stated, scripts)
    output = run_bundle([volume] * 3, read_configuration(root))
    assert isinstance(output, Segmented)
    assert output.labels.shape == volume.array.shape


def test_slices_of_a_flat_network(tmp_path: Path, volume: Volume) -> None:
    config = zoo.spleen()
    config["network_def"] = {**zoo.UNET, "spatial_dims": 2}
    config["inferer"] = {"_target_": "SliceInferer", "roi_size": [32, 32], "spatial_dim": 2}
    root = trusted_bundle(tmp_path / "slices", config, zoo.metadata(1, 2), {})
    output = run_bundle([volume], read_configuration(root))
    assert isinstance(output, Segmented)


def test_a_model_of_pictures_says_so(tmp_path: Path, volume: Volume) -> None:
    config = {**zoo.classification()}
    config["network_def"] = {**config["network_def"], "spatial_dims": 2}
    root = zoo.write(tmp_path / "pictures", config)
    assert needs_of(read_configuration(root)).flat
    with pytest.raises(ModelError, match="two-dimensional pictures"):
        run_bundle([volume], read_configuration(root))


def test_merged_regions_keep_their_names(tmp_path: Path, volume: Volume) -> None:
    """The lambda of BraTS models makes the labels 1, 2 and 4 of three regions."""
    stated = zoo.metadata(4, 3)
    regions = {"0": "Tumor core", "1": "Whole tumor", "2": "Enhancing tumor"}
    stated["network_data_format"]["outputs"]["pred"]["channel_def"] = regions
    root = trusted_bundle(tmp_path / "brats", zoo.brats(), stated, {})
    output = run_bundle([volume] * 4, read_configuration(root))
    assert isinstance(output, Segmented)
    assert dict(output.meanings) == {1: "Tumor core", 2: "Whole tumor", 4: "Enhancing tumor"}
    assert output.classes == (1, 2, 4)
    assert output.probability is not None
    np.testing.assert_array_equal(output.labels == 4, output.probability[2] > 0.5)


def test_torchscript_of_a_trustedtrusted_bundle(tmp_path: Path, volume: Volume) -> None:
    import torch

    root = trusted_bundle(tmp_path / "script", zoo.spleen(), zoo.metadata(1, 2), {})
    expected = run_bundle([volume], read_configuration(root))
    network = Parsed(read_configuration(root), "cpu").get("network_def")
    network.load_state_dict(torch.load(root / "models" / "model.pt", weights_only=True)["model"])
    torch.jit.save(torch.jit.script(network.eval()), root / "models" / "model.ts")
    (root / "models" / "model.pt").unlink()
    with pytest.raises(ModelError, match="--trust"):
        run_bundle([volume], read_configuration(root))
    trust(root)
    output = run_bundle([volume], read_configuration(root))
    assert isinstance(output, Segmented)
    assert isinstance(expected, Segmented)
    np.testing.assert_array_equal(output.labels, expected.labels)
