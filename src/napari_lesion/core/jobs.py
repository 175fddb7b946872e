"""One shape for everything that takes longer than a blink: a function of a request and a `JobContext`."""

from __future__ import annotations

import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from operator import itemgetter
from typing import TypeVar

T = TypeVar("T")


class JobCancelled(Exception):
    """The user asked the job to stop; raised by `JobContext.step`."""


class CancelToken:
    """A flag that one thread sets and another one looks at."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def cancel(self) -> None:
        """Ask the job to stop at its next step."""
        self._event.set()

    @property
    def cancelled(self) -> bool:
        """Whether somebody asked the job to stop."""
        return self._event.is_set()


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is.

    Parameters
    ----------
    stage
        What is being done, in words for the user ("Searching").
    done, total
        Finished and planned units of this stage; ``total`` 0 means unknown.
    remaining_s
        Seconds that the stage will still take, from the pace of the latter half of what it did and from what lay
        between its parts; None when unknown.
    """

    stage: str
    done: int = 0
    total: int = 0
    remaining_s: float | None = None

    @property
    def fraction(self) -> float | None:
        """Share of the stage that is done, 0 to 1; None when the total is unknown."""
        return self.done / self.total if self.total else None


def _ignore(_progress: Progress) -> None:
    return None


class JobContext:
    """What a job may do to the world around it: report progress, and learn that it shall stop.

    Parameters
    ----------
    token
        Set by whoever wants the job to stop.
    report
        Called with each `Progress`, in the thread of the job; must be quick.
    clock
        Seconds, monotonic; a test gives its own.
    """

    def __init__(
        self,
        token: CancelToken | None = None,
        report: Callable[[Progress], None] = _ignore,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.token = token or CancelToken()
        self._report = report
        self._clock = clock
        self._stage = ""
        self._marks: list[tuple[int, float]] = []
        self._told = 0.0
        self._pauses: list[float] = []

    def step(self, stage: str, done: int = 0, total: int = 0, parts: int = 1) -> None:
        """Report progress, and stop here when asked to.

        Parameters
        ----------
        stage, done, total
            As in `Progress`.
        parts
            Parts of the stage, such as passes over the same windows. Between two of them the same ``done`` is told
            twice: what lies between is work that no unit stands for, and as long after each part.

        Raises
        ------
        JobCancelled
            When the token is set.
        """
        if self.token.cancelled:
            raise JobCancelled
        if stage != self._stage:
            self._stage, self._marks, self._pauses = stage, [], []
        self._report(Progress(stage, done, total, self._remaining(done, total, parts)))

    def track(self, items: Iterable[T], stage: str, total: int) -> Iterator[T]:
        """Yield the items, with a `step` before each and one after the last."""
        done = 0
        for item in items:
            self.step(stage, done, total)
            yield item
            done += 1
        self.step(stage, done, total)

    def _remaining(self, done: int, total: int, parts: int) -> float | None:
        """From the pace since half of what is done: it follows a load that changes, and forgets a slow start."""
        now = self._working(done, parts)
        if not self._marks or self._marks[-1][0] < done:
            self._marks.append((done, now))
        first = self._marks[0][0]
        if not total or done <= first:
            return None
        half = first + (done - first) // 2
        from_done, began = self._marks[bisect_right(self._marks, half, key=itemgetter(0)) - 1]
        between = sum(self._pauses) / max(1, len(self._pauses)) * (parts - 1 - len(self._pauses))
        return (now - began) / (done - from_done) * (total - done) + max(0.0, between)

    def _working(self, done: int, parts: int) -> float:
        """The time without what lay between the parts."""
        now = self._clock()
        if parts > 1 and self._marks and self._marks[-1][0] == done:
            self._pauses.append(now - self._told)
        self._told = now
        return now - sum(self._pauses)
