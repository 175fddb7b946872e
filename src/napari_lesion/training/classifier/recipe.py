"""What one training of the classifier does, as one frozen value."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field

from napari_lesion.inference.rating.crops import CropSpec
from napari_lesion.training.classifier.crops import Augmentation


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the weights, beside the data.

    Parameters
    ----------
    name
        Name for people.
    layers, planes
        Blocks and channels of the four stages of MONAI's ResNet.
    crop, augmentation
        What the network sees.
    epochs, batch_size, learning_rate, weight_decay, warmup
        AdamW with warm-up (share of all steps) and cosine to 1 % of the peak.
    malignancy_weight, texture_weight, calcified_weight
        Weight of each head beside the other ratings, which weigh 1 together.
    label_smoothing
        Of the texture classes.
    seed
        Seed of weights and batches.
    """

    name: str = "resnet10"
    layers: tuple[int, int, int, int] = (1, 1, 1, 1)
    planes: tuple[int, int, int, int] = (16, 32, 64, 128)
    crop: CropSpec = field(default_factory=CropSpec)
    augmentation: Augmentation = field(default_factory=Augmentation)
    epochs: int = 16
    batch_size: int = 32
    learning_rate: float = 3e-3
    weight_decay: float = 5e-2
    warmup: float = 0.1
    malignancy_weight: float = 2.0
    texture_weight: float = 0.5
    calcified_weight: float = 0.5
    label_smoothing: float = 0.05
    seed: int = 2026

    @property
    def digest(self) -> str:
        """First digits of a hash over all fields: a run with other fields does not go on from this one's files."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]
