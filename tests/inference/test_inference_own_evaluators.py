"""Bundles with a workflow of their own, in the structure of the zoo's: detectors, prompted models; and odd inputs."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pytest
import zoo_shapes as zoo

from napari_lesion.core.errors import ModelError
from napari_lesion.core.grid import Grid
from napari_lesion.core.jobs import JobContext, Progress
from napari_lesion.core.volume import Modality, Source, Volume
from napari_lesion.inference.bundles.boxes import form_of
from napari_lesion.inference.bundles.outputs import Boxed, Segmented
from napari_lesion.inference.bundles.run import run_bundle
from napari_lesion.inference.bundles.trusted import Parsed, importable
from napari_lesion.models.config.needs import needs_of
from napari_lesion.models.config.reading import read_configuration
from napari_lesion.models.trusted import trust

pytest.importorskip("ignite")
GRID = Grid((40, 36, 24), (0.9, 1.1, 2.0), (-30.0, 20.0, 5.0), (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))


@pytest.fixture(autouse=True)
def _models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAPARI_LESION_MODELS", str(tmp_path / "installed"))


@pytest.fixture(scope="module")
def volume() -> Volume:
    from scipy import ndimage

    noise = ndimage.gaussian_filter(np.random.default_rng(0).standard_normal(GRID.shape), 3)
    return Volume((noise / noise.std() * 200).astype(np.int16), GRID, Modality.CT, Source(case="a"))


def _layers(model: Any, return_layers: dict[str, str]) -> Any:
    """What torchvision's ``IntermediateLayerGetter`` does: the outputs of some children, by new names."""
    import torch

    class Getter(torch.nn.ModuleDict):
        def __init__(self) -> None:
            last = list(return_layers)[-1]
            names = [name for name, _ in model.named_children()]
            super().__init__({name: getattr(model, name) for name in names[: names.index(last) + 1]})

        def forward(self, image: Any) -> dict[str, Any]:
            found = {}
            for name, child in self.items():
                image = child(image)
                if name in return_layers:
                    found[return_layers[name]] = image
            return found

    return Getter()


def _trainable(is_trained: bool, trainable_backbone_layers: int | None, max_value: int, default_value: int) -> int:
    """What torchvision's check of the number of trainable layers gives: all of them without learnt weights."""
    if not is_trained:
        return max_value
    return default_value if trainable_backbone_layers is None else trainable_backbone_layers


@pytest.fixture
def torchvision(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The two functions of torchvision that MONAI's detectors need, where it is not installed.

    Only Python code of it is needed, none of its compiled operations. MONAI looks for it when its modules are
    imported, so that these are imported anew.
    """
    if find_spec("torchvision") is None and any(name.startswith("monai.apps.detection") for name in sys.modules):
        pytest.skip("MONAI's detectors were imported without torchvision before; run this file alone")
    try:
        import torchvision  # noqa: F401
    except (ImportError, RuntimeError):
        names = ("torchvision", "torchvision.models", "torchvision.models._utils", "torchvision.models.detection")
        made = {name: types.ModuleType(name) for name in (*names, "torchvision.models.detection.backbone_utils")}
        made["torchvision.models._utils"].IntermediateLayerGetter = _layers  # type: ignore[attr-defined]
        backbone = made["torchvision.models.detection.backbone_utils"]
        backbone._validate_trainable_layers = _trainable  # type: ignore[attr-defined]
        for name, module in made.items():
            monkeypatch.setitem(sys.modules, name, module)
            parent, _, child = name.rpartition(".")
            if parent:
                setattr(made[parent], child, module)
    yield
    for name in [name for name in sys.modules if name.startswith("monai.apps.detection")]:
        del sys.modules[name]


def _bundle(root: Path, config: dict[str, Any], stated: dict[str, Any], scripts: dict[str, str]) -> Path:
    """A trusted bundle with random weights."""
    import torch

    zoo.add_scripts(zoo.write(root, config, stated), scripts)
    torch.manual_seed(0)
    with importable(root):
        network = Parsed(read_configuration(root), "cpu").get("network_def")
    for parameter in network.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.1)
    (root / "models").mkdir()
    torch.save({"model": network.state_dict()}, root / "models" / "model.pt")
    trust(root)
    return root


def test_a_detector_gives_boxes_in_the_patient(tmp_path: Path, torchvision: None, volume: Volume) -> None:
    root = _bundle(tmp_path / "detector", zoo.detector(), zoo.metadata(1, 1), zoo.DETECTOR_SCRIPTS)
    seen: list[Progress] = []
    output = run_bundle([volume], read_configuration(root), ctx=JobContext(report=seen.append))
    assert isinstance(output, Boxed)
    assert 0 < len(output.scores) <= 7, "what the evaluator requires is done: at most seven boxes"
    assert len(output.centres) == len(output.sizes) == len(output.labels) == len(output.scores)
    index = GRID.to_index(output.centres)
    assert (index > -1).all()
    assert (index < np.array(GRID.shape)).all(), "centres lie in the image, in LPS"
    assert (output.sizes > 0).all()
    assert any(progress.stage == "Searching" for progress in seen)
    assert list(root.rglob("eval")) == []


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
    root = _bundle(tmp_path / "vista", zoo.vista(), stated, zoo.VISTA_SCRIPTS)
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
    root = _bundle(tmp_path / "vista", zoo.vista(), zoo.metadata(1, 6), scripts)
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
    root = _bundle(tmp_path / "renal", config, stated, scripts)
    output = run_bundle([volume] * 3, read_configuration(root))
    assert isinstance(output, Segmented)
    assert output.labels.shape == volume.array.shape


def test_slices_of_a_flat_network(tmp_path: Path, volume: Volume) -> None:
    config = zoo.spleen()
    config["network_def"] = {**zoo.UNET, "spatial_dims": 2}
    config["inferer"] = {"_target_": "SliceInferer", "roi_size": [32, 32], "spatial_dim": 2}
    root = _bundle(tmp_path / "slices", config, zoo.metadata(1, 2), {})
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
    root = _bundle(tmp_path / "brats", zoo.brats(), stated, {})
    output = run_bundle([volume] * 4, read_configuration(root))
    assert isinstance(output, Segmented)
    assert dict(output.meanings) == {1: "Tumor core", 2: "Whole tumor", 4: "Enhancing tumor"}
    assert output.classes == (1, 2, 4)
    assert output.probability is not None
    np.testing.assert_array_equal(output.labels == 4, output.probability[2] > 0.5)


def test_torchscript_of_a_trusted_bundle(tmp_path: Path, volume: Volume) -> None:
    import torch

    root = _bundle(tmp_path / "script", zoo.spleen(), zoo.metadata(1, 2), {})
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
