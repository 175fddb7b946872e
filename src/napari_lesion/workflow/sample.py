"""Open one of the sample studies."""

from __future__ import annotations

from napari_lesion.core.jobs import JobContext
from napari_lesion.workflow.open_study import study_of
from napari_lesion.workflow.sample_data import SAMPLES, load_sample
from napari_lesion.workflow.study import Study

__all__ = ["SAMPLES", "open_sample"]


def open_sample(name: str, ctx: JobContext | None = None) -> Study:
    """Open a sample by its name in `SAMPLES`; KeyError when there is none of this name."""
    ctx = ctx or JobContext()
    ctx.step(f"Preparing {SAMPLES[name].title}")
    return study_of(load_sample(name, ctx), ctx)
