"""Wheel and sdist carry manifest and resources, and npe2 finds the plugin in a fresh environment."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

import napari_lesion

ROOT = Path(__file__).resolve().parents[2]


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(kind: str, source: Path, folder: Path) -> Path:
    run(sys.executable, "-m", "build", "--no-isolation", f"--{kind}", "--outdir", folder, source, cwd=source)
    (made,) = folder.iterdir()
    return made


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def unpacked_sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    archive = build("sdist", ROOT, folder)
    shutil.unpack_archive(archive, folder)
    return folder / archive.name.removesuffix(".tar.gz")


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        assert len(names) == len(set(names)), "the wheel holds a file twice"
        return {name: archive.read(name) for name in names}


def test_wheel_carries_manifest_resources_and_type_marker(wheel: Path) -> None:
    inside = contents(wheel)
    assert inside["napari_lesion/napari.yaml"] == (ROOT / "napari.yaml").read_bytes()
    assert "napari_lesion/py.typed" in inside
    tracked = run("git", "ls-files", "resources", cwd=ROOT).split("\n") if (ROOT / ".git").exists() else []
    missing = [name for name in tracked if name and f"napari_lesion/{name}" not in inside]
    assert not missing
    assert any(name.startswith("napari_lesion/resources/bundles/") for name in inside)


def test_wheel_carries_licence_and_attribution(wheel: Path) -> None:
    inside = contents(wheel)
    for name in ("LICENSE", "NOTICE"):
        assert inside[f"napari_lesion-{napari_lesion.__version__}.dist-info/licenses/{name}"]


def test_wheel_from_sdist_is_the_same_wheel(wheel: Path, unpacked_sdist: Path, tmp_path: Path) -> None:
    assert contents(build("wheel", unpacked_sdist, tmp_path)) == contents(wheel)


def test_sdist_carries_what_its_own_checks_need(unpacked_sdist: Path) -> None:
    for name in (
        "Makefile",
        "constraints.txt",
        "mkdocs.yml",
        "scripts/environment.sh",
        "tests/conftest.py",
        "docs/index.md",
    ):
        assert (unpacked_sdist / name).is_file(), name


def test_napari_finds_the_plugin_in_a_fresh_environment(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "env")
    install = (sys.executable, "-m", "pip", "--python", tmp_path / "env", "install", "-q")
    run(*install, "--no-deps", wheel, cwd=tmp_path)
    run(*install, "-c", ROOT / "constraints.txt", "npe2", cwd=tmp_path)
    npe2 = tmp_path / "env" / "bin" / "npe2"
    assert "valid" in run(npe2, "validate", "napari-lesion", cwd=tmp_path)
    listed = json.loads(run(npe2, "list", "--format", "json", "--fields", "name,version,contributions", cwd=tmp_path))
    (plugin,) = (entry for entry in listed if entry["name"] == "napari-lesion")
    assert plugin["version"] == napari_lesion.__version__
    for kind in ("commands", "readers", "writers", "widgets", "sample_data", "menus", "configurations"):
        assert plugin["contributions"][kind], kind


def test_version_stands_in_one_place(wheel: Path) -> None:
    assert wheel.name.startswith(f"napari_lesion-{napari_lesion.__version__}-")
    assert f"## {napari_lesion.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert not re.search(r'^version\s*=\s*"', project, re.MULTILINE)
    assert not re.search(r"^version:", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
