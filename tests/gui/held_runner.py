"""A runner of jobs that tests hold in their hands."""

from __future__ import annotations

from napari_lesion.core.errors import LesionError
from napari_lesion.core.jobs import JobContext
from napari_lesion.gui.presenters.jobs import Job, JobBusyError, JobListener


class HeldRunner:
    """Runs a job when the test asks for it."""

    def __init__(self) -> None:
        self.held: tuple[Job, JobListener] | None = None
        self.titles: list[str] = []

    @property
    def busy(self) -> bool:
        return self.held is not None

    @property
    def running(self) -> str:
        return self.titles[-1] if self.held else ""

    def start(self, title: str, job: Job, listener: JobListener) -> int:
        if self.held:
            raise JobBusyError(self.running)
        self.held = job, listener
        self.titles.append(title)
        return len(self.titles)

    def run(self) -> None:
        assert self.held is not None
        (job, listener), self.held = self.held, None
        try:
            result = job(JobContext(report=listener.progressed))
        except LesionError as error:
            listener.failed(error)
        else:
            listener.returned(result)

    def cancel(self) -> None:
        assert self.held is not None
        (_, listener), self.held = self.held, None
        listener.cancelled()

    def abandon(self) -> None:
        self.held = None
