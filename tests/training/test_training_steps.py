from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_lesion.core.errors import InputError
from napari_lesion.training.checkpoints import JsonLog, TrainingState, load_weights
from napari_lesion.training.config import TrainingConfig, load_config
from napari_lesion.training.mine import hard_points, mine_marks
from napari_lesion.training.network import SURELY_BACKGROUND, build_network, lesion_loss
from napari_lesion.training.patches import PatchBatches
from napari_lesion.training.train import RunPlace, load_split, start_state, train, train_step


def test_steps_lower_the_loss(tiny_data: Path, tiny_config: TrainingConfig, tmp_path: Path) -> None:
    stage = replace(tiny_config.stages[0], steps=30)
    config = replace(tiny_config, stages=(stage,))
    batches = PatchBatches(load_split(tiny_data, config, tmp_path).train, stage, config.seed)
    state = start_state(config, stage, "cpu")
    losses = [train_step(state, batches[0], config, stage) for _ in range(20)]
    assert np.mean(losses[-3:]) < 0.85 * losses[0]


def test_a_resumed_run_ends_with_the_same_weights(
    tiny_data: Path, tiny_config: TrainingConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unbroken = train(tiny_data, tiny_config, RunPlace(tmp_path / "unbroken", workers=0))
    save, kept = TrainingState.save, []

    def save_and_stop(state: TrainingState, path: Path) -> None:
        save(state, path)
        kept.append(state.step)
        if state.step == 4 and len(kept) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(TrainingState, "save", save_and_stop)
    place = RunPlace(tmp_path / "broken", workers=0)
    with pytest.raises(KeyboardInterrupt):
        train(tiny_data, tiny_config, place)
    resumed = train(tiny_data, tiny_config, place)
    assert kept == [4, 8]
    first, second = load_weights(unbroken), load_weights(resumed)
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


def test_a_finished_run_is_not_done_again(tiny_data: Path, tiny_config: TrainingConfig, tmp_path: Path) -> None:
    place = RunPlace(tmp_path, workers=0)
    train(tiny_data, tiny_config, place)
    log = JsonLog(place.stage_folder(tiny_config.stages[0]) / "log.jsonl")
    assert [record["step"] for record in log.read()] == [8]
    train(tiny_data, tiny_config, place)
    assert len(log.read()) == 1


def test_a_stage_starts_from_the_one_before_and_mines(
    tiny_data: Path, tiny_config: TrainingConfig, tmp_path: Path
) -> None:
    first = replace(tiny_config.stages[0], steps=2)
    second = replace(first, name="mined", mine_first=True, hard_fraction=0.5, learning_rate=1e-9)
    config = replace(tiny_config, stages=(first, second), validate_every=2)
    place = RunPlace(tmp_path, workers=0)
    best = train(tiny_data, config, place)
    before = load_weights(place.stage_folder(first) / "best.pt")
    for name, value in load_weights(best).items():
        torch.testing.assert_close(value, before[name], rtol=1e-3, atol=1e-5)
    assert (place.stage_folder(second) / "mined.json").is_file()


def test_mined_marks_lie_off_lesions(tiny_data: Path, tiny_config: TrainingConfig, tmp_path: Path) -> None:
    scenes = load_split(tiny_data, tiny_config, tmp_path).train
    network = build_network(tiny_config)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()  # probability one half everywhere: one mark, which holds the lesion
    mined = mine_marks(network, scenes[:1], tiny_config.intensity, tmp_path / "mined.json")
    assert mined == {scenes[0].case.name: []}
    assert hard_points(scenes, mined) == {}


def test_ignored_voxels_have_no_say() -> None:
    logits = torch.randn(1, 1, 4, 4, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    label = torch.zeros(1, 1, 4, 4, 4)
    label[0, 0, 0], label[0, 0, 1] = 1, 2
    loss = lesion_loss(logits, label)
    loss.backward()
    assert logits.grad is not None
    assert (logits.grad[0, 0, 1] == 0).all()
    assert (logits.grad[0, 0, 2] != 0).all()
    other = torch.where(label == 2, torch.full_like(logits, SURELY_BACKGROUND / 2), logits)
    assert lesion_loss(other, label).item() == pytest.approx(loss.item())


def test_marks_where_no_lesion_is_can_cost_more() -> None:
    label = torch.zeros(2, 1, 8, 8, 8)
    label[0, 0, :2] = 1
    clean = torch.where(label == 1, 8.0, -8.0)
    marked = clean.clone()
    marked[1, 0, 3:5, 3:5, 3:5] = 4.0

    def cost(smooth: float = 1e-5, batch_dice: float = 0.0) -> float:
        losses = [lesion_loss(logits, label, smooth, batch_dice) for logits in (marked, clean)]
        return (losses[0] - losses[1]).item()

    assert cost() > 0
    assert cost(smooth=1.0) > 2 * cost()
    assert cost(batch_dice=1.0) > 1.2 * cost()


def test_presets_are_read_by_name_and_by_path(tmp_path: Path) -> None:
    config = load_config("lung_nodule_ct")
    assert config.name == "lung_nodule_ct"
    assert all(stage.roi % 16 == 0 for stage in config.stages)
    (tmp_path / "own.json").write_text(json.dumps({"name": "own", "stages": [{"name": "a", "steps": 3}]}))
    assert load_config(str(tmp_path / "own.json")).stages[0].steps == 3


@pytest.mark.parametrize(
    "content", [{"stages": []}, {"name": "a", "stages": [], "unknown": 1}, {"name": "a", "stages": [{}]}]
)
def test_a_wrong_preset_is_explained(content: dict[str, object]) -> None:
    with pytest.raises(InputError, match="preset is not valid"):
        TrainingConfig.from_json(content)


def test_an_unknown_preset_is_explained() -> None:
    with pytest.raises(InputError, match="no training preset"):
        load_config("no_such_preset")


def test_a_missing_checkpoint_is_explained(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is missing"):
        load_weights(tmp_path / "none.pt")
