"""Fixtures that several test packages share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

DATA_VARIABLE = "NAPARI_LESION_DATA"
REQUIRE_VARIABLE = "NAPARI_LESION_REQUIRE_DATA"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with data/ and reference/ of the public studies; skips (or, where required, fails) without it."""
    value = os.environ.get(DATA_VARIABLE, "")
    folder = Path(value)
    if value and (folder / "data").is_dir():
        return folder
    message = f"{DATA_VARIABLE} does not name a folder with data/ in it (see docs/data.md)"
    if os.environ.get(REQUIRE_VARIABLE) == "1":
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(autouse=True)
def _private_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep autosaves, caches and preferences of the tests out of the user's folders."""
    monkeypatch.setenv("NAPARI_LESION_STATE_DIR", str(tmp_path / "state"))


@pytest.fixture(scope="session", autouse=True)
def _private_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep converted networks, timings and the user's models of this machine out of the tests; one cache for all."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAPARI_LESION_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("NAPARI_LESION_MODELS", str(tmp_path_factory.mktemp("models")))
        yield
