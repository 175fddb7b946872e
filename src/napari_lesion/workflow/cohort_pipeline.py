"""Cases one after the other on this machine: while one is searched, the next is read and the last is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

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
    with ThreadPoolExecutor(1, "reading") as reader, ThreadPoolExecutor(1, "writing") as writer:
        ahead: list[_Ahead] = []
        writing: list[tuple[CaseTask, Future[CaseResult]]] = []
        for position in range(len(tasks)):
            ctx = context_of(tasks[position].case, position, len(tasks))
            quiet = JobContext(ctx.token)  # the bar belongs to the search
            while len(ahead) < 2 and position + len(ahead) < len(tasks):
                ahead.append(_start(tasks[position + len(ahead)], reader, quiet))
            current = ahead.pop(0)
            outcome = _searched(current, writer, ctx, quiet)
            yield from _written(writing)
            if isinstance(outcome, CaseResult):
                yield outcome
            else:
                writing.append((current.task, outcome))
        yield from _written(writing)


def _start(task: CaseTask, reader: ThreadPoolExecutor, ctx: JobContext) -> _Ahead:
    done = finished(task)
    return _Ahead(task, done, None if done else reader.submit(read_case, task, ctx))


def _searched(
    current: _Ahead, writer: ThreadPoolExecutor, ctx: JobContext, quiet: JobContext
) -> CaseResult | Future[CaseResult]:
    """Search a case that was read, and hand it to the writer; the result itself when there is nothing to write."""
    if current.done is not None:
        return current.done
    assert current.reading is not None
    ctx.step("Reading")
    read = attempt(current.task, current.reading.result)
    if isinstance(read, CaseResult):
        return read
    detection = attempt(current.task, partial(detect_case, read, ctx))
    if isinstance(detection, CaseResult):
        return detection
    return writer.submit(write_case, read, detection, quiet)


def _written(writing: list[tuple[CaseTask, Future[CaseResult]]]) -> Iterator[CaseResult]:
    """Results of the cases that are being written, waited for."""
    while writing:
        task, future = writing.pop(0)
        yield attempt(task, future.result)
