from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from typer.testing import CliRunner

from napari_lesion.models.metadata import read_bundle
from napari_lesion.training import __main__ as command
from napari_lesion.training.config import TrainingConfig


def test_one_command_trains_and_writes_a_bundle(tiny_data: Path, tiny_config: TrainingConfig, tmp_path: Path) -> None:
    import typer

    preset = tmp_path / "tiny.json"
    preset.write_text(json.dumps(asdict(tiny_config)), encoding="utf-8")
    app = typer.Typer()
    app.command()(command.main)
    arguments = [str(preset), "--data", str(tiny_data), "--out", str(tmp_path / "run"), "--workers", "0"]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    info = read_bundle(tmp_path / "run" / "bundle")
    assert info.title == "Lung nodules, CT"
    assert len(info.training_patients) == 4
    assert (info.path / "docs" / "README.md").is_file()
