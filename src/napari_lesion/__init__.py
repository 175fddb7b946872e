"""napari-lesion: detect, review, correct and measure lesions in CT and MR studies.

Research use only. Not a medical device.
"""

from __future__ import annotations

__version__ = "0.1.0"
