"""Cases on an existing Dask cluster: each one is a task of its own; a worker that dies loses nothing.

The workers must see the inputs and the output folder under the same paths, and have napari-lesion installed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from napari_lesion.core.errors import LesionError
from napari_lesion.core.jobs import JobContext
from napari_lesion.workflow.cohort_case import CaseResult, CaseTask, failed, finished, run_case

TIMEOUT_S: Final = 15
POLL_S: Final = 0.5
MISSING: Final = "the package distributed is not installed"


def run_on_cluster(tasks: Sequence[CaseTask], address: str, ctx: JobContext | None = None) -> Iterator[CaseResult]:
    """Do the cases on a cluster; results come as they are done, each once.

    Parameters
    ----------
    tasks
        Cases; those that were done before are not sent.
    address
        Of the scheduler, such as ``tcp://host:8786``.
    ctx
        Progress by case, and cancel: tasks that did not start are taken back.

    Raises
    ------
    LesionError
        When distributed is not installed or the scheduler does not answer.
    JobCancelled
        When the job was asked to stop.
    """
    ctx = ctx or JobContext()
    waiting: list[CaseTask] = []
    for task in tasks:
        done = finished(task)
        if done is None:
            waiting.append(task)
        else:
            yield done
    if waiting:
        yield from _sent(waiting, address, ctx)


def _sent(tasks: Sequence[CaseTask], address: str, ctx: JobContext) -> Iterator[CaseResult]:
    client = _client(address)
    try:
        futures = {
            client.submit(run_case, task, key=f"napari-lesion-{task.fingerprint()}", pure=False): task
            for task in tasks
        }
        try:
            yield from _gathered(futures, ctx)
        finally:
            client.cancel([future for future in futures if not future.done()], force=True)
    finally:
        client.close()


def _client(address: str) -> Any:
    try:
        from distributed import Client
    except ImportError as error:
        raise LesionError(
            "--scheduler needs a Dask client", MISSING, 'Install it: pip install "napari-lesion[cluster]"'
        ) from error
    try:
        return Client(address, timeout=TIMEOUT_S)
    except (OSError, TimeoutError, ValueError) as error:
        raise LesionError(
            f"The scheduler {address} does not answer",
            str(error).splitlines()[0] if str(error) else type(error).__name__,
            "Start it with `dask scheduler`, and check the address",
        ) from error


def _gathered(futures: dict[Any, CaseTask], ctx: JobContext) -> Iterator[CaseResult]:
    """Results as they come; a case that killed its workers again and again is told as failed."""
    from distributed import wait

    left = set(futures)
    while left:
        ctx.step("Cases on the cluster", len(futures) - len(left), len(futures))
        try:
            done, left = wait(left, timeout=POLL_S, return_when="FIRST_COMPLETED")
        except TimeoutError:
            continue
        for future in done:
            error = future.exception()
            yield failed(futures[future], error) if error else future.result()
