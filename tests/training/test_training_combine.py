from __future__ import annotations

import pytest
import torch

from napari_lesion.training.combine import average_weights, centre_threshold
from napari_lesion.training.config import TrainingConfig
from napari_lesion.training.network import build_network, predict_probability


def test_the_mean_of_weights() -> None:
    states = [{"a": torch.tensor([value]), "b": torch.zeros(2)} for value in (1.0, 2.0, 6.0)]
    assert average_weights(states)["a"].item() == 3.0


def test_the_shift_moves_the_threshold_to_one_half(tiny_config: TrainingConfig) -> None:
    network = build_network(tiny_config).eval()
    image = torch.rand(32, 32, 32, generator=torch.Generator().manual_seed(1))
    before = predict_probability(network, image, 32)
    threshold = float(before.median())
    network.load_state_dict(centre_threshold(network.state_dict(), threshold))
    after = predict_probability(network, image, 32)
    assert float(after.median()) == pytest.approx(0.5, abs=1e-4)
    assert torch.equal(before.ravel().argsort()[-50:], after.ravel().argsort()[-50:])


def test_only_the_bias_of_one_channel_is_shifted() -> None:
    with pytest.raises(ValueError, match="not the bias"):
        centre_threshold({"weight": torch.zeros(2, 2)}, 0.1)
