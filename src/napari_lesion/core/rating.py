"""How readers would rate a lesion, as a classifier says; an opinion about opinions, never a diagnosis."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rating:
    """What a classifier says of one lesion.

    Parameters
    ----------
    suspicious
        Probability, 0 to 1, that readers would rate it suspicious; NaN when it was not rated.
    texture
        Most probable texture in words; empty when it was not rated.
    calcified
        Probability, 0 to 1, that readers would call it calcified; NaN when it was not rated.
    flag
        Why it was not rated, as written in the column ``flags``; empty when it was.
    """

    suspicious: float = math.nan
    texture: str = ""
    calcified: float = math.nan
    flag: str = ""
