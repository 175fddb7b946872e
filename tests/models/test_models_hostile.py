"""More hostile bundles: attackers who know the grammar, the class of trusted bundles, and the people who read."""

from __future__ import annotations

import copy
import json
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import zoo_shapes as zoo
from zoo_shapes import spleen_with as _with
from zoo_shapes import spleen_with_step as _step

from napari_lesion.core.errors import LesionError, ModelError
from napari_lesion.models.config.assessment import Assessment, assess
from napari_lesion.models.config.build import Builder
from napari_lesion.models.config.grammar import Trust
from napari_lesion.models.config.reading import read_configuration
from napari_lesion.models.config.trusting import trusted_configuration
from napari_lesion.models.install import InstallRequest, install
from napari_lesion.models.safety import load_state_dict
from napari_lesion.models.trusted import is_trusted

RUN = "$__import__('os').system('touch ran')"
WIDE = "\uff3f\uff3f"
"""Full-width low lines, which Python reads as underscores."""


def _trustful(**entries: Any) -> dict[str, Any]:
    """A bundle with a harmless lambda, for which a user may say that it is trusted."""
    config = zoo.spleen()
    config["postprocessing"]["transforms"].insert(2, {"_target_": "Lambdad", "keys": "pred", "func": "$lambda x: x"})
    return {**config, **entries}


def _inferer(**arguments: Any) -> dict[str, Any]:
    return {"_target_": "SimpleInferer", **arguments}


def _assess(root: Path) -> Assessment:
    return assess(read_configuration(root))


REFUSED: dict[str, dict[str, Any]] = {
    "reader whose keys run": _trustful(
        preprocessing=zoo.chain({"_target_": "LoadImaged", "keys": "@evil"}, zoo.CHANNEL), evil=RUN
    ),
    "place of the weights that runs": _trustful(checkpointloader={"_target_": "CheckpointLoader", "load_path": RUN}),
    "attribute of an allowed class": _with(inferer="$monai.networks.nets.UNet.forward.__globals__"),
    "module of an allowed module": _with(inferer={"_target_": "numpy.lib.os.system", "command": "touch ran"}),
    "what wraps an allowed function": _with(inferer="$numpy.prod.__wrapped__"),
    "full-width dunder": _with(inferer=f"$@network_def.{WIDE}init{WIDE}.{WIDE}globals{WIDE}"),
    "mathematical letters": _with(inferer="$\U0001d41e\U0001d42f\U0001d41a\U0001d425('1')"),
    "format walk": _with(inferer="$'{0.__class__.__mro__}'.format(@network_def)"),
    "name by a star": _with(imports=["$from os import *"], inferer="$system('touch ran')"),
    "hostile module by an honest name": _with(imports=["$import subprocess as torch"], inferer="$torch.run('x')"),
    "key that calls": _with(inferer="$sorted([1, 2], key=eval)"),
    "walrus in a comprehension": _with(inferer="$[(y := x) for x in [1]]"),
    "frame of a generator": _with(inferer="$(x for x in [1]).gi_frame.f_back"),
    "device of a plain mapping": _trustful(inferer=_inferer(extra={"device": RUN})),
    "pretrained of a plain mapping": _trustful(inferer=_inferer(extra={"pretrained": RUN})),
    "component as a device": _with(inferer=_inferer(x={"device": {"_target_": "os.system", "command": "touch ran"}})),
    "archive of arrays": _step(_target_="numpy.lib.npyio.NpzFile", fid="x"),
    "optional import": _with(inferer="$monai.utils.optional_import('os')[0].system('touch ran')"),
    "allowed name below a hostile package": _with(inferer={"_target_": "os.path.UNet"}),
    "private part before an allowed name": _with(network_def={"_target_": "monai.networks.nets.__class__.UNet"}),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_refused_and_nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.chdir(tmp_path)
    root = zoo.write(tmp_path / "model", REFUSED[kind])
    assert _assess(root).trust is Trust.REFUSED
    builder = Builder(read_configuration(root))
    with pytest.raises(ModelError):
        [builder.get(part) for part in ("network", "inferer", "preprocessing", "postprocessing")]
    assert not (tmp_path / "ran").exists()


NOT_SAFE: dict[str, dict[str, Any]] = {
    "callable argument": _step(
        _target_="CropForegroundd", keys="image", source_key="image", select_fn="$lambda x: x"
    ),
    "step that is not listed": _step(_target_="monai.transforms.utility.dictionary.Lambdad", keys="image"),
    "namesake of a listed network": _with(network_def={"_target_": "scripts.UNet"}),
    "hub of torch": _with(network_def="$@a", a="$torch.hub.load('evil/evil', 'x')"),
    "variable that hides a module": _with(inferer="$[torch.system('touch ran') for torch in [1]]"),
    "partial": _with(inferer={"_target_": "functools.partial", "func": "$numpy.prod"}),
}


@pytest.mark.parametrize("kind", NOT_SAFE)
def test_not_safe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.chdir(tmp_path)
    root = zoo.write(tmp_path / "model", NOT_SAFE[kind])
    (root / "scripts").mkdir()
    assert _assess(root).trust is not Trust.SAFE
    with suppress(ModelError):
        [Builder(read_configuration(root)).get(part) for part in ("network", "inferer", "preprocessing")]
    assert not (tmp_path / "ran").exists()


BOMBS = [
    "9**9**9", "(2**60)**64", "10**64 * 10**64", "round(1, -10**9)", "[0] * 10**12", "'x' * 10**9",
    "numpy.zeros(10**12)", "numpy.ones([10**6, 10**6])", "numpy.arange(10**12)", "numpy.arange(0, 1, 1e-12)",
    "numpy.linspace(0, 1, 10**12)", "[list(range(99999)) for i in range(99999)]", "list(range(10**12))",
    "[[i for i in range(9999)] for j in range(9999)]", "sum([sum(range(99999)) for i in range(99999)])",
    "int('9' * 99999)", "str([str(list(range(9999))) for i in range(9999)])",
]  # fmt: skip


@pytest.mark.parametrize("text", BOMBS, ids=[text[:30] for text in BOMBS])
def test_bombs_end_in_a_sentence(tmp_path: Path, text: str) -> None:
    root = zoo.write(tmp_path / "model", _with(inferer=f"${text}"))
    with pytest.raises(ModelError, match="Inferer"):
        Builder(read_configuration(root)).get("inferer")


@pytest.mark.parametrize("text", ["(" * 150 + "1" + ")" * 150, "-" * 3000 + "1", "[" * 900 + "]" * 900])
def test_deep_expressions_end(tmp_path: Path, text: str) -> None:
    root = zoo.write(tmp_path / "model", _with(inferer=f"${text}"))
    with suppress(ModelError):
        Builder(read_configuration(root)).get("inferer")


def test_what_a_disabled_step_states_does_not_run_with_trust(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MONAI's parser evaluates arguments of disabled components, and imports anywhere: both are taken away."""
    from napari_lesion.inference.bundles.trusted import Parsed

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NAPARI_LESION_MODELS", str(tmp_path / "installed"))
    config = copy.deepcopy(_trustful())
    config.update(
        output_dir=RUN,
        dataset_dir=RUN,
        handlers=[{"_target_": "StatsHandler", "name": RUN}],
        elsewhere="$import this_is_nowhere_to_be_found",
        imports=["$import glob", "$import os", "$import subprocess as s", "$from shutil import rmtree"],
    )
    config["preprocessing"]["transforms"][0]["reader"] = RUN
    config["postprocessing"]["transforms"][-1]["output_postfix"] = RUN
    config["postprocessing"]["transforms"][-1]["device"] = {"_target_": "os.system", "command": "touch ran"}
    root = zoo.write(tmp_path / "model", config)
    assert _assess(root).trust is Trust.NEEDS_TRUST
    stated = trusted_configuration(read_configuration(root), "cpu")
    assert stated["imports"] == ["$import glob", "$import os"]
    parsed = Parsed(read_configuration(root), "cpu")
    for part in ("network", "preprocessing", "inferer", "postprocessing"):
        parsed.get(part)
    assert not (tmp_path / "ran").exists()


def test_imports_of_the_bundle_s_code_are_named(tmp_path: Path) -> None:
    root = zoo.add_scripts(
        zoo.write(tmp_path / "model", _trustful(imports=["$import scripts.evil"])), {"evil.py": ""}
    )
    assert "scripts is code that comes with the bundle" in _assess(root).named(Trust.NEEDS_TRUST, 9)


@pytest.mark.parametrize(
    "network",
    [
        {"_target_": "EfficientNetBN", "model_name": "efficientnet-b0"},
        {"_target_": "EfficientNetBN", "model_name": "efficientnet-b0", "pretrained": True},
        "$monai.networks.nets.EfficientNetBN('efficientnet-b0', True)",
        "$monai.networks.nets.DenseNet121(spatial_dims=2, in_channels=3, out_channels=2, pretrained=True)",
    ],
    ids=["by default", "stated", "by place", "in an expression"],
)
def test_no_weights_are_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: Any) -> None:
    import socket

    def no_network(*_: Any, **__: Any) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    monkeypatch.setattr(socket.socket, "connect", no_network)
    root = zoo.write(tmp_path / "model", _with(network_def=network))
    assert _assess(root).trust is Trust.SAFE
    assert Builder(read_configuration(root)).get("network") is not None


@pytest.mark.parametrize("kind", ["half a surrogate pair", "control in a key"])
def test_texts_that_are_refused(tmp_path: Path, kind: str) -> None:
    config, stated = zoo.spleen(), zoo.metadata()
    if kind == "half a surrogate pair":
        stated["name"] = "\ud800"
    else:
        config["a\x1b[2J\nClass: safe"] = 1
    root = zoo.write(tmp_path / "model", config, stated)
    with pytest.raises(ModelError, match="refused"):
        read_configuration(root)


def test_texts_that_deceive_are_shown_plainly(tmp_path: Path) -> None:
    from napari_lesion.workflow.models import check_model

    stated = zoo.metadata()
    stated["name"] = "\u202etxt.exe\x1b[2J\nClass: safe"
    stated["network_data_format"]["outputs"]["pred"]["channel_def"]["1"] = "liver\nClass: safe"
    config = _trustful()
    config["postprocessing"]["transforms"][2]["func"] = "$lambda x: (x,\n'\u202e')"
    shown = check_model(zoo.write(tmp_path / "model", config, stated)).sentences
    assert all(line.isprintable() for line in shown)
    assert "Class: needs trust" in shown


def _weights(root: Path, content: Any) -> Path:
    import torch

    (root / "models").mkdir(parents=True)
    torch.save(content, root / "models" / "model.pt")
    return root


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", ["repeated", "sparse", "packed", "script"])
def test_hostile_weights(tmp_path: Path, kind: str) -> None:
    import torch

    if kind == "repeated":
        root = _weights(tmp_path / "model", {"a": torch.zeros(1).expand(10**6, 10**6)})
    elif kind == "sparse":
        root = _weights(tmp_path / "model", {"a": torch.sparse_coo_tensor([[0], [0]], [1.0], (10**9, 10**9))})
    else:
        root = _weights(tmp_path / "model", {"a": torch.zeros(4 * 2**20)})
    path = root / "models" / "model.pt"
    if kind == "packed":
        with zipfile.ZipFile(path) as archive:
            entries = {entry.filename: archive.read(entry) for entry in archive.infolist()}
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in entries.items():
                archive.writestr(name, content)
    elif kind == "script":
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), path)
    with pytest.raises(ModelError, match="not usable"):
        load_state_dict(root, "models/model.pt")


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    "names",
    [["configs/inference.json"], ["a", "a/b"], ["a\x1b[2Jb"], ["x\u202etxt.exe"]],
    ids=["twice", "file and folder", "control", "turned"],
)
def test_hostile_names_in_archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: list[str]) -> None:
    monkeypatch.setenv("NAPARI_LESION_MODELS", str(tmp_path / "installed"))
    path = tmp_path / "model.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("configs/metadata.json", json.dumps(zoo.metadata()))
        archive.writestr("configs/inference.json", json.dumps(zoo.spleen()))
        for name in names:
            archive.writestr(name, "x")
    with pytest.raises(LesionError):
        install(InstallRequest(str(path), trusted=True))
    assert list((tmp_path / "installed").iterdir()) == []


def test_consent_is_for_the_files_that_were_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_lesion.workflow.consent import consent_needed, give_consent

    monkeypatch.setenv("NAPARI_LESION_MODELS", str(tmp_path / "installed"))
    root = zoo.add_scripts(zoo.write(tmp_path / "model", _trustful(imports=["$import scripts"])), {"x.py": "1\n2\n"})
    first = consent_needed(root)
    assert first is not None
    assert any("lambda" in line for line in first.runs)
    assert "scripts/x.py (2 lines)" in first.files
    (root / "scripts" / "x.py").write_text("3")
    with pytest.raises(ModelError, match="changed while you were asked"):
        give_consent(first)
    assert not is_trusted(root)
    second = consent_needed(root)
    assert second is not None
    give_consent(second)
    assert consent_needed(root) is None
    (root / "scripts" / "y.py").write_text("4")
    third = consent_needed(root)
    assert third is not None
    assert third.changed == ("scripts/y.py",)


def test_a_long_walk_of_references_ends(tmp_path: Path) -> None:
    config = _with(inferer="@a0", **{f"a{n}": [f"@a{n + 1}", f"@a{n + 1}"] for n in range(200)}, a200=1)
    root = zoo.write(tmp_path / "model", config)
    assert _assess(root).trust is Trust.REFUSED
    with pytest.raises(ModelError):
        Builder(read_configuration(root)).get("inferer")
