"""What a rating says, in sentences that call it what it is: an opinion of readers, predicted."""

from __future__ import annotations

import math

from napari_lesion.core.table import Row, Value

SUSPICIOUS, TEXTURE, CALCIFIED = "malignancy_suspicious_probability", "texture_class", "calcified_probability"
MOST_SAID = 0.99
CAVEAT = "A prediction of readers' opinions, not of pathology; no diagnosis."


def rating_sentences(row: Row) -> tuple[str, ...]:
    """Sentences for people about a row's rating; none when it was not rated."""
    suspicious, calcified = _number(row.get(SUSPICIOUS)), _number(row.get(CALCIFIED))
    if math.isnan(suspicious):
        return ()
    return (
        f"Readers would rate it suspicious (3.5 or more of 5) with a probability {_chance(suspicious)}.",
        f"They would call it {row.get(TEXTURE)}, and calcified with a probability {_chance(calcified)}.",
        CAVEAT,
    )


def _chance(probability: float) -> str:
    """A probability without the certainty that rounding would give it."""
    if probability > MOST_SAID:
        return f"above {MOST_SAID}"
    return f"below {1 - MOST_SAID:.2f}" if probability < 1 - MOST_SAID else f"of {probability:.2f}"


def _number(value: Value) -> float:
    return float(value) if isinstance(value, (int, float)) else math.nan
