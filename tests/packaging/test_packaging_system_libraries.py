"""The script that looks for Qt's system libraries, on machines made of a few fake commands."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "system_libraries.sh"
ALL = (
    "libGL.so.1", "libEGL.so.1", "libglib-2.0.so.0", "libfontconfig.so.1", "libdbus-1.so.3",
    "libxkbcommon-x11.so.0", "libxcb-cursor.so.0", "libxcb-icccm.so.4", "libxcb-keysyms.so.1", "libxcb-shape.so.0",
)  # fmt: skip


class Machine:
    """A PATH with only the commands that the script may use."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir()
        for name in ("bash", "grep", "cat"):
            (self.bin / name).symlink_to(shutil.which(name) or name)
        self.command("uname", "echo Linux")
        self.has(*ALL)

    def command(self, name: str, body: str) -> None:
        path = self.bin / name
        path.write_text(f"#!/bin/bash\n{body}\n")
        path.chmod(0o755)

    def has(self, *libraries: str) -> None:
        lines = "\n".join(f"\t{library} (libc6,x86-64) => /lib/{library}" for library in libraries)
        self.command("ldconfig", f"cat <<'E'\n{lines}\nE")

    def run(self, display: str = ":0") -> subprocess.CompletedProcess[str]:
        environment = {"PATH": str(self.bin), "DISPLAY": display}
        return subprocess.run(
            [str(self.bin / "bash"), str(SCRIPT)], env=environment, capture_output=True, encoding="utf-8", check=False
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_says_nothing_when_everything_is_there(machine: Machine) -> None:
    done = machine.run()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_installs_what_is_missing_for_root_on_debian(machine: Machine, tmp_path: Path) -> None:
    machine.has(*ALL[:-2])
    machine.command("id", "echo 0")
    machine.command("apt-get", f'echo "$@" >> {tmp_path}/apt')
    assert machine.run().returncode == 0
    install = (tmp_path / "apt").read_text(encoding="utf-8").splitlines()[-1]
    assert install.endswith("libxcb-keysyms1 libxcb-shape0")
    assert "--no-install-recommends" in install


def test_prints_the_command_for_a_user_on_debian(machine: Machine) -> None:
    machine.has(*ALL[1:])
    machine.command("id", "echo 1000")
    machine.command("apt-get", "exit 99")
    done = machine.run()
    assert done.returncode == 1
    assert "    sudo apt-get update && sudo apt-get install -y --no-install-recommends libgl1\n" in done.stderr


def test_names_the_libraries_elsewhere(machine: Machine) -> None:
    machine.has(*ALL[1:])
    done = machine.run()
    assert done.returncode == 1
    assert "libGL.so.1" in done.stderr


def test_asks_for_a_virtual_display_where_there_is_none(machine: Machine) -> None:
    machine.command("id", "echo 1000")
    machine.command("apt-get", "exit 99")
    done = machine.run(display="")
    assert done.returncode == 1
    assert done.stderr.rstrip().endswith("xvfb xauth")


@pytest.mark.parametrize("display", ["", ":0"])
def test_other_systems_need_nothing(machine: Machine, display: str) -> None:
    machine.command("uname", "echo Darwin")
    machine.has()
    assert machine.run(display).returncode == 0
