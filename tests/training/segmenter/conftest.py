"""Small cases for trainings of users."""

from __future__ import annotations

from pathlib import Path

import pytest
from segmenter_tiny import write_cases


@pytest.fixture(scope="session")
def balls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Datalist of four cubes; nothing may be written beside it."""
    return write_cases(tmp_path_factory.mktemp("balls"))
