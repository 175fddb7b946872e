"""A detection with an empty home: nothing is written outside our own folders, and the network is never asked."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
import zoo_shapes as zoo

OWN = (".cache/napari-lesion", ".local/share/napari-lesion", ".local/state/napari-lesion", ".config/napari-lesion")
"""Our own folders below the home folder, as the freedesktop standard names them."""

WATCH = """
import os, sys
told = os.open(os.environ["WATCH_LOG"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
network = {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.sendto",
           "urllib.Request", "http.client.connect", "ftplib.connect", "smtplib.connect", "webbrowser.open"}
writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT

def tell(kind, what):
    os.write(told, f"{kind}\\t{what}\\n".encode("utf-8", "backslashreplace"))

def watch(event, arguments):
    if event in network:
        tell("network", f"{event} {arguments!r}")
    elif event == "open" and isinstance(arguments[0], (str, bytes)) and isinstance(arguments[2], int):
        if arguments[2] & writing:
            tell("write", os.path.abspath(os.fsdecode(arguments[0])))
    elif event in ("os.mkdir", "os.rename", "os.remove") and isinstance(arguments[0], (str, bytes)):
        tell("write", os.path.abspath(os.fsdecode(arguments[0])))

sys.addaudithook(watch)
"""

DETECT = """
import sys
from napari_lesion.cli.main import app
for model, out in zip(sys.argv[2::2], sys.argv[3::2]):
    try:
        app(["detect", sys.argv[1], "--out", out, "--model", model, "--modality", "CT"])
    except SystemExit as end:
        assert not end.code, end.code
"""


def _foreign(root: Path) -> Path:
    import torch
    from monai.networks.nets import UNet

    zoo.write(root, zoo.spleen())
    (root / "models").mkdir()
    arguments = {key: value for key, value in zoo.UNET.items() if key != "_target_"}
    torch.save(UNet(**arguments).state_dict(), root / "models" / "model.pt")
    return root


@pytest.mark.skipif(sys.platform != "linux", reason="the folders are named as on Linux")
def test_a_detection_writes_and_asks_nothing_elsewhere(tmp_path: Path, write_bundle: Callable[..., Path]) -> None:
    home, temporary, watch, here = (tmp_path / name for name in ("home", "temporary", "watch", "here"))
    for folder in (home, temporary, watch, here):
        folder.mkdir()
    (watch / "sitecustomize.py").write_text(WATCH, encoding="utf-8")
    image = tmp_path / "scan.nii.gz"
    values = np.random.default_rng(0).normal(-500, 300, (40, 40, 40)).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(values, np.diag([1.0, 1.0, 1.0, 1.0])), image)
    models = [write_bundle(tmp_path / "own"), _foreign(tmp_path / "foreign")]
    hidden = ("CI", "ORT_DISABLE_TELEMETRY", "PYTEST_CURRENT_TEST")
    variables = {
        name: value
        for name, value in os.environ.items()
        if name not in hidden and not name.startswith(("NAPARI_LESION_", "XDG_"))
    }
    log = tmp_path / "log.txt"
    path = os.pathsep.join([str(watch), *filter(None, [os.environ.get("PYTHONPATH", "")])])
    variables.update(
        HOME=str(home), TMPDIR=str(temporary), WATCH_LOG=str(log), PYTHONPATH=path, PYTHONDONTWRITEBYTECODE="1"
    )
    outs = [tmp_path / "out own", tmp_path / "out foreign"]
    given = [str(part) for pair in zip(models, outs, strict=True) for part in pair]
    done = subprocess.run(
        [sys.executable, "-c", DETECT, str(image), *given],
        env=variables,
        cwd=here,
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    assert all((out / "scan" / "run.json").is_file() for out in outs)
    told = [line.split("\t", 1) for line in log.read_text(encoding="utf-8").splitlines()]
    assert [what for kind, what in told if kind == "network"] == []
    own = [home / name for name in OWN]
    allowed = (*own, *outs, temporary, log, Path("/dev"), Path("/proc"))
    elsewhere = [what for kind, what in told if kind == "write" and not _below(Path(what), allowed)]
    assert [path for path in elsewhere if not _leads_to(Path(path), own)] == []
    left = [path for path in home.rglob("*") if path.is_file() and not _below(path, own)]
    assert left == []
    assert list(here.iterdir()) == []
    assert list(temporary.iterdir()) == []
    assert any(kind == "write" for kind, _ in told), "the watch works"


def _below(path: Path, folders: tuple[Path, ...] | list[Path]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def _leads_to(path: Path, folders: list[Path]) -> bool:
    """Whether a folder had to be made on the way to one of ours."""
    return any(folder.is_relative_to(path) for folder in folders)
