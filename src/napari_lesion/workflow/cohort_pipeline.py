"""Cases one after the other on this machine: while one is searched, the next is read and the last is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from typing import Any

from napari_lesion.core.jobs import JobContext
from napari_lesion.workflow.cohort_case import (
    CaseResult,
    CaseTask,
    ReadCase,
    attempt,
    detect_case,
    finished,
    read_case,
    write_case,
)
from napari_lesion.workflow.detect import Detection, preload

ContextOf = Callable[[str, int, int], JobContext]


@dataclass(frozen=True, eq=False)
class _Ahead:
    """A case that is being read, or was done before."""

    task: CaseTask
    done: CaseResult | None
    reading: Future[ReadCase] | None


def run_here(tasks: Sequence[CaseTask], context_of: ContextOf) -> Iterator[CaseResult]:
    """Do the cases; results come in the order of the tasks.

    At most three studies are in memory: the one that is read, the one that is searched, and the one that is written.

    Parameters
    ----------
    tasks
        Cases.
    context_of
        Gives the `JobContext` of a case, from its name, its position (from 0) and the number of cases.

    Raises
    ------
    JobCancelled
        When a job was asked to stop; the cases that are done stay done.
    """
    with _Threads() as threads:
        ahead: list[_Ahead] = []
        writing: dict[Future[CaseResult], CaseTask] = {}
        if tasks:
            threads.searcher.submit(preload, tasks[0].model, tasks[0].parameters)
        for position, task in enumerate(tasks):
            ctx = context_of(task.case, position, len(tasks))
            while len(ahead) < 2 and position + len(ahead) < len(tasks):
                ahead.append(_start(tasks[position + len(ahead)], threads, JobContext(ctx.token)))
            current = ahead.pop(0)
            if current.done is not None:
                yield from _written(writing)
                yield current.done
                continue
            searching = threads.searcher.submit(_searched, current, ctx)
            while not searching.done():
                pending: set[Future[Any]] = {searching, *writing}
                wait(pending, return_when=FIRST_COMPLETED)
                yield from _written({future: writing.pop(future) for future in [*writing] if future.done()})
            yield from _written(writing)
            found = searching.result()
            if isinstance(found, CaseResult):
                yield found
            else:
                writing[threads.writer.submit(write_case, *found)] = task
        yield from _written(writing)


class _Threads:
    """One thread that reads, one that searches, one that writes."""

    def __enter__(self) -> _Threads:
        self.reader, self.searcher, self.writer = (
            ThreadPoolExecutor(1, name) for name in ("reading", "searching", "writing")
        )
        return self

    def __exit__(self, *_: object) -> None:
        for pool in (self.reader, self.searcher, self.writer):
            pool.shutdown(cancel_futures=pool is not self.writer)


def _start(task: CaseTask, threads: _Threads, ctx: JobContext) -> _Ahead:
    done = finished(task)
    return _Ahead(task, done, None if done else threads.reader.submit(read_case, task, ctx))


def _searched(current: _Ahead, ctx: JobContext) -> CaseResult | tuple[ReadCase, Detection]:
    """Search a case that was read; its result when it went wrong."""
    assert current.reading is not None
    ctx.step("Reading")
    read = attempt(current.task, current.reading.result)
    if isinstance(read, CaseResult):
        return read
    detection = attempt(current.task, partial(detect_case, read, ctx))
    return detection if isinstance(detection, CaseResult) else (read, detection)


def _written(writing: dict[Future[CaseResult], CaseTask]) -> Iterator[CaseResult]:
    """Results of the cases that are being written, waited for; a case that was searched is written to its end."""
    while writing:
        future = next(iter(writing))
        yield attempt(writing.pop(future), future.result)
