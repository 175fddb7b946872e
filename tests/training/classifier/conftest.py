"""Small boosted models and short bootstraps, so that the tests of the classifier stay quick."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from napari_lesion.evaluation import bootstrap
from napari_lesion.training.classifier import boosting


@pytest.fixture(scope="package", autouse=True)
def _few_trees_and_resamples() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(boosting.BOOSTING, "max_iter", 15)
        patch.setattr(bootstrap, "RESAMPLES", 60)
        yield
