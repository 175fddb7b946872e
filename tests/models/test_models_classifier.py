"""What of a classifier's bundle is read, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_lesion.core.errors import ModelError
from napari_lesion.models.catalogue import MODELS_VARIABLE, scan_bundles, shipped_folder
from napari_lesion.models.classifier import (
    CLASSIFIER,
    ClassifierInfo,
    find_classifier,
    load_members,
    load_trees,
    read_classifier,
)

SHIPPED = shipped_folder() / CLASSIFIER


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SHIPPED, tmp_path / CLASSIFIER))


def change(bundle: Path, edit: Callable[[dict[str, Any]], object], name: str = "metadata") -> Path:
    path = bundle / "configs" / f"{name}.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    edit(content if name != "metadata" else content["napari_lesion"])
    path.write_text(json.dumps(content), encoding="utf-8")
    return bundle


def test_the_shipped_classifier_is_whole_and_small() -> None:
    info = find_classifier()
    assert isinstance(info, ClassifierInfo)
    assert len(load_members(info)) == len(info.members) == len(load_trees(info)) == 5
    assert all(not network.training for network in load_members(info))
    assert info.textures == ("ground glass", "part-solid", "solid")
    assert len(info.training_patients) == 750
    assert "LIDC-IDRI-0314" not in info.training_patients
    assert sum(path.stat().st_size for path in info.path.rglob("*") if path.is_file()) < 6e6
    assert CLASSIFIER not in [model.name for model in scan_bundles().bundles]
    assert info.identity.startswith(f"{CLASSIFIER} {info.version} (sha256 ")


def test_the_users_own_comes_first(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MODELS_VARIABLE, str(bundle.parent))
    found = find_classifier()
    assert found is not None
    assert found.path == bundle


@pytest.mark.parametrize(
    "edit",
    [
        lambda own: own.update(task="segmentation"),
        lambda own: own.pop("ships"),
        lambda own: own.update(size=4),
        lambda own: own.update(pixel_mm="wide"),
        lambda own: own.update(members=[]),
        lambda own: own.update(textures=["one"]),
        lambda own: own["limits"].pop("diameter_mm"),
        lambda own: own["limits"].update(min_aerated_share=float("nan")),
        lambda own: own["heads"][own["ships"]]["texture"].update(bias=[0.0]),
        lambda own: own["heads"][own["ships"]]["suspicious"].update(weights=[[float("inf"), 0.0]]),
    ],
)
def test_impossible_statements_are_refused(bundle: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    with pytest.raises(ModelError, match="cannot be used"):
        read_classifier(change(bundle, edit))


@pytest.mark.parametrize("target", ["UNet", "os.system", "monai.networks.nets.densenet.ResNet", "builtins.ResNet"])
def test_other_networks_are_refused(bundle: Path, target: str) -> None:
    change(bundle, lambda config: config["network_def"].update(_target_=target), "inference")
    with pytest.raises(ModelError, match="is not built"):
        read_classifier(bundle)


def test_expressions_in_the_arguments_are_refused(bundle: Path) -> None:
    change(bundle, lambda config: config["network_def"].update(num_classes="$8"), "inference")
    with pytest.raises(ModelError, match="expression"):
        read_classifier(bundle)


def test_weights_of_another_network_are_refused(bundle: Path) -> None:
    change(bundle, lambda config: config["network_def"].update(num_classes=9), "inference")
    with pytest.raises(ModelError, match="refuses"):
        load_members(read_classifier(bundle))


def test_a_missing_member_is_refused(bundle: Path) -> None:
    change(bundle, lambda own: own["members"].append("sixth"))
    with pytest.raises(ModelError, match="lacks the member sixth"):
        load_members(read_classifier(bundle))


def test_code_in_the_weights_is_never_run(bundle: Path, tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
            return (Path.touch, (tmp_path / "exploded",))

    torch.save({"without_0": {"fc.weight": Bomb()}}, bundle / "models" / "model.pt")
    with pytest.raises(ModelError, match="nothing of it was run"):
        load_members(read_classifier(bundle))
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    "content", [{"without_0": 3}, {}, [torch.zeros(1)], {"a": {"b": torch.tensor(float("nan"))}}]
)
def test_weights_that_are_no_tensors_are_refused(bundle: Path, content: object) -> None:
    torch.save(content, bundle / "models" / "model.pt")
    with pytest.raises(ModelError, match="not usable"):
        load_members(read_classifier(bundle))


def test_damaged_trees_are_refused(bundle: Path) -> None:
    (bundle / "models" / "trees.npz").write_bytes((SHIPPED / "models" / "trees.npz").read_bytes()[:1000])
    with pytest.raises(ModelError, match=r"trees\.npz is damaged"):
        load_trees(read_classifier(bundle))
    np.savez(bundle / "models" / "trees.npz", objects=np.array([{}], dtype=object))
    with pytest.raises(ModelError, match=r"trees\.npz is damaged"):
        load_trees(read_classifier(bundle))
    (bundle / "models" / "trees.npz").unlink()
    with pytest.raises(ModelError, match="is missing"):
        load_trees(read_classifier(bundle))
