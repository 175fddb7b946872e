"""The class of a bundle: the shapes of MONAI's model zoo, and hostile ones of which nothing runs."""

from __future__ import annotations

import json
import os
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zoo_shapes as zoo
from zoo_shapes import spleen_with as _with
from zoo_shapes import spleen_with_step as _step

from napari_lesion.core.errors import LesionError, ModelError
from napari_lesion.inference.bundles.trusted import Parsed
from napari_lesion.models.config.assessment import Assessment, assess
from napari_lesion.models.config.build import Builder
from napari_lesion.models.config.grammar import Trust
from napari_lesion.models.config.needs import needs_of
from napari_lesion.models.config.reading import read_configuration

SHAPES: dict[str, tuple[Callable[[], dict[str, Any]], Trust]] = {
    "spleen_ct_segmentation": (zoo.spleen, Trust.SAFE),
    "wholeBody_ct_segmentation": (zoo.whole_body, Trust.SAFE),
    "swin_unetr_btcv_segmentation": (zoo.swin, Trust.SAFE),
    "classification": (zoo.classification, Trust.SAFE),
    "brats_mri_segmentation": (zoo.brats, Trust.NEEDS_TRUST),
    "pancreas_ct_dints_segmentation": (zoo.dints, Trust.NEEDS_TRUST),
    "lung_nodule_ct_detection": (zoo.detector, Trust.NEEDS_TRUST),
    "vista3d": (zoo.vista, Trust.NEEDS_TRUST),
}


def _assess(root: Path) -> Assessment:
    return assess(read_configuration(root))


@pytest.mark.parametrize("suffix", [".json", ".yaml"])
@pytest.mark.parametrize("name", SHAPES)
def test_class_of_the_zoo_s_shapes(tmp_path: Path, name: str, suffix: str) -> None:
    shape, trust = SHAPES[name]
    assessment = _assess(zoo.write(tmp_path / name, shape(), suffix=suffix))
    assert assessment.trust is trust, assessment.reasons
    assert bool(assessment.reasons) is (trust is not Trust.SAFE)
    assert any("LoadImaged" in replaced for replaced in assessment.replaced)


@pytest.mark.parametrize("name", [name for name, (_, trust) in SHAPES.items() if trust is Trust.SAFE])
def test_safe_shapes_are_built(tmp_path: Path, name: str) -> None:
    import torch

    builder = Builder(read_configuration(zoo.write(tmp_path / name, SHAPES[name][0]())))
    network = builder.get("network")
    assert isinstance(network, torch.nn.Module)
    assert network is builder.get("network_def")
    steps = [type(step).__name__ for step in builder.get("preprocessing").transforms]
    assert "LoadImaged" not in steps
    assert "EnsureChannelFirstd" in steps
    assert type(builder.get("inferer")).__name__ in ("SlidingWindowInferer", "SimpleInferer")


def test_parts_under_names_of_their_own(tmp_path: Path) -> None:
    config = read_configuration(zoo.write(tmp_path / "model", zoo.named_otherwise()))
    assert assess(config).trust is Trust.SAFE, assess(config).reasons
    builder = Builder(config)
    assert builder.get("network") is builder.get("net")
    assert builder.get("preprocessing") is builder.get("val_transforms")
    assert builder.get("postprocessing") is builder.get("post_transforms")
    assert builder.get("inferer").overlap == 0.5


@pytest.mark.parametrize("part", ["net", "val_transforms", "post_transforms"])
def test_parts_under_names_of_their_own_are_judged(tmp_path: Path, part: str) -> None:
    config = zoo.named_otherwise()
    config[part] = {"_target_": "os.system", "command": "touch ran"}
    assert _assess(zoo.write(tmp_path / "model", config)).trust is Trust.REFUSED


def test_pictures_are_told_behind_references(tmp_path: Path) -> None:
    config = zoo.named_otherwise()
    assert not needs_of(read_configuration(zoo.write(tmp_path / "model", config))).flat
    config["net"]["spatial_dims"] = 2
    assert needs_of(read_configuration(zoo.write(tmp_path / "flat", config))).flat
    config["validator"]["inferer"] = {"_target_": "SliceInferer", "roi_size": [32, 32], "spatial_dim": 2}
    assert not needs_of(read_configuration(zoo.write(tmp_path / "slices", config))).flat


def test_choices_by_expression_are_followed(tmp_path: Path) -> None:
    builder = Builder(read_configuration(zoo.write(tmp_path / "model", zoo.whole_body())))
    spacing = next(s for s in builder.get("preprocessing").transforms if type(s).__name__ == "Spacingd")
    assert list(spacing.spacing_transform.pixdim) == [3.0, 3.0, 3.0]
    assert builder.get("inferer").overlap == 0.25
    assert builder.get("modelname") == "model_lowres.pt"


def test_detection_says_what_it_needs(tmp_path: Path) -> None:
    needs = needs_of(read_configuration(zoo.write(tmp_path / "model", zoo.detector())))
    assert "torchvision" in needs.packages


def test_attention_says_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "einops", None)
    assert needs_of(read_configuration(zoo.write(tmp_path / "swin", zoo.swin()))).missing == ("einops",)
    assert needs_of(read_configuration(zoo.write(tmp_path / "unet", zoo.spleen()))).missing == ()


@pytest.mark.parametrize("trusted", [False, True])
def test_arguments_that_monai_has_dropped(tmp_path: Path, trusted: bool) -> None:
    config = read_configuration(zoo.write(tmp_path / "swin", zoo.swin()))
    source: Parsed | Builder = Parsed(config, "cpu") if trusted else Builder(config)
    assert type(source.get("network")).__name__ == "SwinUNETR"


def test_sequences_are_named(tmp_path: Path) -> None:
    stated = zoo.metadata(channels=4, classes=3)
    needs = needs_of(read_configuration(zoo.write(tmp_path / "model", zoo.brats(), stated)))
    assert needs.inputs[0].channels == 4
    assert needs.inputs[0].meanings[3] == "sequence 3"


RUN = "$__import__('os').system('touch ran')"
HOSTILE: dict[str, dict[str, Any]] = {
    "import by dunder": _with(network_def=RUN),
    "command as a component": _with(network_def={"_target_": "os.system", "command": "touch ran"}),
    "process as a component": _with(inferer={"_target_": "subprocess.Popen", "args": ["touch", "ran"]}),
    "eval as a component": _with(inferer={"_target_": "builtins.eval", "expression": "1"}),
    "dunder walk in a target": _with(inferer={"_target_": "monai.transforms.Compose.__init__.__globals__"}),
    "computed target": _with(inferer={"_target_": "$'os' + '.system'"}),
    "target by reference": _with(inferer={"_target_": "@name"}, name="os.system"),
    "target that is no text": _with(inferer={"_target_": ["os.system"]}),
    "command in an argument": _step(_target_="Spacingd", keys="image", pixdim=RUN),
    "command in a nested argument": _step(_target_="Spacingd", keys="image", pixdim=[1, {"a": [RUN]}]),
    "command in requires": _step(_target_="Identityd", keys="image", _requires_=RUN),
    "command in disabled": _step(_target_="Identityd", keys="image", _disabled_=RUN),
    "debugger": _step(_target_="Identityd", keys="image", _mode_="debug"),
    "unknown keyword": _step(_target_="Identityd", keys="image", _wrap_="os.system"),
    "command behind references": _with(inferer="@a", a="@b", b="@c::0", c=[RUN]),
    "walk through an allowed name": _with(inferer="$torch.float32.__class__.__base__.__subclasses__()"),
    "walk through a reference": _with(inferer="$@network_def.__init__.__globals__['sys']"),
    "aliased module": _with(imports=["$import os as np"], inferer="$np.system('touch ran')"),
    "module from an import": _with(imports=["$from os import system as len"], inferer="$system('touch ran')"),
    "file read": _with(inferer="$open('/etc/passwd').read()"),
    "environment": _with(inferer="$os.environ['HOME']"),
    "pickle": _with(network_def="$pickle.loads(b'')"),
    "lambda with a command": _step(_target_="Lambdad", keys="image", func="$lambda x: os.system('touch ran')"),
    "circle": _with(inferer="@a", a="$@b", b="$@nowhere"),
    "statement": _with(inferer="$x = 1"),
    "assignment inside": _with(inferer="$(x := 1)"),
    "getattr": _with(inferer="$getattr(@network_def, 'forward')"),
    "numpy.load": _step(_target_="numpy.load", file="x.npy", allow_pickle=True),
    "torch.load as a component": _step(_target_="torch.load", f="models/model.pt"),
    "torch.hub": _with(network_def={"_target_": "torch.hub.load", "repo_or_dir": "evil/evil", "model": "x"}),
    "formatted text": _with(inferer="$f'{@network_def}'"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_is_refused_and_nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.chdir(tmp_path)
    root = zoo.write(tmp_path / "model", HOSTILE[kind])
    assert _assess(root).trust is Trust.REFUSED
    builder = Builder(read_configuration(root))
    with pytest.raises(ModelError):
        [builder.get(part) for part in ("network", "inferer", "preprocessing")]
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("part", ["initialize", "run", "imports", "dataset", "dataloader", "handlers", "anything"])
def test_what_is_never_built_does_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    monkeypatch.chdir(tmp_path)
    root = zoo.write(tmp_path / "model", _with(**{part: [RUN]}))
    assert _assess(root).trust is Trust.SAFE
    builder = Builder(read_configuration(root))
    for name in ("network", "inferer", "preprocessing", "postprocessing"):
        builder.get(name)
    assert not (tmp_path / "ran").exists()


def test_code_in_the_bundle_is_not_imported(tmp_path: Path) -> None:
    root = zoo.write(tmp_path / "model", _with(inferer={"_target_": "scripts.mine.Inferer"}))
    (root / "scripts").mkdir()
    (root / "scripts" / "__init__.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    (root / "scripts" / "mine.py").write_text("class Inferer: ...")
    assert _assess(root).trust is Trust.NEEDS_TRUST
    assert not (tmp_path / "ran").exists()


def test_weights_are_never_fetched(tmp_path: Path) -> None:
    builder = Builder(read_configuration(zoo.write(tmp_path / "model", zoo.classification())))
    assert type(builder.get("network")).__name__ == "DenseNet121"  # pretrained=True would use the network


def test_link_out_of_the_bundle(tmp_path: Path) -> None:
    root = zoo.write(tmp_path / "model", zoo.spleen())
    (tmp_path / "secret").write_text("x")
    os.symlink(tmp_path / "secret", root / "secret")
    assert _assess(root).trust is Trust.REFUSED


def test_configuration_that_is_a_link_out(tmp_path: Path) -> None:
    root = zoo.write(tmp_path / "model", zoo.spleen())
    (root / "configs" / "inference.json").rename(tmp_path / "elsewhere.json")
    os.symlink(tmp_path / "elsewhere.json", root / "configs" / "inference.json")
    with pytest.raises(ModelError, match="leads out"):
        read_configuration(root)


def test_pipe_in_the_bundle(tmp_path: Path) -> None:
    root = zoo.write(tmp_path / "model", zoo.spleen())
    os.mkfifo(root / "pipe")
    assert _assess(root).trust is Trust.REFUSED


def test_torchscript_is_code(tmp_path: Path) -> None:
    root = zoo.write(tmp_path / "model", zoo.spleen())
    (root / "models").mkdir()
    (root / "models" / "model.ts").write_bytes(b"x")
    assert _assess(root).trust is Trust.NEEDS_TRUST


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"{chr(98 + i)}: &{chr(98 + i)} [" + f"*{chr(97 + i)}, " * 9 + "]\n" for i in range(9)),
        "a: !!python/object/apply:os.system ['touch ran']",
        "a: " + "[" * 200 + "]" * 200,
        "? [1, 2]\n: 3",
        "a: &a [*a]",
        "{",
    ],
    ids=["laughs", "object", "deep", "key", "endless", "garbled"],
)
def test_hostile_yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.chdir(tmp_path)
    root = zoo.write(tmp_path / "model", zoo.spleen(), suffix=".yaml")
    (root / "configs" / "inference.yaml").write_text(text)
    with pytest.raises(ModelError):
        read_configuration(root)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("macro", ["%a", "%../../secret.json::x", "%/etc/passwd", "%nowhere.json::x", "%nowhere"])
def test_macros_stay_inside_and_end(tmp_path: Path, macro: str) -> None:
    (tmp_path / "secret.json").write_text('{"x": 1}')
    root = zoo.write(tmp_path / "model", _with(a="%b", b="%a", inferer=macro))
    with pytest.raises(ModelError):
        read_configuration(root)


def test_macros_copy(tmp_path: Path) -> None:
    root = zoo.write(tmp_path / "model", _with(more="%network_def::channels", other="%metadata.json::version"))
    config = read_configuration(root)
    assert (config.inference["more"], config.inference["other"]) == ([4, 8], "0.1.0")


@pytest.mark.parametrize("identity", ["a", "inferer"])
def test_circles_end(tmp_path: Path, identity: str) -> None:
    builder = Builder(read_configuration(zoo.write(tmp_path / "model", _with(a="@b", b="@a", inferer="@a"))))
    with pytest.raises(ModelError, match="circles"):
        builder.get(identity)


def _zip(path: Path, entries: dict[str, bytes], links: tuple[str, ...] = ()) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            if name in links:
                info.external_attr = 0o120777 << 16
            archive.writestr(info, content)
    return path


def _bundle_entries(config: dict[str, Any], top: str = "") -> dict[str, bytes]:
    return {
        f"{top}configs/metadata.json": json.dumps(zoo.metadata()).encode(),
        f"{top}configs/inference.json": json.dumps(config).encode(),
    }


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of the user's models."""
    monkeypatch.setenv("NAPARI_LESION_MODELS", str(tmp_path / "installed"))
    return tmp_path / "installed"


@pytest.mark.parametrize(
    ("extra", "links"),
    [
        ({"../outside.txt": b"x"}, ()),
        ({"/absolute.txt": b"x"}, ()),
        ({"a/../../outside.txt": b"x"}, ()),
        ({"..\\outside.txt": b"x"}, ()),
        ({"C:\\outside.txt": b"x"}, ()),
        ({"link": b"/etc/passwd"}, ("link",)),
        ({"bomb.bin": b"\0" * (32 * 2**20)}, ()),
    ],
    ids=["climbing", "absolute", "winding", "backslash", "drive", "link", "bomb"],
)
def test_hostile_archives(tmp_path: Path, models: Path, extra: dict[str, bytes], links: tuple[str, ...]) -> None:
    from napari_lesion.models.install import InstallRequest, install

    archive = _zip(tmp_path / "model.zip", {**_bundle_entries(zoo.spleen()), **extra}, links)
    with pytest.raises(ModelError, match="refused"):
        install(InstallRequest(str(archive), trusted=True))
    assert list(models.iterdir()) == []
    assert not (tmp_path / "outside.txt").exists()


@pytest.mark.parametrize("top", ["", "inner/"])
def test_install_from_an_archive(tmp_path: Path, models: Path, top: str) -> None:
    from napari_lesion.models.install import InstallRequest, install
    from napari_lesion.models.safety import sha256_of

    archive = _zip(tmp_path / "spleen.zip", _bundle_entries(zoo.spleen(), top))
    with pytest.raises(ModelError, match="not the file that you meant"):
        install(InstallRequest(str(archive), sha256="0" * 64))
    assert list(models.iterdir()) == []
    installed = install(InstallRequest(str(archive), sha256=sha256_of(archive).upper()))
    assert installed.path == models / ("inner" if top else "spleen")
    assert installed.assessment.trust is Trust.SAFE
    assert sorted(path.name for path in models.iterdir()) == [installed.path.name]
    with pytest.raises(ModelError, match="already"):
        install(InstallRequest(str(archive)))
    install(InstallRequest(str(archive), replace=True))


@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.95])
def test_truncated_archive(tmp_path: Path, models: Path, keep: float) -> None:
    from napari_lesion.models.install import InstallRequest, install

    archive = _zip(tmp_path / "model.zip", _bundle_entries(zoo.spleen()))
    content = archive.read_bytes()
    archive.write_bytes(content[: int(keep * len(content)) if 0 < keep < 1 else int(keep)])
    with pytest.raises(LesionError, match="zip"):
        install(InstallRequest(str(archive)))
    assert list(models.iterdir()) == []


def test_trust_is_given_once_and_ends_with_a_change(tmp_path: Path, models: Path) -> None:
    from napari_lesion.models.install import InstallRequest, install
    from napari_lesion.models.trusted import changed_files, distrust, is_trusted

    source = zoo.write(tmp_path / "brats", zoo.brats(), zoo.metadata(4, 3))
    with pytest.raises(ModelError, match=r"code that would run.*lambda"):
        install(InstallRequest(str(source)))
    assert not (models / "brats").exists()
    root = install(InstallRequest(str(source), trusted=True)).path
    assert is_trusted(root)
    assert not is_trusted(source)
    config = root / "configs" / "inference.json"
    config.write_text(config.read_text(encoding="utf-8").replace("> 0, 4", "> 0, 5"))
    (root / "scripts").mkdir()
    (root / "scripts" / "new.py").write_text("")
    assert not is_trusted(root)
    assert changed_files(root) == ("configs/inference.json", "scripts/new.py")
    distrust(root)
    assert changed_files(root) == ()


def test_refused_is_not_installed_even_with_trust(tmp_path: Path, models: Path) -> None:
    from napari_lesion.models.install import InstallRequest, install

    source = zoo.write(tmp_path / "evil", HOSTILE["import by dunder"])
    with pytest.raises(ModelError, match="refused"):
        install(InstallRequest(str(source), trusted=True))
    assert list(models.iterdir()) == []


@pytest.mark.parametrize("address", ["http://example.org/model.zip", "file:///etc/passwd", "ftp://example.org/m.zip"])
def test_only_https_is_fetched(models: Path, address: str) -> None:
    from napari_lesion.models.install import InstallRequest, install

    with pytest.raises(ModelError, match="https"):
        install(InstallRequest(address))
    assert list(models.iterdir()) == []
