"""From scores to probabilities, by maps that were fitted on patients whom the models had not seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_lesion.inference.rating.scores import CALCIFIED, MALIGNANCY, N_SCORES, TEXTURE

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Logistic:
    """Softmax or sigmoid of a linear map of scores.

    Parameters
    ----------
    weights
        Shape (class, score); one row stands for the second of two classes.
    bias
        Shape (class,).
    """

    weights: FloatArray
    bias: FloatArray

    def linear(self, scores: npt.NDArray[np.floating]) -> FloatArray:
        """Logits, shape (lesion, class)."""
        logits: FloatArray = np.asarray(scores, dtype=np.float64) @ self.weights.T + self.bias
        return logits

    def __call__(self, scores: npt.NDArray[np.floating]) -> FloatArray:
        """Probabilities: of the second class, shape (lesion,), with one row; of each class otherwise."""
        from scipy.special import expit, softmax

        logits = self.linear(scores)
        probability: FloatArray = expit(logits[:, 0]) if len(self.weights) == 1 else softmax(logits, axis=1)
        return probability

    def to_json(self) -> dict[str, Any]:
        """Plain values for a bundle."""
        return {"kind": "logistic", "weights": self.weights.tolist(), "bias": self.bias.tolist()}


@dataclass(frozen=True, eq=False)
class Steps:
    """Isotonic regression of one score: linear between points, flat outside.

    Parameters
    ----------
    scores, probabilities
        The points, ascending.
    """

    scores: FloatArray
    probabilities: FloatArray

    def __call__(self, scores: npt.NDArray[np.floating]) -> FloatArray:
        """Probability of the second class, shape (lesion,)."""
        probability: FloatArray = np.interp(np.asarray(scores)[:, 0], self.scores, self.probabilities)
        return probability

    def to_json(self) -> dict[str, Any]:
        """Plain values for a bundle."""
        return {"kind": "steps", "scores": self.scores.tolist(), "probabilities": self.probabilities.tolist()}


Calibration = Logistic | Steps


def calibration_from_json(content: dict[str, Any]) -> Calibration:
    """Read what `to_json` wrote."""
    if content["kind"] == "logistic":
        return Logistic(np.asarray(content["weights"], dtype=float), np.asarray(content["bias"], dtype=float))
    return Steps(np.asarray(content["scores"], dtype=float), np.asarray(content["probabilities"], dtype=float))


@dataclass(frozen=True, eq=False)
class Heads:
    """What is fitted after the models: one calibration for each answer.

    Parameters
    ----------
    suspicious, texture, calcified
        Scores to probabilities.
    method
        How the first was calibrated.
    """

    suspicious: Calibration
    texture: Calibration
    calcified: Calibration
    method: str = ""


def columns(first: int | slice, width: int) -> list[int]:
    """Columns of one answer among the scores of one model or of several side by side."""
    own = [first] if isinstance(first, int) else list(range(first.start, first.stop))
    return [start + column for start in range(0, width, N_SCORES) for column in own]


def apply_heads(heads: Heads, scores: npt.NDArray[np.float32]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Probability of a suspicious rating, of each texture, of calcification."""
    width = scores.shape[1]
    return (
        heads.suspicious(scores[:, columns(MALIGNANCY, width)]),
        heads.texture(scores[:, columns(TEXTURE, width)]),
        heads.calcified(scores[:, columns(CALCIFIED, width)]),
    )
